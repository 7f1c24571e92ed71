//! What is counted: the pure steps of a sticky request on a warm connection, on bytes that a
//! browser and a small application server send. Called by `main`, and under callgrind.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sundew::cluster::{Build, PinSources, ServerFacts, SharedInFlight, Tables, Trail};
use sundew::http1::fields::FieldName;
use sundew::http1::forwarded::Identity;
use sundew::http1::framing::{request_control, response_control};
use sundew::http1::head::{HeadLimits, Progress, RequestHead, ResponseHead};
use sundew::http1::head::{parse_request, parse_response};
use sundew::http1::rewrite::{RequestRewrite, ResponseRewrite, write_request, write_response};
use sundew::http1::target::{self, TargetPolicy};
use sundew::observe::access_log::FieldLines;
use sundew::route::RequestView;
use sundew::sticky::{Level, StickyTable, current_value};
use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::{Model, RouterTarget, Sealing, SealingKey, ServiceIndex, ServiceKind};

/// A subject: its name in the baseline, and how to do it so many times.
type Subject = (&'static str, fn(u32));

/// All of them, in the baseline's order.
pub(crate) const ALL: &[Subject] = &[
    ("parse", parse),
    ("sticky", sticky),
    ("rewrite", rewrite),
    ("exchange", exchange),
    ("sealed", sealed),
    ("reseal", reseal),
];

const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 64 * 1024, fields_max: 100, line_bytes_max: 16 * 1024 };
const POLICY: TargetPolicy = TargetPolicy { sanitize_path: true, encode_query_semicolons: false };
const SERVERS: [&str; 4] = [
    "http://127.0.0.1:9001",
    "http://127.0.0.1:9002",
    "http://127.0.0.1:9003",
    "http://127.0.0.1:9004",
];
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 100\r\nCache-Control: no-store\r\nETag: \"5f3a-1c2b\"\r\n\r\n";

/// A request of a browser that is pinned to the third server.
fn pinned_request() -> Vec<u8> {
    request(std::str::from_utf8(&current_value(SERVERS[2])).expect("hex digits"))
}

/// A request of a browser with this pin.
fn request(pin: &str) -> Vec<u8> {
    format!(
        "GET /cart/items?page=2 HTTP/1.1\r\nHost: shop.example\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         Accept: application/json\r\nAccept-Language: en-GB,en;q=0.5\r\n\
         Accept-Encoding: gzip, deflate, br\r\nReferer: http://shop.example/cart\r\n\
         Cookie: theme=dark; _ga=GA1.2.1234567890.1700000000; sid={pin}; consent=yes\r\n\
         Connection: keep-alive\r\n\r\n"
    )
    .into_bytes()
}

fn flags() -> FlagOptions {
    FlagOptions {
        listen: vec!["127.0.0.1:0".into()],
        servers: SERVERS.iter().map(ToString::to_string).collect(),
        sticky_cookie: Some("sid".into()),
    }
}

fn tables() -> Tables {
    tables_of(from_flags(&flags()).expect("valid flags").1)
}

fn tables_of(model: Model) -> Tables {
    let facts = ServerFacts {
        is_up: true,
        is_draining: false,
        addresses: Arc::from([]),
        in_flight: SharedInFlight::default(),
    };
    let servers = vec![vec![facts; SERVERS.len()]; model.services.len()];
    let build = Build {
        model: Arc::new(model),
        servers: &servers,
        entry_points: 1,
        ping: None,
        scheduler_offset: 0,
    };
    Tables::new(&build, None)
}

fn identity() -> Identity<'static> {
    Identity {
        peer: b"203.0.113.7",
        is_trusted: false,
        not_append: false,
        hostname: b"edge-1",
        host: b"shop.example",
        is_tls: false,
        is_websocket: false,
    }
}

fn parsed(bytes: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    assert_eq!(parse_request(bytes, &LIMITS, &mut head), Ok(Progress::Complete));
    head
}

/// The head of a request.
fn parse(times: u32) {
    let bytes = pinned_request();
    let mut head = RequestHead::default();
    for _ in 0..times {
        let progress = parse_request(black_box(&bytes), &LIMITS, &mut head);
        assert_eq!(black_box(progress), Ok(Progress::Complete));
    }
}

/// Finding the cookie in its line and the server behind its value.
fn sticky(times: u32) {
    let (bytes, tables) = (pinned_request(), tables());
    let head = parsed(&bytes);
    let mut trail = Trail::default();
    for _ in 0..times {
        let bytes = black_box(bytes.as_slice());
        let sources = PinSources {
            bytes,
            fields: &head.fields,
            path_and_query: b"/",
            asked_s: 0,
            method: b"GET",
        };
        let pick = tables.pick(ServiceIndex(0), sources, &mut trail);
        assert_eq!(black_box(pick).map(|it| it.server.0), Ok(2));
    }
}

/// The same with a sealed value.
fn sealed(times: u32) {
    pick_sealed(times, 0);
}

/// The same with a value that is due, so that another is sealed and written.
fn reseal(times: u32) {
    pick_sealed(times, IDLE_S / 4);
}

const IDLE_S: u64 = 1800;

fn pick_sealed(times: u32, later_s: u64) {
    let (_, mut model) = from_flags(&flags()).expect("valid flags");
    let service = model.services[0].name.clone();
    let ServiceKind::LoadBalancer(balancer) = &mut model.services[0].kind else { panic!() };
    let cookie = balancer.sticky.as_mut().expect("a cookie");
    cookie.sealing = Some(Sealing {
        keys: vec![SealingKey::new([7; 32]), SealingKey::new([8; 32])],
        lifetime: Some(Duration::from_secs(43_200)),
        idle_timeout: Some(Duration::from_secs(IDLE_S)),
        accept_hash_until_s: None,
    });
    let now_s = 1_800_000_000;
    let table = StickyTable::new(cookie, SERVERS.into_iter(), Level::Server);
    let value = table.with_seal(cookie, &service).seal(2, None, now_s, [9; 12]).expect("a key");
    let value = String::from_utf8(value.to_vec()).expect("base64url");
    let bytes = request(&value);
    let (head, tables) = (parsed(&bytes), tables_of(model));
    let mut trail = Trail::default();
    let mut out = Vec::with_capacity(4096);
    for _ in 0..times {
        let (bytes, fields) = (black_box(bytes.as_slice()), &head.fields);
        let asked_s = now_s + later_s;
        let sources = PinSources { bytes, fields, path_and_query: b"/", asked_s, method: b"GET" };
        let pick = tables.pick(ServiceIndex(0), sources, &mut trail);
        assert_eq!(black_box(pick).map(|it| it.server.0), Ok(2));
        out.clear();
        trail.set_cookie_lines(&tables).for_each(|piece| out.extend_from_slice(piece));
        assert_eq!(black_box(&out).is_empty(), later_s == 0);
    }
}

/// The head as it goes to the server.
fn rewrite(times: u32) {
    let bytes = pinned_request();
    let head = parsed(&bytes);
    let control = request_control(&bytes, &head).expect("a good request");
    let identity = identity();
    let mut out = Vec::with_capacity(4096);
    for _ in 0..times {
        out.clear();
        let bytes = black_box(bytes.as_slice());
        let (head, control, identity) = (&head, &control, &identity);
        let rewrite = RequestRewrite {
            bytes,
            head,
            control,
            target: None,
            host: None,
            hidden_cookies: &[],
            identity,
        };
        write_request(&mut out, &rewrite);
        assert!(black_box(&out).ends_with(b"\r\n\r\n"));
    }
}

/// All of it, there and back: what a request costs besides sockets.
fn exchange(times: u32) {
    let (request, tables, identity) = (pinned_request(), tables(), identity());
    let (mut head, mut answer) = (RequestHead::default(), ResponseHead::default());
    let (mut trail, mut out) = (Trail::default(), Vec::with_capacity(4096));
    let (mut text, mut scratch) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let bytes = black_box(request.as_slice());
        assert_eq!(parse_request(bytes, &LIMITS, &mut head), Ok(Progress::Complete));
        let control = request_control(bytes, &head).expect("a good request");
        let method = head.method.of(bytes);
        let target = target::parse(method, head.target.of(bytes), POLICY, &mut text);
        let target = target.expect("a good target");
        let view = RequestView {
            method,
            host: head.fields.first(bytes, FieldName::Host).unwrap_or(b""),
            path: target::routing_path(target.path(), &mut scratch),
            query: target.query().unwrap_or(b""),
            fields: FieldLines { bytes, spans: head.fields.spans() },
            client: IpAddr::from([203, 0, 113, 7]),
            is_trusted: false,
        };
        let found = tables.routes(0).and_then(|routes| routes.find(&view)).expect("a router");
        let RouterTarget::Service(service) = found.target else { panic!("{found:?}") };
        let path_and_query = target.path_and_query;
        let sources =
            PinSources { bytes, fields: &head.fields, path_and_query, asked_s: 0, method: b"GET" };
        let pick = tables.pick(service, sources, &mut trail);
        assert_eq!(black_box(pick).map(|it| it.server.0), Ok(2));
        out.clear();
        let (sent, judged, identity) = (&head, &control, &identity);
        let rewrite = RequestRewrite {
            bytes,
            head: sent,
            control: judged,
            target: None,
            host: None,
            hidden_cookies: &[],
            identity,
        };
        write_request(&mut out, &rewrite);
        black_box(&out);
        answer_back(&mut answer, &mut out, &tables, &trail);
    }
}

/// The way back: the response's head, judged and written for the client.
fn answer_back(head: &mut ResponseHead, out: &mut Vec<u8>, tables: &Tables, trail: &Trail) {
    let bytes = black_box(RESPONSE);
    assert_eq!(parse_response(bytes, &LIMITS, head), Ok(Progress::Complete));
    let control = response_control(bytes, head, false).expect("a good response");
    out.clear();
    let response = ResponseRewrite {
        bytes,
        head,
        control: &control,
        framing: control.framing,
        client_minor: 1,
        keep_alive: true,
        upgrades: false,
        date: b"Tue, 24 Nov 2026 10:00:00 GMT",
    };
    write_response(out, &response, trail.set_cookie_lines(tables));
    assert!(black_box(&*out).ends_with(b"\r\n\r\n"));
}

mod beyond;
mod composite;
mod load;
mod sealed;
mod strategies;

use std::net::SocketAddr;

use sundew_config::model::{
    Endpoint, Server as ModelServer, Service, StickyCookie, StickyRules, Strategy, TransportIndex,
    WeightedChild,
};

use super::*;
use crate::http1::head::{HeadLimits, RequestHead, parse_request};
use crate::observe::outcome::StickyOutcome::{
    self, Down, New, None as Unsticky, Pinned, Redispatched, Rewritten, Unknown,
};
use crate::sticky::current_value;

const A: &str = "http://127.0.0.1:1001";
const B: &str = "http://127.0.0.1:1002";
const C: &str = "http://127.0.0.1:1003";

fn cookie(name: &str) -> Option<StickyCookie> {
    (!name.is_empty()).then(|| StickyCookie::named(name))
}

/// A load balancer; no cookie name: not sticky.
fn balancer(name: &str, cookie_name: &str, urls: &[(&str, u32)]) -> Service {
    let server = |&(url, weight): &(&str, u32)| ModelServer {
        url: url.into(),
        id: None,
        drain: false,
        weight,
        preserve_path: false,
        endpoint: Endpoint::Tcp { host: "127.0.0.1".into(), port: 80 },
        authority: "127.0.0.1".into(),
        path: String::new(),
        query: None,
    };
    let balancer = LoadBalancer {
        servers: urls.iter().map(server).collect(),
        sticky: cookie(cookie_name),
        sticky_rules: StickyRules::default(),
        health_check: None,
        pass_host_header: true,
        transport: TransportIndex(0),
        strategy: Strategy::Wrr,
        passive_health_check: None,
        load: Box::default(),
    };
    Service { name: name.into(), kind: ServiceKind::LoadBalancer(balancer) }
}

fn weighted(cookie_name: &str, propagate_health: bool, children: &[(&str, u32)]) -> Service {
    let child = |&(name, service): &(&str, u32)| WeightedChild {
        name: name.into(),
        service: ServiceIndex(service),
        weight: 1,
    };
    let weighted = Weighted {
        children: children.iter().map(child).collect(),
        sticky: cookie(cookie_name),
        sticky_rules: StickyRules::default(),
        propagate_health,
    };
    Service { name: "top".into(), kind: ServiceKind::Weighted(weighted) }
}

fn build(services: Vec<Service>, facts: &[Vec<ServerFacts>], previous: Option<&Tables>) -> Tables {
    let model = Arc::new(Model { routers: Vec::new(), services, transports: Vec::new() });
    let build = Build { model, servers: facts, entry_points: 0, ping: None, scheduler_offset: 0 };
    Tables::new(&build, previous)
}

fn tables(services: Vec<Service>) -> Tables {
    build(services, &[], None)
}

/// What one pick came to: (service, server), how, and the values of the cookies that are set.
type Picked = Result<((u32, u16), StickyOutcome, Vec<String>), PickError>;

/// Picks from the last service for a request with this Cookie line.
fn pick_again(tables: &Tables, cookies: &str, trail: &mut Trail) -> Picked {
    let fields = match cookies {
        "" => String::new(),
        _ => format!("Cookie: {cookies}\r\n"),
    };
    ask(tables, "/", &fields, trail)
}

/// The same for any target and fields.
fn ask(tables: &Tables, path_and_query: &str, fields: &str, trail: &mut Trail) -> Picked {
    let text = format!("GET {path_and_query} HTTP/1.0\r\n{fields}\r\n");
    let limits = HeadLimits { bytes_max: 9999, fields_max: 9, line_bytes_max: 999 };
    let mut head = RequestHead::default();
    parse_request(text.as_bytes(), &limits, &mut head).unwrap();
    let top = ServiceIndex(u32::try_from(tables.model.services.len()).unwrap() - 1);
    let path_and_query = path_and_query.as_bytes();
    let (bytes, fields) = (text.as_bytes(), &head.fields);
    let sources = PinSources { bytes, fields, path_and_query, asked_s: 0, method: b"GET" };
    let pick = tables.pick(top, sources, trail)?;
    Ok(((pick.service.0, pick.server.0), pick.outcome, pins(tables, trail)))
}

fn pick(tables: &Tables, cookies: &str) -> Picked {
    pick_again(tables, cookies, &mut Trail::default())
}

/// `name=value` of every `Set-Cookie` line.
fn pins(tables: &Tables, trail: &Trail) -> Vec<String> {
    let pieces: Vec<&[u8]> = trail.set_cookie_lines(tables).collect();
    let text = String::from_utf8(pieces.concat()).unwrap();
    let line = |line: &str| {
        let pair = line.strip_prefix("Set-Cookie: ").unwrap();
        assert!(pair.contains("; Path=/"));
        pair.split(';').next().unwrap().to_owned()
    };
    text.split_terminator("\r\n").map(line).collect()
}

fn pin(name: &str, member: &str) -> String {
    format!("{name}={}", String::from_utf8(current_value(member).to_vec()).unwrap())
}

fn set_up(tables: &Tables, service: u32, server: u16, is_up: bool) {
    tables.server(ServiceIndex(service), ServerIndex(server)).unwrap().set_up(is_up);
}

fn note_tried(trail: &mut Trail, (service, server): (u32, u16)) {
    trail.note_tried(ServiceIndex(service), ServerIndex(server));
}

#[test]
fn without_stickiness_servers_take_turns_and_no_cookie_is_set() {
    let tables = tables(vec![balancer("app", "", &[(A, 3), (B, 1)])]);
    let turns: Vec<u16> = (0..8)
        .map(|_| {
            let ((_, server), outcome, pins) = pick(&tables, &pin("c", B)).unwrap();
            assert_eq!((outcome, pins), (Unsticky, vec![]));
            server
        })
        .collect();
    assert_eq!(turns, [0, 0, 1, 0, 0, 0, 0, 1], "3:1 of traefik.md 2.2");
}

#[test]
fn a_cookie_decides_while_its_server_is_up() {
    let tables = tables(vec![balancer("app", "c", &[(A, 1), (B, 1)])]);
    let at = |server| (0, server);
    assert_eq!(pick(&tables, ""), Ok((at(0), New, vec![pin("c", A)])));
    for _ in 0..3 {
        assert_eq!(pick(&tables, &pin("c", A)), Ok((at(0), Pinned, vec![])));
    }
    assert_eq!(
        pick(&tables, "x=y"),
        Ok((at(1), New, vec![pin("c", B)])),
        "pinned requests take no turns"
    );
    let raw_url = format!("c={B}");
    assert_eq!(pick(&tables, &raw_url), Ok((at(1), Rewritten, vec![pin("c", B)])));
    let (_, outcome, set) = pick(&tables, "c=0123456789abcdef").unwrap();
    assert_eq!((outcome, set.len()), (Unknown, 1), "F1");
    assert_eq!(pick(&tables, "c=").unwrap().1, New);

    set_up(&tables, 0, 0, false);
    assert_eq!(pick(&tables, &pin("c", A)), Ok((at(1), Down, vec![pin("c", B)])), "F2");
    assert_eq!(pick(&tables, &format!("c={A}")), Ok((at(1), Down, vec![pin("c", B)])));
    set_up(&tables, 0, 1, false);
    assert_eq!(pick(&tables, &pin("c", A)), Err(PickError::NoServer));
    set_up(&tables, 0, 0, true);
    assert_eq!(pick(&tables, &pin("c", A)), Ok((at(0), Pinned, vec![])), "it came back");
}

#[test]
fn a_server_of_weight_0_keeps_its_pins_and_gets_no_new_ones() {
    let tables = tables(vec![balancer("app", "c", &[(A, 0), (B, 1)])]);
    assert_eq!(pick(&tables, &pin("c", A)), Ok(((0, 0), Pinned, vec![])));
    for _ in 0..5 {
        assert_eq!(pick(&tables, "").unwrap().0, (0, 1));
    }
    set_up(&tables, 0, 1, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer), "traefik.md 2.2, trap b");
}

#[test]
fn a_service_without_servers_takes_nothing() {
    assert_eq!(pick(&tables(vec![balancer("app", "c", &[])]), ""), Err(PickError::NoServer));
}

#[test]
fn of_equal_urls_the_last_has_the_pins_and_both_take_turns() {
    let tables = tables(vec![balancer("app", "c", &[(A, 1), (A, 1)])]);
    let mut turns: Vec<_> = (0..2).map(|_| pick(&tables, "").unwrap().0).collect();
    turns.sort_unstable();
    assert_eq!(turns, [(0, 0), (0, 1)]);
    assert_eq!(pick(&tables, &pin("c", A)), Ok(((0, 1), Pinned, vec![])));
}

#[test]
fn a_refused_request_goes_to_each_other_server_once() {
    let tables = tables(vec![balancer("app", "c", &[(A, 1), (B, 1), (C, 1)])]);
    let mut trail = Trail::default();
    let mut refused = vec![pick_again(&tables, &pin("c", B), &mut trail).unwrap().0];
    assert_eq!((refused[0], pins(&tables, &trail)), ((0, 1), vec![]));
    for others in [true, false] {
        let at = *refused.last().unwrap();
        let last = Pick { service: ServiceIndex(at.0), server: ServerIndex(at.1), outcome: Pinned };
        assert!(tables.has_alternative(last.service, last, &trail));
        note_tried(&mut trail, at);
        let (next, outcome, set) = pick_again(&tables, &pin("c", B), &mut trail).unwrap();
        assert!(!refused.contains(&next));
        assert_eq!(outcome, Redispatched);
        assert_eq!(set, [pin("c", [A, B, C][usize::from(next.1)])], "the client is pinned anew");
        let next_pick = Pick { service: ServiceIndex(0), server: ServerIndex(next.1), outcome };
        assert_eq!(tables.has_alternative(next_pick.service, next_pick, &trail), others);
        refused.push(next);
    }
    note_tried(&mut trail, refused[2]);
    assert_eq!(pick_again(&tables, &pin("c", B), &mut trail), Err(PickError::Exhausted));
    assert_eq!(trail.tried(), 3);
    trail.restore_pins();
    assert_eq!(pins(&tables, &trail), Vec::<String>::new(), "the first pick set none");
    trail.clear();
    assert_eq!(pick_again(&tables, &pin("c", B), &mut trail), Ok(((0, 1), Pinned, vec![])));
}

#[test]
fn when_nobody_is_left_the_pins_of_the_first_pick_are_told() {
    let tables = tables(vec![balancer("app", "c", &[(A, 1), (B, 1)])]);
    let mut trail = Trail::default();
    let (first, _, first_pins) = pick_again(&tables, "", &mut trail).unwrap();
    note_tried(&mut trail, first);
    let (second, outcome, second_pins) = pick_again(&tables, "", &mut trail).unwrap();
    assert_eq!(outcome, New);
    assert_ne!(first_pins, second_pins);
    note_tried(&mut trail, second);
    assert_eq!(pick_again(&tables, "", &mut trail), Err(PickError::Exhausted));
    trail.restore_pins();
    assert_eq!(pins(&tables, &trail), first_pins);
}

#[test]
fn a_pin_that_was_down_before_another_server_refused_is_down() {
    let tables = tables(vec![balancer("app", "c", &[(A, 1), (B, 1), (C, 1)])]);
    set_up(&tables, 0, 0, false);
    let mut trail = Trail::default();
    let (first, outcome, _) = pick_again(&tables, &pin("c", A), &mut trail).unwrap();
    assert_eq!(outcome, Down);
    note_tried(&mut trail, first);
    assert_eq!(pick_again(&tables, &pin("c", A), &mut trail).unwrap().1, Down);
}

/// Two children of two servers each, below a weighted service.
fn two_levels(inner: &str, outer: &str, propagate_health: bool) -> Tables {
    tables(vec![
        balancer("one", inner, &[(A, 1), (B, 1)]),
        balancer("two", inner, &[(C, 1)]),
        weighted(outer, propagate_health, &[("one", 0), ("two", 1)]),
    ])
}

#[test]
fn both_levels_can_be_sticky() {
    let tables = two_levels("in", "out", true);
    assert_eq!(pick(&tables, ""), Ok(((0, 0), New, vec![pin("out", "one"), pin("in", A)])));
    let both = |child, url| format!("{}; {}", pin("out", child), pin("in", url));
    assert_eq!(pick(&tables, &both("one", B)), Ok(((0, 1), Pinned, vec![])));
    assert_eq!(pick(&tables, &both("two", C)), Ok(((1, 0), Pinned, vec![])));
    assert_eq!(pick(&tables, &both("two", A)), Ok(((1, 0), Unknown, vec![pin("in", C)])), "inner");
    assert_eq!(
        pick(&tables, "out=two; in=x"),
        Ok(((1, 0), Unknown, vec![pin("out", "two"), pin("in", C)])),
        "the raw name is an older format"
    );
    let outer_only = two_levels("", "out", true);
    assert_eq!(pick(&outer_only, &pin("out", "two")), Ok(((1, 0), Pinned, vec![])));
    assert_eq!(pick(&outer_only, "").unwrap().1, New);
    let inner_only = two_levels("in", "", true);
    let (_, outcome, set) = pick(&inner_only, "").unwrap();
    assert_eq!((outcome, set.len()), (New, 1));
}

#[test]
fn a_dead_child_is_left_out_only_where_health_is_propagated() {
    let tables = two_levels("", "out", true);
    set_up(&tables, 1, 0, false);
    for _ in 0..4 {
        assert_eq!(pick(&tables, "").unwrap().0.0, 0);
    }
    let moved = pick(&tables, &pin("out", "two")).unwrap();
    assert_eq!((moved.0.0, moved.1, moved.2), (0, Down, vec![pin("out", "one")]));
    set_up(&tables, 0, 0, false);
    assert_eq!(pick(&tables, "").unwrap().0, (0, 1), "one server of it is enough");
    set_up(&tables, 0, 1, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer));

    let tables = two_levels("", "out", false);
    set_up(&tables, 1, 0, false);
    let moved = pick(&tables, &pin("out", "two")).unwrap();
    assert_eq!((moved.0.0, moved.1, moved.2), (0, Down, vec![pin("out", "one")]));
    let taken = (0..4).filter(|_| pick(&tables, "").is_ok()).count();
    assert_eq!(taken, 2, "every second one meets the dead child");
    let mut trail = Trail::default();
    while pick_again(&tables, "", &mut trail) != Err(PickError::NoServer) {}
    assert_eq!(pins(&tables, &trail), [pin("out", "two")], "traefik.md 1.7: written all the same");
}

#[test]
fn a_request_refused_by_all_of_a_child_goes_to_its_sibling() {
    for propagate_health in [true, false] {
        let tables = two_levels("in", "out", propagate_health);
        let cookies = format!("{}; {}", pin("out", "two"), pin("in", C));
        let mut trail = Trail::default();
        assert_eq!(pick_again(&tables, &cookies, &mut trail), Ok(((1, 0), Pinned, vec![])));
        note_tried(&mut trail, (1, 0));
        let (at, outcome, set) = pick_again(&tables, &cookies, &mut trail).unwrap();
        let url = [A, B][usize::from(at.1)];
        assert_eq!((at.0, set), (0, vec![pin("out", "one"), pin("in", url)]));
        assert_eq!(outcome, Unknown, "the inner cookie means nothing to this child");
        let outer_only = two_levels("", "out", propagate_health);
        let mut trail = Trail::default();
        note_tried(&mut trail, (1, 0));
        let again = pick_again(&outer_only, &pin("out", "two"), &mut trail).unwrap();
        assert_eq!(again.1, Redispatched);
    }
}

#[test]
fn weighted_services_nest() {
    let mut services = vec![
        balancer("one", "", &[(A, 1)]),
        balancer("two", "", &[(B, 1)]),
        weighted("mid", true, &[("one", 0), ("two", 1)]),
    ];
    services.push(weighted("out", true, &[("mid", 2)]));
    let tables = tables(services);
    let set = vec![pin("out", "mid"), pin("mid", "one")];
    assert_eq!(pick(&tables, ""), Ok(((0, 0), New, set)));
    let pinned = format!("{}; {}", pin("mid", "two"), pin("out", "mid"));
    assert_eq!(pick(&tables, &pinned), Ok(((1, 0), Pinned, vec![])));
    set_up(&tables, 0, 0, false);
    set_up(&tables, 1, 0, false);
    assert_eq!(pick(&tables, ""), Err(PickError::NoServer));
}

fn runtime(tables: &Tables, server: u16) -> Rc<Server> {
    Rc::clone(tables.server(ServiceIndex(0), ServerIndex(server)).unwrap())
}

#[test]
fn a_reload_keeps_the_servers_that_stay_and_retires_those_that_leave() {
    let before = tables(vec![balancer("app", "c", &[(A, 1), (B, 1)])]);
    let (a, b) = (runtime(&before, 0), runtime(&before, 1));
    a.set_up(false);
    let after = build(vec![balancer("app", "c", &[(C, 1), (A, 5)])], &[], Some(&before));
    assert!(Rc::ptr_eq(&a, &runtime(&after, 1)), "another place and weight, the same server");
    assert!(!runtime(&after, 1).is_up(), "its health stays");
    assert!(runtime(&after, 0).is_up() && !runtime(&after, 0).is_retired());
    assert!(!a.is_retired() && b.is_retired());
    assert_eq!(pick(&after, &pin("c", B)).unwrap().1, Unknown, "F2: it left");
    assert!(before.server(ServiceIndex(0), ServerIndex(1)).is_some(), "for exchanges in flight");

    let renamed = build(vec![balancer("other", "c", &[(C, 1), (A, 5)])], &[], Some(&after));
    assert!(a.is_retired(), "a server is (service, url)");
    assert!(!runtime(&renamed, 1).is_retired());
}

#[test]
fn equal_urls_keep_apart_across_reloads() {
    let service = || balancer("app", "", &[(A, 1), (B, 1), (A, 1)]);
    let before = tables(vec![service()]);
    pick(&before, "").unwrap();
    let after = build(vec![service()], &[], Some(&before));
    for server in 0..3 {
        assert!(Rc::ptr_eq(&runtime(&before, server), &runtime(&after, server)), "{server}");
    }
    let turns = |tables: &Tables| (0..6).map(|_| pick(tables, "").unwrap().0.1).collect::<Vec<_>>();
    assert_eq!(turns(&after), turns(&before), "and their turns");
    let fewer = build(vec![balancer("app", "", &[(A, 1)])], &[], Some(&after));
    assert!(Rc::ptr_eq(&runtime(&fewer, 0), &runtime(&after, 0)));
    assert!(runtime(&after, 2).is_retired() && !runtime(&after, 0).is_retired());
}

#[test]
fn what_the_control_thread_knows_counts_more_than_what_was_carried_over() {
    let address: crate::io::Address = "127.0.0.1:1001".parse::<SocketAddr>().unwrap().into();
    let facts = |is_up| {
        let addresses = Arc::new([address.clone()]);
        vec![vec![ServerFacts {
            is_up,
            is_draining: false,
            addresses,
            in_flight: SharedInFlight::default(),
        }]]
    };
    let service = || vec![balancer("app", "", &[(A, 1)])];
    let before = build(service(), &facts(false), None);
    assert!(!runtime(&before, 0).is_up());
    assert_eq!(&*runtime(&before, 0).addresses(), std::slice::from_ref(&address));
    let after = build(service(), &facts(true), Some(&before));
    assert!(Rc::ptr_eq(&runtime(&before, 0), &runtime(&after, 0)) && runtime(&after, 0).is_up());
}

#[test]
fn turns_go_on_where_members_and_weights_did_not_change() {
    let turns = |tables: &Tables| {
        let url = |_| {
            let ((service, server), ..) = pick(tables, "").unwrap();
            tables.server(ServiceIndex(service), ServerIndex(server)).unwrap().url.clone()
        };
        (0..9).map(url).collect::<Vec<_>>()
    };
    let weights = [(A, 3), (B, 2), (C, 1)];
    let begun = || {
        let tables = tables(vec![balancer("app", "", &weights)]);
        (0..4).for_each(|_| drop(pick(&tables, "")));
        tables
    };
    let same = build(vec![balancer("app", "", &weights)], &[], Some(&begun()));
    let moved = build(vec![balancer("app", "", &[(C, 1), (A, 3), (B, 2)])], &[], Some(&begun()));
    let want = turns(&begun());
    assert_eq!(turns(&same), want);
    assert_eq!(turns(&moved), want, "whatever their order in the file");
    let changed = [(A, 3), (B, 2), (C, 2)];
    let afresh = build(vec![balancer("app", "", &changed)], &[], Some(&begun()));
    assert_eq!(turns(&afresh), turns(&tables(vec![balancer("app", "", &changed)])));

    let levels = || two_levels("", "", true);
    let top = levels();
    pick(&top, "").unwrap();
    let after = build(top.model.services.clone(), &[], Some(&top));
    assert_eq!(turns(&after), turns(&top));
}

#[test]
fn workers_begin_at_their_own_offset() {
    let services = vec![balancer("app", "", &[(A, 1), (B, 1)])];
    let model = Arc::new(Model { routers: Vec::new(), services, transports: Vec::new() });
    let first = |scheduler_offset| {
        let model = Arc::clone(&model);
        let build = Build { model, servers: &[], entry_points: 0, ping: None, scheduler_offset };
        pick(&Tables::new(&build, None), "").unwrap().0.1
    };
    assert_ne!(first(0), first(1));
}

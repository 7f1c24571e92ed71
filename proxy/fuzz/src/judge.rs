//! What must be true after a run, whatever its script did: the servers saw at most what the clients
//! sent, each request intact, once and in order; each client saw answers to its own requests, each
//! intact or visibly cut.

use std::collections::HashMap;

use sundew::http1::framing::request_control;
use sundew::http1::head::{Progress, RequestHead, parse_request};
use sundew::http1::target;

use crate::ROOMY;
use crate::peers::{Client, MARKER_MIN, Origin};
use crate::stage::{POLICY, SERVERS};
use crate::wire::{self, Request, Response};

/// Times that one request may reach servers: a stale pooled connection, a new one, and the same
/// with another server.
const ATTEMPTS_MAX: usize = 4;

/// What the proxy says by itself.
const OWN: [(u16, &str); 15] = [
    (400, "400 Bad Request"),
    (404, "404 page not found\n"),
    (408, "408 Request Timeout"),
    (413, "413 Request Entity Too Large"),
    (414, "414 Request URI Too Long"),
    (417, ""),
    (431, "431 Request Header Fields Too Large"),
    (499, "Client Closed Request"),
    (501, "501 Not Implemented"),
    (501, ""),
    (502, "Bad Gateway"),
    (503, "no available server\n"),
    (503, "503 Service Unavailable"),
    (504, "Gateway Timeout"),
    (505, "505 HTTP Version Not Supported"),
];

/// Fields of a request that the proxy writes itself, or not at all.
const OWN_FIELDS: [&str; 9] = [
    "host",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-server",
];

/// One request as it reached a server.
struct Attempt<'a> {
    order: usize,
    marker: u8,
    client: usize,
    /// Which requests of that client it can be.
    candidates: Vec<usize>,
    is_idempotent: bool,
    /// What the server said.
    answer: Option<Response<'a>>,
    /// What the server said after it switched protocols, and what it received then.
    tunnel: (&'a [u8], &'a [u8]),
}

/// Panics with the reason when something is not as it must be.
pub fn check(clients: &[Client], origins: &[Origin]) {
    let asked: Vec<Vec<Request<'_>>> =
        clients.iter().map(|client| wire::requests(&client.sent)).collect();
    let mut attempts = Vec::new();
    for origin in origins {
        for position in 0..origin.slots.len() {
            attempts.extend(attempt(origin, position, clients, &asked));
        }
    }
    attempts.sort_by_key(|attempt| attempt.order);
    for client in 0..clients.len() {
        check_order(attempts.iter().filter(|attempt| attempt.client == client));
        check_answers(client, &clients[client], &asked[client], &attempts);
    }
}

fn attempt<'a>(
    origin: &'a Origin,
    position: usize,
    clients: &[Client],
    asked: &[Vec<Request<'_>>],
) -> Option<Attempt<'a>> {
    let slot = origin.slots[position];
    let at = slot.head_at?;
    let next = origin.slots.get(position + 1).and_then(|slot| slot.head_at);
    let bytes = &origin.got[at..next.unwrap_or(origin.got.len())];
    let head = check_head(bytes);
    let address = head.field("x-real-ip").expect("an address");
    let is_own = |it: &Client| it.address.to_string().as_bytes() == address;
    let client = clients.iter().position(is_own).expect("the address of a client");
    let body = wire::request_body(&head, &bytes[head.bytes..]);
    let candidates: Vec<usize> = (0_usize..)
        .zip(&asked[client])
        .filter(|(_, request)| {
            is_same_head(&head, &request.head)
                && if body.is_whole {
                    request.body.is_whole && request.body.bytes == body.bytes
                } else {
                    request.body.bytes.starts_with(&body.bytes)
                }
        })
        .map(|(position, _)| position)
        .collect();
    assert!(!candidates.is_empty(), "a request that nobody sent: {}", bytes.escape_ascii());
    let method = head.words[0];
    let has_key = ["idempotency-key", "x-idempotency-key"].map(|name| head.field(name).is_some());
    let methods: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];
    let said = origin.answer(position);
    let answer = wire::response(said, method, origin.end);
    let from = answer.as_ref().map_or(0, |answer| answer.raw.len());
    let tunnel = (&said[from..], &bytes[head.bytes + body.raw_bytes..]);
    let is_switched = answer.as_ref().is_some_and(|answer| answer.is_tunnel);
    let is_tail = tunnel.1.is_empty() || is_switched || wire::head(tunnel.1).is_none();
    assert!(is_tail, "bytes between requests: {}", tunnel.1.escape_ascii());
    Some(Attempt {
        order: slot.order,
        marker: slot.marker,
        client,
        candidates,
        is_idempotent: methods.contains(&method) || has_key.contains(&true),
        answer,
        tunnel,
    })
}

/// What goes to a server is what the strict parser accepts.
fn check_head(bytes: &[u8]) -> wire::Head<'_> {
    let mut parsed = RequestHead::default();
    let progress = parse_request(bytes, &ROOMY, &mut parsed);
    assert_eq!(progress, Ok(Progress::Complete), "{}", bytes.escape_ascii());
    let control = request_control(bytes, &parsed);
    assert!(control.is_ok(), "{control:?} {}", bytes.escape_ascii());
    let head = wire::head(bytes).expect("a head");
    assert_eq!(head.bytes, parsed.bytes);
    head
}

fn is_same_head(got: &wire::Head<'_>, sent: &wire::Head<'_>) -> bool {
    let [method, raw, _] = sent.words[..] else { return false };
    let mut scratch = Vec::new();
    let Ok(target) = target::parse(method, raw, POLICY, &mut scratch) else { return false };
    let own_host = sent.field("host").unwrap_or(b"");
    let host = target.authority.unwrap_or(own_host);
    let is_host = |it: &[u8]| {
        it == host || host.is_empty() && SERVERS.iter().any(|server| server.as_bytes() == it)
    };
    let is_own = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        OWN_FIELDS.contains(&&*name) || name.starts_with("x-forwarded-")
    };
    let others = |head: &wire::Head<'_>, name: &str| head.field(name).map(<[u8]>::to_vec);
    got.words[0] == method
        && got.words[1] == target.path_and_query
        && got.field("host").is_some_and(is_host)
        && got.fields.iter().all(|field| is_own(field.0) || sent.fields.contains(field))
        && others(got, "cookie") == others(sent, "cookie")
        && got.field("upgrade").is_none_or(|_| sent.field("upgrade").is_some())
}

/// Requests are passed on in order; one that may not be repeated is not.
fn check_order<'a>(attempts: impl Iterator<Item = &'a Attempt<'a>>) {
    let mut last: Option<usize> = None;
    let mut times: HashMap<usize, usize> = HashMap::new();
    for attempt in attempts {
        let floor = match last {
            Some(last) if attempt.is_idempotent => last,
            Some(last) => last + 1,
            None => 0,
        };
        let found = attempt
            .candidates
            .iter()
            .find(|it| **it >= floor && times.get(it).is_none_or(|times| *times < ATTEMPTS_MAX));
        let found = *found.expect("a request once more, or before an earlier one");
        *times.entry(found).or_default() += 1;
        last = Some(found);
    }
}

/// The client's stream is a row of answers to its requests, and perhaps a tunnel.
fn check_answers(number: usize, client: &Client, asked: &[Request<'_>], attempts: &[Attempt<'_>]) {
    let own: Vec<&Attempt<'_>> = attempts.iter().filter(|it| it.client == number).collect();
    let mut rest = client.got.as_slice();
    for position in 0.. {
        let method = asked.get(position).map_or(&b"GET"[..], |request| request.head.words[0]);
        let Some(answer) = wire::response(rest, method, client.end) else { break };
        rest = &rest[answer.raw.len()..];
        let of_request = || own.iter().filter(|attempt| attempt.candidates.contains(&position));
        if is_own_answer(&answer, method) {
            let mine = |byte: &u8| {
                *byte < MARKER_MIN || of_request().any(|attempt| attempt.marker == *byte)
            };
            let interim = &answer.raw[..answer.interim_bytes];
            assert!(interim.iter().all(mine), "of another: {}", interim.escape_ascii());
            let is_refused = matches!(answer.head.status(), 400 | 413..=431 | 501 | 505);
            let is_plain = asked.get(position).is_some_and(is_plain);
            assert!(!(is_refused && is_plain), "a plain request refused: {position}");
            if method == b"HEAD" && !rest.is_empty() && !rest.starts_with(b"HTTP/1.") {
                // Refused before its method was known: the text comes all the same.
                let is_text = OWN.iter().any(|(_, text)| text.as_bytes().starts_with(rest));
                assert!(is_text, "bytes behind an answer: {}", rest.escape_ascii());
                return;
            }
        } else {
            let of_whom = of_request().find(|attempt| is_answer_of(&answer, attempt));
            let of_whom = of_whom.unwrap_or_else(|| {
                panic!("an answer {position} that nobody gave: {}", answer.raw.escape_ascii())
            });
            if answer.is_tunnel {
                let end = asked[position].end;
                check_tunnel(rest, &client.sent[end..], of_whom);
                return;
            }
        }
        if !answer.body.is_whole {
            break;
        }
    }
    // A part of a head, at most.
    let mine = |byte: &u8| *byte < MARKER_MIN || own.iter().any(|it| it.marker == *byte);
    assert!(rest.iter().all(mine), "of another client: {}", rest.escape_ascii());
    let begin = &rest[..rest.len().min(7)];
    assert!(b"HTTP/1.".starts_with(begin), "behind an answer: {}", rest.escape_ascii());
}

/// Nobody could refuse it: where it is refused all the same, something else was read in its place.
fn is_plain(request: &Request<'_>) -> bool {
    let Request { head, body, .. } = request;
    let is_plain_field = |(name, value): &(&[u8], &[u8])| match *name {
        b"Host" => *value == b"a",
        b"Content-Length" => value.len() <= 2 && value.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let names = head.fields.iter().map(|(name, _)| *name);
    body.is_whole
        && matches!(head.words[..], [b"GET" | b"POST", [b'/', path @ ..], b"HTTP/1.1"]
            if path.iter().all(u8::is_ascii_alphanumeric) && path.len() < 100)
        && head.fields.iter().all(is_plain_field)
        && names.clone().filter(|name| *name == b"Host").count() == 1
        && names.filter(|name| *name == b"Content-Length").count() <= 1
}

fn is_own_answer(answer: &Response<'_>, method: &[u8]) -> bool {
    let Response { head, body, raw, interim_bytes, .. } = answer;
    let is_text = |text: &str| match body.is_whole {
        true => body.bytes == text.as_bytes() || method == b"HEAD",
        false => text.as_bytes().starts_with(&body.bytes),
    };
    raw[*interim_bytes..].iter().all(|byte| *byte < MARKER_MIN)
        && OWN.iter().any(|(status, text)| head.status() == *status && is_text(text))
}

/// Status and body are those that a server gave, or visibly less of them; and every marker is its.
fn is_answer_of(answer: &Response<'_>, attempt: &Attempt<'_>) -> bool {
    let Some(said) = &attempt.answer else { return false };
    let is_whole = said.body.is_whole && answer.body.bytes == said.body.bytes;
    let is_part = !answer.body.is_whole && said.body.bytes.starts_with(&answer.body.bytes);
    answer.head.status() == said.head.status()
        && (is_whole || is_part)
        && answer.raw.iter().all(|byte| *byte < MARKER_MIN || *byte == attempt.marker)
}

fn check_tunnel(got: &[u8], sent: &[u8], attempt: &Attempt<'_>) {
    let (said, heard) = attempt.tunnel;
    assert!(said.starts_with(got), "not of the tunnel: {}", got.escape_ascii());
    assert!(sent.starts_with(heard), "not of the tunnel: {}", heard.escape_ascii());
}

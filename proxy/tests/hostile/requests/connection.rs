//! D: what belongs to one connection, and what comes behind a request on it.

use std::borrow::Cow;

use crate::case::{Case, End, Seen, get, passed, passed_and_closed, post, refused_post};

/// Name, field lines of a GET, and the lines that the server gets of them.
const HOP_BY_HOP: &[(&str, &str, &str)] = &[
    ("D1 Connection", "Connection: keep-alive\r\n", ""),
    ("D1 Keep-Alive", "Keep-Alive: timeout=5\r\n", ""),
    ("D1 Proxy-Connection", "Proxy-Connection: keep-alive\r\n", ""),
    ("D1 TE", "TE: gzip\r\n", ""),
    ("D1 TE: trailers", "TE: gzip, trailers\r\n", "\nTe: trailers"),
    ("D1 Trailer", "Trailer: X\r\n", ""),
    ("D1 Upgrade without Connection", "Upgrade: websocket\r\n", ""),
    ("D1 Proxy-Authorization", "Proxy-Authorization: Basic x\r\n", ""),
    ("D1 Proxy-Authenticate", "Proxy-Authenticate: x\r\n", ""),
    ("D1 HTTP2-Settings", "HTTP2-Settings: x\r\n", ""),
    ("D2 a named field", "Connection: X\r\nX: y\r\nZ: w\r\n", "\nZ: w"),
    ("D2 named in another case", "Connection: foo, x-Y\r\nX-y: y\r\nFoo: w\r\n", ""),
    ("D2 named behind the field", "X: y\r\nConnection: X\r\n", ""),
    ("D2 named in a second line", "Connection: keep-alive\r\nConnection: X\r\nX: y\r\n", ""),
    (
        "D2 Authorization is not removed",
        "Connection: Authorization\r\nAuthorization: x\r\n",
        "\nAuthorization: x",
    ),
    ("D2 F13 Cookie is not removed", "Connection: Cookie\r\nCookie: a=b\r\n", "\nCookie: a=b"),
    ("D2 Host is not removed", "Connection: Host\r\n", ""),
    (
        "D3 the proxy's own fields come after",
        "Connection: X-Forwarded-For, X-Real-Ip, X-Forwarded-Server\r\n",
        "",
    ),
    (
        "D13 h2c",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        "",
    ),
    ("D13 h2c among others", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", ""),
    ("D13 h2c in upper case", "Connection: upgrade\r\nUpgrade: H2C\r\n", ""),
    (
        "D12 upgrade asked for",
        "Connection: Upgrade\r\nUpgrade: foo/2\r\n",
        "\nConnection: Upgrade\nUpgrade: foo/2",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = HOP_BY_HOP
        .iter()
        .map(|(name, fields, kept)| {
            passed(*name, get("/", fields), format!("GET / HTTP/1.1\nHost: a{kept}"), b"")
        })
        .collect();
    cases.extend(bodies());
    cases.extend(versions());
    cases.extend(pipelines());
    cases.extend(expectations());
    cases
}

fn bodies() -> [Case; 4] {
    let head = "POST / HTTP/1.1\nHost: a\nContent-Length: 3";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let chunked = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked";
    [
        passed(
            "D2 Content-Length is not removed",
            post("Connection: Content-Length\r\nContent-Length: 3\r\n", b"abc"),
            head,
            b"abc",
        ),
        passed(
            "D2 Transfer-Encoding is the proxy's own",
            post(
                "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
                b"1\r\na\r\n0\r\n\r\n",
            ),
            chunked,
            b"a",
        ),
        passed(
            "D12 an upgrade with a body is a plain request",
            post(&format!("{upgrade}Content-Length: 3\r\n"), b"abc"),
            head,
            b"abc",
        ),
        passed("D14 a WebSocket needs GET", post(upgrade, b""), "POST / HTTP/1.1\nHost: a", b""),
    ]
}

fn versions() -> [Case; 6] {
    let plain: &[u8] = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let kept: &[u8] = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n";
    let body: &[u8] = b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let upgrade: &[u8] =
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    [
        passed_and_closed("D5 HTTP/1.0", plain, "GET / HTTP/1.1\nHost: a", b""),
        passed("D5 HTTP/1.0 that asks to stay", kept, "GET / HTTP/1.1\nHost: a", b""),
        passed_and_closed(
            "D5 HTTP/1.0 with a body",
            body,
            "POST / HTTP/1.1\nHost: a\nContent-Length: 3",
            b"abc",
        ),
        passed_and_closed("D14 HTTP/1.0 cannot upgrade", upgrade, "GET / HTTP/1.1\nHost: a", b""),
        passed_and_closed(
            "D6 close, and what comes behind it",
            get("/", "Connection: close\r\n"),
            "GET / HTTP/1.1\nHost: a",
            b"",
        ),
        passed_and_closed(
            "D6 close beside keep-alive",
            get("/", "Connection: keep-alive, CLOSE\r\n"),
            "GET / HTTP/1.1\nHost: a",
            b"",
        ),
    ]
}

fn pipelines() -> Vec<Case> {
    let many: Vec<_> = (0..100).map(|number| format!("/{number}")).collect();
    let send: Vec<_> = many.iter().flat_map(|target| get(target, "")).collect();
    let seen = many
        .iter()
        .map(|target| (format!("GET {target} HTTP/1.1\nHost: a").into(), Cow::Borrowed(&b""[..])));
    let first = || ("GET /first HTTP/1.1\nHost: a".into(), Cow::Borrowed(&b""[..]));
    let behind = |bytes: &[u8]| [&get("/first", ""), bytes].concat();
    let then = |name: &str, status: u16, bytes: &[u8]| Case {
        name: name.to_owned(),
        send: behind(bytes).into(),
        statuses: vec![200, status],
        end: End::Closed,
        seen: Seen::Requests(vec![first()]),
    };
    vec![
        Case {
            name: "D7 a hundred requests at once".to_owned(),
            send: send.into(),
            statuses: vec![200; 100],
            end: End::Open,
            seen: Seen::Requests(seen.collect()),
        },
        then("D7 a malformed one behind a good one", 400, b"GET / HTTP/1.1\nHost: a\n\n"),
        then("D7 two lengths behind a good one", 400, &post("Content-Length: 1, 2\r\n", b"ab")),
        then("D7 another version behind a good one", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        then(
            "C13 two empty lines between requests",
            400,
            &[b"\r\n\r\n", get("/", "").as_slice()].concat(),
        ),
        Case {
            name: "C13 an empty line between requests".to_owned(),
            send: behind(&[b"\r\n", get("/second", "").as_slice()].concat()).into(),
            statuses: vec![200, 200],
            end: End::Open,
            seen: Seen::Requests(vec![
                first(),
                ("GET /second HTTP/1.1\nHost: a".into(), b"".into()),
            ]),
        },
    ]
}

fn expectations() -> Vec<Case> {
    let expect = |value: &str| format!("Expect: {value}\r\nContent-Length: 3\r\n");
    let refused = |name: &str, value: &str| refused_post(name, 417, &expect(value), "abc");
    vec![
        passed(
            "D8 an expectation",
            post(&expect("100-continue"), b"abc"),
            "POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 3",
            b"abc",
        ),
        refused("D8 an unknown expectation", "x"),
        refused("D8 a list of expectations", "100-continue, x"),
        refused("D8 an expectation with a parameter", "100-continue;x=y"),
        refused("D8 two expectations", "100-continue\r\nExpect: x"),
    ]
}

//! Requests that must never reach a server, by their line in the list of edge requirements (A:
//! framing, B: chunks, C: syntax). Each is refused with `Connection: close`, then closed.

use crate::support::{Client, Driver, Origin, Setup, app, on_both_drivers};

on_both_drivers!(malformed_heads_are_refused, malformed_chunks_are_refused, limits_are_kept);

const HEADS: &[(&str, &[u8], &[u16])] = &[
    ("A1", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("A2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", &[400]),
    ("A3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", &[400]),
    ("A3 list", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", &[400]),
    ("A4 plus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", &[400]),
    ("A4 minus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\n", &[400]),
    ("A4 hex", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", &[400]),
    ("A4 blank", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\na", &[400]),
    ("A4 empty", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", &[400]),
    ("A4 beyond u64", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", &[400, 413]),
    ("A6 x", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400, 501]),
    ("A6 parameter", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n", &[400, 501]),
    ("A6 tab", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("A7 twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400, 501]),
    ("A7 lines", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400, 501]),
    ("A7 identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", &[400, 501]),
    ("A7 empty", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", &[400, 501]),
    ("A8", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[400, 501]),
    ("A9", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("A10 blank", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("A10 fold", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("C1", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", &[400]),
    ("C2 all", b"GET / HTTP/1.1\nHost: a\n\n", &[400]),
    ("C2 one", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", &[400]),
    ("C3 NUL", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", &[400]),
    ("C3 escape", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x1bb\r\n\r\n", &[400]),
    ("C3 delete", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", &[400]),
    ("C4", b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", &[400]),
    ("C5", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", &[400]),
    ("C6", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", &[400]),
    ("C7 brackets", b"GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n", &[400]),
    ("C7 raw", b"GET / HTTP/1.1\r\nHost: a\r\nX\xff: b\r\n\r\n", &[400]),
    ("C8", b"GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", &[400]),
    ("C9", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400]),
    ("C13", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C14 none", b"GET / HTTP/1.1\r\n\r\n", &[400]),
    ("C14 two", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400]),
    ("C14 comma", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", &[400]),
    ("C14 userinfo", b"GET / HTTP/1.1\r\nHost: x@a\r\n\r\n", &[400]),
    ("C14 path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
    ("C14 blank", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
    ("C14 port", b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", &[400]),
    ("C14 port range", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", &[400]),
    ("C14 backslash", b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", &[400]),
    ("C17 star", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C17 authority", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C17 CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[501]),
    ("C18", b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 two blanks", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 blank", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 control", b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 raw", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 backslash", b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C19 no slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C20 escape", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C20 half", b"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("C22 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[400, 505]),
    ("C22 case", b"GET / http/1.1\r\nHost: a\r\n\r\n", &[400, 505]),
    ("C22 digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", &[400, 505]),
    ("C22 no dot", b"GET / HTTP/11\r\nHost: a\r\n\r\n", &[400, 505]),
    ("C22 none", b"GET /\r\nHost: a\r\n\r\n", &[400, 505]),
    ("C23", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
    ("C24 method", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
];

fn malformed_heads_are_refused(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut wrong = Vec::new();
    for (name, bytes, statuses) in HEADS {
        let mut client = Client::connect(proxy.address());
        client.send(bytes);
        // Whatever follows on the connection must not be taken for a request either.
        client.send_if_read("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.response();
        // To an HTTP/1.0 client the close needs no saying.
        let is_http_1_0 = bytes.windows(8).any(|word| word == b"HTTP/1.0");
        let says_close = response.field("Connection") == Some("close");
        if !statuses.contains(&response.status) || !(says_close || is_http_1_0) {
            wrong.push(format!("{name}: {}, close: {says_close}", response.head.line));
        }
        client.expect_end();
        let requests = origin.requests();
        assert!(requests.is_empty(), "{name} reached the server: {requests:?}");
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
}

/// Bodies after a head that announces chunks.
const CHUNKS: &[(&str, &[u8])] = &[
    ("B1 prefix", b"0x1\r\na\r\n0\r\n\r\n"),
    ("B1 plus", b"+1\r\na\r\n0\r\n\r\n"),
    ("B1 minus", b"-1\r\na\r\n0\r\n\r\n"),
    ("B1 blank before", b" 1\r\na\r\n0\r\n\r\n"),
    ("B1 blank after", b"1 \r\na\r\n0\r\n\r\n"),
    ("B1 underscore", b"1_0\r\na\r\n0\r\n\r\n"),
    ("B1 empty", b"\r\na\r\n0\r\n\r\n"),
    ("B2 2^63", b"8000000000000000\r\na\r\n0\r\n\r\n"),
    ("B2 17 digits", b"10000000000000000\r\na\r\n0\r\n\r\n"),
    ("B3 after size", b"1\na\r\n0\r\n\r\n"),
    ("B3 after data", b"1\r\na\n0\r\n\r\n"),
    ("B3 after last", b"0\n\r\n"),
    ("B3 in trailers", b"0\r\nX: y\n\r\n"),
    ("B4", b"1;a\rb\r\na\r\n0\r\n\r\n"),
    ("B4 LF", b"1;a\nb\r\na\r\n0\r\n\r\n"),
    ("B5", b"1;\r\na\r\n0\r\n\r\n"),
    ("B5 no name", b"1;=x\r\na\r\n0\r\n\r\n"),
    ("B8 longer", b"1\r\nab\r\n0\r\n\r\n"),
    ("B10 trailer", b"0\r\nbroken\r\n\r\n"),
    ("B10 blank", b"0\r\nX : y\r\n\r\n"),
];

fn malformed_chunks_are_refused(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    for (name, body) in CHUNKS {
        let mut client = Client::connect(proxy.address());
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send([head, *body].concat());
        client.send_if_read("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.field("Connection")), (400, Some("close")), "{name}");
        client.expect_end();
        let requests = origin.requests();
        assert!(requests.iter().all(|request| !request.is_whole), "{name}: {requests:?}");
        assert!(requests.iter().all(|request| request.method() == "POST"), "{name}: {requests:?}");
    }
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
}

fn limits_are_kept(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let field = |count: usize| format!("X: {}\r\n", "y".repeat(count));
    let table = [
        ("a field of 60 KiB", "/".to_owned(), field(60 * 1024), 200),
        ("a head over 64 KiB", "/".to_owned(), field(66 * 1024), 431),
        ("a name over 64 KiB", "/".to_owned(), format!("{}: y\r\n", "X".repeat(66 * 1024)), 431),
        ("90 fields", "/".to_owned(), "X: y\r\n".repeat(90), 200),
        ("101 fields", "/".to_owned(), "X: y\r\n".repeat(101), 431),
        ("a target of 8000 bytes", format!("/{}", "x".repeat(8000)), String::new(), 200),
        ("a target over 8 KiB", format!("/{}", "x".repeat(8200)), String::new(), 414),
    ];
    for (name, target, fields, status) in table {
        let mut client = Client::connect(proxy.address());
        client.send_if_read(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let response = client.response();
        assert_eq!(response.status, status, "{name}");
        if status != 200 {
            assert_eq!(response.field("Connection"), Some("close"), "{name}");
        }
    }
    assert_eq!(origin.requests().len(), 3);
}

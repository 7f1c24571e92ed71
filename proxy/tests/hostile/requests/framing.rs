//! A: how long a request is.

use crate::case::{Case, End, Seen, get, passed, post, refused, refused_post};

/// Name, status, field lines, body.
const REFUSED: &[(&str, u16, &str, &str)] = &[
    ("A1 length, chunked", 400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("A1 chunked, length", 400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
    (
        "A1 chunked, length 0",
        400,
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "0\r\n\r\n",
    ),
    (
        "A1 chunked, bad length",
        400,
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        "0\r\n\r\n",
    ),
    ("A2 two lengths", 400, "Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
    ("A2 two lengths apart", 400, "Content-Length: 0\r\nX: y\r\ncontent-length: 2\r\n", "ab"),
    ("A2 in a list", 400, "Content-Length: 1, 2\r\n", "ab"),
    ("A3 same twice", 400, "Content-Length: 1\r\nContent-Length: 1\r\n", "a"),
    ("A3 same in a list", 400, "Content-Length: 1, 1\r\n", "a"),
    ("A4 plus", 400, "Content-Length: +1\r\n", "a"),
    ("A4 minus zero", 400, "Content-Length: -0\r\n", ""),
    ("A4 minus", 400, "Content-Length: -1\r\n", "a"),
    ("A4 hex", 400, "Content-Length: 0x1\r\n", "a"),
    ("A4 underscore", 400, "Content-Length: 1_0\r\n", "0123456789"),
    ("A4 blank inside", 400, "Content-Length: 1 0\r\n", "0123456789"),
    ("A4 comma behind", 400, "Content-Length: 1,\r\n", "a"),
    ("A4 comma before", 400, "Content-Length: ,1\r\n", "a"),
    ("A4 empty", 400, "Content-Length:\r\n", ""),
    ("A4 blanks only", 400, "Content-Length:  \t\r\n", ""),
    ("A4 letters", 400, "Content-Length: abc\r\n", "abc"),
    ("A4 letter behind", 400, "Content-Length: 1a\r\n", "a"),
    ("A4 fraction", 400, "Content-Length: 1.0\r\n", "a"),
    ("A4 exponent", 400, "Content-Length: 1e1\r\n", "0123456789"),
    ("A4 quoted", 400, "Content-Length: \"1\"\r\n", "a"),
    ("A4 semicolon", 400, "Content-Length: 1;x\r\n", "a"),
    ("A4 vertical tab", 400, "Content-Length: \x0b1\r\n", "a"),
    ("A4 form feed", 400, "Content-Length: 1\x0c\r\n", "a"),
    ("A4 NUL", 400, "Content-Length: 1\0\r\n", "a"),
    ("A4 no-break space", 400, "Content-Length: \u{a0}1\r\n", "a"),
    ("A4 other digits", 400, "Content-Length: \u{661}\r\n", "a"),
    ("A4 2^64", 400, "Content-Length: 18446744073709551616\r\n", "a"),
    ("A4 thirty digits", 400, "Content-Length: 100000000000000000000000000000\r\n", "a"),
    ("A6 prefix", 400, "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("A6 suffix", 400, "Transfer-Encoding: chunkedx\r\n", "0\r\n\r\n"),
    ("A6 parameter", 400, "Transfer-Encoding: chunked;x\r\n", "0\r\n\r\n"),
    ("A6 blank inside", 400, "Transfer-Encoding: chu nked\r\n", "0\r\n\r\n"),
    ("A6 quoted", 400, "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("A6 vertical tab", 400, "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    ("A6 form feed", 400, "Transfer-Encoding: \x0cchunked\r\n", "0\r\n\r\n"),
    ("A6 form feed behind", 400, "Transfer-Encoding: chunked\x0c\r\n", "0\r\n\r\n"),
    ("A6 NUL", 400, "Transfer-Encoding: \0chunked\r\n", "0\r\n\r\n"),
    ("A6 no-break space", 400, "Transfer-Encoding: \u{a0}chunked\r\n", "0\r\n\r\n"),
    ("A6 long s", 400, "Transfer-Encoding: chun\u{212a}ed\r\n", "0\r\n\r\n"),
    ("A6 unknown", 400, "Transfer-Encoding: gzip\r\n", "0\r\n\r\n"),
    ("A7 twice in a list", 400, "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    ("A7 chunked is not last", 400, "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
    ("A7 identity", 400, "Transfer-Encoding: identity\r\n", ""),
    ("A7 identity, chunked", 400, "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
    ("A7 comma before", 400, "Transfer-Encoding: , chunked\r\n", "0\r\n\r\n"),
    ("A7 comma behind", 400, "Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"),
    ("A7 empty", 400, "Transfer-Encoding:\r\n", "0\r\n\r\n"),
    (
        "A7 two lines",
        400,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "A7 two lines, identity",
        400,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "0\r\n\r\n",
    ),
    (
        "A7 identity line first",
        400,
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    ("A8 gzip, chunked", 501, "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    ("A8 deflate , CHUNKED", 501, "Transfer-Encoding: deflate , CHUNKED\r\n", "0\r\n\r\n"),
    ("A10 blank before colon", 400, "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("A10 tab before colon", 400, "Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
    ("A10 length, blank before colon", 400, "Content-Length : 1\r\n", "a"),
    ("A10 underscore", 400, "Transfer_Encoding: chunked\r\n", "0\r\n\r\n"),
    ("A10 underscore in length", 400, "Content_Length: 1\r\n", "a"),
    ("A10 underscore beside the real one", 400, "Content-Length: 1\r\nContent_Length: 2\r\n", "ab"),
    ("A10 coding folded", 400, "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ("A10 coding folded behind", 400, "Transfer-Encoding: chunked\r\n , identity\r\n", "0\r\n\r\n"),
    ("A10 length folded", 400, "Content-Length:\r\n\t1\r\n", "a"),
    ("A10 folded in from another", 400, "X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("A10 vertical tab in the name", 400, "\x0bTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("A10 NUL behind the name", 400, "Transfer-Encoding\0: chunked\r\n", "0\r\n\r\n"),
];

pub(super) fn cases() -> Vec<Case> {
    let rows = REFUSED.iter();
    let mut cases: Vec<_> = rows
        .map(|(name, status, fields, body)| refused_post(name, *status, fields, body))
        .collect();
    cases.extend(raw());
    cases.extend(bodies());
    cases
}

fn raw() -> [Case; 4] {
    let chunked_1_0: &[u8] =
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let first_line: &[u8] = b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n";
    [
        refused("A9 chunked in HTTP/1.0", 400, chunked_1_0),
        refused(
            "A9 keep-alive, length and chunked in HTTP/1.0",
            400,
            &b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\
               Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        ),
        refused("A10 blank before the first name", 400, first_line),
        refused(
            "A10 tab before the first name",
            400,
            &b"POST / HTTP/1.1\r\n\tContent-Length: 5\r\nHost: a\r\n\r\n0\r\n\r\n"[..],
        ),
    ]
}

/// Methods whose bodies proxies get wrong, with what the server reads.
fn bodies() -> Vec<Case> {
    const HEAD_AND_BODY: &str = "\nHost: a\nContent-Length: 3";
    let mut cases = vec![
        passed(
            "A5 leading zeros",
            post("Content-Length: 0003\r\n", b"abc"),
            "POST / HTTP/1.1\nHost: a\nContent-Length: 3",
            &b"abc"[..],
        ),
        passed(
            "A5 zeros only",
            post("Content-Length: 000\r\n", b""),
            "POST / HTTP/1.1\nHost: a\nContent-Length: 0",
            &b""[..],
        ),
        passed(
            "A5 many zeros",
            post(&format!("Content-Length: {}3\r\n", "0".repeat(40)), b"abc"),
            "POST / HTTP/1.1\nHost: a\nContent-Length: 3",
            &b"abc"[..],
        ),
        Case {
            statuses: vec![200; 3],
            seen: Seen::Requests(vec![
                ("POST / HTTP/1.1\nHost: a".into(), b"".into()),
                ("GET /2 HTTP/1.1\nHost: a".into(), b"".into()),
                ("GET /3 HTTP/1.1\nHost: a".into(), b"".into()),
            ]),
            ..passed("A11 no length is no body", two_gets_behind(post("", b"")), "", &b""[..])
        },
        Case {
            statuses: vec![200; 3],
            seen: Seen::Requests(vec![
                ("POST / HTTP/1.1\nHost: a\nContent-Length: 3".into(), b"GET".into()),
                ("GET /2 HTTP/1.1\nHost: a".into(), b"".into()),
                ("GET /3 HTTP/1.1\nHost: a".into(), b"".into()),
            ]),
            end: End::Open,
            ..passed(
                "A11 a body that looks like a request",
                two_gets_behind(post("Content-Length: 3\r\n", b"GET")),
                "",
                &b""[..],
            )
        },
    ];
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "QUERY"] {
        let sized = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        let head = format!("{method} / HTTP/1.1{HEAD_AND_BODY}");
        cases.push(passed(format!("A12 {method} with a body"), sized.into_bytes(), head, b"abc"));
        let chunked = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        let head = format!("{method} / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
        cases.push(passed(format!("A12 {method} chunked"), chunked.into_bytes(), head, b"abc"));
    }
    cases
}

fn two_gets_behind(mut send: Vec<u8>) -> Vec<u8> {
    send.extend(get("/2", ""));
    send.extend(get("/3", ""));
    send
}

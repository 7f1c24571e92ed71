//! C: lines, names, values and versions.

use crate::case::{Case, get, passed, passed_and_closed, refused};

const REFUSED: &[(&str, u16, &[u8])] = &[
    ("C1 CR in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ("C1 CR before CRLF", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n"),
    ("C1 CR in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX\r: a\r\n\r\n"),
    ("C1 CR in the request line", 400, b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    ("C1 CR instead of CRLF", 400, b"GET / HTTP/1.1\rHost: a\r\r"),
    ("C1 CR in the target", 400, b"GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C2 LF everywhere", 400, b"GET / HTTP/1.1\nHost: a\n\n"),
    ("C2 LF behind the request line", 400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("C2 LF behind a field", 400, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    ("C2 LF as the empty line", 400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ("C2 LF in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n"),
    ("C3 NUL in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("C3 SOH in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"),
    ("C3 backspace in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x08\r\n\r\n"),
    ("C3 vertical tab in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n"),
    ("C3 escape in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x1bb\r\n\r\n"),
    ("C3 delete in a value", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n"),
    ("C4 blank before the colon", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"),
    ("C4 tab before the colon", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n"),
    ("C4 blank before Host's colon", 400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("C5 folded with a blank", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("C5 folded with a tab", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
    ("C5 folded Host", 400, b"GET / HTTP/1.1\r\nHost: a\r\n .b\r\n\r\n"),
    ("C5 folded nothing", 400, b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
    ("C6 no name", 400, b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
    ("C6 a colon alone", 400, b"GET / HTTP/1.1\r\nHost: a\r\n:\r\n\r\n"),
    ("C7 brackets in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n"),
    ("C7 raw byte in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX\xff: b\r\n\r\n"),
    ("C7 NUL in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"),
    ("C7 blank in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n"),
    ("C7 quote in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n"),
    ("C7 slash in a name", 400, b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n"),
    ("C8 no colon", 400, b"GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n"),
    ("C8 a request line as a field", 400, b"GET / HTTP/1.1\r\nHost: a\r\nGET /x HTTP/1.1\r\n\r\n"),
    ("C9 blank before Host", 400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("C9 blank line before the fields", 400, b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
    ("C13 two empty lines", 400, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C13 an empty line of LF", 400, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C13 a blank first", 400, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C13 CR first", 400, b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C22 HTTP/1.2", 505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("C22 HTTP/2.0", 505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("C22 HTTP/0.9", 505, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    ("C22 HTTP/3", 400, b"GET / HTTP/3\r\nHost: a\r\n\r\n"),
    ("C22 lower case", 400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    ("C22 two digits", 400, b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    ("C22 leading zero", 400, b"GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
    ("C22 no dot", 400, b"GET / HTTP/11\r\nHost: a\r\n\r\n"),
    ("C22 no version", 400, b"GET /\r\nHost: a\r\n\r\n"),
    ("C22 no version, a blank", 400, b"GET / \r\nHost: a\r\n\r\n"),
    ("C22 blank behind the version", 400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    ("C22 another protocol", 400, b"GET / ICY/1.1\r\nHost: a\r\n\r\n"),
    ("C23 HTTP/2 preface", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("C24 no token as method", 400, b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C24 no method", 400, b"/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C24 NUL as method", 400, b"\0 / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C24 raw byte in the method", 400, b"G\xffT / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("C24 colon in the method", 400, b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
];

pub(super) fn cases() -> Vec<Case> {
    let rows = REFUSED.iter();
    let mut cases: Vec<_> =
        rows.map(|(name, status, send)| refused(*name, *status, *send)).collect();
    cases.extend(fine());
    cases
}

fn fine() -> Vec<Case> {
    let tls: &[u8] = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03";
    vec![
        Case { statuses: Vec::new(), ..refused("C25 a TLS greeting", 400, tls) },
        passed(
            "C10 raw bytes in a value",
            [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".as_slice(), b"\x80\xff\xe9", b"\r\n\r\n"].concat(),
            "GET / HTTP/1.1\nHost: a\nX: \u{80}\u{ff}\u{e9}",
            b"",
        ),
        passed(
            "C3 a tab inside a value",
            get("/", "X: a\tb\r\n"),
            "GET / HTTP/1.1\nHost: a\nX: a\tb",
            b"",
        ),
        passed(
            "C3 an empty value",
            get("/", "X:\r\nY: \r\n"),
            "GET / HTTP/1.1\nHost: a\nX:\nY: ",
            b"",
        ),
        passed(
            "C7 every token byte in a name",
            get("/", "!#$%&'*+-.^_`|~09azAZ: y\r\n"),
            "GET / HTTP/1.1\nHost: a\n!#$%&'*+-.^_`|~09azAZ: y",
            b"",
        ),
        passed(
            "C13 one empty line",
            [b"\r\n".as_slice(), &get("/", "")].concat(),
            "GET / HTTP/1.1\nHost: a",
            b"",
        ),
        passed(
            "C24 an unknown method",
            &b"get / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "get / HTTP/1.1\nHost: a",
            b"",
        ),
        passed(
            "C24 a method of odd tokens",
            &b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "!#$%&'*+-.^_`|~ / HTTP/1.1\nHost: a",
            b"",
        ),
        passed_and_closed(
            "C15 HTTP/1.0 without Host",
            &b"GET / HTTP/1.0\r\n\r\n"[..],
            "GET / HTTP/1.1\nHost: server",
            b"",
        ),
    ]
}

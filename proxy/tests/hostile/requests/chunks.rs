//! B: the chunked coding.

use crate::case::{Case, cut, passed, post};

const MALFORMED: &[(&str, &[u8])] = &[
    ("B1 0x", b"0x1\r\na\r\n0\r\n\r\n"),
    ("B1 plus", b"+1\r\na\r\n0\r\n\r\n"),
    ("B1 minus", b"-1\r\na\r\n0\r\n\r\n"),
    ("B1 blank before", b" 1\r\na\r\n0\r\n\r\n"),
    ("B1 blank behind", b"1 \r\na\r\n0\r\n\r\n"),
    ("B1 tab behind", b"1\t\r\na\r\n0\r\n\r\n"),
    ("B1 underscore", b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    ("B1 empty", b"\r\na\r\n0\r\n\r\n"),
    ("B1 no digit", b"g\r\na\r\n0\r\n\r\n"),
    ("B1 letter behind", b"1g\r\na\r\n0\r\n\r\n"),
    ("B1 quoted", b"\"1\"\r\na\r\n0\r\n\r\n"),
    ("B1 NUL", b"1\0\r\na\r\n0\r\n\r\n"),
    ("B1 comma", b"1,1\r\na\r\n0\r\n\r\n"),
    ("B2 2^63", b"8000000000000000\r\na\r\n0\r\n\r\n"),
    ("B2 2^64 - 1", b"ffffffffffffffff\r\na\r\n0\r\n\r\n"),
    ("B2 2^64 + 1", b"10000000000000001\r\na\r\n0\r\n\r\n"),
    ("B2 seventeen zeros", b"00000000000000001\r\na\r\n0\r\n\r\n"),
    ("B2 2^64 is not 0", b"10000000000000000\r\n\r\n0\r\n\r\n"),
    ("B3 LF behind the size", b"1\na\r\n0\r\n\r\n"),
    ("B3 LF behind data", b"1\r\na\n0\r\n\r\n"),
    ("B3 LF behind the last size", b"0\n\r\n"),
    ("B3 LF as the last line", b"0\r\n\n"),
    ("B3 LF behind an extension", b"1;x=y\na\r\n0\r\n\r\n"),
    ("B3 LF in a trailer", b"0\r\nX: y\n\r\n"),
    ("B3 CR behind the size", b"1\ra\r\n0\r\n\r\n"),
    ("B3 CR behind data", b"1\r\na\r0\r\n\r\n"),
    ("B4 CR in an extension", b"1;a\rb\r\na\r\n0\r\n\r\n"),
    ("B4 LF in an extension", b"1;a\nb\r\na\r\n0\r\n\r\n"),
    ("B4 NUL in an extension", b"1;a\0b\r\na\r\n0\r\n\r\n"),
    ("B4 CTL in a quoted extension", b"1;a=\"\x01\"\r\na\r\n0\r\n\r\n"),
    ("B5 nothing behind the semicolon", b"1;\r\na\r\n0\r\n\r\n"),
    ("B5 no name", b"1;=x\r\na\r\n0\r\n\r\n"),
    ("B5 no value", b"1;x=\r\na\r\n0\r\n\r\n"),
    ("B5 no token", b"1;x@y\r\na\r\n0\r\n\r\n"),
    ("B5 two semicolons", b"1;;x\r\na\r\n0\r\n\r\n"),
    ("B5 of the last chunk", b"0;\r\n\r\n"),
    ("B6 CRLF in a quoted value", b"1;x=\"\r\n\"\r\na\r\n0\r\n\r\n"),
    ("B6 text behind a quoted value", b"1;x=\"y\"z\r\na\r\n0\r\n\r\n"),
    ("B6 open quote", b"1;x=\"y\r\na\r\n0\r\n\r\n"),
    ("B8 more data than said", b"1\r\nab\r\n0\r\n\r\n"),
    ("B8 less data than said", b"3\r\na\r\n0\r\n\r\n\r\n\r\n"),
    ("B8 no CRLF behind data", b"1\r\na0\r\n\r\n"),
    ("B10 trailer without a colon", b"0\r\nbroken\r\n\r\n"),
    ("B10 trailer with a blank", b"0\r\nX : y\r\n\r\n"),
    ("B10 folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
    ("B10 trailer without a name", b"0\r\n: y\r\n\r\n"),
    ("B10 NUL in a trailer", b"0\r\nX: \0\r\n\r\n"),
    ("B10 CR in a trailer", b"0\r\nX: a\rb\r\n\r\n"),
    ("B10 alias of a framing field", b"0\r\nContent_Length: 3\r\n\r\n"),
    ("B10 request line as a trailer", b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
];

/// Name, bytes, decoded. The server sees data alone: B9, B11.
const FINE: &[(&str, &[u8], &[u8])] = &[
    ("B9 extensions", b"3;x;y=z;q=\"a;b\\\"\"\r\nabc\r\n0;last\r\n\r\n", b"abc"),
    ("B1 upper and lower case", b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", b"01234567890123456789a"),
    ("B1 leading zeros", b"003\r\nabc\r\n000\r\n\r\n", b"abc"),
    ("B8 CRLF as data", b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ("B8 a last chunk as data", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    ("B8 a request as data", b"12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"),
    ("B8 NUL as data", b"1\r\n\0\r\n0\r\n\r\n", b"\0"),
    ("B11 trailers", b"1\r\na\r\n0\r\nX: y\r\nEtag: z\r\n\r\n", b"a"),
    ("B10 head fields as trailers", b"1\r\na\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: b\r\nCookie: c\r\nX-Forwarded-For: 9\r\n\r\n", b"a"),
    ("B11 trailers alone", b"0\r\nX: y\r\n\r\n", b""),
    ("B1 no data at all", b"0\r\n\r\n", b""),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = MALFORMED.iter().map(|(name, body)| cut(*name, body)).collect();
    cases.extend(FINE.iter().map(|(name, body, decoded)| fine(name, body, decoded.to_vec())));
    cases.extend(sized());
    cases
}

fn fine(name: &str, body: &[u8], decoded: Vec<u8>) -> Case {
    let head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked";
    passed(name, post("Transfer-Encoding: chunked\r\n", body), head, decoded)
}

fn sized() -> Vec<Case> {
    let one = |extension: &str| format!("1{extension}\r\na\r\n0\r\n\r\n").into_bytes();
    let long = |bytes: usize| format!(";{}", "x".repeat(bytes));
    let many = |chunks: usize| {
        let chunk = format!("1{}\r\na\r\n", long(4000));
        format!("{}0\r\n\r\n", chunk.repeat(chunks)).into_bytes()
    };
    let tiny = format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(5000)).into_bytes();
    let trailer = |bytes: usize| format!("0\r\nX: {}\r\n\r\n", "y".repeat(bytes)).into_bytes();
    vec![
        cut("B7 extension over 4 KiB", &one(&long(4200))),
        fine("B7 extension under 4 KiB", &one(&long(4000)), b"a".to_vec()),
        cut("B7 extensions over 16 KiB", &many(5)),
        fine("B7 extensions under 16 KiB", &many(4), b"aaaa".to_vec()),
        cut("B10 trailers over 16 KiB", &trailer(17 * 1024)),
        cut("B10 too many trailers", format!("0\r\n{}\r\n", "X: y\r\n".repeat(65)).as_bytes()),
        fine("B13 five thousand chunks of a byte", &tiny, vec![b'a'; 5000]),
    ]
}

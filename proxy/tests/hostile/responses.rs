//! The table of responses: A13–A17, B for responses, D4, D9, D12, D16, D17.

use crate::exchange::{Ask, Gets, Row};
use crate::origin::Then;

const fn bad(name: &'static str, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::BadGateway)
}

const fn broken(name: &'static str, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::Broken)
}

const fn whole(name: &'static str, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::Whole(200, "hello"))
}

const fn closed(name: &'static str, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::WholeThenClosed(200, "hello"))
}

const fn empty(name: &'static str, status: u16, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::Whole(status, ""))
}

const fn empty_closed(name: &'static str, status: u16, reply: &'static [u8]) -> Row<'static> {
    Row::new(name, reply, Gets::WholeThenClosed(status, ""))
}

/// Every row whose bytes can be written down.
const ROWS: &[Row<'static>] = &[
    whole("plain", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    empty("A13 HEAD with a length", 200, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").to(Ask::Head).with(&["Content-Length: 5"], &[]),
    empty("A13 HEAD with chunked", 200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").to(Ask::Head),
    empty("A13 HEAD with neither", 200, b"HTTP/1.1 200 OK\r\n\r\n").to(Ask::Head),
    empty_closed("A13 HEAD with a body", 200, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").to(Ask::Head),
    empty_closed("A13 HEAD with a chunked body", 200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").to(Ask::Head),
    empty("A13 204 with a length", 204, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").with(&[], &["content-length"]),
    empty("A13 204 with chunked", 204, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n").with(&[], &["transfer-encoding"]),
    empty_closed("A13 204 with a body", 204, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    empty_closed("A13 204 with a response behind it", 204, b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    empty("A13 304 with a length", 304, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    empty_closed("A13 304 with a body", 304, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
    bad("A13 103 with a body", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello").after(&[103]),
    closed("A14 length and chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").with(&["Transfer-Encoding: chunked"], &["content-length"]),
    closed("A14 chunked and length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n").with(&["Transfer-Encoding: chunked"], &["content-length"]),
    bad("A14 two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    bad("A14 two lengths in a list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello"),
    bad("A14 one length twice in a list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
    whole("A14 one length twice becomes one", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    whole("A5 leading zeros", b"HTTP/1.1 200 OK\r\nContent-Length: 005\r\n\r\nhello").with(&["Content-Length: 5"], &["005"]),
    bad("A4 plus", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    bad("A4 minus", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    bad("A4 hex", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello"),
    bad("A4 empty", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello"),
    bad("A4 blank inside", b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello"),
    bad("A4 2^64", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello"),
    bad("A10 underscore in length", b"HTTP/1.1 200 OK\r\nContent_Length: 5\r\n\r\nhello"),
    bad("A10 underscore in coding", b"HTTP/1.1 200 OK\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("A10 blank before the colon", b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    bad("A10 folded coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    bad("A6 unknown coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    bad("A6 vertical tab", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    bad("A7 chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    bad("A7 two lines", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("A7 identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello"),
    bad("A8 gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    bad("A9 chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    closed("A15 bytes behind a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello there"),
    closed("A15 CRLF behind a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n"),
    closed("A15 a second response", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    closed("A15 a response behind chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    empty_closed("A15 a response behind none", 200, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    broken("A16 body cut", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello").then(Then::Close),
    broken("A16 no body", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").then(Then::Close),
    broken("A16 body cut by a reset", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello").then(Then::Reset),
    broken("A16 no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").then(Then::Close),
    broken("A16 chunk cut", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel").then(Then::Close),
    broken("A16 chunk size cut", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0").then(Then::Close),
    broken("A16 last CRLF missing", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n").then(Then::Close),
    broken("A16 trailers cut", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n").then(Then::Close),
    bad("A16 head cut", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n").then(Then::Close),
    bad("A16 status line cut", b"HTTP/1.1 2").then(Then::Close),
    bad("A16 nothing", b"").then(Then::Close),
    bad("A16 reset at once", b"").then(Then::Reset),
    closed("A17 until the close", b"HTTP/1.1 200 OK\r\n\r\nhello").then(Then::Close).with(&["Transfer-Encoding: chunked"], &[]),
    closed("A17 until the close, to HTTP/1.0", b"HTTP/1.1 200 OK\r\n\r\nhello").then(Then::Close).to(Ask::Old).with(&[], &["transfer-encoding"]),
    empty_closed("A17 nothing until the close", 200, b"HTTP/1.1 200 OK\r\n\r\n").then(Then::Close),
    broken("A17 reset within", b"HTTP/1.1 200 OK\r\n\r\nhello").then(Then::Reset),
    whole("B9 extensions", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\n\r\n"),
    whole("B11 trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n").with(&["X-T: v"], &[]),
    whole("B10 head fields in trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSet-Cookie: p=q\r\nContent-Length: 9\r\nContent-Type: x/y\r\nX-T: v\r\n\r\n").with(&["X-T: v"], &["p=q", "content-length", "x/y"]),
    whole("B11 trailers to HTTP/1.0", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n").to(Ask::Old).with(&[], &["x-t"]),
    broken("B1 size with a blank", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
    broken("B1 empty size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n\r\n\r\n"),
    broken("B1 no size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
    broken("B2 size too large", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\nhello\r\n0\r\n\r\n"),
    broken("B3 LF behind a size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n"),
    broken("B5 empty extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n"),
    broken("B8 chunk longer than said", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n"),
    broken("B10 trailer without a colon", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbroken\r\n\r\n"),
    whole("D1 hop-by-hop", b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello").with(&[], &["keep-alive", "proxy-connection", "h2c"]),
    whole("D4 a named field", b"HTTP/1.1 200 OK\r\nConnection: X-Y\r\nX-Y: z\r\nContent-Length: 5\r\n\r\nhello").with(&["Set-Cookie: sid="], &["x-y"]),
    whole("D4 Set-Cookie cannot be named", b"HTTP/1.1 200 OK\r\nConnection: Set-Cookie, Content-Length, Date\r\nSet-Cookie: p=q\r\nContent-Length: 5\r\n\r\nhello").with(&["Set-Cookie: sid=", "Set-Cookie: p=q", "Content-Length: 5", "Date: "], &[]),
    closed("D6 close", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
    closed("D5 HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    whole("D5 HTTP/1.0 that stays", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
    whole("D9 100", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").after(&[100]),
    whole("D9 103 twice", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").after(&[103, 103]).with(&["Set-Cookie: sid="], &[]),
    whole("D5 103 to HTTP/1.0", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").to(Ask::Old),
    bad("D9 103 and no more", b"HTTP/1.1 103 Early Hints\r\n\r\n").then(Then::Close).after(&[103]),
    bad("D9 101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    bad("D9 101 unasked, to HTTP/1.0", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").to(Ask::Old),
    bad("D12 101 to another protocol", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").to(Ask::Upgrade),
    bad("D12 101 to one more protocol", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n").to(Ask::Upgrade),
    bad("D12 101 without Upgrade", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n").to(Ask::Upgrade),
    bad("D12 101 without Connection", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").to(Ask::Upgrade),
    closed("D12 an upgrade declined", b"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello").to(Ask::Upgrade).with(&[], &["upgrade"]),
    empty_closed("D12 an upgrade granted", 101, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").to(Ask::Upgrade).then(Then::Close).with(&["Upgrade: websocket", "Set-Cookie: sid="], &[]),
    bad("D16 NUL in a value", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 CR in a value", b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: p=q\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 LF in a value", b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: p=q\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 escape in a value", b"HTTP/1.1 200 OK\r\nX: a\x1bb\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    bad("D16 LF as the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello"),
    bad("D16 folded", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 no colon", b"HTTP/1.1 200 OK\r\nbroken\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 no name", b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 blank before the colon", b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 blank before the first name", b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 raw byte in a name", b"HTTP/1.1 200 OK\r\nX\xff: y\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 no digits", b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 status below 100", b"HTTP/1.1 099 X\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 two blanks before the status", b"HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 a tab before the status", b"HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 lower case", b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 another protocol", b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 no HTTP at all", b"SSH-2.0-server\r\n"),
    bad("D16 no head", b"hello").then(Then::Close),
    bad("D16 an empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 NUL in the reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 CR in the reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello"),
    bad("D16 escape in the reason", b"HTTP/1.1 200 \x1b[2J\r\nContent-Length: 5\r\n\r\nhello"),
    whole("D16 no reason", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello").with(&["HTTP/1.1 200 "], &[]),
    whole("D16 an empty reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
    whole("D16 raw bytes in a value", b"HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 5\r\n\r\nhello").with(&["X: \u{e9}"], &[]),
    broken(
        "A16 chunks cut, to HTTP/1.0",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    )
    .then(Then::Close)
    .to(Ask::Old),
    broken("A17 reset within, to HTTP/1.0", b"HTTP/1.1 200 OK\r\n\r\nhello")
        .then(Then::Reset)
        .to(Ask::Old),
    bad("D9 nothing is sent again after an interim response", b"HTTP/1.1 103 Early Hints\r\n\r\n")
        .then(Then::Close)
        .after(&[103])
        .on_pooled(),
    closed("A15 a second response in the pool", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").late_from(43),
];

/// Every row.
pub(crate) fn all() -> Vec<Row<'static>> {
    ROWS.iter().copied().chain(sized()).collect()
}

/// Rows about sizes. What they are made of lives as long as the tests.
fn sized() -> Vec<Row<'static>> {
    let reply = |fields: &str| -> &'static [u8] {
        format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 5\r\n\r\nhello").into_bytes().leak()
    };
    let value = |bytes: usize| reply(&format!("X: {}\r\n", "y".repeat(bytes)));
    let fields = |count: usize| reply(&"X: y\r\n".repeat(count));
    let interims: &'static [u8] = {
        let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
        format!("{}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", hint.repeat(17))
            .leak()
            .as_bytes()
    };
    vec![
        bad("D17 a head over 64 KiB", value(64 * 1024)),
        whole("D17 a head of 60 KiB", value(60 * 1024)),
        bad("D17 101 fields", fields(100)),
        whole("D17 100 fields", fields(99)),
        bad(
            "D17 a reason over 64 KiB",
            format!("HTTP/1.1 200 {}", "y".repeat(70 * 1024)).leak().as_bytes(),
        ),
        bad("D9 seventeen interim responses", interims).after(&[103; 16]),
    ]
}

#[test]
fn every_row_has_a_name_of_its_own_and_there_are_sixty() {
    let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two rows of one name");
    assert!(count >= 60, "{count} rows");
}

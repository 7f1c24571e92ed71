use proptest::prelude::*;

use super::*;
use crate::http1::head::{HeadLimits, parse_request, parse_response};

const LIMITS: HeadLimits = HeadLimits { bytes_max: 9999, fields_max: 100, line_bytes_max: 999 };
const MALFORMED: Result<Framing, FramingError> = Err(FramingError::Malformed);

fn request(text: &[u8]) -> Result<RequestControl, FramingError> {
    let mut head = RequestHead::default();
    parse_request(text, &LIMITS, &mut head).unwrap();
    request_control(text, &head)
}

fn control(line: &str, fields: &str) -> RequestControl {
    request(format!("{line}\r\n{fields}\r\n").as_bytes()).unwrap()
}

fn response(
    line: &str,
    fields: &str,
    is_head: bool,
) -> Result<ResponseControl, ResponseFramingError> {
    let text = format!("{line}\r\n{fields}\r\n");
    let mut head = ResponseHead::default();
    parse_response(text.as_bytes(), &LIMITS, &mut head).unwrap();
    response_control(text.as_bytes(), &head, is_head)
}

#[test]
fn request_bodies_are_framed_once_or_refused() {
    use Framing::{Chunked, Empty, Length};
    let coding = Err(FramingError::Coding);
    for (name, fields, want) in [
        ("A11 nothing: no body", "", Ok(Empty)),
        ("length", "Content-Length: 5\r\n", Ok(Length(5))),
        ("length of nothing", "Content-Length: 0\r\n", Ok(Empty)),
        ("A4 the largest length", "Content-Length: 18446744073709551615\r\n", Ok(Length(u64::MAX))),
        ("A5 leading zeros", "Content-Length: 007\r\n", Ok(Length(7))),
        ("A5 nothing but zeros", "Content-Length: 000\r\n", Ok(Empty)),
        ("chunked", "Transfer-Encoding: chunked\r\n", Ok(Chunked)),
        ("chunked, whatever the case", "TRANSFER-encoding: Chunked\r\n", Ok(Chunked)),
        ("A1 both", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", MALFORMED),
        (
            "A1 both, the other way round",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            MALFORMED,
        ),
        ("A2 two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", MALFORMED),
        ("A3 the same length twice", "Content-Length: 5\r\nContent-Length: 5\r\n", MALFORMED),
        ("A3 a list of lengths", "Content-Length: 5, 5\r\n", MALFORMED),
        ("A4 plus", "Content-Length: +5\r\n", MALFORMED),
        ("A4 minus", "Content-Length: -0\r\n", MALFORMED),
        ("A4 hexadecimal", "Content-Length: 0x5\r\n", MALFORMED),
        ("A4 underscore", "Content-Length: 1_0\r\n", MALFORMED),
        ("A4 two numbers", "Content-Length: 5 5\r\n", MALFORMED),
        ("A4 comma", "Content-Length: 5,\r\n", MALFORMED),
        ("A4 empty", "Content-Length:\r\n", MALFORMED),
        ("A4 letters", "Content-Length: 5a\r\n", MALFORMED),
        ("A4 point", "Content-Length: 5.0\r\n", MALFORMED),
        ("A4 past a u64", "Content-Length: 18446744073709551616\r\n", MALFORMED),
        ("A4 far past a u64", "Content-Length: 99999999999999999999999\r\n", MALFORMED),
        ("A6 xchunked", "Transfer-Encoding: xchunked\r\n", MALFORMED),
        ("A6 parameter", "Transfer-Encoding: chunked;x\r\n", MALFORMED),
        ("A6 blank inside", "Transfer-Encoding: chu nked\r\n", MALFORMED),
        ("A6 quoted", "Transfer-Encoding: \"chunked\"\r\n", MALFORMED),
        ("A7 twice", "Transfer-Encoding: chunked, chunked\r\n", MALFORMED),
        ("A7 not the last", "Transfer-Encoding: chunked, gzip\r\n", MALFORMED),
        ("A7 identity", "Transfer-Encoding: identity\r\n", MALFORMED),
        ("A7 identity, chunked", "Transfer-Encoding: identity, chunked\r\n", MALFORMED),
        ("A7 empty member first", "Transfer-Encoding: , chunked\r\n", MALFORMED),
        ("A7 empty member last", "Transfer-Encoding: chunked,\r\n", MALFORMED),
        ("A7 empty", "Transfer-Encoding:\r\n", MALFORMED),
        ("A7 two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", MALFORMED),
        ("A7 another coding alone", "Transfer-Encoding: gzip\r\n", MALFORMED),
        ("A8 a coding before chunked", "Transfer-Encoding: gzip, chunked\r\n", coding),
        ("A8 two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", MALFORMED),
        ("A10 Transfer_Encoding", "Transfer_Encoding: chunked\r\n", MALFORMED),
        ("A10 Content_Length", "content_length: 5\r\n", MALFORMED),
    ] {
        // A12: the method has no say.
        for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST"] {
            let text = format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            let got = request(text.as_bytes()).map(|control| control.framing);
            assert_eq!(got, want, "{name} ({method})");
        }
    }
    let old = |fields: &str| {
        request(format!("POST / HTTP/1.0\r\n{fields}\r\n").as_bytes()).map(|it| it.framing)
    };
    assert_eq!(old("Transfer-Encoding: chunked\r\n"), MALFORMED, "A9");
    assert_eq!(old(""), Ok(Empty), "A11");
    assert_eq!(old("Content-Length: 3\r\n"), Ok(Length(3)));
}

#[test]
fn hosts() {
    for (name, fields, want) in [
        ("name", "Host: example.org\r\n", true),
        ("port", "Host: h:8080\r\n", true),
        ("empty port", "Host: h:\r\n", true),
        ("the last port", "Host: h:65535\r\n", true),
        ("IPv4", "Host: 127.0.0.1:80\r\n", true),
        ("IPv6", "Host: [::1]\r\n", true),
        ("IPv6 with port", "Host: [2001:db8::1]:443\r\n", true),
        ("underscore", "Host: a_b\r\n", true),
        ("empty", "Host:\r\n", true),
        ("C14 none", "", false),
        ("C14 two", "Host: a\r\nHost: b\r\n", false),
        ("C14 the same twice", "Host: a\r\nHost: a\r\n", false),
        ("C14 comma", "Host: a,b\r\n", false),
        ("C14 user", "Host: u@h\r\n", false),
        ("C14 path", "Host: h/p\r\n", false),
        ("C14 blank", "Host: a b\r\n", false),
        ("C14 backslash", "Host: a\\b\r\n", false),
        ("C14 query", "Host: h?x\r\n", false),
        ("C14 fragment", "Host: h#x\r\n", false),
        ("C14 quote", "Host: \"h\"\r\n", false),
        ("C14 non-ASCII", "Host: h\u{e9}\r\n", false),
        ("C14 port without host", "Host: :80\r\n", false),
        ("C14 letters as port", "Host: h:http\r\n", false),
        ("C14 signed port", "Host: h:+80\r\n", false),
        ("C14 port past 65535", "Host: h:65536\r\n", false),
        ("C14 long port", "Host: h:000080\r\n", false),
        ("C14 two ports", "Host: h:80:80\r\n", false),
        ("C14 IPv6 without brackets", "Host: ::1\r\n", false),
        ("C14 empty brackets", "Host: []\r\n", false),
        ("C14 open bracket", "Host: [::1\r\n", false),
        ("C14 something behind the bracket", "Host: [::1]x\r\n", false),
        ("C14 something behind the bracket and a port", "Host: [::1]x:80\r\n", false),
        ("C14 zone", "Host: [fe80::1%25lo]\r\n", false),
        ("C14 brackets within brackets", "Host: [[::1]]\r\n", false),
    ] {
        let text = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(request(text.as_bytes()).is_ok(), want, "{name}");
    }
    assert!(request(b"GET / HTTP/1.0\r\n\r\n").is_ok(), "C15");
    assert!(request(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").is_err(), "C14");
}

#[test]
fn connections_are_kept_as_both_versions_say() {
    for (name, version, fields, want) in [
        ("D6 kept unless", 1, "", true),
        ("D6 close", 1, "Connection: close\r\n", false),
        ("D6 close, whatever the case", 1, "connection: CLOSE\r\n", false),
        ("D6 close among others", 1, "Connection: x, close ,y\r\n", false),
        ("D6 close in another line", 1, "Connection: x\r\nConnection: close\r\n", false),
        ("close wins", 1, "Connection: close, keep-alive\r\n", false),
        ("not a member", 1, "Connection: closed\r\n", true),
        ("D5 not kept unless", 0, "", false),
        ("D5 asked for", 0, "Connection: Keep-Alive\r\n", true),
        ("close wins over it", 0, "Connection: keep-alive, close\r\n", false),
        ("close wins before it", 0, "Connection: close, keep-alive\r\n", false),
        ("close wins in another line", 0, "Connection: close\r\nConnection: keep-alive\r\n", false),
    ] {
        let line = format!("GET / HTTP/1.{version}");
        let got = control(&line, &format!("Host: h\r\n{fields}"));
        assert_eq!(got.keep_alive, want, "{name}");
        let fields = format!("Content-Length: 0\r\n{fields}");
        let got = response(&format!("HTTP/1.{version} 200 OK"), &fields, false).unwrap();
        assert_eq!(got.is_reusable, want, "{name}, of a response");
    }
    let names = |fields| control("GET / HTTP/1.1", fields).names_fields;
    assert!(names("Host: h\r\nConnection: x-secret\r\n"), "D2");
    assert!(!names("Host: h\r\nConnection: keep-alive, Upgrade, close\r\n"));
}

#[test]
fn expectations() {
    let with_body = |expect: &str| {
        let text = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n{expect}\r\n");
        request(text.as_bytes()).map(|control| control.expects_continue)
    };
    let refused = Err(FramingError::Expectation);
    for (name, expect, want) in [
        ("none", "", Ok(false)),
        ("D8 100-continue", "Expect: 100-continue\r\n", Ok(true)),
        ("D8 whatever the case", "Expect: 100-Continue\r\n", Ok(true)),
        ("D8 empty", "Expect:\r\n", Ok(false)),
        ("D8 unknown", "Expect: 200-ok\r\n", refused),
        ("D8 list", "Expect: 100-continue, x\r\n", refused),
        ("D8 parameter", "Expect: 100-continue;x\r\n", refused),
        ("D8 unknown in another line", "Expect: 100-continue\r\nExpect: x\r\n", refused),
    ] {
        assert_eq!(with_body(expect), want, "{name}");
    }
    let expects = |line, fields| control(line, fields).expects_continue;
    assert!(!expects("GET / HTTP/1.1", "Host: h\r\nExpect: 100-continue\r\n"), "without a body");
    let body = "Content-Length: 1\r\nExpect: 100-continue\r\n";
    assert!(!expects("PUT / HTTP/1.0", body), "D5: no 1xx to HTTP/1.0");
}

#[test]
fn upgrades_are_asked_for_in_full() {
    let line = "GET / HTTP/1.1";
    for (name, line, fields, want) in [
        ("websocket", line, "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("among others", line, "Connection: keep-alive, Upgrade\r\nUpgrade: foo, bar/2\r\n", true),
        ("any method", "POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n", true),
        ("D14 no Connection", line, "Upgrade: websocket\r\n", false),
        ("D14 no Upgrade", line, "Connection: Upgrade\r\n", false),
        ("empty Upgrade", line, "Connection: Upgrade\r\nUpgrade:\r\n", false),
        ("D14 not GET", "POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n", false),
        ("D14 HTTP/1.0", "GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
        (
            "D12 body",
            line,
            "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
            false,
        ),
        ("D13 h2c", line, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", false),
        ("D13 in a list", line, "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", false),
        (
            "D13 before",
            line,
            "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
            false,
        ),
        (
            "D13 behind",
            line,
            "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
            false,
        ),
    ] {
        assert_eq!(control(line, &format!("Host: h\r\n{fields}")).wants_upgrade, want, "{name}");
    }
}

#[test]
fn response_bodies_are_framed_once_or_refused() {
    use Framing::{Chunked, Empty, Length, UntilClose};
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let refused = Err(ResponseFramingError);
    // (name, status line, fields, framing and whether the connection can be used again)
    for (name, line, fields, want) in [
        ("length", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", Ok((Length(5), true))),
        ("length of nothing", "HTTP/1.1 200 OK", "Content-Length: 0\r\n", Ok((Length(0), true))),
        ("chunked", "HTTP/1.1 200 OK", chunked, Ok((Chunked, true))),
        ("A17 neither", "HTTP/1.1 200 OK", "", Ok((UntilClose, false))),
        (
            "A17 kept all the same",
            "HTTP/1.0 200 OK",
            "Connection: keep-alive\r\n",
            Ok((UntilClose, false)),
        ),
        ("A13 204", "HTTP/1.1 204 x", chunked, Ok((Empty, true))),
        ("A13 204 with a length", "HTTP/1.1 204 x", "Content-Length: 5\r\n", Ok((Empty, true))),
        ("A13 304", "HTTP/1.1 304 x", "Content-Length: 5\r\n", Ok((Empty, true))),
        ("A13 103", "HTTP/1.1 103 x", "Content-Length: 5\r\n", Ok((Empty, true))),
        ("A14 both", "HTTP/1.1 200 OK", both, Ok((Chunked, false))),
        ("A14 both, without a body", "HTTP/1.1 304 x", both, Ok((Empty, false))),
        (
            "A14 the same length twice",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nContent-Length: 05\r\n",
            Ok((Length(5), true)),
        ),
        (
            "A14 two lengths",
            "HTTP/1.1 200 OK",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            refused,
        ),
        ("A14 a list", "HTTP/1.1 200 OK", "Content-Length: 5, 6\r\n", refused),
        ("sign", "HTTP/1.1 200 OK", "Content-Length: +5\r\n", refused),
        ("empty length", "HTTP/1.1 200 OK", "Content-Length:\r\n", refused),
        ("coding", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n", refused),
        (
            "chunked twice",
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            refused,
        ),
        ("chunked by HTTP/1.0", "HTTP/1.0 200 OK", chunked, refused),
        ("alias", "HTTP/1.1 200 OK", "Transfer_Encoding: chunked\r\n", refused),
    ] {
        let got = response(line, fields, false).map(|it| (it.framing, it.is_reusable));
        assert_eq!(got, want, "{name}");
    }
    for fields in ["", "Content-Length: 5\r\n", chunked, both] {
        let got = response("HTTP/1.1 200 OK", fields, true).map(|it| it.framing);
        assert_eq!(got, Ok(Empty), "A13: HEAD, {fields}");
    }
    let plain = |fields| response("HTTP/1.1 200 OK", fields, true).unwrap().has_plain_length;
    assert!(plain("Content-Length: 5\r\n") && plain("Content-Length: 0\r\n"));
    for fields in ["", "Content-Length: 05\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n", both]
    {
        assert!(!plain(fields), "{fields}");
    }
}

proptest! {
    #[test]
    fn a_length_is_read_as_the_number_that_it_is(number: u64, zeros in 0_usize..5) {
        let text = format!("{}{number}", "0".repeat(zeros));
        prop_assert_eq!(parse_length(text.as_bytes()), Some(number));
    }

    #[test]
    fn no_host_can_break_the_check(host in prop::collection::vec(any::<u8>(), 0..20)) {
        if is_host(&host) {
            prop_assert!(!host.iter().any(|byte| b"/@,\\ #?\"\t\r\n\0".contains(byte)));
        }
    }
}

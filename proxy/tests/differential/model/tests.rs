use super::*;

fn read(text: &str) -> (Vec<Request>, Stop) {
    read_connection(text.as_bytes())
}

#[test]
fn requests_are_told_apart_by_their_framing_alone() {
    let (requests, stop) = read(concat!(
        "POST /a HTTP/1.1\r\nHost: x\r\nX-Marker: 1\r\nContent-Length: 4\r\n\r\nGET ",
        "PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "2;x=\"y\"\r\nab\r\n1\r\nc\r\n0\r\nX-T: v\r\n\r\n",
        "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /d",
    ));
    let seen: Vec<_> =
        requests.iter().map(|it| (&it.target[..], &it.body[..], it.is_whole)).collect();
    assert_eq!(seen, [("/a", &b"GET "[..], true), ("/b", b"abc", true), ("/c", b"", true)]);
    assert_eq!((requests[0].markers.join(","), requests[1].trailers), ("1".to_owned(), 1));
    assert_eq!(stop, Stop::Closing);
}

#[test]
fn what_can_be_read_in_two_ways_is_no_request() {
    for text in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
        "GET /# HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent_Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let (requests, stop) = read(text);
        assert!(requests.is_empty() && matches!(stop, Stop::Malformed(_)), "{text:?}: {stop:?}");
    }
}

#[test]
fn a_body_that_is_cut_or_malformed_is_never_whole() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, is_malformed) in [
        ("5\r\nabc", false),
        ("1\r\na\r\n0\r\n", false),
        ("1 \r\na\r\n0\r\n\r\n", true),
        ("1\r\nab\r\n0\r\n\r\n", true),
        ("1;\r\na\r\n0\r\n\r\n", true),
        ("1;x=\"y\r\na\r\n0\r\n\r\n", true),
        ("0x1\r\na\r\n0\r\n\r\n", true),
        ("10000000000000001\r\na\r\n0\r\n\r\n", true),
        ("0\r\nContent_Length: 1\r\n\r\n", true),
    ] {
        let (requests, stop) = read(&format!("{head}{body}"));
        assert!(requests.len() == 1 && !requests[0].is_whole, "{body:?}");
        assert_eq!(matches!(stop, Stop::Malformed(_)), is_malformed, "{body:?}: {stop:?}");
    }
}

#[test]
fn targets_are_normalised() {
    for (raw, want) in [
        ("/a/../b//./c", "/b/c"),
        ("/a/%2e%2E/%7euser/", "/~user/"),
        ("/%2f%c3", "/%2F%C3"),
        ("/[x]", "/[x]"),
        ("/[x]{", "/%5Bx%5D%7B"),
        ("/a/b/..", "/a"),
        ("/?a;b=/../", "/?a&b=/../"),
        ("HTTP://x:80?q", "/?q"),
        ("http://x", "/"),
    ] {
        let text = format!("GET {raw} HTTP/1.1\r\nHost: x\r\n\r\n");
        let (requests, _) = read(&text);
        assert_eq!(requests.first().map(|it| &it.target[..]), Some(want), "{raw}");
    }
}

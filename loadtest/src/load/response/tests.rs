use super::*;

/// Feeds `wire` in pieces of `step` bytes; the head, the content, and what was left over.
fn read(wire: &[u8], step: usize, is_head: bool) -> Result<(Head, Vec<u8>, usize), &'static str> {
    let mut seen = 0;
    let head = loop {
        if let Some(head) = parse_head(&wire[..seen], is_head, |_, _| {})? {
            break head;
        }
        if seen == wire.len() {
            return Err("the end");
        }
        seen = (seen + step).min(wire.len());
    };
    let (mut body, mut start, mut content) = (head.body, head.bytes, Vec::new());
    loop {
        start += body.take(&wire[start..seen], |it| content.extend_from_slice(it))?;
        if body.is_done() || seen == wire.len() {
            let is_whole = body.is_done() || body == Body::UntilClose;
            return if is_whole { Ok((head, content, seen - start)) } else { Err("the end") };
        }
        seen = (seen + step).min(wire.len());
    }
}

#[test]
fn a_body_ends_where_its_framing_says_however_it_is_split() {
    for (fields, body, content, is_last) in [
        ("Content-Length: 3", "abc", "abc", false),
        ("Content-Length: 0", "", "", false),
        ("content-length: 3\r\ncontent-length: 3", "abc", "abc", false),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "abc", false),
        (
            "Transfer-Encoding: Chunked",
            "1;x=y\r\na\r\n0A\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
            "a0123456789",
            false,
        ),
        ("Connection: x, Close\r\nContent-Length: 1", "a", "a", true),
        ("X: y", "all", "all", true),
    ] {
        let wire = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        for step in 1..=wire.len() {
            let (head, got, rest) = read(wire.as_bytes(), step, false).expect(fields);
            assert_eq!((got.as_slice(), rest), (content.as_bytes(), 0), "{fields} by {step}");
            assert_eq!(head.is_last, is_last, "{fields}");
        }
    }
}

#[test]
fn some_answers_have_no_body() {
    for (status, is_head) in [("204 No", false), ("304 Not", false), ("200 OK", true)] {
        let wire = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        let (head, ..) = read(wire.as_bytes(), wire.len(), is_head).expect(status);
        assert_eq!(head.body, Body::Length(0), "{status}");
    }
}

#[test]
fn what_the_rfc_does_not_allow_is_an_error() {
    for (fields, body) in [
        ("Content-Length: 3\r\nContent-Length: 4", "abcd"),
        ("Content-Length: +3", "abc"),
        ("Content-Length: 3, 3", "abc"),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip", ""),
        ("Transfer-Encoding: chunked", "x\r\n"),
        ("Transfer-Encoding: chunked", "-1\r\n"),
        ("Transfer-Encoding: chunked", "1\na"),
        ("Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "ffffffffffffffff1\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nabc"),
        ("Content-Length: 4", "abc"),
        ("Bad Name: x", ""),
    ] {
        let wire = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        assert!(read(wire.as_bytes(), wire.len(), false).is_err(), "{fields} {body:?}");
    }
    assert!(read(b"HTTP/2 200\r\n\r\n", 100, false).is_err());
    let endless = vec![b'a'; HEAD_BYTES_MAX];
    let wire = [b"HTTP/1.1 200 OK\r\nA: ", endless.as_slice()].concat();
    assert_eq!(parse_head(&wire, false, |_, _| {}), Err("a long head"));
}

#[test]
fn bytes_behind_a_body_are_left() {
    let (_, content, rest) =
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", 100, false).expect("a response");
    assert_eq!((content.as_slice(), rest), (b"a".as_slice(), 2));
}

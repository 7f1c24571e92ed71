use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 64 * 1024, fields_max: 100, line_bytes_max: 8 * 1024 };

type Verdict = Result<Progress, HeadError>;

const COMPLETE: Verdict = Ok(Progress::Complete);
const PARTIAL: Verdict = Ok(Progress::Partial);
const MALFORMED: Verdict = Err(HeadError::Malformed);
const VERSION: Verdict = Err(HeadError::Version);
const TOO_LARGE: Verdict = Err(HeadError::TooLarge);
const LINE_TOO_LONG: Verdict = Err(HeadError::LineTooLong);

fn request(bytes: &[u8], limits: &HeadLimits) -> (Verdict, RequestHead) {
    let mut head = RequestHead::default();
    (parse_request(bytes, limits, &mut head), head)
}

fn response(bytes: &[u8]) -> (Verdict, ResponseHead) {
    let mut head = ResponseHead::default();
    (parse_response(bytes, &LIMITS, &mut head), head)
}

#[test]
fn request_lines() {
    for (name, line, want) in [
        ("plain", &b"GET / HTTP/1.1"[..], COMPLETE),
        ("HTTP/1.0", b"GET / HTTP/1.0", COMPLETE),
        ("C24 unknown method", b"BREW /pot HTTP/1.1", COMPLETE),
        ("C24 lower-case method", b"get / HTTP/1.1", COMPLETE),
        ("C24 every token byte", b"!#$%&'*+-.^_`|~ / HTTP/1.1", COMPLETE),
        ("C12 method of 32 bytes", b"ABCDEFGHABCDEFGHABCDEFGHABCDEFGH / HTTP/1.1", COMPLETE),
        ("C12 method of 33 bytes", b"ABCDEFGHABCDEFGHABCDEFGHABCDEFGHI / HTTP/1.1", MALFORMED),
        ("C24 method with a slash", b"G/T / HTTP/1.1", MALFORMED),
        ("C24 method with a NUL", b"G\0T / HTTP/1.1", MALFORMED),
        ("C24 method of obs-text", b"G\xc3\xa9T / HTTP/1.1", MALFORMED),
        ("no method", b" / HTTP/1.1", MALFORMED),
        ("C16 absolute-form", b"GET http://h/p HTTP/1.1", COMPLETE),
        ("C17 asterisk-form", b"OPTIONS * HTTP/1.1", COMPLETE),
        ("C17 authority-form", b"CONNECT h:80 HTTP/1.1", COMPLETE),
        ("C19 two spaces before the target", b"GET  / HTTP/1.1", MALFORMED),
        ("C19 two spaces behind the target", b"GET /  HTTP/1.1", MALFORMED),
        ("C19 space in the target", b"GET /a b HTTP/1.1", MALFORMED),
        ("C19 tab for a space", b"GET\t/ HTTP/1.1", MALFORMED),
        ("C19 tab in the target", b"GET /\t HTTP/1.1", MALFORMED),
        ("C19 NUL in the target", b"GET /\0 HTTP/1.1", MALFORMED),
        ("C19 DEL in the target", b"GET /\x7f HTTP/1.1", MALFORMED),
        ("C19 lone obs-text in the target", b"GET /\xff HTTP/1.1", MALFORMED),
        ("no target", b"GET HTTP/1.1", MALFORMED),
        ("C22 no version", b"GET /", MALFORMED),
        ("C22 empty version", b"GET / ", MALFORMED),
        ("C22 HTTP/1.2", b"GET / HTTP/1.2", VERSION),
        ("C22 HTTP/0.9", b"GET / HTTP/0.9", VERSION),
        ("C22 HTTP/2.0", b"GET / HTTP/2.0", VERSION),
        ("C22 lower case", b"GET / http/1.1", MALFORMED),
        ("C22 HTTP/1.10", b"GET / HTTP/1.10", MALFORMED),
        ("C22 HTTP/11", b"GET / HTTP/11", MALFORMED),
        ("C22 HTTP/2", b"GET / HTTP/2", MALFORMED),
        ("C22 HTTPS/1.1", b"GET / HTTPS/1.1", MALFORMED),
        ("C22 space behind the version", b"GET / HTTP/1.1 ", MALFORMED),
        ("C23 h2 preface", b"PRI * HTTP/2.0", VERSION),
        ("C1 bare CR in the line", b"GET /\r HTTP/1.1", MALFORMED),
        ("C1 CR CR LF", b"GET / HTTP/1.1\r", MALFORMED),
    ] {
        let bytes = [line, b"\r\nHost: h\r\n\r\n"].concat();
        assert_eq!(request(&bytes, &LIMITS).0, want, "{name}");
    }
}

#[test]
fn fields_of_requests() {
    for (name, lines, want) in [
        ("none", &b""[..], COMPLETE),
        ("plain", b"A: b\r\n", COMPLETE),
        ("no blank", b"A:b\r\n", COMPLETE),
        ("blanks around the value", b"A: \t b c \t\r\n", COMPLETE),
        ("empty value", b"A:\r\n", COMPLETE),
        ("value of blanks", b"A: \t \r\n", COMPLETE),
        ("colons in the value", b"A: b:c::\r\n", COMPLETE),
        ("C3 tab in the value", b"A: b\tc\r\n", COMPLETE),
        ("C10 obs-text in the value", b"A: \x80\xff\r\n", COMPLETE),
        ("every token byte in the name", b"!#$%&'*+-.^_`|~09azAZ: b\r\n", COMPLETE),
        ("A10 underscore, judged with the framing", b"Transfer_Encoding: x\r\n", COMPLETE),
        ("C1 bare CR in the value", b"A: b\rc\r\n", MALFORMED),
        ("C1 bare CR before the value", b"A: \rc\r\n", MALFORMED),
        ("C1 CR CR LF", b"A: b\r\r\n", MALFORMED),
        ("C1 bare CR in the name", b"A\r: b\r\n", MALFORMED),
        ("C2 bare LF", b"A: b\n", MALFORMED),
        ("C2 bare LF behind blanks", b"A: b \n", MALFORMED),
        ("C2 bare LF behind an empty value", b"A:\n", MALFORMED),
        ("C2 bare LF behind a blank value", b"A: \n", MALFORMED),
        ("C2 bare LF in the middle", b"A: b\nB: c\r\n", MALFORMED),
        ("C2 bare LF as the head's end", b"A: b\r\n\n", MALFORMED),
        ("C3 NUL in the value", b"A: \0\r\n", MALFORMED),
        ("C3 NUL behind the value", b"A: b\0\r\n", MALFORMED),
        ("C3 control byte", b"A: b\x01\r\n", MALFORMED),
        ("C3 vertical tab", b"A: \x0bchunked\r\n", MALFORMED),
        ("C3 form feed", b"A: \x0cchunked\r\n", MALFORMED),
        ("C3 DEL", b"A: b\x7f\r\n", MALFORMED),
        ("C4 space before the colon", b"A : b\r\n", MALFORMED),
        ("C4 tab before the colon", b"A\t: b\r\n", MALFORMED),
        ("A10 space before the colon of TE", b"Transfer-Encoding : chunked\r\n", MALFORMED),
        ("C5 obs-fold by space", b"A: b\r\n c\r\n", MALFORMED),
        ("C5 obs-fold by tab", b"A: b\r\n\tc\r\n", MALFORMED),
        ("C5 obs-fold of an empty value", b"A:\r\n c\r\n", MALFORMED),
        ("A10 obs-fold of TE", b"Transfer-Encoding:\r\n chunked\r\n", MALFORMED),
        ("C6 empty name", b": b\r\n", MALFORMED),
        ("C7 bracket in the name", b"A[]: b\r\n", MALFORMED),
        ("C7 parenthesis in the name", b"A(: b\r\n", MALFORMED),
        ("C7 slash in the name", b"A/B: b\r\n", MALFORMED),
        ("C7 quote in the name", b"\"A\": b\r\n", MALFORMED),
        ("C7 non-ASCII name", b"A\xc3\xa9: b\r\n", MALFORMED),
        ("C7 NUL in the name", b"A\0: b\r\n", MALFORMED),
        ("C7 space in the name", b"A B: c\r\n", MALFORMED),
        ("C8 no colon", b"Abc\r\n", MALFORMED),
        ("C9 space before the first field", b" A: b\r\n", MALFORMED),
        ("C9 tab before the first field", b"\tA: b\r\n", MALFORMED),
        ("C9 line of a blank", b" \r\n", MALFORMED),
    ] {
        let bytes = [b"GET / HTTP/1.1\r\n", lines, b"\r\n"].concat();
        assert_eq!(request(&bytes, &LIMITS).0, want, "{name}");
        // Servers are held to the same rules (http1 D16).
        let bytes = [b"HTTP/1.1 200 OK\r\n", lines, b"\r\n"].concat();
        assert_eq!(response(&bytes).0, want, "{name}, of a response");
    }
}

#[test]
fn what_stands_before_the_request_line() {
    for (name, before, want) in [
        ("C13 one empty line", &b"\r\n"[..], COMPLETE),
        ("C13 two empty lines", b"\r\n\r\n", MALFORMED),
        ("C13 bare LF", b"\n", MALFORMED),
        ("C13 empty line and bare LF", b"\r\n\n", MALFORMED),
        ("C13 bare CR", b"\r", MALFORMED),
        ("C13 empty line and bare CR", b"\r\n\r", MALFORMED),
        ("blank", b" ", MALFORMED),
        ("NUL", b"\0", MALFORMED),
        ("byte order mark", b"\xef\xbb\xbf", MALFORMED),
        ("C25 TLS", b"\x16\x03\x01\x02\x00\x01", Err(HeadError::Tls)),
    ] {
        let bytes = [before, b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(request(&bytes, &LIMITS).0, want, "{name}");
    }
    for (bytes, want) in [
        (&b""[..], PARTIAL),
        (b"\r", PARTIAL),
        (b"\r\n", PARTIAL),
        (b"\n", MALFORMED),
        (b"\r\n\r", MALFORMED),
        (b"\x16", Err(HeadError::Tls)),
        (b"GET / HTTP/1.1\n\r\n", MALFORMED),
        (b"GET / HTTP/1.1\r\n\n", MALFORMED),
        (b"GET / HTTP/1.1\n\n", MALFORMED),
    ] {
        assert_eq!(request(bytes, &LIMITS).0, want, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn every_part_of_a_request_is_found_where_it_is() {
    let bytes = b"\r\nPOST /p?q HTTP/1.0\r\nHost:h\r\nEmpty: \t\r\nX:  a b \r\n\r\nbody";
    let (verdict, head) = request(bytes, &LIMITS);
    assert_eq!(verdict, COMPLETE);
    assert_eq!((head.method.of(bytes), head.target.of(bytes)), (&b"POST"[..], &b"/p?q"[..]));
    assert_eq!((head.minor, bytes.get(head.bytes..)), (0, Some(&b"body"[..])));
    let fields: Vec<_> =
        head.fields.iter().map(|(_, span)| (span.name(bytes), span.value(bytes))).collect();
    assert_eq!(fields, [(&b"Host"[..], &b"h"[..]), (b"Empty", b""), (b"X", b"a b")]);
    let mut copy = Vec::new();
    head.fields.copy_lines(bytes, 22, &mut copy, |_, _| true);
    assert_eq!(copy, b"Host:h\r\nEmpty: \t\r\nX:  a b \r\n", "lines are copied as they came");
}

#[test]
fn status_lines() {
    for (name, line, want) in [
        ("plain", &b"HTTP/1.1 200 OK"[..], COMPLETE),
        ("HTTP/1.0", b"HTTP/1.0 404 Not Found", COMPLETE),
        ("D16 no reason", b"HTTP/1.1 200 ", COMPLETE),
        ("D16 no reason and no blank", b"HTTP/1.1 200", COMPLETE),
        ("D16 obs-text in the reason", b"HTTP/1.1 200 \xfc", COMPLETE),
        ("a status that no registry has", b"HTTP/1.1 999 x", COMPLETE),
        ("D16 four digits", b"HTTP/1.1 2000 OK", MALFORMED),
        ("D16 two digits", b"HTTP/1.1 20 OK", MALFORMED),
        ("D16 below 100", b"HTTP/1.1 099 x", MALFORMED),
        ("D16 letters", b"HTTP/1.1 2x0 OK", MALFORMED),
        ("D16 sign", b"HTTP/1.1 +20 OK", MALFORMED),
        ("D16 two blanks", b"HTTP/1.1  200 OK", MALFORMED),
        ("D16 NUL in the reason", b"HTTP/1.1 200 O\0K", MALFORMED),
        ("D16 control byte in the reason", b"HTTP/1.1 200 O\x1bK", MALFORMED),
        ("D16 bare CR in the reason", b"HTTP/1.1 200 O\rK", MALFORMED),
        ("D16 CR CR LF", b"HTTP/1.1 200 OK\r", MALFORMED),
        ("D16 another protocol", b"ICY 200 OK", MALFORMED),
        ("D16 another version", b"HTTP/2.0 200 OK", MALFORMED),
        ("D16 lower case", b"http/1.1 200 OK", MALFORMED),
        ("D16 empty line before it", b"\r\nHTTP/1.1 200 OK", MALFORMED),
        ("D16 no line at all", b"<html>", MALFORMED),
    ] {
        let bytes = [line, b"\r\n\r\n"].concat();
        assert_eq!(response(&bytes).0, want, "{name}");
    }
    assert_eq!(response(b"HTTP/1.1 200 OK\n\r\n").0, MALFORMED, "bare LF");
    assert_eq!(response(b"HTTP/1.1 200\nA: b\r\n\r\n").0, MALFORMED, "bare LF, no reason");
}

/// A request of exactly `bytes` bytes whose line has exactly `line_bytes`, both with their CRLFs.
fn sized(line_bytes: usize, bytes: usize) -> Vec<u8> {
    let mut text = b"GET /".to_vec();
    text.resize(line_bytes - " HTTP/1.1\r\n".len(), b'a');
    text.extend_from_slice(b" HTTP/1.1\r\nA: ");
    text.resize(bytes - 4, b'b');
    text.extend_from_slice(b"\r\n\r\n");
    text
}

#[test]
fn limits_hold_to_the_byte_wherever_a_head_is_split() {
    let limits = HeadLimits { bytes_max: 200, fields_max: 3, line_bytes_max: 100 };
    for (name, bytes, want) in [
        ("C12 line at its limit", sized(100, 150), COMPLETE),
        ("C12 line above its limit", sized(101, 150), LINE_TOO_LONG),
        ("C12 head at its limit", sized(50, 200), COMPLETE),
        ("C12 head above its limit", sized(50, 201), TOO_LARGE),
        ("an empty line before it counts", [b"\r\n", &*sized(50, 198)].concat(), COMPLETE),
        ("one byte more does not fit", [b"\r\n", &*sized(50, 199)].concat(), TOO_LARGE),
        ("a long line behind an empty one", [b"\r\n", &*sized(99, 150)].concat(), LINE_TOO_LONG),
        ("C12 three fields", b"GET / HTTP/1.1\r\nA:\r\nB:\r\nC:\r\n\r\n".to_vec(), COMPLETE),
        ("C12 four fields", b"GET / HTTP/1.1\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n".to_vec(), TOO_LARGE),
        ("a field behind a long line", [&*sized(101, 150), b"\0"].concat(), LINE_TOO_LONG),
    ] {
        assert_eq!(request(&bytes, &limits).0, want, "{name}");
        assert_eq!(received(&bytes, &limits, |_| 1), want, "{name}, byte by byte");
        for first in 1..bytes.len() {
            let split = |at: usize| if at == 0 { first } else { usize::MAX };
            assert_eq!(received(&bytes, &limits, split), want, "{name}, split at {first}");
        }
    }
}

#[test]
fn a_head_without_end_is_refused_as_soon_as_a_limit_is_passed() {
    let limits = HeadLimits { bytes_max: 300, fields_max: 3, line_bytes_max: 100 };
    for (name, before, want, at) in [
        ("C12 line", &b"GET /"[..], LINE_TOO_LONG, 100),
        ("line behind an empty line", b"\r\nGET /", LINE_TOO_LONG, 100),
        ("method", b"G", LINE_TOO_LONG, 100),
        ("C11 name", b"GET / HTTP/1.1\r\nA", TOO_LARGE, 300),
        ("C12 value", b"GET / HTTP/1.1\r\nA: ", TOO_LARGE, 300),
        ("value behind an empty line", b"\r\nGET / HTTP/1.1\r\nA: ", TOO_LARGE, 300),
    ] {
        let mut bytes = before.to_vec();
        bytes.resize(at - 1, b'a');
        assert_eq!(request(&bytes, &limits).0, PARTIAL, "{name}");
        bytes.push(b'a');
        assert_eq!(request(&bytes, &limits).0, want, "{name}");
    }
    let mut bytes = b"HTTP/1.1 200 OK\r\nA: ".to_vec();
    bytes.resize(LIMITS.bytes_max, b'a');
    assert_eq!(response(&bytes).0, TOO_LARGE, "D17");
}

#[test]
fn without_a_limit_on_fields_any_number_is_taken() {
    let limits = HeadLimits { bytes_max: 1 << 20, fields_max: usize::MAX, line_bytes_max: 1 << 20 };
    let bytes = [b"GET / HTTP/1.1\r\n", &*b"A: b\r\n".repeat(5000), b"\r\n"].concat();
    let (verdict, head) = request(&bytes, &limits);
    assert_eq!((verdict, head.fields.len()), (COMPLETE, 5000));
    assert_eq!(request(&bytes, &LIMITS).0, TOO_LARGE);
}

/// The verdict on `bytes` when they arrive in pieces of `piece(at)` bytes, parsed as `conn` does:
/// at first, when the end may be there, and when a limit has been passed.
fn received(bytes: &[u8], limits: &HeadLimits, piece: impl Fn(usize) -> usize) -> Verdict {
    let mut head = RequestHead::default();
    let mut at = 0;
    while at < bytes.len() {
        let fresh = piece(at).clamp(1, bytes.len() - at);
        let is_first = at == 0;
        let before = at;
        at += fresh;
        let passed = |limit: usize| before < limit && at >= limit;
        if is_first
            || has_end(&bytes[..at], fresh)
            || passed(limits.line_bytes_max)
            || passed(limits.bytes_max)
        {
            match parse_request(&bytes[..at], limits, &mut head) {
                PARTIAL => {}
                verdict => return verdict,
            }
        }
    }
    PARTIAL
}

fn heads() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        "[A-Za-z_-]{1,12}:[ \t]{0,2}[ -~]{0,20}\r\n".prop_map(String::into_bytes),
        Just(b"Host: h\r\n".to_vec()),
        Just(b"X:\r\n".to_vec()),
        Just(b"X: \xff\r\n".to_vec()),
    ];
    let line = "(\r\n)?[A-Z]{1,8} /[!-~]{0,12} HTTP/1[.][01]\r\n".prop_map(String::into_bytes);
    (line, prop::collection::vec(field, 0..6), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(|(line, fields, body)| [line, fields.concat(), b"\r\n".to_vec(), body].concat())
}

/// A head with some bytes replaced by those that matter.
fn mutated_heads() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(&b"\r\n\0 \t:;/\x7f\xc3H12."[..]);
    let change = (any::<prop::sample::Index>(), byte, 0_u8..3);
    (heads(), prop::collection::vec(change, 0..3)).prop_map(|(mut head, changes)| {
        for (place, byte, kind) in changes {
            let at = place.index(head.len());
            match kind {
                0 => head[at] = byte,
                1 => head.insert(at, byte),
                _ => drop(head.remove(at)),
            }
        }
        head
    })
}

proptest! {
    #[test]
    fn a_valid_head_is_complete_at_its_last_byte_and_not_before(head in heads()) {
        let (verdict, parsed) = request(&head, &LIMITS);
        prop_assert_eq!(verdict, COMPLETE);
        for at in 0..head.len() {
            let want = if at < parsed.bytes { PARTIAL } else { COMPLETE };
            prop_assert_eq!(request(&head[..at], &LIMITS).0, want, "at {}", at);
        }
    }

    #[test]
    fn a_mutated_head_is_judged_alike_however_it_is_split(
        head in mutated_heads(),
        pieces in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let whole = request(&head, &LIMITS);
        let mut lengths = pieces.iter().copied().cycle();
        let mut cuts = Vec::new();
        while cuts.iter().sum::<usize>() < head.len() {
            cuts.extend(lengths.next());
        }
        let piece = |at: usize| {
            let mut end = 0;
            cuts.iter().find(|cut| { end += **cut; end > at }).map_or(1, |_| end - at)
        };
        let split = received(&head, &LIMITS, piece);
        // What can have no end any more is only judged once an end comes, or a limit is passed.
        if split != PARTIAL || whole.0 == COMPLETE {
            prop_assert_eq!(split, whole.0);
        }
        for at in 0..head.len() {
            let verdict = request(&head[..at], &LIMITS).0;
            match whole.0 {
                COMPLETE => {
                    let want = if at < whole.1.bytes { PARTIAL } else { COMPLETE };
                    prop_assert_eq!(verdict, want);
                }
                refused => prop_assert!(verdict == PARTIAL || verdict == refused),
            }
        }
    }

    #[test]
    fn no_bytes_can_break_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request(&bytes, &LIMITS);
        let _ = response(&bytes);
        let _ = request(&[b"GET / HTTP/1.1\r\n", &*bytes].concat(), &LIMITS);
        let _ = response(&[b"HTTP/1.1 200 OK\r\n", &*bytes].concat());
        let _ = parse_lines(&bytes, &LIMITS, &mut Fields::default());
    }
}

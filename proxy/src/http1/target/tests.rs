use proptest::prelude::*;

use super::*;

const POLICY: TargetPolicy = TargetPolicy { sanitize_path: true, encode_query_semicolons: false };
const RAW_POLICY: TargetPolicy =
    TargetPolicy { sanitize_path: false, encode_query_semicolons: true };

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn normal(method: &str, raw: &[u8], policy: TargetPolicy) -> Result<String, TargetError> {
    let mut scratch = b"left over".to_vec();
    parse(method.as_bytes(), raw, policy, &mut scratch).map(|it| text(it.path_and_query))
}

#[test]
fn targets_become_what_traefik_forwards() {
    // (received, with sanitizePath, without it and with encodeQuerySemicolons)
    for (raw, want, want_raw) in [
        ("/", "/", "/"),
        ("/a", "/a", "/a"),
        ("/a[b]", "/a[b]", "/a[b]"),
        (
            "/a\"b<c>[d]{e}|f^g`h",
            "/a%22b%3Cc%3E%5Bd%5D%7Be%7D%7Cf%5Eg%60h",
            "/a%22b%3Cc%3E%5Bd%5D%7Be%7D%7Cf%5Eg%60h",
        ),
        ("/a%41%7e%c3%a9", "/aA~%C3%A9", "/aA~%C3%A9"),
        ("/a/b/../c/..", "/a", "/a/b/../c/.."),
        ("/a/b/../", "/a/", "/a/b/../"),
        ("/a/.", "/a", "/a/."),
        ("/a/..", "/", "/a/.."),
        ("/..", "/", "/.."),
        ("/../..//../a", "/a", "/../..//../a"),
        ("//", "/", "//"),
        ("//x//y/", "/x/y/", "//x//y/"),
        ("/a%2e%2e/b", "/a../b", "/a../b"),
        ("/x/%2e%2E/b", "/b", "/x/../b"),
        ("/x/.%2e", "/", "/x/.."),
        ("/a?", "/a?", "/a?"),
        ("/a?x;y=1%3b%", "/a?x&y=1%3b%", "/a?x%3By=1%3b%"),
        ("/a?x\"y<>[]{}|^`", "/a?x\"y<>[]{}|^`", "/a?x\"y<>[]{}|^`"),
        ("/a?b?c;d", "/a?b?c&d", "/a?b?c%3Bd"),
        ("/a?//../%41", "/a?//../%41", "/a?//../%41"),
        ("/a?%zz", "/a?%zz", "/a?%zz"),
        ("/a;b", "/a;b", "/a;b"),
        ("/a!$&'()*+,;=:@", "/a!$&'()*+,;=:@", "/a!$&'()*+,;=:@"),
        (
            "/a%21%24%26%27%28%29%2a%2b%2c%3b%3d%3a%40",
            "/a%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40",
            "/a%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40",
        ),
        ("/.well-known/..a/...", "/.well-known/..a/...", "/.well-known/..a/..."),
        ("/a/./b?.", "/a/b?.", "/a/./b?."),
        ("/%2F%2e/x", "/%2F./x", "/%2F./x"),
        ("/a%00%0d%0ab", "/a%00%0D%0Ab", "/a%00%0D%0Ab"),
        ("/%5b%5d%5e", "/%5B%5D%5E", "/%5B%5D%5E"),
        ("/%c0%ae%c0%ae/", "/%C0%AE%C0%AE/", "/%C0%AE%C0%AE/"),
        ("/http://x/", "/http:/x/", "/http://x/"),
        ("/a?;", "/a?&", "/a?%3B"),
    ] {
        assert_eq!(normal("GET", raw.as_bytes(), POLICY).as_deref(), Ok(want), "{raw}");
        assert_eq!(normal("GET", raw.as_bytes(), RAW_POLICY).as_deref(), Ok(want_raw), "{raw}");
    }
}

#[test]
fn an_escaped_slash_stays_escaped_beside_a_byte_that_is_encoded() {
    // Traefik forwards /a%22b/c.
    assert_eq!(normal("GET", b"/a\"b%2fc", POLICY).as_deref(), Ok("/a%22b%2Fc"));
}

#[test]
fn malformed_targets_are_refused() {
    for (raw, want) in [
        (&b""[..], TargetError::Form),
        (b"foo", TargetError::Form),
        (b"a:80", TargetError::Form),
        (b"*", TargetError::Form),
        (b"*/", TargetError::Form),
        (b"?a", TargetError::Form),
        (b"/a b", TargetError::Byte),
        (b"/a?b c", TargetError::Byte),
        (b"/a\tb", TargetError::Byte),
        (b"/a\0", TargetError::Byte),
        (b"/a\x7f", TargetError::Byte),
        (b"/a\xc3\xa9", TargetError::Byte),
        (b"/a?\xff", TargetError::Byte),
        (b"/a\\b", TargetError::Byte),
        (b"/a?\\", TargetError::Byte),
        (b"/a#b", TargetError::Byte),
        (b"/a?#b", TargetError::Byte),
        (b"/a%", TargetError::Escape),
        (b"/a%4", TargetError::Escape),
        (b"/a%4?1", TargetError::Escape),
        (b"/a%zz", TargetError::Escape),
        (b"/a%+1", TargetError::Escape),
        (b"http:/x", TargetError::Form),
        (b"http:///x", TargetError::Authority),
        (b"http://", TargetError::Authority),
        (b"http://?x", TargetError::Authority),
        (b"ftp://h/", TargetError::Authority),
        (b"http://u:p@h/", TargetError::Authority),
        (b"http://h\\/", TargetError::Byte),
        (b"http://h#/", TargetError::Byte),
        (b"ht\\tp://h/", TargetError::Byte),
    ] {
        let shown = String::from_utf8_lossy(raw);
        assert_eq!(normal("GET", raw, POLICY), Err(want), "{shown}");
        assert_eq!(normal("GET", raw, RAW_POLICY), Err(want), "{shown}");
    }
}

#[test]
fn absolute_form_gives_its_authority_and_a_path() {
    for (raw, authority, want) in [
        ("http://h/p?q", "h", "/p?q"),
        ("http://h", "h", "/"),
        ("http://h?x;", "h", "/?x&"),
        ("HTTPS://H:8443/a//b", "H:8443", "/a/b"),
        ("http://[::1]:80//p", "[::1]:80", "/p"),
    ] {
        let mut scratch = Vec::new();
        let target = parse(b"GET", raw.as_bytes(), POLICY, &mut scratch).unwrap();
        assert_eq!(target.form, TargetForm::Absolute, "{raw}");
        assert_eq!(target.authority.map(text).as_deref(), Some(authority), "{raw}");
        assert_eq!(text(target.path_and_query), want, "{raw}");
    }
}

#[test]
fn asterisk_and_authority_forms_belong_to_one_method_each() {
    let mut scratch = Vec::new();
    let target = parse(b"OPTIONS", b"*", POLICY, &mut scratch).unwrap();
    assert_eq!((target.form, target.path()), (TargetForm::Asterisk, &b"*"[..]));
    assert_eq!(normal("OPTIONS", b"http://h", POLICY).as_deref(), Ok("/"));
    assert_eq!(normal("options", b"*", POLICY), Err(TargetError::Form));

    let target = parse(b"CONNECT", b"h:80", POLICY, &mut scratch).unwrap();
    assert_eq!(target.form, TargetForm::Authority);
    assert_eq!(target.authority, Some(&b"h:80"[..]));
    for raw in ["/x", "http://h/", "*", "", "u@h:80"] {
        assert_eq!(normal("CONNECT", raw.as_bytes(), POLICY), Err(TargetError::Form), "{raw}");
    }
    assert_eq!(normal("CONNECT", b"h:80\\", POLICY), Err(TargetError::Byte));
}

#[test]
fn a_target_that_needs_no_change_is_borrowed() {
    for raw in ["/", "/a/b.c/%C3%A9?x=%20&y", "/.a/..b?a/../b", "http://h/a?b"] {
        let mut scratch = Vec::new();
        let target = parse(b"GET", raw.as_bytes(), POLICY, &mut scratch).unwrap();
        assert!(!target.is_rewritten, "{raw}");
        assert!(raw.as_bytes().as_ptr_range().contains(&target.path_and_query.as_ptr()), "{raw}");
        assert_eq!(scratch.capacity(), 0, "{raw}");
    }
}

#[test]
fn path_and_query_are_told_apart() {
    for (raw, path, query) in [
        ("/a", "/a", None),
        ("/a?", "/a", Some("")),
        ("/a?b?c", "/a", Some("b?c")),
        ("//a?b;c", "/a", Some("b&c")),
        ("http://h?b", "/", Some("b")),
    ] {
        let mut scratch = Vec::new();
        let target = parse(b"GET", raw.as_bytes(), POLICY, &mut scratch).unwrap();
        assert_eq!(text(target.path()), path, "{raw}");
        assert_eq!(target.query().map(text).as_deref(), query, "{raw}");
    }
}

#[test]
fn reserved_escapes_stay_in_the_routing_path() {
    for (path, want) in [
        ("/a/b", "/a/b"),
        ("/a%20b", "/a b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/%C3%A9", "/é"),
        ("/%22%25%3B%5B%5C", "/\"%25%3B%5B\\"),
        ("/%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25", ""),
    ] {
        let want = if want.is_empty() { path } else { want };
        let mut scratch = b"left over".to_vec();
        assert_eq!(text(routing_path(path.as_bytes(), &mut scratch)), want, "{path}");
    }
    let mut scratch = Vec::new();
    routing_path(b"/plain", &mut scratch);
    assert_eq!(scratch.capacity(), 0);
}

fn raw_targets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("/"),
        Just("//"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%41"),
        Just("%e9"),
        Just("%"),
        Just("a"),
        Just("?"),
        Just(";"),
        Just("["),
        Just("\""),
        Just("#"),
        Just(" "),
        Just("*"),
        Just("\\"),
    ];
    let mostly_valid = prop_oneof![
        9 => prop_oneof![Just("/"), Just("."), Just(".."), Just("%2e"), Just("%2f"), Just("x")],
        1 => piece,
    ];
    prop::collection::vec(mostly_valid, 0..24).prop_map(|pieces| {
        let mut raw = b"/".to_vec();
        pieces.iter().for_each(|piece| raw.extend_from_slice(piece.as_bytes()));
        raw
    })
}

proptest! {
    #[test]
    fn a_normalised_target_is_clean_and_stays_as_it_is(raw in raw_targets()) {
        let mut scratch = Vec::new();
        let Ok(first) = parse(b"GET", &raw, POLICY, &mut scratch) else { return Ok(()) };
        let mut again = Vec::new();
        let second = parse(b"GET", first.path_and_query, POLICY, &mut again).unwrap();
        prop_assert!(!second.is_rewritten);
        prop_assert_eq!(first.path(), second.path());
        prop_assert!(first.path().starts_with(b"/"));
        let mut segments = first.path().split(|&byte| byte == b'/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            prop_assert!(segment != b"." && segment != b"..");
            prop_assert!(!segment.is_empty() || segments.peek().is_none());
        }
        // No escape of a byte that means something was decoded.
        let escaped = |path: &[u8]| {
            path.windows(3).filter(|it| it.eq_ignore_ascii_case(b"%2f")).count()
        };
        prop_assert!(escaped(first.path()) <= escaped(&raw));
        prop_assert!(first.path().iter().filter(|&&it| it == b'/').count()
            <= raw.iter().filter(|&&it| it == b'/').count());
    }

    #[test]
    fn no_bytes_can_break_it(
        raw in prop::collection::vec(any::<u8>(), 0..40),
        connect: bool,
        sanitize_path: bool,
    ) {
        let policy = TargetPolicy { sanitize_path, encode_query_semicolons: connect };
        let mut scratch = Vec::new();
        let method: &[u8] = if connect { b"CONNECT" } else { b"OPTIONS" };
        if let Ok(target) = parse(method, &raw, policy, &mut scratch) {
            prop_assert!(target.path_and_query.iter().all(|&it| it > b' ' && it < 0x7f));
        }
        let mut scratch = Vec::new();
        prop_assert!(routing_path(&raw, &mut scratch).len() <= raw.len());
    }
}

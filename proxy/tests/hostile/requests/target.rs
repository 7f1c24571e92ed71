//! C: the target and the Host field.

use crate::case::{Case, get, passed, refused};

/// Name and target of a GET that is refused.
const REFUSED: &[(&str, &str)] = &[
    ("C17 asterisk with GET", "*"),
    ("C17 authority with GET", "a:80"),
    ("C17 no slash", "x"),
    ("C17 two asterisks", "**"),
    ("C17 query alone", "?x"),
    ("C16 no authority", "http:///x"),
    ("C16 userinfo", "http://u@a/"),
    ("C16 port alone", "http://:80/"),
    ("C16 bad port", "http://a:x/"),
    ("C16 port out of range", "http://a:99999/"),
    ("C16 other scheme", "ftp://a/"),
    ("C16 one slash", "http:/a/"),
    ("C16 backslash", "http://a\\b/"),
    ("C16 comma", "http://a,b/"),
    ("C18 fragment", "/#x"),
    ("C18 fragment in a query", "/?x#y"),
    ("C18 fragment of absolute-form", "http://a#x"),
    ("C19 blank", "/a b"),
    ("C19 two blanks", " /"),
    ("C19 tab", "/a\tb"),
    ("C19 SOH", "/\x01"),
    ("C19 NUL", "/\0"),
    ("C19 delete", "/\x7f"),
    ("C19 raw byte", "/caf\u{e9}"),
    ("C19 raw byte in a query", "/?caf\u{e9}"),
    ("C19 backslash", "/a\\b"),
    ("C19 backslash first", "\\a"),
    ("C19 backslash in a query", "/?a\\b"),
    ("C20 escape without digits", "/%zz"),
    ("C20 half an escape", "/%4"),
    ("C20 percent alone", "/%"),
    ("C20 escape of a newline's half", "/%0"),
    ("C20 percent u", "/%u002f"),
];

/// Name, target of a GET, and as the server gets it.
const PASSED: &[(&str, &str, &str)] = &[
    ("C20 NUL stays escaped", "/%00", "/%00"),
    ("C20 CRLF stays escaped", "/%0d%0aX:%20y", "/%0D%0AX:%20y"),
    ("C20 slash stays escaped", "/a%2fb", "/a%2Fb"),
    ("C20 backslash stays escaped", "/a%5cb", "/a%5Cb"),
    ("C20 twice escaped", "/%252e%252e/", "/%252e%252e/"),
    ("C20 overlong UTF-8 stays escaped", "/%c0%ae%c0%ae/", "/%C0%AE%C0%AE/"),
    ("C20 dots unescaped, then removed", "/a/%2e%2e/b", "/b"),
    ("C20 a query passes as it is", "/?%2e%zz//../", "/?%2e%zz//../"),
    ("C20 semicolon in a query", "/?a;b", "/?a&b"),
    ("C21 two slashes", "//a//b", "/a/b"),
    ("C21 dot segment", "/a/./b", "/a/b"),
    ("C21 dot-dot segment", "/a/../b", "/b"),
    ("C21 beyond the root", "/../../etc/passwd", "/etc/passwd"),
    ("C21 beyond the root, escaped", "/%2e%2e/%2e%2e/etc", "/etc"),
    ("C21 three dots", "/.../x", "/.../x"),
    ("C21 parameter behind dots", "/a/..;/b", "/a/..;/b"),
    ("C16 absolute-form", "http://a/x?y", "/x?y"),
    ("C16 absolute-form without a path", "http://a", "/"),
    ("C16 absolute-form, query alone", "http://a?x", "/?x"),
    ("C16 scheme in upper case", "HTTP://a/x", "/x"),
];

/// Name and value of a Host field that is refused.
const HOSTS: &[(&str, &str)] = &[
    ("C14 comma", "a,b"),
    ("C14 userinfo", "u@a"),
    ("C14 path", "a/b"),
    ("C14 blank", "a b"),
    ("C14 tab", "a\tb"),
    ("C14 port", "a:x"),
    ("C14 negative port", "a:-1"),
    ("C14 port out of range", "a:65536"),
    ("C14 two ports", "a:80:80"),
    ("C14 port alone", ":80"),
    ("C14 backslash", "a\\b"),
    ("C14 query", "a?b"),
    ("C14 fragment", "a#b"),
    ("C14 scheme", "http://a"),
    ("C14 open bracket", "[::1"),
    ("C14 text behind a bracket", "[::1]x"),
    ("C14 empty brackets", "[]"),
    ("C14 zone", "[fe80::1%25eth0]"),
    ("C14 raw byte", "caf\u{e9}"),
    ("C14 quote", "\"a\""),
    ("C14 angle brackets", "<a>"),
    ("C14 caret", "a^b"),
    ("C14 bar", "a|b"),
    ("C14 braces", "{a}"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> =
        REFUSED.iter().map(|(name, target)| refused(*name, 400, get(target, ""))).collect();
    cases.extend(PASSED.iter().map(|(name, target, forwarded)| {
        // An absolute-form target replaces the Host field, which then comes last.
        passed(*name, get(target, ""), format!("GET {forwarded} HTTP/1.1\nHost: a"), b"")
    }));
    cases.extend(HOSTS.iter().map(|(name, host)| {
        let send = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        refused(format!("{name} in Host"), 400, send.into_bytes())
    }));
    cases.extend(hosts());
    cases.extend(forms());
    cases
}

fn hosts() -> [Case; 5] {
    let none: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let same: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    let other: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n";
    let absolute: &[u8] = b"GET http://a/ HTTP/1.1\r\n\r\n";
    let old: &[u8] = b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    [
        refused("C14 no Host", 400, none),
        refused("C14 the same Host twice", 400, same),
        refused("C14 two Hosts", 400, other),
        refused("C14 no Host beside absolute-form", 400, absolute),
        refused("C14 two Hosts in HTTP/1.0", 400, old),
    ]
}

fn forms() -> [Case; 5] {
    let with_port: &[u8] = b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n";
    let absolute: &[u8] = b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
    let asterisk: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let differs: &[u8] = b"GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n";
    let empty: &[u8] = b"GET http://a/x HTTP/1.1\r\nHost:\r\n\r\n";
    [
        refused("C17 CONNECT", 501, with_port),
        refused("C17 CONNECT with absolute-form", 501, absolute),
        Case {
            seen: crate::case::Seen::Requests(Vec::new()),
            ..passed("C17 OPTIONS with an asterisk is answered here", asterisk, "", b"")
        },
        passed("C16 the target's authority wins", differs, "GET /x HTTP/1.1\nHost: a", b""),
        passed("C16 an empty Host gives way", empty, "GET /x HTTP/1.1\nHost: a", b""),
    ]
}

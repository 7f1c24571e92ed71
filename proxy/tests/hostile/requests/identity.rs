//! E and F: what a stranger says about itself, and cookies.

use crate::case::{Case, get, passed};

/// Name, field lines of a GET from a stranger, and the lines that the server gets of them. That
/// the proxy's own lines are there, once and with the client's address, is checked for every row.
const FIELDS: &[(&str, &str, &str)] = &[
    ("E1 X-Forwarded-For", "X-Forwarded-For: 9.9.9.9\r\n", ""),
    ("E1 two of them", "X-Forwarded-For: 9.9.9.9\r\nx-forwarded-for: 8.8.8.8\r\n", ""),
    ("E1 X-Forwarded-Proto", "X-Forwarded-Proto: https\r\n", ""),
    ("E1 X-Forwarded-Host", "X-Forwarded-Host: evil\r\n", ""),
    ("E1 X-Forwarded-Port", "X-Forwarded-Port: 443\r\n", ""),
    ("E1 X-Forwarded-Server", "X-Forwarded-Server: evil\r\n", ""),
    ("E1 X-Forwarded-Method", "X-Forwarded-Method: PUT\r\n", ""),
    ("E1 X-Forwarded-Uri", "X-Forwarded-Uri: /admin\r\n", ""),
    ("E1 X-Real-Ip", "X-Real-Ip: 9.9.9.9\r\n", ""),
    ("E1 Forwarded", "Forwarded: for=9.9.9.9\r\n", ""),
    ("E3 X_Forwarded_For", "X_Forwarded_For: 9.9.9.9\r\n", ""),
    ("E3 X-Forwarded_For", "X-Forwarded_For: 9.9.9.9\r\n", ""),
    ("E3 x_real_ip", "x_real_ip: 9.9.9.9\r\n", ""),
    ("E3 other underscores stay", "X_Other: y\r\n", "\nX_Other: y"),
    ("E4 X-Forwarded-Prefix", "X-Forwarded-Prefix: /evil\r\n", ""),
    (
        "E7 client certificate",
        "X-Forwarded-Tls-Client-Cert: x\r\nX-Forwarded-Tls-Client-Cert-Info: y\r\n",
        "",
    ),
    ("E7 client certificate with underscores", "X_Forwarded_Tls_Client_Cert: x\r\n", ""),
    ("F1 a forged pin", "Cookie: sid=0123456789abcdef\r\n", "\nCookie: sid=0123456789abcdef"),
    (
        "F1 an address as pin",
        "Cookie: sid=http://127.0.0.1:1\r\n",
        "\nCookie: sid=http://127.0.0.1:1",
    ),
    ("F1 an empty pin", "Cookie: sid=\r\n", "\nCookie: sid="),
    ("F1 raw bytes as pin", "Cookie: sid=\u{ff}\r\n", "\nCookie: sid=\u{c3}\u{bf}"),
    ("F3 two pins", "Cookie: sid=a; sid=b\r\n", "\nCookie: sid=a; sid=b"),
    ("F4 two lines", "Cookie: a=b\r\nCookie: sid=x\r\n", "\nCookie: a=b\nCookie: sid=x"),
    (
        "F4 loose syntax",
        "Cookie: ;;=; sid ;sid = \"x\" ; =y;\r\n",
        "\nCookie: ;;=; sid ;sid = \"x\" ; =y;",
    ),
    ("F9 the pin reaches the server", "Cookie: sid=x; a=b\r\n", "\nCookie: sid=x; a=b"),
];

pub(super) fn cases() -> Vec<Case> {
    let rows = FIELDS.iter();
    rows.map(|(name, fields, kept)| {
        passed(*name, get("/", fields), format!("GET / HTTP/1.1\nHost: a{kept}"), b"")
    })
    .collect()
}

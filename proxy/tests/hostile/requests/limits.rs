//! C11, C12 and F5: sizes.

use crate::case::{Case, get, passed, refused};

pub(super) fn cases() -> Vec<Case> {
    let name = |bytes: usize| get("/", &format!("{}: y\r\n", "x".repeat(bytes)));
    let value = |bytes: usize| get("/", &format!("X: {}\r\n", "y".repeat(bytes)));
    let target = |bytes: usize| format!("/{}", "x".repeat(bytes));
    let method = |bytes: usize| {
        let method = "M".repeat(bytes);
        format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
    };
    let kept = |fields: &str| format!("GET / HTTP/1.1\nHost: a\n{fields}");
    let many = |count: usize| get("/", &"X: y\r\n".repeat(count));
    vec![
        refused("C11 a name of 64 KiB", 431, name(64 * 1024)),
        refused("C12 a value of 64 KiB", 431, value(64 * 1024)),
        refused("C12 101 fields", 431, many(100)),
        refused("C12 1000 fields", 431, many(1000)),
        refused("C12 a target over 8 KiB", 414, get(&target(8 * 1024), "")),
        refused("C12 a request line without an end", 414, vec![b'A'; 9 * 1024]),
        refused("C12 a method of 33 bytes", 400, method(33)),
        passed(
            "C12 a method of 32 bytes",
            method(32),
            format!("{} / HTTP/1.1\nHost: a", "M".repeat(32)),
            b"",
        ),
        passed("C12 100 fields", many(99), kept(&["X: y"; 99].join("\n")), b""),
        passed(
            "C12 a target of 8000 bytes",
            get(&target(8000), ""),
            format!("GET {} HTTP/1.1\nHost: a", target(8000)),
            b"",
        ),
        passed(
            "C12 a value of 60 KiB",
            value(60 * 1024),
            kept(&format!("X: {}", "y".repeat(60 * 1024))),
            b"",
        ),
        passed(
            "F5 a cookie of 32 KiB",
            get("/", &format!("Cookie: a={}\r\n", "b".repeat(32 * 1024))),
            kept(&format!("Cookie: a={}", "b".repeat(32 * 1024))),
            b"",
        ),
        passed(
            "F5 a thousand cookies",
            get("/", &format!("Cookie: {}sid=x\r\n", "a=b; ".repeat(1000))),
            kept(&format!("Cookie: {}sid=x", "a=b; ".repeat(1000))),
            b"",
        ),
    ]
}

//! Targets as the proxy promises to forward them (http1 C16–C21): by plain steps over whole
//! strings. Called by the model alone.

use super::{Read, Stop, printable};

const REFUSED: Stop = Stop::Malformed("a target");

/// The target that an origin must see.
pub(super) fn normalise(method: &[u8], raw: &[u8]) -> Read<String> {
    let is_loose = |&byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#');
    if raw.is_empty() || raw.iter().any(is_loose) {
        return Err(REFUSED);
    }
    let text = printable(raw);
    if text == "*" && method == b"OPTIONS" {
        return Ok(text);
    }
    let rest = match text.starts_with('/') {
        true => &text[..],
        false => behind_authority(&text)?,
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, format!("?{}", query.replace(';', "&"))),
        None => (rest, String::new()),
    };
    Ok(format!("{}{query}", clean(&normalise_escapes(path)?)))
}

/// Path and query of absolute-form.
fn behind_authority(text: &str) -> Read<&str> {
    let lower = text.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|it| lower.starts_with(it));
    let rest = &text[scheme.ok_or(REFUSED)?.len()..];
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if is_authority(authority.as_bytes()) { Ok(rest) } else { Err(REFUSED) }
}

/// A host, and a port if there is a colon; nobody's name in front.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).into_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (&text[..], None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    let is_literal = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).is_some_and(|it| {
        !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
    });
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte));
    (is_literal || is_name) && port.is_none_or(is_port)
}

/// Escapes of unreserved characters are decoded, the others get upper-case digits; what no URL
/// may hold is escaped, and square brackets with it.
fn normalise_escapes(path: &str) -> Read<String> {
    let needs_escape = |letter: char| "\"<>{}|^`".contains(letter);
    let escapes_brackets = path.contains(needs_escape);
    let mut out = String::new();
    let mut rest = path;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[1..];
        if letter == '%' {
            let digits = rest.get(..2).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
            let byte = u8::from_str_radix(digits.ok_or(REFUSED)?, 16).map_err(|_| REFUSED)?;
            rest = &rest[2..];
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(byte));
                }
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        } else if needs_escape(letter) || escapes_brackets && "[]".contains(letter) {
            out.push_str(&format!("%{:02X}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    Ok(out)
}

/// Without empty and dot segments; a slash at the end stays.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut cleaned = String::new();
    for segment in kept {
        cleaned.push('/');
        cleaned.push_str(segment);
    }
    if path.ends_with('/') || cleaned.is_empty() {
        cleaned.push('/');
    }
    cleaned
}

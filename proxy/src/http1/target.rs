//! The request target: checked and normalised before routing, so that what is routed is what is
//! forwarded and logged (http1 C16–C21). Pure; `conn` calls it once a request.
//!
//! Paths are normalised as Traefik's entry points do: unreserved escapes decoded, hex digits in
//! upper case, dot segments and double slashes removed, bytes that no URL may hold percent-encoded.
//! An escape of any other byte is never decoded here; where Traefik does so (a raw `"` beside a
//! `%2F` turns the latter into `/`), we keep it.

use memchr::{memchr, memrchr};

/// How the target was written (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `http://authority/path?query`; its authority replaces the Host field (C16).
    Absolute,
    /// `*`, with OPTIONS only.
    Asterisk,
    /// `host:port`, with CONNECT only.
    Authority,
}

/// What the entry point wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Remove `//`, `/./` and `/../` (`http.sanitizePath`).
    pub sanitize_path: bool,
    /// `;` in the query becomes `%3B`, otherwise `&` (`http.encodeQuerySemicolons`).
    pub encode_query_semicolons: bool,
}

/// A target that may be routed and forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// How it was written.
    pub form: TargetForm,
    /// Host and port of absolute-form and authority-form, as received. Not empty, no user; whether
    /// it is a valid Host is judged where the Host field is (C14).
    pub authority: Option<&'a [u8]>,
    /// Normalised path, and the query with its `?`; `*` for asterisk-form, empty for
    /// authority-form.
    pub path_and_query: &'a [u8],
    /// Whether `path_and_query` is the scratch's whole content rather than a part of the raw target.
    pub is_rewritten: bool,
    path_bytes: usize,
}

impl<'a> Target<'a> {
    /// The path alone: starts with `/` in origin-form and absolute-form.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        self.path_and_query.get(..self.path_bytes).unwrap_or(self.path_and_query)
    }

    /// What stands after the first `?`; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        self.path_and_query.get(self.path_bytes + 1..)
    }
}

/// Why a target is refused: always 400, and the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// A blank, control byte, byte above 0x7e, `\` or `#` (C18, C19).
    Byte,
    /// `%` in the path without two hex digits.
    Escape,
    /// A form that the method does not allow, or none at all (C17).
    Form,
    /// Absolute-form without a host, with a user, or with another scheme than http and https.
    Authority,
}

/// Checks and normalises `raw`, the middle of a request line.
///
/// When nothing needs to change, the result borrows `raw` and `scratch` is not touched; otherwise
/// it is cleared and holds the result. A query passes byte for byte but for `;`.
///
/// # Errors
/// [`TargetError`] says what kind of malformed target it is.
pub fn parse<'a>(
    method: &[u8],
    raw: &'a [u8],
    policy: TargetPolicy,
    scratch: &'a mut Vec<u8>,
) -> Result<Target<'a>, TargetError> {
    if method == b"CONNECT" {
        return parse_authority_form(raw);
    }
    match raw.first() {
        Some(b'/') => normalise(TargetForm::Origin, None, raw, policy, scratch),
        Some(b'*') if raw.len() == 1 && method == b"OPTIONS" => Ok(Target {
            form: TargetForm::Asterisk,
            authority: None,
            path_and_query: raw,
            is_rewritten: false,
            path_bytes: 1,
        }),
        _ => {
            let (authority, rest) = split_absolute_form(raw)?;
            normalise(TargetForm::Absolute, Some(authority), rest, policy, scratch)
        }
    }
}

/// The path that rules are matched against: escapes decoded but for those of reserved characters
/// (``:/?#[]@!$&'()*+,;=%``), as Traefik's muxer. `path` comes from [`Target::path`]; without an
/// escape it is returned as it is and `scratch` is not touched.
pub fn routing_path<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr(b'%', path).is_none() {
        return path;
    }
    scratch.clear();
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                match decode(*high, *low) {
                    Some(decoded) if !b":/?#[]@!$&'()*+,;=%".contains(&decoded) => {
                        scratch.push(decoded);
                    }
                    _ => scratch.extend_from_slice(&[b'%', *high, *low]),
                }
            }
            _ => scratch.push(byte),
        }
    }
    scratch
}

fn parse_authority_form(raw: &[u8]) -> Result<Target<'_>, TargetError> {
    if raw.iter().any(|&byte| class_of(byte) == Class::Refuse) {
        return Err(TargetError::Byte);
    }
    if raw.is_empty() || raw.iter().any(|byte| b"/?*@".contains(byte)) {
        return Err(TargetError::Form);
    }
    Ok(Target {
        form: TargetForm::Authority,
        authority: Some(raw),
        path_and_query: b"",
        is_rewritten: false,
        path_bytes: 0,
    })
}

/// Splits `http://authority` off; the rest is empty or starts with `/` or `?`.
fn split_absolute_form(raw: &[u8]) -> Result<(&[u8], &[u8]), TargetError> {
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = raw.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let Some(rest) = rest else {
        let is_url = raw.windows(3).any(|window| window == b"://");
        return Err(if raw.iter().any(|&byte| class_of(byte) == Class::Refuse) {
            TargetError::Byte
        } else if is_url {
            TargetError::Authority
        } else {
            TargetError::Form
        });
    };
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(TargetError::Authority)?;
    if authority.iter().any(|&byte| class_of(byte) == Class::Refuse) {
        return Err(TargetError::Byte);
    }
    if authority.is_empty() || authority.contains(&b'@') {
        return Err(TargetError::Authority);
    }
    Ok((authority, rest))
}

fn normalise<'a>(
    form: TargetForm,
    authority: Option<&'a [u8]>,
    raw: &'a [u8],
    policy: TargetPolicy,
    scratch: &'a mut Vec<u8>,
) -> Result<Target<'a>, TargetError> {
    let scan = scan_path(raw, policy.sanitize_path)?;
    let (path, query) = raw.split_at_checked(scan.path_bytes).unwrap_or((raw, b""));
    let has_semicolon = scan_query(query)?;
    if !scan.must_change && !has_semicolon && !path.is_empty() {
        return Ok(Target {
            form,
            authority,
            path_and_query: raw,
            is_rewritten: false,
            path_bytes: path.len(),
        });
    }
    scratch.clear();
    if policy.sanitize_path {
        push_cleaned(path, scan.must_encode, scratch);
    } else {
        push_normalised(path, scan.must_encode, scratch);
    }
    if scratch.is_empty() {
        // Absolute-form without a path (RFC 9112 §3.2.1).
        scratch.push(b'/');
    }
    let path_bytes = scratch.len();
    push_query(query, policy.encode_query_semicolons, scratch);
    Ok(Target { form, authority, path_and_query: scratch, is_rewritten: true, path_bytes })
}

/// What a byte of a path is to the scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Slash,
    Dot,
    Percent,
    Question,
    /// `[` and `]`: Go leaves them alone in a path that needs no other change.
    Bracket,
    /// Percent-encoded before it is forwarded.
    Encode,
    /// Refused in any part of a target.
    Refuse,
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            0..=b' ' | 0x7f.. | b'\\' | b'#' => Class::Refuse,
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b'%' => Class::Percent,
            b'?' => Class::Question,
            b'[' | b']' => Class::Bracket,
            b'"' | b'<' | b'>' | b'{' | b'}' | b'|' | b'^' | b'`' => Class::Encode,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

#[expect(clippy::indexing_slicing, reason = "the table has an entry for every u8")]
fn class_of(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

struct PathScan {
    path_bytes: usize,
    must_change: bool,
    must_encode: bool,
}

/// One pass over the path up to its `?`.
fn scan_path(raw: &[u8], sanitize_path: bool) -> Result<PathScan, TargetError> {
    let mut scan = PathScan { path_bytes: raw.len(), must_change: false, must_encode: false };
    let mut previous = 0;
    for (at, &byte) in raw.iter().enumerate() {
        match class_of(byte) {
            Class::Plain | Class::Bracket => {}
            Class::Slash => scan.must_change |= sanitize_path && previous == b'/',
            Class::Dot => {
                scan.must_change |= sanitize_path && previous == b'/' && is_dots(raw.get(at..));
            }
            Class::Percent => match raw.get(at + 1..at + 3) {
                Some(&[high, low]) => {
                    let decoded = decode(high, low).ok_or(TargetError::Escape)?;
                    scan.must_change |= is_unreserved(decoded)
                        || high.is_ascii_lowercase()
                        || low.is_ascii_lowercase();
                }
                _ => return Err(TargetError::Escape),
            },
            Class::Encode => {
                scan.must_change = true;
                scan.must_encode = true;
            }
            Class::Question => {
                scan.path_bytes = at;
                break;
            }
            Class::Refuse => return Err(TargetError::Byte),
        }
        previous = byte;
    }
    Ok(scan)
}

/// Whether `rest` starts with a whole segment `.` or `..`.
fn is_dots(rest: Option<&[u8]>) -> bool {
    let end = |rest: &[u8]| matches!(rest, [] | [b'/' | b'?', ..]);
    match rest {
        Some([b'.', b'.', after @ ..]) => end(after),
        Some([b'.', after @ ..]) => end(after),
        _ => false,
    }
}

/// Whether the query holds a `;`.
fn scan_query(query: &[u8]) -> Result<bool, TargetError> {
    let mut has_semicolon = false;
    for &byte in query {
        if class_of(byte) == Class::Refuse {
            return Err(TargetError::Byte);
        }
        has_semicolon |= byte == b';';
    }
    Ok(has_semicolon)
}

/// Appends the path without empty and dot segments, as Go's `path.Join`: a slash at the end stays,
/// a dot segment at the end leaves none (`/a/b/..` is `/a`).
fn push_cleaned(path: &[u8], must_encode: bool, out: &mut Vec<u8>) {
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        let start = out.len();
        out.push(b'/');
        push_normalised(segment, must_encode, out);
        match out.get(start + 1..) {
            Some(b"" | b".") => out.truncate(start),
            Some(b"..") => {
                out.truncate(start);
                out.truncate(memrchr(b'/', out).unwrap_or(0));
            }
            _ => {}
        }
    }
    if path.ends_with(b"/") || out.is_empty() {
        out.push(b'/');
    }
}

/// Appends a scanned path with its escapes normalised.
fn push_normalised(path: &[u8], must_encode: bool, out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (class_of(byte), tail) {
            (Class::Percent, [high, low, after @ ..]) => {
                rest = after;
                match decode(*high, *low) {
                    Some(decoded) if is_unreserved(decoded) => out.push(decoded),
                    _ => out.extend_from_slice(&[
                        b'%',
                        high.to_ascii_uppercase(),
                        low.to_ascii_uppercase(),
                    ]),
                }
            }
            (Class::Encode, _) => push_escape(byte, out),
            (Class::Bracket, _) if must_encode => push_escape(byte, out),
            _ => out.push(byte),
        }
    }
}

fn push_query(query: &[u8], encode_semicolons: bool, out: &mut Vec<u8>) {
    for &byte in query {
        match byte {
            b';' if encode_semicolons => push_escape(byte, out),
            b';' => out.push(b'&'),
            _ => out.push(byte),
        }
    }
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + (nibble - 10) };
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
}

/// The byte that `%` and two hex digits stand for.
fn decode(high: u8, low: u8) -> Option<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(nibble(high)? << 4 | nibble(low)?).ok()
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests;

//! Finds one cookie in the Cookie lines of a request, by the rules of Go's `net/http`: a client
//! that Traefik understands must stay pinned here. Never allocates; time is linear in the lines.
//! Called by `conn` once per sticky level and request.

use memchr::{memchr, memchr_iter};

/// Cookies of one request above which all are ignored (Go's limit; each line counts its
/// semicolons plus one).
pub const COOKIES_MAX: usize = 3000;

/// The value of the first cookie named `name` (case-sensitive), or `None`.
///
/// As Go's `Request.Cookie`: lines are split on `;`, blanks around a pair and before its first
/// `=` are trimmed, one pair of surrounding double quotes is taken off. A pair whose value holds a
/// byte outside 0x20–0x7e, or `"` or `\`, is skipped. A bare name has the empty value, and blanks
/// after `=` belong to the value. More than [`COOKIES_MAX`] cookies: `None`.
///
/// `name` is a token (RFC 9110 §5.6.2), as the checked configuration's cookie names are.
pub fn cookie_value<'a>(
    cookie_lines: impl Iterator<Item = &'a [u8]>,
    name: &[u8],
) -> Option<&'a [u8]> {
    let mut count = 0;
    let mut found = None;
    for line in cookie_lines {
        count += match found {
            None => scan_line(line, name, &mut found),
            Some(_) => count_pairs(line),
        };
    }
    if count > COOKIES_MAX { None } else { found }
}

/// Looks for `name` in one line; returns how many cookies the line counts for.
fn scan_line<'a>(line: &'a [u8], name: &[u8], found: &mut Option<&'a [u8]>) -> usize {
    let mut rest = line;
    let mut count = 0;
    loop {
        count += 1;
        let (pair, tail) = match memchr(b';', rest) {
            Some(at) => match rest.split_at_checked(at) {
                Some((pair, tail)) => (pair, tail.get(1..)),
                None => (rest, None),
            },
            None => (rest, None),
        };
        if let Some(value) = value_of(pair, name) {
            *found = Some(value);
            return count + tail.map_or(0, count_pairs);
        }
        match tail {
            Some(tail) => rest = tail,
            None => return count,
        }
    }
}

fn count_pairs(line: &[u8]) -> usize {
    memchr_iter(b';', line).count() + 1
}

/// The value of `pair` if it is named `name` and Go would take it.
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pair = pair.trim_ascii();
    let after = pair.strip_prefix(name)?;
    let value = match after.first() {
        None => after,
        Some(b'=') => after.get(1..)?,
        // Blanks may stand between the name and `=`: Go trims the name.
        Some(b' ' | b'\t') => after.trim_ascii_start().strip_prefix(b"=")?,
        Some(_) => return None,
    };
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    value.iter().all(|&byte| is_value_byte(byte)).then_some(value)
}

fn is_value_byte(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests;

//! The cookie scan: the same as a straight copy of the rules of Go's `Request.Cookie`. Lines of
//! the input are Cookie lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::fields::is_token;
use sundew::sticky::{COOKIES_MAX, cookie_value};

const NAME: &[u8] = b"sid";

/// Slow and by the book.
fn by_the_book<'a>(lines: &[&'a [u8]]) -> Option<&'a [u8]> {
    let count: usize = lines.iter().map(|line| line.split(|byte| *byte == b';').count()).sum();
    if count > COOKIES_MAX {
        return None;
    }
    lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = pair[..at].trim_ascii();
        let value = pair.get(at + 1..).unwrap_or(&[]);
        let is_quoted = value.len() > 1 && value.starts_with(b"\"") && value.ends_with(b"\"");
        let value = if is_quoted { &value[1..value.len() - 1] } else { value };
        let is_fine =
            |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\' | b';');
        (is_token(name) && name == NAME && value.iter().all(is_fine)).then_some(value)
    })
}

fuzz_target!(|input: &[u8]| {
    // No other control byte comes through the head's parser.
    if input.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t')) {
        return;
    }
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    assert_eq!(cookie_value(lines.iter().copied(), NAME), by_the_book(&lines));
});

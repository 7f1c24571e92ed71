//! What the fuzz targets share: limits, what must be true of the bytes of every accepted head, and
//! the stage on which whole connections are played.

pub mod judge;
pub mod memory;
pub mod peers;
pub mod stage;
pub mod wire;

use sundew::http1::fields::Fields;
use sundew::http1::head::HeadLimits;

/// The proxy's defaults (http1 C12).
pub const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 64 * 1024, fields_max: 100, line_bytes_max: 8 * 1024 };

/// Room for what the proxy adds to a head that was within [`LIMITS`].
pub const ROOMY: HeadLimits =
    HeadLimits { bytes_max: 1024 * 1024, fields_max: 200, line_bytes_max: 1024 * 1024 };

/// Panics unless a head that was accepted has clean lines, and `fields` are exactly those lines.
/// `skipped`: bytes of an empty line before the start line.
pub fn check_lines(head: &[u8], skipped: usize, fields: &Fields) {
    let head = head.strip_suffix(b"\r\n\r\n").expect("an empty line at the end");
    let lines: Vec<&[u8]> = split_lines(&head[skipped..]);
    for line in &lines {
        let is_clean = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0);
        assert!(line.iter().all(is_clean), "a loose byte in {line:?}");
    }
    assert_eq!(fields.len() + 1, lines.len(), "a field a line");
    let whole = [&head[..], b"\r\n\r\n"].concat();
    for ((_, span), line) in fields.iter().zip(&lines[1..]) {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon in a field");
        assert_eq!(span.name(&whole), &line[..colon]);
        let value = &line[colon + 1..];
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let from = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
        let to = value.iter().rposition(|byte| !is_blank(byte)).map_or(from, |at| at + 1);
        assert_eq!(span.value(&whole), &value[from..to]);
        assert!(!span.name(&whole).is_empty(), "a name");
    }
}

fn split_lines(mut head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&head[..end]);
        head = &head[end + 2..];
    }
    lines.push(head);
    lines
}

//! Text in log lines: what a peer sent can neither end a line nor a string. Knows no fields.

/// Appends `value` as the inside of a JSON string, as Go's `encoding/json`: `<`, `>`, `&` and the
/// two Unicode line ends are escaped too, each byte that is not UTF-8 becomes U+FFFD.
pub(super) fn push_json(value: &[u8], out: &mut Vec<u8>) {
    if value.iter().all(|&byte| is_plain_in_json(byte)) {
        out.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push_json_char(letter, out);
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn is_plain_in_json(byte: u8) -> bool {
    matches!(byte, b' '..=0x7e) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

fn push_json_char(letter: char, out: &mut Vec<u8>) {
    let short: &[u8] = match letter {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        '<' => b"\\u003c",
        '>' => b"\\u003e",
        '&' => b"\\u0026",
        '\u{2028}' => b"\\u2028",
        '\u{2029}' => b"\\u2029",
        '\0'..='\u{1f}' => {
            out.extend_from_slice(b"\\u00");
            push_hex(letter as u8, out);
            return;
        }
        _ => {
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(short);
}

/// Appends `value` to a line of the common format: `"` becomes `\"`, a control byte `\x0a`; the
/// rest, backslashes too, stays as it is, as under Traefik.
pub(super) fn push_plain(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            0..=0x1f | 0x7f => {
                out.extend_from_slice(b"\\x");
                push_hex(byte, out);
            }
            _ => out.push(byte),
        }
    }
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) };
    out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
}

/// Appends a decimal number.
pub(super) fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(value: &[u8]) -> String {
        let mut out = Vec::new();
        push_json(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn g10_json_text_is_escaped_as_go_does() {
        assert_eq!(
            json(b"cu\"rl\\x\t\xff\xc3\xa9</>&"),
            r#"cu\"rl\\x\t\ufffdé\u003c/\u003e\u0026"#
        );
        assert_eq!(json(b"\0\x08\x0c\n\r\x1f\x7f"), "\\u0000\\b\\f\\n\\r\\u001f\x7f");
        assert_eq!(json("\u{2028}\u{2029}😀".as_bytes()), "\\u2028\\u2029😀");
        assert_eq!(json(b"\xf0\x9f\x98"), r"\ufffd\ufffd\ufffd");
    }

    #[test]
    fn g10_plain_text_keeps_backslashes_and_escapes_quotes_and_control_bytes() {
        let mut out = Vec::new();
        push_plain(b"a\"b\\c\r\n\x7f\xff", &mut out);
        assert_eq!(out, b"a\\\"b\\c\\x0d\\x0a\\x7f\xff");
    }

    proptest! {
        #[test]
        fn json_text_reads_back_with_replacement_characters(value: Vec<u8>) {
            let read: String = serde_json::from_str(&format!("\"{}\"", json(&value))).unwrap();
            let mut want = String::new();
            for chunk in value.utf8_chunks() {
                want.push_str(chunk.valid());
                chunk.invalid().iter().for_each(|_| want.push('\u{fffd}'));
            }
            prop_assert_eq!(read, want);
        }

        #[test]
        fn plain_text_never_holds_a_control_byte_or_a_bare_quote(value: Vec<u8>) {
            let mut out = Vec::new();
            push_plain(&value, &mut out);
            prop_assert!(out.iter().all(|byte| !byte.is_ascii_control()));
            let mut before = 0;
            for byte in out {
                prop_assert!(byte != b'"' || before == b'\\');
                before = byte;
            }
        }
    }
}

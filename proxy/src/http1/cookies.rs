//! Cookie lines without the cookies that the server shall not see. Called by `rewrite`, only for
//! services that hide theirs.

use super::fields::trim_blanks;

/// Whether one of `names` is among the cookies of `line`.
pub(super) fn names_any(line: &[u8], names: &[Box<[u8]>]) -> bool {
    pairs(line).any(|pair| is_named(pair, names))
}

/// Appends `line` as a Cookie field without the cookies called one of `names`; nothing when none
/// is left.
pub(super) fn put_without(out: &mut Vec<u8>, line: &[u8], names: &[Box<[u8]>]) {
    let mut separator: &[u8] = b"Cookie: ";
    for pair in pairs(line).filter(|pair| !pair.is_empty() && !is_named(pair, names)) {
        out.extend_from_slice(separator);
        out.extend_from_slice(pair);
        separator = b"; ";
    }
    if separator == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

/// Split where the pin's scan splits: what could pin is what is taken away.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(trim_blanks)
}

/// Cookie names are case-sensitive (RFC 6265 §5.3).
fn is_named(pair: &[u8], names: &[Box<[u8]>]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().map_or(pair, trim_blanks);
    names.iter().any(|it| **it == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_cookies_are_taken_out_and_nothing_else() {
        let names: [Box<[u8]>; 2] = [b"sid".as_slice().into(), b"old".as_slice().into()];
        for (line, want) in [
            ("sid=1", ""),
            ("a=b; sid=1", "Cookie: a=b\r\n"),
            ("sid=1; a=b;c=\"d e\"", "Cookie: a=b; c=\"d e\"\r\n"),
            ("a=b; sid=1; c=d; sid=2; old=3", "Cookie: a=b; c=d\r\n"),
            ("sid ; sid\t=x;  sid=\"y\";", ""),
            (
                "SID=1; xsid=2; sid2=3; a=sid; b=sid=1",
                "Cookie: SID=1; xsid=2; sid2=3; a=sid; b=sid=1\r\n",
            ),
        ] {
            let mut out = Vec::new();
            put_without(&mut out, line.as_bytes(), &names);
            assert_eq!(String::from_utf8(out).unwrap(), want, "{line}");
        }
        assert!(names_any(b"a=b;sid=1", &names) && !names_any(b"a=sid; SID=x", &names));
    }
}

//! Parameters of a query as Go's `url.ParseQuery` reads them: pairs between `&`, `+` is a blank,
//! escapes decoded; a pair with a bad escape or a `;` does not count. Pure; called by `rule`.

use std::borrow::Cow;

/// The values of `key` in `query`, still encoded; each decodes.
pub(super) fn values<'q>(query: &'q [u8], key: &'q [u8]) -> impl Iterator<Item = &'q [u8]> {
    query.split(|&byte| byte == b'&').filter_map(move |pair| {
        let end = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(end)?;
        let value = value.strip_prefix(b"=").unwrap_or(value);
        let counts = !pair.is_empty() && !pair.contains(&b';');
        (counts && is(name, key) && bytes(value).all(|byte| byte.is_some())).then_some(value)
    })
}

/// Whether `encoded` decodes to `text`.
pub(super) fn is(encoded: &[u8], text: &[u8]) -> bool {
    bytes(encoded).eq(text.iter().map(|&byte| Some(byte)))
}

/// Decoded; allocates only where something is encoded.
pub(super) fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    if encoded.iter().any(|byte| b"%+".contains(byte)) {
        Cow::Owned(bytes(encoded).flatten().collect())
    } else {
        Cow::Borrowed(encoded)
    }
}

/// Each byte; `None` and the end where an escape is bad.
fn bytes(encoded: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut rest = encoded.iter();
    std::iter::from_fn(move || {
        let byte = match rest.next()? {
            b'+' => Some(b' '),
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                digit().zip(digit()).and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
            }
            plain => Some(*plain),
        };
        if byte.is_none() {
            rest = [].iter();
        }
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_go_reads_them() {
        for (query, key, want) in [
            ("a=1", "a", &["1"][..]),
            ("a=1&a=2&b=3", "a", &["1", "2"]),
            ("a", "a", &[""]),
            ("a=", "a", &[""]),
            ("a=b=c", "a", &["b=c"]),
            ("=x", "", &["x"]),
            ("", "", &[]),
            ("&&a=1&", "a", &["1"]),
            ("&&", "", &[]),
            ("%61=%62+c", "a", &["b c"]),
            ("a+b=1", "a b", &["1"]),
            ("a=%zz&a=%4&a=%&a=ok", "a", &["ok"]),
            ("%zz=1", "%zz", &[]),
            ("a=1;b=2&a=3", "a", &["3"]),
            ("a=%3B", "a", &[";"]),
            ("A=1", "a", &[]),
            ("ab=1", "a", &[]),
        ] {
            let values = values(query.as_bytes(), key.as_bytes());
            let found: Vec<_> = values
                .map(|it| {
                    let text = decoded(it);
                    assert!(is(it, &text), "{query}");
                    String::from_utf8(text.into_owned()).unwrap()
                })
                .collect();
            assert_eq!(found, want, "{query} {key}");
        }
    }
}

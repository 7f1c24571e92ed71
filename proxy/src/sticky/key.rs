//! The value in a request that pins a client without a cookie: of a field, or of a query parameter.
//! Never judges it: whatever it is, equal values go to the same server. Called through `Rules`.

use memchr::memchr;

use crate::http1::fields::Fields;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// In a field, as it is.
    Header,
    /// In the query, percent-encoded.
    Query,
}

/// A key, as it stands in the request; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// Where it stands.
    pub kind: KeyKind,
    bytes: &'a [u8],
}

/// Where a service looks for keys: in the field first.
#[derive(Debug)]
pub(super) struct KeySources {
    header: Option<Box<[u8]>>,
    query: Option<Box<[u8]>>,
}

impl KeySources {
    pub(super) fn new(header: Option<&str>, query: Option<&str>) -> Self {
        let bytes = |it: &str| it.as_bytes().into();
        Self { header: header.map(bytes), query: query.map(bytes) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.header.is_none() && self.query.is_none()
    }

    pub(super) fn find<'a>(
        &self,
        bytes: &'a [u8],
        fields: &'a Fields,
        path_and_query: &'a [u8],
    ) -> Option<Key<'a>> {
        let header = self.header.as_deref().and_then(|name| {
            let mut spans = fields.spans().iter();
            let span = spans.find(|span| span.name(bytes).eq_ignore_ascii_case(name))?;
            Some(Key { kind: KeyKind::Header, bytes: span.value(bytes) })
        });
        let query = || {
            let name = self.query.as_deref()?;
            let (_, query) = split_at_byte(path_and_query, b'?')?;
            let bytes = query.split(|it| *it == b'&').find_map(|pair| {
                let (found, value) = split_at_byte(pair, b'=')?;
                (found == name).then_some(value)
            })?;
            Some(Key { kind: KeyKind::Query, bytes })
        };
        let is_there = |key: &Key<'_>| !key.bytes.is_empty();
        header.filter(is_there).or_else(|| query().filter(is_there))
    }
}

impl<'a> Key<'a> {
    /// What is hashed: escapes of a query are decoded, so that a client goes to the same server
    /// whichever way it spells its key and wherever it puts it. `scratch` is used for that alone.
    pub fn decoded(&self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let is_plain = || self.bytes.iter().all(|byte| !matches!(byte, b'%' | b'+'));
        if self.kind == KeyKind::Header || is_plain() {
            return self.bytes;
        }
        scratch.clear();
        let mut rest = self.bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            scratch.push(match (byte, tail) {
                (b'+', _) => b' ',
                (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        rest = after;
                        high << 4 | low
                    }
                    _ => b'%',
                },
                _ => byte,
            });
        }
        scratch
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

/// What stands before and after the first `byte`.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::{HeadLimits, RequestHead, parse_request};

    fn key(sources: &KeySources, fields: &str, target: &str) -> Option<(KeyKind, String)> {
        let text = format!("GET {target} HTTP/1.0\r\n{fields}\r\n");
        let limits = HeadLimits { bytes_max: 9999, fields_max: 9, line_bytes_max: 999 };
        let mut head = RequestHead::default();
        parse_request(text.as_bytes(), &limits, &mut head).unwrap();
        let key = sources.find(text.as_bytes(), &head.fields, target.as_bytes())?;
        let decoded = key.decoded(&mut Vec::new()).to_vec();
        Some((key.kind, String::from_utf8(decoded).unwrap()))
    }

    #[test]
    fn a_key_is_the_first_value_of_the_field_or_else_of_the_parameter() {
        use KeyKind::{Header, Query};
        let sources = KeySources::new(Some("X-Key"), Some("sid"));
        for (fields, target, want) in [
            ("X-Key: a\r\n", "/?sid=b", Some((Header, "a"))),
            ("x-key:  a b \r\nX-Key: c\r\n", "/", Some((Header, "a b"))),
            ("x-key: a%20+\r\n", "/", Some((Header, "a%20+"))),
            ("X-Key:\r\n", "/?sid=b", Some((Query, "b"))),
            ("", "/?a=1&sid=b&sid=c", Some((Query, "b"))),
            ("", "/?sid=b%2fc+d%zz%4", Some((Query, "b/c d%zz%4"))),
            ("", "/?sid==", Some((Query, "="))),
            ("", "/?xsid=b&SID=b&sid", None),
            ("", "/sid=b", None),
            ("", "/?sid=", None),
            ("", "/??sid=b", None),
            ("X-Key2: a\r\n", "/", None),
        ] {
            let want = want.map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!(key(&sources, fields, target), want, "{fields:?} {target}");
        }
        let none = KeySources::new(None, None);
        assert!(none.is_empty() && key(&none, "X-Key: a\r\n", "/?sid=b").is_none());
    }
}

//! What a response that sets a pin tells shared caches: a stored pin would be handed to everybody
//! who asks next. Called by `conn` for such responses only.

use sundew_config::model::CookieCache;

use crate::http1::fields::{Fields, list_members};

/// The line to add to a response with these fields; `None` where it says as much already.
///
/// A second line only ever makes the first stricter: of directives that contradict each other the
/// most restrictive holds (RFC 9111 §4.2.1).
#[must_use]
pub fn cache_control_line(
    policy: CookieCache,
    bytes: &[u8],
    fields: &Fields,
) -> Option<&'static [u8]> {
    let (wanted, line): (&[&[u8]], &[u8]) = match policy {
        CookieCache::Off => return None,
        // `private="field"` keeps back that field only, so it does not count.
        CookieCache::Private => (&[b"private", b"no-store"], b"Cache-Control: private\r\n"),
        CookieCache::NoStore => (&[b"no-store"], b"Cache-Control: no-store\r\n"),
    };
    let says_so = fields
        .spans()
        .iter()
        .filter(|span| span.name(bytes).eq_ignore_ascii_case(b"cache-control"))
        .flat_map(|span| list_members(span.value(bytes)))
        .any(|directive| wanted.iter().any(|it| directive.eq_ignore_ascii_case(it)));
    (!says_so).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::{HeadLimits, ResponseHead, parse_response};

    #[test]
    fn a_line_is_added_unless_the_response_says_as_much() {
        use CookieCache::{NoStore, Off, Private};
        let (private, no_store) = ("Cache-Control: private", "Cache-Control: no-store");
        for (fields, policy, want) in [
            ("", Off, None),
            ("", Private, Some(private)),
            ("", NoStore, Some(no_store)),
            ("Cache-Control: public, max-age=60\r\n", Private, Some(private)),
            ("Cache-Control: max-age=60, Private\r\n", Private, None),
            ("cache-control: no-store\r\n", Private, None),
            ("CACHE-CONTROL: x\r\nCache-Control: no-store\r\n", Private, None),
            ("Cache-Control: private\r\n", NoStore, Some(no_store)),
            ("Cache-Control: no-cache,no-store\r\n", NoStore, None),
            ("Cache-Control: private=\"x\"\r\n", Private, Some(private)),
            ("Cache-Control: no-cache\r\n", Private, Some(private)),
            ("X-Cache-Control: private\r\n", Private, Some(private)),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let limits = HeadLimits { bytes_max: 9999, fields_max: 9, line_bytes_max: 99 };
            let mut head = ResponseHead::default();
            parse_response(text.as_bytes(), &limits, &mut head).unwrap();
            let line = cache_control_line(policy, text.as_bytes(), &head.fields);
            let want = want.map(|it| format!("{it}\r\n"));
            assert_eq!(line, want.as_deref().map(str::as_bytes), "{fields:?} {policy:?}");
        }
    }
}

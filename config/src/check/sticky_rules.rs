//! What stands beside the cookie under `sticky`: strictness, redispatch, and the request's own key.

use super::health_check::is_token;
use super::scalar::{in_range, is_longer_than};
use crate::model::{StickyRules, Strict};
use crate::raw;
use crate::source::At;

/// What a client of a lost server gets unless `strictStatus` says otherwise.
const STRICT_STATUS: u16 = 502;
/// Of the name of a field or of a query parameter.
const KEY_NAME_BYTES_MAX: usize = 256;
/// Fields whose value is not the client's to choose, or that are read as a list of pins already.
const NOT_KEYS: &[&str] = &[
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// `at` is the balancer's place.
pub(super) fn sticky_rules(
    raw: Option<&raw::Sticky>,
    has_cookie: bool,
    at: &At<'_>,
) -> StickyRules {
    let Some(raw) = raw else { return StickyRules::default() };
    let at = at.key("sticky");
    let rules = StickyRules {
        strict: strict(raw, has_cookie, &at),
        redispatch: raw.redispatch.unwrap_or(true),
        header: header(&raw.header, &at.key("header")),
        query: query(&raw.query, &at.key("query")),
    };
    let has_pins = has_cookie || rules.header.is_some() || rules.query.is_some();
    if raw.redispatch.is_some() && !has_pins {
        at.key("redispatch").warning("there is nothing that pins", "write `cookie: {}`");
    }
    rules
}

fn strict(raw: &raw::Sticky, has_cookie: bool, at: &At<'_>) -> Option<Strict> {
    let status = in_range(&at.key("strictStatus"), raw.strict_status, 400..=599, STRICT_STATUS);
    if !raw.strict {
        for (key, is_written) in
            [("strictStatus", raw.strict_status.is_some()), ("strictForget", raw.strict_forget)]
        {
            if is_written {
                at.key(key).warning("means nothing without `strict`", "write `strict: true`");
            }
        }
        return None;
    }
    if !has_cookie {
        at.key("strict")
            .warning("`strict` is about cookies, and there is none", "write `cookie: {}`");
    }
    Some(Strict { status, forgets: raw.strict_forget })
}

fn header(name: &str, at: &At<'_>) -> Option<String> {
    if name.is_empty() || is_longer_than(KEY_NAME_BYTES_MAX, name, at) {
        return None;
    }
    if !is_token(name) {
        at.wrong(format!("`{}` is not a field name", name.escape_debug()), "write X-Client-Id");
        return None;
    }
    if NOT_KEYS.iter().any(|it| it.eq_ignore_ascii_case(name)) {
        at.wrong(format!("`{name}` does not tell clients apart"), "write X-Client-Id");
        return None;
    }
    Some(name.to_owned())
}

fn query(name: &str, at: &At<'_>) -> Option<String> {
    if name.is_empty() || is_longer_than(KEY_NAME_BYTES_MAX, name, at) {
        return None;
    }
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~[]$!*'()@:,".contains(&it);
    if !name.bytes().all(is_plain) {
        let message = format!("`{}` is not the name of a query parameter", name.escape_debug());
        at.wrong(message, "write it as it stands in the URL, without escapes");
        return None;
    }
    Some(name.to_owned())
}

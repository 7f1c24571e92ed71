//! `sticky.cookie`: Traefik's names and defaults; nothing in it can break a header (http1 F8).

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use super::cookie_name::{Attributes, check_prefix, check_reserved, previous_names};
use super::scalar::{is_longer_than, parse_bool_off, word};
use super::sealing::sealing;
use crate::key_file::KeyFiles;
use crate::model::{CookieCache, SameSite, StickyCookie};
use crate::raw;
use crate::source::At;

/// The cookie of a service, `None` when it has no stickiness. `name` is the service's qualified
/// name; `at` the balancer's place.
pub(super) fn sticky(
    raw: Option<&raw::Sticky>,
    name: &str,
    keys: &KeyFiles,
    at: &At<'_>,
) -> Option<StickyCookie> {
    let sticky = at.key("sticky");
    if let Some(cookie) = raw.and_then(|it| it.cookie.as_ref()) {
        return Some(self::cookie(cookie, name, keys, &sticky.key("cookie")));
    }
    // Traefik's silent traps: `sticky: {}`, `sticky: true`, a `cookie:` with nothing behind it.
    let is_off = |at: &At<'_>| at.value().is_some_and(parse_bool_off);
    let has_key = raw.is_some_and(|it| !it.header.is_empty() || !it.query.is_empty());
    if !has_key && sticky.value().is_some() && !is_off(&sticky) && !is_off(&sticky.key("cookie")) {
        sticky.warning("no stickiness without a cookie", "write `sticky: {cookie: {}}`");
    }
    None
}

/// Of a name, path or domain: browsers ignore longer attributes (RFC 6265bis §5.6).
const TEXT_BYTES_MAX: usize = 1024;

fn cookie(raw: &raw::Cookie, service: &str, keys: &KeyFiles, at: &At<'_>) -> StickyCookie {
    for (key, text) in [("name", &raw.name), ("domain", &raw.domain)] {
        is_longer_than(TEXT_BYTES_MAX, text, &at.key(key));
    }
    is_longer_than(TEXT_BYTES_MAX, raw.path.as_deref().unwrap_or_default(), &at.key("path"));
    let name = if raw.name.is_empty() { generated_name(service) } else { sanitised(&raw.name) };
    if !raw.name.is_empty() && name != raw.name {
        let message = format!("`{}` is sent as `{name}`", raw.name.escape_debug());
        at.key("name").warning(message, format!("write `{name}`"));
    }
    let same_sites = [
        ("none", Some(SameSite::None)),
        ("lax", Some(SameSite::Lax)),
        ("strict", Some(SameSite::Strict)),
    ];
    let same_site = word(&at.key("sameSite"), &raw.same_site, &same_sites, None);
    if same_site == Some(SameSite::None) && !raw.secure {
        at.key("sameSite")
            .warning("browsers refuse SameSite=None without Secure", "write `secure: true`");
    }
    let path = path(raw.path.as_deref(), &at.key("path"));
    let domain = domain(&raw.domain, &at.key("domain"));
    let attributes =
        Attributes { secure: raw.secure, domain: domain.as_deref(), path: path.as_deref() };
    check_prefix(&name, &attributes, at);
    check_reserved(&name, raw.allow_reserved_name, at);
    if raw.partitioned && !raw.secure {
        at.key("partitioned")
            .wrong("browsers refuse Partitioned without Secure", "write `secure: true`");
    }
    let caches = [
        ("off", CookieCache::Off),
        ("private", CookieCache::Private),
        ("no-store", CookieCache::NoStore),
    ];
    StickyCookie {
        previous_names: previous_names(&raw.previous_names, &name, &at.key("previousNames")),
        name,
        secure: raw.secure,
        http_only: raw.http_only,
        same_site,
        max_age: (raw.max_age != 0).then(|| u64::try_from(raw.max_age).unwrap_or(0)),
        path,
        domain,
        partitioned: raw.partitioned,
        hide: raw.hide,
        cache: word(&at.key("cache"), &raw.cache, &caches, CookieCache::Off),
        sealing: sealing(raw, keys, at),
    }
}

/// `_` and 5 hexadecimal digits of a SHA-1 (Traefik's `GenerateName`).
pub(crate) fn generated_name(service: &str) -> String {
    let hash = Sha1::new().chain_update(b"_TRAEFIK_BACKEND_").chain_update(service).finalize();
    let mut name = String::from("_");
    for byte in hash.iter().take(3) {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.truncate(6);
    name
}

fn is_name_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || "!#$%&'*+-.^`|~".contains(it)
}

/// Every character that a cookie name cannot hold becomes `_` (Traefik's `sanitizeName`).
pub(crate) fn sanitised(name: &str) -> String {
    name.chars().map(|it| if is_name_char(it) { it } else { '_' }).collect()
}

/// Whether [`sanitised`] leaves the name as it is.
pub(crate) fn is_sanitised(name: &str) -> bool {
    name.chars().all(|it| is_name_char(it) || it == '_')
}

/// `/` unless written; an empty path leaves the attribute out.
fn path(written: Option<&str>, at: &At<'_>) -> Option<String> {
    let path = written.unwrap_or("/");
    let is_safe = |it: char| (' '..='~').contains(&it) && it != ';';
    if path.chars().all(is_safe) {
        return (!path.is_empty()).then(|| path.to_owned());
    }
    at.wrong(
        format!("`{}` holds characters that a cookie's path cannot", path.escape_debug()),
        "leave out `;`, control characters and what is not ASCII",
    );
    let kept: String = path.chars().filter(|it| is_safe(*it)).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Without its leading dot (as Go sends it); left out when a browser would refuse it.
fn domain(written: &str, at: &At<'_>) -> Option<String> {
    if written.is_empty() {
        return None;
    }
    let domain = written.strip_prefix('.').unwrap_or(written);
    if is_domain(domain) || domain.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(domain.to_owned());
    }
    let message = format!("`{}` is not a cookie domain", written.escape_debug());
    at.wrong(message, "write a host name without a port, such as example.com");
    None
}

/// Go's `isCookieDomainName`: labels of letters, digits and inner hyphens, with one letter at all.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= 255
        && domain.split('.').all(is_label)
        && domain.bytes().any(|it| it.is_ascii_alphabetic())
}

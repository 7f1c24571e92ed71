//! Names of sticky cookies that browsers give a meaning, that belong to others, or that the cookie
//! had before.

use super::cookie::sanitised;
use super::scalar::is_longer_than;
use crate::source::At;

/// Cookies in which frameworks and balancers keep state of their own: overwriting one logs people
/// out, and being overwritten loses the pin.
const RESERVED: &[&str] = &[
    ".AspNetCore.Antiforgery",
    ".AspNetCore.Cookies",
    ".AspNetCore.Identity.Application",
    ".AspNetCore.Session",
    ".ASPXAUTH",
    "_rails_session",
    "ASP.NET_SessionId",
    "AWSALB",
    "AWSALBCORS",
    "AWSELB",
    "CAKEPHP",
    "CFID",
    "CFTOKEN",
    "ci_session",
    "connect.sid",
    "csrftoken",
    "express.sid",
    "JSESSIONID",
    "JSESSIONIDSSO",
    "koa.sess",
    "koa.sess.sig",
    "laravel_session",
    "PHPSESSID",
    "rack.session",
    "sessionid",
    "SESSION",
    "XSRF-TOKEN",
];

/// What browsers ask of a cookie by its name (RFC 6265bis §4.1.3).
pub(super) struct Attributes<'a> {
    pub(super) secure: bool,
    pub(super) domain: Option<&'a str>,
    pub(super) path: Option<&'a str>,
}

/// Whether a name belongs to others.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Reports a name that belongs to others, unless that is meant.
pub(super) fn check_reserved(name: &str, is_allowed: bool, at: &At<'_>) {
    if !is_allowed && is_reserved(name) {
        at.key("name").wrong(
            format!("`{name}` is a cookie of applications: each overwrites the other's"),
            "choose another name, or write `allowReservedName: true`",
        );
    }
}

/// Reports a prefix whose conditions do not hold: browsers refuse such a cookie, so it pins nobody.
pub(super) fn check_prefix(name: &str, attributes: &Attributes<'_>, at: &At<'_>) {
    let starts_with =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix));
    let (is_host, is_secure) = (starts_with("__Host-"), starts_with("__Secure-"));
    if (is_host || is_secure) && !attributes.secure {
        at.key("name").wrong(
            format!("browsers refuse `{name}` without Secure"),
            "write `secure: true`, or leave the prefix out",
        );
    }
    if is_host && attributes.domain.is_some() {
        at.key("domain").wrong(format!("browsers refuse `{name}` with a domain"), "remove it");
    }
    if is_host && attributes.path != Some("/") {
        at.key("path").wrong(format!("browsers refuse `{name}` with another path"), "write /");
    }
}

/// `previousNames`, as they are sent.
pub(super) fn previous_names(written: &[String], name: &str, at: &At<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(written.len());
    if written.len() > PREVIOUS_MAX {
        at.wrong(format!("more than {PREVIOUS_MAX} names"), "remove the oldest");
    }
    for (index, written) in written.iter().take(PREVIOUS_MAX).enumerate() {
        let at = at.index(index);
        let sent = sanitised(written);
        if written.is_empty() {
            at.wrong("no name", "write the name that the cookie had");
        } else if sent == name || names.contains(&sent) {
            at.wrong(format!("`{sent}` is written twice"), "remove it");
        } else {
            is_longer_than(PREVIOUS_BYTES_MAX, written, &at);
            names.push(sent);
        }
    }
    names
}

/// Each costs a search of every request without a current cookie.
const PREVIOUS_MAX: usize = 8;
/// As of the name itself.
const PREVIOUS_BYTES_MAX: usize = 1024;

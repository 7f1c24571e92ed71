//! What an audit finds: one function a question, each about one service or about two.

use super::{Cookie, Finding, Service, TlsReach};
use crate::Severity;
use crate::check::is_reserved;
use crate::source::At;

/// Everything about all services.
pub(super) fn all(services: &[Service<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in services {
        if let Some(cookie) = &service.cookie {
            of_cookie(service, cookie, &mut found);
            of_service(service, cookie, &mut found);
        }
        of_group(service, services, &mut found);
    }
    for (position, service) in services.iter().enumerate() {
        for other in services.iter().skip(position + 1) {
            of_two(service, other, services, &mut found);
        }
    }
    found
}

fn finding(
    id: &'static str,
    severity: Severity,
    at: &At<'_>,
    service: &Service<'_>,
    (why, write): (impl Into<String>, impl Into<String>),
) -> Finding {
    let (why, write) = (why.into(), write.into());
    Finding { id, severity, place: at.place(), service: service.qualified(), why, write }
}

fn of_cookie(service: &Service<'_>, cookie: &Cookie<'_>, found: &mut Vec<Finding>) {
    let at = &cookie.at;
    let mut say = |id, severity, at: &At<'_>, why: &str, write: &str| {
        found.push(finding(id, severity, at, service, (why, write)));
    };
    let tls = service.reach.tls();
    if !cookie.is_secure && matches!(tls, TlsReach::Tls | TlsReach::Both) {
        let why = "clients come over TLS, but the cookie goes over plain HTTP as well, where \
                   anybody on the way can read it and set another";
        say("cookie-not-secure", Severity::Error, at, why, "secure: true");
    }
    if !cookie.is_http_only {
        let why = "a script in a page can read the pin and change it";
        say("cookie-not-http-only", Severity::Warning, at, why, "httpOnly: true");
    }
    match cookie.same_site.as_deref() {
        None => {
            let why = "browsers differ in what they do without it: some send no pin from pages of \
                       other sites";
            say("same-site-missing", Severity::Warning, at, why, "sameSite: lax");
        }
        Some("none") if !cookie.is_secure => {
            let why = "browsers throw a cookie with SameSite=None away unless it is Secure, so \
                       nobody is pinned";
            let at = at.key("sameSite");
            say("same-site-none-not-secure", Severity::Error, &at, why, "secure: true");
        }
        Some(_) => {}
    }
    if is_reserved(&cookie.name) && !cookie.is_reserved_meant {
        let why = format!(
            "`{}` belongs to applications: one of the two cookies overwrites the other",
            cookie.name
        );
        let write = "name: srv_id";
        say("reserved-name", Severity::Error, &at.key("name"), &why, write);
    }
    if cookie.max_age > 0 {
        let why = "it is set once and never renewed, so a client that is active all along loses \
                   its pin after that time";
        let write = "remove it, so that the pin lasts as long as the browser's own";
        say("max-age-not-renewed", Severity::Warning, &at.key("maxAge"), why, write);
    }
    if !cookie.has_cache_rule {
        let why = "a shared cache that keeps a response with the cookie gives one client's pin to \
                   others";
        say("cacheable-pin", Severity::Note, at, why, "cache: private");
    }
}

fn of_service(service: &Service<'_>, cookie: &Cookie<'_>, found: &mut Vec<Finding>) {
    if !service.has_health_check() {
        let why = if service.is_group {
            "a client that is pinned to a service all of whose servers are down stays there"
        } else {
            "nobody notices a server that hangs, so its pinned clients hang with it"
        };
        let write =
            if service.is_group { "healthCheck: {}" } else { "healthCheck: {path: /health}" };
        let at = &service.at;
        found.push(finding("no-health-check", Severity::Warning, at, service, (why, write)));
    }
    let (members, draining) = service.members();
    if members == 1 {
        let why = "one member alone: there is nothing to choose, and nowhere to go when it dies";
        let write = "another server, or no stickiness";
        found.push(finding("one-server", Severity::Note, &cookie.at, service, (why, write)));
    }
    if members > 1 && draining == members {
        let why = "all of them are drained: new clients get 503";
        let write = "leave at least one of them in";
        found.push(finding("all-drained", Severity::Error, &service.at, service, (why, write)));
    }
}

/// A group that forgets which of its services a client is pinned in, and one that shares a name.
fn of_group(group: &Service<'_>, all: &[Service<'_>], found: &mut Vec<Finding>) {
    let children = all.iter().filter(|it| group.children.iter().any(|name| name == it.name));
    let sticky: Vec<_> = children.filter_map(|it| Some((it, it.cookie.as_ref()?))).collect();
    match (&group.cookie, sticky.first()) {
        (None, Some((child, _))) if group.children.len() > 1 => {
            let why = format!(
                "it gives every request to a service by turn, so a client that is pinned within \
                 `{}` is there only sometimes",
                child.name
            );
            let write = "sticky: {cookie: {}} beside its services";
            let id = "group-not-sticky";
            found.push(finding(id, Severity::Error, &group.at, group, (why, write)));
        }
        (Some(own), _) => {
            for (child, cookie) in sticky.iter().filter(|(_, it)| it.name == own.name) {
                let why = format!(
                    "`{}` is the name on the level of `{}` too: each level overwrites the other's \
                     pin",
                    own.name, child.name
                );
                let at = cookie.at.key("name");
                let write = "another name on one of the levels";
                let id = "same-name-on-two-levels";
                found.push(finding(id, Severity::Error, &at, child, (why, write)));
            }
        }
        _ => {}
    }
}

fn of_two(one: &Service<'_>, other: &Service<'_>, all: &[Service<'_>], found: &mut Vec<Finding>) {
    let (Some(first), Some(second)) = (&one.cookie, &other.cookie) else { return };
    let is_child = |parent: &Service<'_>, child: &Service<'_>| {
        parent.children.iter().any(|name| name == child.name)
    };
    // Two services of one group hold the same client at different times, as with two of one host.
    let is_family = is_child(one, other) || is_child(other, one);
    let has_paths_apart =
        !first.path.starts_with(&*second.path) && !second.path.starts_with(&*first.path);
    if first.name != second.name || is_family || has_paths_apart || !one.reach.meets(&other.reach) {
        return;
    }
    let is_in_group = all.iter().any(|it| is_child(it, one) && is_child(it, other));
    let place = if is_in_group { "in one group" } else { "behind one host" };
    let why = format!(
        "`{}` is the cookie of `{}` too, {place}: a client that visits both loses its pin each time",
        first.name, one.name
    );
    let at = second.at.key("name");
    let write = "name: another for each of them";
    let id = "same-name-on-two-services";
    found.push(finding(id, Severity::Error, &at, other, (why, write)));
}

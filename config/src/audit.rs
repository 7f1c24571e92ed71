//! Which services rely on stickiness, and how safely. Reads what is written, not what is checked, so
//! that it serves for files that Traefik runs and sundew does not yet. Never refuses anything; called
//! by `load`.

mod findings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use crate::check::{generated_name, sanitised};
use crate::rule::{self, Matcher, Rule};
use crate::source::{At, Reports, Source};
use crate::{Place, Severity};

/// What an audit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// One for each sticky service, by name.
    pub rows: Vec<Row>,
    /// What is not as it should be, by place.
    pub findings: Vec<Finding>,
}

/// One sticky service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Qualified name, such as `app@file`.
    pub service: String,
    /// Of its `sticky`.
    pub place: Place,
    /// A group chooses among services, else it chooses among servers.
    pub is_group: bool,
    /// Name of the cookie as it is sent; empty without one.
    pub cookie: String,
    /// What pins clients that bring no cookie: `header X-Client-Id`, `query client`.
    pub keys: Vec<String>,
    /// Its attributes as they are sent.
    pub attributes: String,
    /// An active health check.
    pub has_health_check: bool,
    /// A client whose server is gone is refused rather than moved.
    pub is_strict: bool,
    /// Its servers, or the services of a group.
    pub members: usize,
    /// Those of them that get no new pins: `drain`, or a weight of 0.
    pub draining: usize,
    /// How clients come to it.
    pub tls: TlsReach,
}

/// How clients come to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsReach {
    /// No router leads to it.
    Unused,
    /// By routers without TLS.
    Plain,
    /// By routers with and without TLS.
    Both,
    /// By routers with TLS alone.
    Tls,
}

impl TlsReach {
    /// A word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Plain => "no",
            Self::Both => "partly",
            Self::Tls => "yes",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable, for scripts.
    pub id: &'static str,
    /// How bad; an error loses pins or gives them away.
    pub severity: Severity,
    /// Where to write.
    pub place: Place,
    /// Whose it is.
    pub service: String,
    /// Why it matters.
    pub why: String,
    /// What to write.
    pub write: String,
}

/// One service of the files.
struct Service<'a> {
    /// Without its provider.
    name: &'a str,
    /// Of its balancer or group.
    at: At<'a>,
    is_group: bool,
    children: Vec<String>,
    cookie: Option<Cookie<'a>>,
    reach: Reach,
}

/// A sticky cookie as it is written.
struct Cookie<'a> {
    at: At<'a>,
    name: String,
    is_secure: bool,
    is_http_only: bool,
    same_site: Option<String>,
    max_age: i64,
    path: String,
    has_cache_rule: bool,
    is_reserved_meant: bool,
}

/// Who leads to a service.
#[derive(Clone, Debug, Default)]
struct Reach {
    has_tls: bool,
    has_plain: bool,
    hosts: BTreeSet<String>,
    /// By a router that takes every host, or one that nobody could read.
    has_any_host: bool,
}

impl Reach {
    fn add(&mut self, other: &Self) {
        self.has_tls |= other.has_tls;
        self.has_plain |= other.has_plain;
        self.has_any_host |= other.has_any_host;
        self.hosts.extend(other.hosts.iter().cloned());
    }

    fn tls(&self) -> TlsReach {
        match (self.has_tls, self.has_plain) {
            (false, false) => TlsReach::Unused,
            (false, true) => TlsReach::Plain,
            (true, true) => TlsReach::Both,
            (true, false) => TlsReach::Tls,
        }
    }

    /// Whether one client could send a cookie of one to the other.
    fn meets(&self, other: &Self) -> bool {
        let is_used = |it: &Self| it.has_any_host || !it.hosts.is_empty();
        is_used(self)
            && is_used(other)
            && (self.has_any_host || other.has_any_host || !self.hosts.is_disjoint(&other.hosts))
    }
}

/// Audits the dynamic parts of `files`, in order of precedence; `root` holds the entry points.
pub(crate) fn audit(files: &[&Source], root: Option<&Source>, reports: &Reports) -> Audit {
    let mut services: BTreeMap<&str, Service<'_>> = BTreeMap::new();
    for file in files {
        let top = At::root(file, reports).keys(&["http", "services"]);
        for name in names(&top) {
            if !services.contains_key(name)
                && let Some(service) = service(name, &top.key(name))
            {
                services.insert(name, service);
            }
        }
    }
    for (target, reach) in reaches(files, root, reports) {
        spread(&target, &reach, &mut services, 0);
    }
    let all: Vec<Service<'_>> = services.into_values().collect();
    let mut findings = findings::all(&all);
    findings.sort_by(|one, other| (&one.place, one.id).cmp(&(&other.place, other.id)));
    Audit { rows: all.iter().filter_map(row).collect(), findings }
}

/// The keys of a mapping.
fn names<'a>(at: &At<'a>) -> Vec<&'a str> {
    let mapping = at.value().and_then(Value::as_mapping);
    mapping.into_iter().flat_map(|it| it.keys()).filter_map(Value::as_str).collect()
}

fn service<'a>(name: &'a str, at: &At<'a>) -> Option<Service<'a>> {
    let kinds = ["loadBalancer", "weighted", "highestRandomWeight", "failover", "mirroring"];
    let kind = kinds.into_iter().find(|kind| is_written(&at.key(kind)))?;
    let inner = at.key(kind);
    let is_group = kind != "loadBalancer";
    let mut children: Vec<String> = Vec::new();
    for list in ["services", "mirrors"] {
        let count = inner.key(list).value().and_then(Value::as_sequence).map_or(0, Vec::len);
        let each = (0..count).filter_map(|index| text(&inner.key(list).index(index), "name"));
        children.extend(each);
    }
    children.extend(["service", "fallback"].into_iter().filter_map(|key| text(&inner, key)));
    let children = children.iter().map(|it| bare(it).to_owned()).collect();
    let cookie = cookie(name, &inner.keys(&["sticky", "cookie"]));
    Some(Service { name, at: inner, is_group, children, cookie, reach: Reach::default() })
}

fn cookie<'a>(service: &str, at: &At<'a>) -> Option<Cookie<'a>> {
    if !is_written(at) {
        return None;
    }
    let written = text(at, "name").filter(|it| !it.is_empty());
    Some(Cookie {
        name: match written {
            Some(name) => sanitised(&name),
            None => generated_name(&format!("{service}@file")),
        },
        is_secure: is_on(at, "secure"),
        is_http_only: is_on(at, "httpOnly"),
        same_site: text(at, "sameSite").map(|it| it.to_ascii_lowercase()),
        max_age: text(at, "maxAge").and_then(|it| it.parse().ok()).unwrap_or(0),
        path: text(at, "path").unwrap_or_else(|| "/".to_owned()),
        has_cache_rule: text(at, "cache").is_some_and(|it| !it.eq_ignore_ascii_case("off")),
        is_reserved_meant: is_on(at, "allowReservedName"),
        at: at.clone(),
    })
}

/// Something stands there that is not off.
fn is_written(at: &At<'_>) -> bool {
    match at.value() {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.eq_ignore_ascii_case("false"),
        Some(_) => true,
    }
}

fn is_on(at: &At<'_>, key: &str) -> bool {
    text(at, key).is_some_and(|it| matches!(&*it.to_ascii_lowercase(), "true" | "t" | "1"))
}

/// A scalar as text.
fn text(at: &At<'_>, key: &str) -> Option<String> {
    match at.key(key).value()? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

/// `app` of `app@file`.
fn bare(name: &str) -> &str {
    name.strip_suffix("@file").unwrap_or(name)
}

/// The service of each router, and how clients come to it.
fn reaches(files: &[&Source], root: Option<&Source>, reports: &Reports) -> Vec<(String, Reach)> {
    let points = root.map(|root| At::root(root, reports).key("entryPoints"));
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for file in files {
        let top = At::root(file, reports).keys(&["http", "routers"]);
        for name in names(&top) {
            let at = top.key(name);
            let Some(target) = text(&at, "service").filter(|_| seen.insert(name)) else { continue };
            let mut reach = Reach::default();
            for has_tls in tls_of(&at, points.as_ref()) {
                reach.has_tls |= has_tls;
                reach.has_plain |= !has_tls;
            }
            let parsed = text(&at, "rule").and_then(|rule| rule::parse(&rule).ok());
            match parsed {
                Some(rule) => {
                    hosts_of(&rule, &mut reach.hosts);
                    reach.has_any_host = reach.hosts.is_empty();
                }
                None => reach.has_any_host = true,
            }
            all.push((bare(&target).to_owned(), reach));
        }
    }
    all
}

/// With TLS or without, for each entry point of a router.
fn tls_of(router: &At<'_>, points: Option<&At<'_>>) -> Vec<bool> {
    let own = is_written(&router.key("tls"));
    let Some(points) = points.filter(|_| !own) else { return vec![own] };
    let has_tls = |name: &str| is_written(&points.key(name).keys(&["http", "tls"]));
    let written: Vec<&str> = match router.key("entryPoints").value() {
        Some(Value::Sequence(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split(',').map(str::trim).collect(),
        _ => Vec::new(),
    };
    if !written.is_empty() {
        return written.into_iter().map(has_tls).collect();
    }
    let all = names(points);
    let is_flagged = |name: &str| is_on(&points.key(name), "asDefault");
    let any_flagged = all.iter().any(|name| is_flagged(name));
    let defaults = all.into_iter().filter(|name| match any_flagged {
        true => is_flagged(name),
        false => *name != "traefik",
    });
    let found: Vec<bool> = defaults.map(has_tls).collect();
    if found.is_empty() { vec![false] } else { found }
}

fn hosts_of(rule: &Rule, hosts: &mut BTreeSet<String>) {
    match rule {
        Rule::All(parts) | Rule::Any(parts) => parts.iter().for_each(|it| hosts_of(it, hosts)),
        Rule::Is(Matcher::Host(host)) => {
            hosts.insert(host.clone());
        }
        Rule::Not(_) | Rule::Is(_) => {}
    }
}

/// Deeper nesting than anybody writes; a circle ends there.
const DEPTH_MAX: usize = 16;

/// Whoever reaches a group reaches its children.
fn spread(name: &str, reach: &Reach, services: &mut BTreeMap<&str, Service<'_>>, depth: usize) {
    let Some(service) = services.get_mut(name).filter(|_| depth < DEPTH_MAX) else { return };
    service.reach.add(reach);
    for child in service.children.clone() {
        spread(&child, reach, services, depth + 1);
    }
}

impl Service<'_> {
    fn qualified(&self) -> String {
        format!("{}@file", self.name)
    }

    fn has_health_check(&self) -> bool {
        is_written(&self.at.key("healthCheck"))
            // An empty mapping is what a group says.
            || self.is_group && self.at.key("healthCheck").value().is_some()
    }

    /// Servers or children, and how many of them get no new pins.
    fn members(&self) -> (usize, usize) {
        let list = self.at.key(if self.is_group { "services" } else { "servers" });
        let count = list.value().and_then(Value::as_sequence).map_or(0, Vec::len);
        let is_drained = |index: &usize| {
            let member = list.index(*index);
            is_on(&member, "drain") || text(&member, "weight").as_deref() == Some("0")
        };
        (count, (0..count).filter(is_drained).count())
    }
}

fn row(service: &Service<'_>) -> Option<Row> {
    let sticky = service.at.key("sticky");
    let key =
        |kind| text(&sticky, kind).filter(|it| !it.is_empty()).map(|it| format!("{kind} {it}"));
    let keys: Vec<String> = ["header", "query"].into_iter().filter_map(key).collect();
    let cookie = service.cookie.as_ref();
    if cookie.is_none() && keys.is_empty() {
        return None;
    }
    let (members, draining) = service.members();
    Some(Row {
        service: service.qualified(),
        place: cookie.map_or_else(|| sticky.place(), |it| it.at.place()),
        is_group: service.is_group,
        cookie: cookie.map(|it| it.name.clone()).unwrap_or_default(),
        keys,
        attributes: cookie.map(attributes).unwrap_or_default(),
        has_health_check: service.has_health_check(),
        is_strict: is_on(&service.at.key("sticky"), "strict"),
        members,
        draining,
        tls: service.reach.tls(),
    })
}

/// As they are sent.
fn attributes(cookie: &Cookie<'_>) -> String {
    let mut attributes = Vec::new();
    attributes.extend((!cookie.path.is_empty()).then(|| format!("Path={}", cookie.path)));
    attributes.extend((cookie.max_age != 0).then(|| format!("Max-Age={}", cookie.max_age)));
    attributes.extend(cookie.is_http_only.then(|| "HttpOnly".to_owned()));
    attributes.extend(cookie.is_secure.then(|| "Secure".to_owned()));
    attributes.extend(cookie.same_site.as_ref().map(|it| {
        let mut letters = it.chars();
        let first = letters.next().map(|it| it.to_ascii_uppercase()).unwrap_or_default();
        format!("SameSite={first}{}", letters.as_str())
    }));
    attributes.join("; ")
}

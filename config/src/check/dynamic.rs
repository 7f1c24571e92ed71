//! The dynamic parts of all files → [`Model`]: merges them, then checks routers and what they use.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::service::Services;
use super::transport::{DEFAULT_NAME, transport};
use crate::key_file::KeyFiles;
use crate::model::{
    EntryPoint, EntryPointIndex, Model, Router, RouterTarget, Service, ServiceKind, StaticModel,
    Transport, TransportIndex,
};
use crate::raw;
use crate::rule;
use crate::source::{At, Reports, Source};

/// Traefik keeps what is above for itself.
const PRIORITY_MAX: i64 = i64::MAX - 1000;

/// The dynamic part of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DynamicFile<'a> {
    pub(crate) source: &'a Source,
    pub(crate) http: &'a raw::Http,
}

/// What a router may name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EntryPoints<'a> {
    /// Those of the static file; and the ones of a router that names none.
    Known { statics: &'a StaticModel, defaults: &'a [EntryPointIndex] },
    /// Nobody knows: a dynamic file is checked alone.
    Any,
}

/// An object of a file and its place.
#[derive(Debug)]
pub(super) struct Found<'a, T> {
    pub(super) raw: &'a T,
    pub(super) at: At<'a>,
}

/// What a `service` key refers to.
pub(super) enum Reference<'r> {
    /// A service of the file provider, without its provider.
    File(&'r str),
    /// `ping@internal`.
    Ping,
    /// `noop@internal`.
    Noop,
}

/// `app` → `app@file`.
pub(super) fn qualified(name: &str) -> String {
    format!("{name}@file")
}

/// Takes a reference apart; `None` after a report.
pub(super) fn reference<'r>(written: &'r str, at: &At<'_>) -> Option<Reference<'r>> {
    if written.is_empty() {
        at.wrong("no service is named", "write the name of one");
        return None;
    }
    match written.rsplit_once('@') {
        None => Some(Reference::File(written)),
        Some((name, "file")) => Some(Reference::File(name)),
        Some(("ping", "internal")) => Some(Reference::Ping),
        Some(("noop", "internal")) => Some(Reference::Noop),
        Some((name, "internal")) => {
            let help = match name {
                "api" => {
                    "`api: {insecure: true}` and `sundew: {api: {socket: FILE}}` serve the API"
                }
                "dashboard" => "there is no dashboard; `sundew servers list` shows the servers",
                "prometheus" => "`metrics: {prometheus: {entryPoint: NAME}}` serves metrics",
                _ => "remove the router",
            };
            at.unsupported_what(&format!("`{written}`"), help);
            None
        }
        Some((_, provider)) => {
            at.wrong(format!("there is no provider `{provider}`"), "name a service of the file");
            None
        }
    }
}

/// The first definition of each name wins, as in Traefik's directory mode.
fn collect<'a, T>(
    files: &[DynamicFile<'a>],
    reports: &'a Reports,
    section: &str,
    of: impl Fn(&'a raw::Http) -> &'a BTreeMap<String, T>,
) -> BTreeMap<&'a str, Found<'a, T>> {
    let mut found: BTreeMap<&'a str, (Found<'a, T>, &'a Source)> = BTreeMap::new();
    for file in files {
        let top = At::root(file.source, reports).keys(&["http", section]);
        for (name, raw) in of(file.http) {
            let at = top.key(name);
            if let Some((_, first)) = found.get(name.as_str()) {
                let message = format!("`{name}` is already in {}", first.file.display());
                at.warning(message, "that one counts; rename this one or remove it");
                continue;
            }
            found.insert(name, (Found { raw, at }, file.source));
        }
    }
    found.into_iter().map(|(name, (found, _))| (name, found)).collect()
}

/// The model of all `files`, in order of precedence; `is_check` also names what nobody uses.
pub(crate) fn dynamic(
    files: &[DynamicFile<'_>],
    default_transport: Transport,
    entry_points: EntryPoints<'_>,
    keys: &KeyFiles,
    is_check: bool,
    reports: &Reports,
) -> Model {
    let routers = collect(files, reports, "routers", |http| &http.routers);
    let services = collect(files, reports, "services", |http| &http.services);
    let named = collect(files, reports, "serversTransports", |http| &http.servers_transports);
    let (transports, transport_names) = transports(default_transport, &named);
    let mut services = Services::new(services, transport_names, keys);
    services.check_all();
    let routers: Vec<Router> = routers
        .iter()
        .filter_map(|(name, found)| router(name, found, entry_points, &mut services))
        .collect();
    if is_check {
        for (name, found) in services.found.iter().filter(|it| !services.used.contains(it.0)) {
            found.at.note(format!("no router uses the service `{name}`"));
        }
        unused_transports(&named, &transports, &services.checked);
        // Without any router the reason lies elsewhere.
        if !routers.is_empty() {
            unused_entry_points(files, entry_points, &routers, reports);
        }
    }
    Model { routers, services: services.checked, transports }
}

fn unused_transports(
    named: &BTreeMap<&str, Found<'_, raw::ServersTransport>>,
    transports: &[Transport],
    services: &[Service],
) {
    let balancers = services.iter().filter_map(|it| match &it.kind {
        ServiceKind::LoadBalancer(balancer) => Some(balancer.transport.0),
        _ => None,
    });
    let used: HashSet<u16> = balancers.collect();
    for (index, transport) in (0..).zip(transports).filter(|(index, _)| !used.contains(index)) {
        let found = transport.name.strip_suffix("@file").and_then(|it| named.get(it));
        if let Some(found) = found.filter(|_| index > 0) {
            found.at.note("no service uses this transport");
        }
    }
}

/// Says which entry points would answer everything with 404.
fn unused_entry_points(
    files: &[DynamicFile<'_>],
    known: EntryPoints<'_>,
    routers: &[Router],
    reports: &Reports,
) {
    let (EntryPoints::Known { statics, .. }, Some(root)) = (known, files.first()) else { return };
    let ping = statics.ping.as_ref().and_then(|it| it.entry_point);
    for (position, point) in statics.entry_points.iter().enumerate() {
        let Ok(index) = u16::try_from(position).map(EntryPointIndex) else { return };
        let is_used = ping == Some(index)
            || statics.admin.owns(index)
            || routers.iter().any(|it| it.entry_points.contains(&index));
        let at = At::root(root.source, reports).keys(&["entryPoints", &point.name]);
        let redirects = at.keys(&["http", "redirections"]).value().is_some();
        if !is_used && !redirects && at.value().is_some() {
            at.note("no router is on this entry point");
        }
    }
}

fn transports(
    default: Transport,
    named: &BTreeMap<&str, Found<'_, raw::ServersTransport>>,
) -> (Vec<Transport>, HashMap<String, TransportIndex>) {
    let mut names = HashMap::from([(DEFAULT_NAME.to_owned(), TransportIndex(0))]);
    let mut transports = vec![default];
    for (name, found) in named {
        let Ok(index) = u16::try_from(transports.len()) else {
            found.at.error("too many transports", "");
            break;
        };
        let transport = transport(&qualified(name), found.raw, &found.at);
        names.insert(transport.name.clone(), TransportIndex(index));
        transports.push(transport);
    }
    (transports, names)
}

fn router(
    name: &str,
    found: &Found<'_, raw::Router>,
    known: EntryPoints<'_>,
    services: &mut Services<'_>,
) -> Option<Router> {
    let Found { raw, at } = found;
    let entry_points = router_entry_points(raw, known, at);
    let rule = router_rule(raw, at);
    let target = target(raw, services, known, &at.key("service"));
    let priority_is_good = raw.priority <= PRIORITY_MAX;
    if !priority_is_good {
        let help = format!("write at most {PRIORITY_MAX}");
        at.key("priority").wrong(format!("{} is too high", raw.priority), help);
    }
    // Serving it without what it asks for could open a door that it keeps shut.
    let must_not_serve =
        raw.middlewares.is_some() || raw.tls.is_some() || raw.parent_refs.is_some();
    if must_not_serve || target == RouterTarget::LeftOut {
        at.left_out("this router answers 404");
    }
    let (Some(entry_points), Some(rule), true) = (entry_points, rule, priority_is_good) else {
        at.left_out("this router is left out");
        return None;
    };
    Some(Router {
        name: qualified(name),
        entry_points,
        rule,
        priority: if raw.priority == 0 {
            i64::try_from(raw.rule.len()).unwrap_or(PRIORITY_MAX)
        } else {
            raw.priority
        },
        rule_text: raw.rule.clone(),
        service_text: raw.service.clone(),
        target: if must_not_serve { RouterTarget::LeftOut } else { target },
    })
}

fn router_entry_points(
    raw: &raw::Router,
    known: EntryPoints<'_>,
    at: &At<'_>,
) -> Option<Vec<EntryPointIndex>> {
    let EntryPoints::Known { statics, defaults } = known else {
        return Some(vec![EntryPointIndex(0)]);
    };
    if raw.entry_points.is_empty() {
        if defaults.is_empty() {
            at.wrong("there is no default entry point", "write `entryPoints`");
            return None;
        }
        return Some(defaults.to_vec());
    }
    let points: &[EntryPoint] = &statics.entry_points;
    let list = at.key("entryPoints");
    let mut indexes = Vec::with_capacity(raw.entry_points.len());
    for (index, name) in raw.entry_points.iter().enumerate() {
        let position = points.iter().position(|it| it.name == *name);
        match position.and_then(|it| u16::try_from(it).ok()).map(EntryPointIndex) {
            Some(known) if statics.admin.owns(known) => {
                let help = "name another entry point: this one is served by the control thread";
                list.index(index).unsupported_what(&format!("a router on `{name}`"), help);
            }
            Some(known) if indexes.contains(&known) => {}
            Some(known) => indexes.push(known),
            None => {
                let help = at.one_of(name, points.iter().map(|it| it.name.as_str()));
                list.index(index).wrong(format!("there is no entry point `{name}`"), help);
            }
        }
    }
    (!indexes.is_empty()).then_some(indexes)
}

fn router_rule(raw: &raw::Router, at: &At<'_>) -> Option<rule::Rule> {
    if raw.rule_syntax.as_deref().is_some_and(|it| !matches!(it, "" | "v3")) {
        at.key("ruleSyntax").unsupported_what(
            raw.rule_syntax.as_deref().unwrap_or_default(),
            "write the rule in v3 syntax and remove this key",
        );
        return None;
    }
    match rule::parse(&raw.rule) {
        Ok(rule) => Some(rule),
        Err(error) => {
            at.key("rule").wrong(error.to_string(), error.help);
            None
        }
    }
}

fn target(
    raw: &raw::Router,
    services: &mut Services<'_>,
    known: EntryPoints<'_>,
    at: &At<'_>,
) -> RouterTarget {
    match reference(&raw.service, at) {
        None => RouterTarget::LeftOut,
        Some(Reference::Noop) => RouterTarget::Noop,
        Some(Reference::Ping) => {
            let is_off =
                matches!(known, EntryPoints::Known { statics, .. } if statics.ping.is_none());
            if is_off {
                at.wrong("`ping` is off", "write `ping: {manualRouting: true}` in the static file");
                return RouterTarget::LeftOut;
            }
            RouterTarget::Ping
        }
        Some(Reference::File(name)) => match services.find(name, at) {
            Ok(Some(index)) => RouterTarget::Service(index),
            Ok(None) | Err(()) => RouterTarget::LeftOut,
        },
    }
}

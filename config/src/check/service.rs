//! Services: load balancers and weighted ones, children before parents.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cookie::sticky;
use super::dynamic::{Found, qualified};
use super::health_check::{health_check, passive_health_check};
use super::server::{server, server_id};
use super::sticky_rules::sticky_rules;
use crate::key_file::KeyFiles;
use crate::model::{
    HealthCheck, LoadBalancer, Server, Service, ServiceIndex, ServiceKind, Strategy,
    TransportIndex, Weighted, WeightedChild,
};
use crate::raw;
use crate::source::At;

/// Services inside each other.
const NESTING_MAX: usize = 32;
/// Server indexes are 16 bits wide, in the pin as in the tables.
const SERVERS_MAX: usize = 65_535;

/// The services of a load, and how far their checking is.
pub(super) struct Services<'a> {
    pub(super) found: BTreeMap<&'a str, Found<'a, raw::Service>>,
    pub(super) transports: HashMap<String, TransportIndex>,
    keys: &'a KeyFiles,
    /// Checked ones; `None`: left out.
    done: HashMap<&'a str, Option<ServiceIndex>>,
    /// Being checked, outermost first.
    pub(super) open: Vec<&'a str>,
    pub(super) checked: Vec<Service>,
    /// Of each checked one, how many stand below each other under it.
    levels: Vec<usize>,
    /// Names that something refers to.
    pub(super) used: HashSet<&'a str>,
}

impl<'a> Services<'a> {
    pub(super) fn new(
        found: BTreeMap<&'a str, Found<'a, raw::Service>>,
        transports: HashMap<String, TransportIndex>,
        keys: &'a KeyFiles,
    ) -> Self {
        let (done, open) = (HashMap::new(), Vec::new());
        let (checked, levels, used) = (Vec::new(), Vec::new(), HashSet::new());
        Self { found, transports, keys, done, open, checked, levels, used }
    }

    pub(super) fn check_all(&mut self) {
        let names: Vec<&'a str> = self.found.keys().copied().collect();
        for name in names {
            self.check(name);
        }
    }

    /// The service that a key at `at` refers to by its own name, `Err` after a report and `None`
    /// when it exists and was left out.
    pub(super) fn find(&mut self, name: &str, at: &At<'_>) -> Result<Option<ServiceIndex>, ()> {
        let Some(known) = self.found.get_key_value(name).map(|(known, _)| *known) else {
            let help = at.one_of(name, self.found.keys().copied());
            at.wrong(format!("there is no service `{name}`"), help);
            return Err(());
        };
        self.used.insert(known);
        Ok(self.check(known))
    }

    fn check(&mut self, name: &'a str) -> Option<ServiceIndex> {
        if let Some(done) = self.done.get(name) {
            return *done;
        }
        let found = self.found.get(name)?;
        let (raw, at) = (found.raw, found.at.clone());
        self.open.push(name);
        let kind = self.kind(name, raw, &at);
        self.open.pop();
        let index = kind.and_then(|kind| self.push(name, kind));
        if index.is_none() {
            at.left_out("this service is left out");
        }
        self.done.insert(name, index);
        index
    }

    fn push(&mut self, name: &str, kind: ServiceKind) -> Option<ServiceIndex> {
        let index = u32::try_from(self.checked.len()).ok().map(ServiceIndex)?;
        let children = kind.children();
        let level = children.iter().map(|it| self.level(*it) + 1).max().unwrap_or(0);
        self.levels.push(level);
        self.checked.push(Service { name: qualified(name), kind });
        Some(index)
    }

    /// Services below each other, under this one.
    fn level(&self, index: ServiceIndex) -> usize {
        self.levels.get(index.as_usize()).copied().unwrap_or(0)
    }

    fn kind(&mut self, name: &str, raw: &'a raw::Service, at: &At<'a>) -> Option<ServiceKind> {
        let written = [
            raw.load_balancer.is_some(),
            raw.weighted.is_some(),
            raw.highest_random_weight.is_some(),
            raw.mirroring.is_some(),
            raw.failover.is_some(),
        ];
        match written.iter().filter(|it| **it).count() {
            0 => at.wrong("a service without a kind", "write `loadBalancer` or another one"),
            1 => {}
            _ => {
                at.wrong("a service of more than one kind", "keep one and move the others");
                return None;
            }
        }
        if raw.middlewares.is_some() {
            return None;
        }
        if let Some(balancer) = &raw.load_balancer {
            let checked = self.load_balancer(name, balancer, &at.key("loadBalancer"));
            return checked.map(ServiceKind::LoadBalancer);
        }
        if self.open.len() > NESTING_MAX {
            too_deep(at);
            return None;
        }
        let kind = if let Some(it) = &raw.weighted {
            self.weighted(name, it, &at.key("weighted")).map(ServiceKind::Weighted)
        } else if let Some(it) = &raw.highest_random_weight {
            let at = at.key("highestRandomWeight");
            self.highest_random_weight(it, &at).map(ServiceKind::HighestRandomWeight)
        } else if let Some(it) = &raw.mirroring {
            self.mirroring(it, &at.key("mirroring")).map(ServiceKind::Mirroring)
        } else if let Some(it) = &raw.failover {
            self.failover(it, &at.key("failover")).map(ServiceKind::Failover)
        } else {
            None
        };
        let kind = kind?;
        if kind.children().iter().any(|it| self.level(*it) >= NESTING_MAX) {
            too_deep(at);
            return None;
        }
        Some(kind)
    }

    fn load_balancer(
        &self,
        name: &str,
        raw: &raw::LoadBalancer,
        at: &At<'a>,
    ) -> Option<LoadBalancer> {
        let sticky = sticky(raw.sticky.as_ref(), &qualified(name), self.keys, at);
        let sticky_rules = sticky_rules(raw.sticky.as_ref(), sticky.is_some(), at);
        let health_check =
            raw.health_check.as_ref().map(|it| health_check(it, &at.key("healthCheck")));
        let transport = self.transport(raw.servers_transport.as_deref(), at);
        let servers = servers(raw, at);
        warn_of_port_without_host(health_check.as_ref(), servers.as_deref(), at);
        let strategy = strategy(raw.strategy.as_deref(), at)?;
        if strategy == Strategy::Hrw && sticky.is_some() {
            at.key("sticky").warning(
                "`hrw` pins by the client's address and sets no cookie",
                "remove `sticky`, or choose another strategy",
            );
        }
        Some(LoadBalancer {
            servers: servers?,
            // As Traefik, which ignores it in silence.
            sticky: sticky.filter(|_| strategy != Strategy::Hrw),
            sticky_rules,
            health_check,
            pass_host_header: raw.pass_host_header.unwrap_or(true),
            transport: transport?,
            strategy,
            passive_health_check: raw
                .passive_health_check
                .as_ref()
                .map(|it| passive_health_check(it, &at.key("passiveHealthCheck"))),
        })
    }

    fn transport(&self, written: Option<&str>, at: &At<'_>) -> Option<TransportIndex> {
        let written = written.unwrap_or_default();
        if written.is_empty() {
            return Some(TransportIndex(0));
        }
        let name = if written.contains('@') { written.to_owned() } else { qualified(written) };
        let index = self.transports.get(&name).copied();
        if index.is_none() {
            let names = self.transports.keys().filter_map(|it| it.strip_suffix("@file"));
            let help = at.one_of(written, names);
            at.key("serversTransport").wrong(format!("there is no transport `{written}`"), help);
        }
        index
    }

    fn weighted(&mut self, name: &str, raw: &raw::Weighted, at: &At<'a>) -> Option<Weighted> {
        let sticky = sticky(raw.sticky.as_ref(), &qualified(name), self.keys, at);
        let sticky_rules = sticky_rules(raw.sticky.as_ref(), sticky.is_some(), at);
        let propagates = raw.health_check.is_some();
        let children = self.children(&raw.services, propagates, at)?;
        if let Some(cookie) = &sticky {
            self.warn_of_same_cookie(&cookie.name, &children, at);
        }
        Some(Weighted { children, sticky, sticky_rules, propagate_health: propagates })
    }

    /// Two levels that overwrite each other's cookie pin nobody.
    fn warn_of_same_cookie(&self, cookie: &str, children: &[WeightedChild], at: &At<'_>) {
        let mut below: Vec<ServiceIndex> = children.iter().map(|it| it.service).collect();
        let mut seen: HashSet<ServiceIndex> = HashSet::new();
        while let Some(index) = below.pop() {
            let Some(service) = self.checked.get(index.as_usize()) else { continue };
            if !seen.insert(index) {
                continue;
            }
            let sticky = match &service.kind {
                ServiceKind::LoadBalancer(it) => &it.sticky,
                ServiceKind::Weighted(it) => &it.sticky,
                _ => &None,
            };
            below.extend(service.kind.children());
            if sticky.as_ref().is_some_and(|it| it.name == cookie) {
                let message = format!("the cookie `{cookie}` is also that of `{}`", service.name);
                at.keys(&["sticky", "cookie"]).warning(
                    format!("{message}: each overwrites the other"),
                    "give them different names",
                );
                return;
            }
        }
    }
}

/// Reports a tower of services.
fn too_deep(at: &At<'_>) {
    at.wrong(format!("services nested deeper than {NESTING_MAX}"), "flatten them");
}

/// `None` after a report: the service cannot be built.
fn strategy(written: Option<&str>, at: &At<'_>) -> Option<Strategy> {
    match written {
        None | Some("" | "wrr") => Some(Strategy::Wrr),
        Some("p2c") => Some(Strategy::P2c),
        Some("hrw") => Some(Strategy::Hrw),
        Some("leasttime") => Some(Strategy::LeastTime),
        Some(unknown) => {
            let help = at.one_of(unknown, ["wrr", "p2c", "hrw", "leasttime"].into_iter());
            at.key("strategy").wrong(format!("unknown strategy `{unknown}`"), help);
            None
        }
    }
}

/// 1 unless written; under Traefik a negative one takes part in nothing, like 0.
pub(super) fn weight(written: Option<i64>, at: &At<'_>) -> u32 {
    let written = written.unwrap_or(1);
    u32::try_from(written).unwrap_or_else(|_| {
        let help = "write 0 (takes part in no rotation) or more";
        at.wrong(format!("{written} is not a weight"), help);
        if written < 0 { 0 } else { u32::MAX }
    })
}

/// A check's `port` replaces that of a URL, and a Unix socket has none to replace.
fn warn_of_port_without_host(check: Option<&HealthCheck>, servers: Option<&[Server]>, at: &At<'_>) {
    let has_port = check.is_some_and(|it| it.port.is_some());
    let sockets = || servers.unwrap_or_default().iter().filter(|it| it.endpoint.host().is_none());
    if has_port && let Some(server) = sockets().next() {
        at.keys(&["healthCheck", "port"]).warning(
            format!("`{}` has no port: it is probed through its socket", server.url),
            "remove `port`, or move the server to a service of its own",
        );
    }
}

/// Every server, or `None` when one of them was refused: under Traefik too it takes the service
/// with it.
fn servers(raw: &raw::LoadBalancer, at: &At<'_>) -> Option<Vec<Server>> {
    if raw.servers.is_empty() {
        at.warning("a service without servers answers 503", "add one under `servers`");
    }
    let list = at.key("servers");
    if raw.servers.len() > SERVERS_MAX {
        list.wrong(format!("more than {SERVERS_MAX} servers"), "split the service");
        return None;
    }
    let mut servers = Vec::with_capacity(raw.servers.len());
    let (mut seen, mut ids) = (HashSet::new(), HashSet::new());
    for (index, written) in raw.servers.iter().enumerate() {
        let at = list.index(index);
        let weight = weight(written.weight, &at.key("weight"));
        let server = server(&written.url, weight, written.preserve_path, &at.key("url"));
        if !seen.insert(written.url.as_str()) {
            let message = format!("`{}` is written more than once", written.url);
            at.key("url").warning(message, "write it once, with a higher weight");
        }
        let id = server_id(written.id.as_deref(), &mut ids, &at.key("id"));
        servers.extend(server.map(|it| Server { id, drain: written.drain, ..it }));
    }
    (servers.len() == raw.servers.len()).then_some(servers)
}

//! Services: load balancers and weighted ones, children before parents.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cookie::sticky;
use super::dynamic::{Found, Reference, qualified, reference};
use super::health_check::health_check;
use super::server::{server, server_id};
use super::sticky_rules::sticky_rules;
use crate::key_file::KeyFiles;
use crate::model::{
    HealthCheck, LoadBalancer, Server, Service, ServiceIndex, ServiceKind, TransportIndex,
    Weighted, WeightedChild,
};
use crate::raw;
use crate::source::At;

/// Weighted services inside each other.
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
    open: Vec<&'a str>,
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
            let help = at.did_you_mean(name, self.found.keys().copied());
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
        let children = match &kind {
            ServiceKind::LoadBalancer(_) => [].as_slice(),
            ServiceKind::Weighted(it) => it.children.as_slice(),
        };
        let level = children.iter().map(|it| self.level(it.service) + 1).max().unwrap_or(0);
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
            0 => at.wrong("a service without a kind", "write `loadBalancer` or `weighted`"),
            1 => {}
            _ => {
                at.wrong("a service of more than one kind", "keep one and move the others");
                return None;
            }
        }
        if raw.middlewares.is_some() {
            return None;
        }
        match (&raw.load_balancer, &raw.weighted) {
            (Some(balancer), _) => self
                .load_balancer(name, balancer, &at.key("loadBalancer"))
                .map(ServiceKind::LoadBalancer),
            (_, Some(weighted)) => {
                self.weighted(name, weighted, &at.key("weighted")).map(ServiceKind::Weighted)
            }
            _ => None,
        }
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
        let known = check_strategy(raw.strategy.as_deref(), at);
        known.then_some(LoadBalancer {
            servers: servers?,
            sticky,
            sticky_rules,
            health_check,
            pass_host_header: raw.pass_host_header.unwrap_or(true),
            transport: transport?,
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
            let names = self.transports.keys().map(|it| it.trim_end_matches("@file"));
            let help = at.did_you_mean(written, names);
            at.key("serversTransport").wrong(format!("there is no transport `{written}`"), help);
        }
        index
    }

    fn weighted(&mut self, name: &str, raw: &raw::Weighted, at: &At<'a>) -> Option<Weighted> {
        let children_at = at.key("services");
        let too_deep = || {
            let message = format!("weighted services nested deeper than {NESTING_MAX}");
            children_at.wrong(message, "flatten them");
        };
        if self.open.len() > NESTING_MAX {
            too_deep();
            return None;
        }
        let sticky = sticky(raw.sticky.as_ref(), &qualified(name), self.keys, at);
        let sticky_rules = sticky_rules(raw.sticky.as_ref(), sticky.is_some(), at);
        let propagates = raw.health_check.is_some();
        if raw.services.is_empty() {
            at.warning("a service without children answers 503", "add one under `services`");
        }
        let mut children = Some(Vec::with_capacity(raw.services.len()));
        for (index, child) in raw.services.iter().enumerate() {
            let checked = self.child(child, propagates, &children_at.index(index));
            children = children.zip(checked).map(|(mut list, child)| {
                list.push(child);
                list
            });
        }
        let children: Vec<WeightedChild> = children?;
        if children.iter().any(|it| self.level(it.service) >= NESTING_MAX) {
            too_deep();
            return None;
        }
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
                ServiceKind::Weighted(it) => {
                    below.extend(it.children.iter().map(|it| it.service));
                    &it.sticky
                }
            };
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

    fn child(
        &mut self,
        raw: &raw::WeightedService,
        propagates: bool,
        at: &At<'a>,
    ) -> Option<WeightedChild> {
        let weight = weight(raw.weight, &at.key("weight"));
        let name_at = at.key("name");
        let Reference::File(name) = reference(&raw.name, &name_at)? else {
            name_at.wrong(
                format!("`{}` cannot stand in a weighted service", raw.name),
                "name a service of the file",
            );
            return None;
        };
        if let Some(position) = self.open.iter().position(|it| *it == name) {
            let chain = self.open.get(position..).unwrap_or_default().join(" → ");
            name_at.wrong(format!("services refer to each other: {chain} → {name}"), "");
            return None;
        }
        let service = self.find(name, &name_at).ok()??;
        if propagates && !self.has_health(service) {
            name_at.wrong(
                format!("`healthCheck` is written above, but `{name}` has none"),
                format!("give `{name}` a `healthCheck`, or remove the one above"),
            );
            return None;
        }
        Some(WeightedChild { name: raw.name.clone(), service, weight })
    }

    fn has_health(&self, index: ServiceIndex) -> bool {
        match self.checked.get(index.as_usize()).map(|it| &it.kind) {
            Some(ServiceKind::LoadBalancer(it)) => it.health_check.is_some(),
            Some(ServiceKind::Weighted(it)) => it.propagate_health,
            None => false,
        }
    }
}

/// Whether the service can be built.
fn check_strategy(strategy: Option<&str>, at: &At<'_>) -> bool {
    let at = at.key("strategy");
    match strategy {
        None | Some("" | "wrr") => true,
        Some(known @ ("p2c" | "hrw" | "leasttime")) => {
            at.unsupported_what(&format!("`{known}`"), "write `wrr`");
            true
        }
        Some(unknown) => {
            at.wrong(format!("unknown strategy `{unknown}`"), "write `wrr`");
            false
        }
    }
}

/// 1 unless written; under Traefik a negative one takes part in nothing, like 0.
fn weight(written: Option<i64>, at: &At<'_>) -> u32 {
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

//! The replicated backend table of one worker: services, servers, their health and addresses.
//!
//! Built from the checked model and what the control thread knows of its servers; a reload builds new tables and carries
//! over what did not change (a server is `(service, url)`). Exchanges in flight keep the tables
//! that they began with. Nothing here waits or touches sockets, but that dropping a server's idle
//! connections closes them.

mod choose;
mod claim;
mod composite;
mod nonces;
mod pace;
mod pick;
mod readiness;
mod server;
mod slots;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use sundew_config::model::{
    EntryPointIndex, HighestRandomWeight, LoadBalancer, Model, Overflow, ServerIndex, ServiceIndex,
    ServiceKind, Strategy, Weighted,
};

use crate::route::RouteTable;
use crate::sticky::{Level, Member, StickyTable};

use choose::Scheduler;
use claim::Beyond;
use composite::{FailoverTable, MirroringTable};
use nonces::Nonces;
use pace::Pace;

pub use claim::PinSources;
pub use composite::Copied;
pub use pick::{Pick, PickError, Trail};
pub use readiness::Moment;
pub use server::{AwaitedAnswer, Idle, InFlight, Server, ServerFacts};
pub use slots::SharedInFlight;

/// Everything that requests are routed and balanced by.
#[derive(Debug)]
pub struct Tables {
    /// What it was built from.
    pub model: Arc<Model>,
    services: Vec<ServiceTable>,
    routes: Vec<RouteTable>,
    /// By service: cookies that no server below it sees.
    hidden_cookies: Vec<Box<[Box<[u8]>]>>,
    nonces: Nonces,
}

/// One service.
#[derive(Debug)]
enum ServiceTable {
    Balancer(BalancerTable),
    /// Of `highestRandomWeight` too.
    Weighted(WeightedTable),
    Failover(FailoverTable),
    Mirroring(MirroringTable),
}

#[derive(Debug)]
struct BalancerTable {
    servers: Vec<Rc<Server>>,
    scheduler: Scheduler,
    sticky: Option<StickyTable>,
    beyond: Option<Box<Beyond>>,
    pace: Option<Box<Pace>>,
    /// Where its servers have a cap.
    overflow: Option<Overflow>,
}

#[derive(Debug)]
struct WeightedTable {
    children: Vec<ServiceIndex>,
    scheduler: Scheduler,
    sticky: Option<StickyTable>,
    beyond: Option<Box<Beyond>>,
    propagates_health: bool,
}

/// What the tables are built with.
#[derive(Debug)]
pub struct Build<'a> {
    /// The checked configuration.
    pub model: Arc<Model>,
    /// State of every server, by service and server.
    pub servers: &'a [Vec<ServerFacts>],
    /// Entry points, and which of them answers `/ping`.
    pub entry_points: usize,
    /// The entry point of the built-in `/ping` router.
    pub ping: Option<EntryPointIndex>,
    /// Picks by which a new scheduler is ahead, so that workers do not all begin with one server.
    pub scheduler_offset: usize,
}

impl Tables {
    /// Builds tables, carrying over from `previous` what did not change.
    #[must_use]
    pub fn new(build: &Build<'_>, previous: Option<&Tables>) -> Self {
        let mut known = previous.map(Known::new).unwrap_or_default();
        let services = build
            .model
            .services
            .iter()
            .enumerate()
            .map(|(position, service)| match &service.kind {
                ServiceKind::LoadBalancer(balancer) => {
                    let facts = build.servers.get(position).map_or(&[][..], Vec::as_slice);
                    let table = balancer_table(&service.name, balancer, facts, build, &mut known);
                    ServiceTable::Balancer(table)
                }
                ServiceKind::Weighted(weighted) => {
                    ServiceTable::Weighted(weighted_table(&service.name, weighted, build, &known))
                }
                ServiceKind::HighestRandomWeight(weighted) => {
                    ServiceTable::Weighted(hrw_table(weighted))
                }
                ServiceKind::Failover(it) => ServiceTable::Failover(FailoverTable::new(it)),
                ServiceKind::Mirroring(it) => {
                    let before = known.mirroring(&service.name);
                    ServiceTable::Mirroring(MirroringTable::new(it, before))
                }
            })
            .collect();
        known.retire();
        let routes = (0..u16::try_from(build.entry_points).unwrap_or(u16::MAX))
            .map(|index| {
                let index = EntryPointIndex(index);
                RouteTable::new(&build.model, index, build.ping == Some(index))
            })
            .collect();
        let hidden_cookies = hidden_cookies(&build.model);
        let (model, nonces) = (Arc::clone(&build.model), Nonces::default());
        Self { model, services, routes, hidden_cookies, nonces }
    }

    /// The routers of an entry point.
    #[must_use]
    pub fn routes(&self, entry_point: usize) -> Option<&RouteTable> {
        self.routes.get(entry_point)
    }

    /// Names of the cookies that servers do not see in requests to `root`.
    #[must_use]
    pub fn hidden_cookies(&self, root: ServiceIndex) -> &[Box<[u8]>] {
        self.hidden_cookies.get(root.as_usize()).map_or(&[], |names| names)
    }

    /// A server of a load balancer.
    #[must_use]
    pub fn server(&self, service: ServiceIndex, server: ServerIndex) -> Option<&Rc<Server>> {
        match self.services.get(service.as_usize())? {
            ServiceTable::Balancer(table) => table.servers.get(server.as_usize()),
            _ => None,
        }
    }

    /// The servers of a load balancer; none of another service.
    #[must_use]
    pub fn servers_of(&self, service: ServiceIndex) -> &[Rc<Server>] {
        match self.services.get(service.as_usize()) {
            Some(ServiceTable::Balancer(table)) => &table.servers,
            _ => &[],
        }
    }

    /// Every server of every load balancer.
    pub fn servers(&self) -> impl Iterator<Item = &Rc<Server>> {
        self.services.iter().flat_map(|service| match service {
            ServiceTable::Balancer(table) => table.servers.as_slice(),
            _ => &[],
        })
    }

    /// Time has passed: called by the sweeper.
    pub fn tick(&self, moment: Moment) {
        for service in &self.services {
            if let ServiceTable::Balancer(BalancerTable { servers, pace: Some(pace), .. }) = service
            {
                pace.tick(servers, moment);
            }
        }
    }

    /// The load balancer's part of the model, for what does not change while it lives.
    #[must_use]
    pub fn balancer(&self, service: ServiceIndex) -> Option<&LoadBalancer> {
        match &self.model.service(service)?.kind {
            ServiceKind::LoadBalancer(balancer) => Some(balancer),
            _ => None,
        }
    }
}

/// Of each service: the cookies that it hides, and those that are hidden below it.
fn hidden_cookies(model: &Model) -> Vec<Box<[Box<[u8]>]>> {
    let mut hidden: Vec<Box<[Box<[u8]>]>> = Vec::with_capacity(model.services.len());
    for service in &model.services {
        let cookie = match &service.kind {
            ServiceKind::LoadBalancer(it) => &it.sticky,
            ServiceKind::Weighted(it) => &it.sticky,
            _ => &None,
        };
        let own = cookie.iter().filter(|cookie| cookie.hide);
        let own =
            own.flat_map(|cookie| std::iter::once(&cookie.name).chain(&cookie.previous_names));
        let mut names: Vec<Box<[u8]>> = own.map(|name| name.as_bytes().into()).collect();
        // Children stand before their parents.
        let children = service.kind.children();
        let below = children.iter().filter_map(|child| hidden.get(child.as_usize()));
        names.extend(below.flat_map(|names| names.iter().cloned()));
        names.sort_unstable();
        names.dedup();
        hidden.push(names.into_boxed_slice());
    }
    hidden
}

fn balancer_table(
    name: &str,
    balancer: &LoadBalancer,
    facts: &[ServerFacts],
    build: &Build<'_>,
    known: &mut Known<'_>,
) -> BalancerTable {
    let servers: Vec<Rc<Server>> = balancer
        .servers
        .iter()
        .enumerate()
        .map(|(position, server)| {
            let runtime = known
                .take(name, &server.url)
                .unwrap_or_else(|| known.begin_server(name, &server.url));
            if let Some(facts) = facts.get(position) {
                let in_flight_max = balancer.load.in_flight.map_or(0, |it| it.per_server_max);
                runtime.cap(in_flight_max, &facts.in_flight);
                runtime.set_up(facts.is_up);
                runtime.set_addresses(&facts.addresses);
            }
            let is_ordered = facts.get(position).is_some_and(|facts| facts.is_draining);
            runtime.set_draining(is_ordered || server.drain || server.weight == 0);
            runtime.measure(balancer.strategy == Strategy::LeastTime);
            runtime.judge(balancer.passive_health_check.is_some());
            runtime
        })
        .collect();
    let shares = balancer.servers.iter().map(|server| (server.weight, server.pin_name()));
    let scheduler = Scheduler::new(balancer.strategy, shares.clone());
    let pace = Pace::new(balancer);
    known.begin_pace(name, &balancer.servers, pace.as_deref());
    known.begin_balancer(name, &balancer.servers, &scheduler, build.scheduler_offset);
    let members = balancer.servers.iter().map(|server| Member {
        name: server.pin_name(),
        former_name: server.id.as_ref().map(|_| server.url.as_str()),
    });
    let cookie = balancer.sticky.as_ref();
    BalancerTable {
        servers,
        scheduler,
        sticky: cookie.map(|it| StickyTable::new(it, members, Level::Server).with_seal(it, name)),
        beyond: Beyond::new(cookie, &balancer.sticky_rules, shares),
        pace,
        overflow: balancer.load.in_flight.map(|it| it.overflow),
    }
}

fn weighted_table(
    name: &str,
    weighted: &Weighted,
    build: &Build<'_>,
    known: &Known<'_>,
) -> WeightedTable {
    let shares = weighted.children.iter().map(|child| (child.weight, child.name.as_str()));
    let scheduler = Scheduler::new(Strategy::Wrr, shares.clone());
    known.begin_weighted(name, weighted, &scheduler, build.scheduler_offset);
    let cookie = weighted.sticky.as_ref();
    let names = weighted.children.iter().map(|child| child.name.as_str());
    WeightedTable {
        children: weighted.children.iter().map(|child| child.service).collect(),
        scheduler,
        sticky: cookie.map(|it| StickyTable::new(it, names, Level::Service).with_seal(it, name)),
        beyond: Beyond::new(cookie, &weighted.sticky_rules, shares),
        propagates_health: weighted.propagate_health,
    }
}

/// Every worker and every reload agrees about it, so there is nothing to carry over.
fn hrw_table(group: &HighestRandomWeight) -> WeightedTable {
    let members = group.children.iter().map(|child| (child.weight, child.name.as_str()));
    WeightedTable {
        children: group.children.iter().map(|child| child.service).collect(),
        scheduler: Scheduler::new(Strategy::Hrw, members),
        sticky: None,
        beyond: None,
        propagates_health: group.propagate_health,
    }
}

/// What the tables before a reload know, by service name.
#[derive(Default)]
struct Known<'a> {
    servers: HashMap<&'a str, HashMap<&'a str, Vec<Rc<Server>>>>,
    services: HashMap<&'a str, (&'a ServiceKind, &'a ServiceTable)>,
}

impl<'a> Known<'a> {
    fn new(tables: &'a Tables) -> Self {
        let mut known = Self::default();
        for (service, table) in tables.model.services.iter().zip(&tables.services) {
            known.services.insert(&service.name, (&service.kind, table));
            let (ServiceKind::LoadBalancer(balancer), ServiceTable::Balancer(table)) =
                (&service.kind, table)
            else {
                continue;
            };
            for (server, runtime) in balancer.servers.iter().zip(&table.servers) {
                let of_service = known.servers.entry(&service.name).or_default();
                of_service.entry(&server.url).or_default().push(Rc::clone(runtime));
            }
        }
        known
    }

    /// The state of a server that stays; each is taken once, so equal URLs keep apart.
    fn take(&mut self, service: &str, url: &str) -> Option<Rc<Server>> {
        let of_url = self.servers.get_mut(service)?.get_mut(url)?;
        if of_url.is_empty() { None } else { Some(of_url.remove(0)) }
    }

    /// The state of a server that was not there before; in a service that was, it is news.
    fn begin_server(&self, service: &str, url: &str) -> Rc<Server> {
        let server = Server::new(url);
        if self.services.contains_key(service) {
            server.readiness.begin();
        }
        server
    }

    /// Puts a pace where the one before the reload was. Without one nobody looked at when a server
    /// became ready, so it counts as warm.
    fn begin_pace(
        &self,
        name: &str,
        servers: &[sundew_config::model::Server],
        pace: Option<&Pace>,
    ) {
        let Some((ServiceKind::LoadBalancer(before), ServiceTable::Balancer(table))) =
            self.services.get(name)
        else {
            return;
        };
        match (&table.pace, pace) {
            (Some(previous), Some(pace)) => {
                let same = |it| same_position(&before.servers, servers, it, |it| &it.url);
                pace.carry_over(previous, same);
            }
            (Some(_), None) => {}
            (None, _) => table.servers.iter().for_each(|server| server.readiness.settle()),
        }
    }

    /// Puts a scheduler where the one before the reload was.
    fn begin_balancer(
        &self,
        name: &str,
        servers: &[sundew_config::model::Server],
        scheduler: &Scheduler,
        offset: usize,
    ) {
        match self.services.get(name) {
            Some((ServiceKind::LoadBalancer(before), ServiceTable::Balancer(table))) => {
                let same = |it| same_position(&before.servers, servers, it, |it| &it.url);
                scheduler.begin(Some(&table.scheduler), same, offset);
            }
            _ => scheduler.begin(None, |_| None, offset),
        }
    }

    /// The same for a weighted service.
    fn begin_weighted(
        &self,
        name: &str,
        weighted: &Weighted,
        scheduler: &Scheduler,
        offset: usize,
    ) {
        match self.services.get(name) {
            Some((ServiceKind::Weighted(before), ServiceTable::Weighted(table))) => {
                let same =
                    |it| same_position(&before.children, &weighted.children, it, |it| &it.name);
                scheduler.begin(Some(&table.scheduler), same, offset);
            }
            _ => scheduler.begin(None, |_| None, offset),
        }
    }

    fn mirroring(&self, name: &str) -> Option<&'a MirroringTable> {
        match self.services.get(name)? {
            (_, ServiceTable::Mirroring(table)) => Some(table),
            _ => None,
        }
    }

    /// Servers that were not taken have left: their connections are not pooled any more.
    fn retire(self) {
        let of_services = self.servers.into_values();
        for server in of_services.flat_map(HashMap::into_values).flatten() {
            server.retire();
        }
    }
}

/// Where `before[member]` is in `now`; of equal names the first is the first, the second the
/// second, as [`Known::take`] hands their servers out.
fn same_position<T>(
    before: &[T],
    now: &[T],
    member: u16,
    name: impl Fn(&T) -> &String,
) -> Option<u16> {
    let member = usize::from(member);
    let wanted = name(before.get(member)?);
    let earlier = before.iter().take(member).filter(|it| name(it) == wanted).count();
    let mut places = (0_u16..).zip(now).filter(|(_, it)| name(it) == wanted);
    places.nth(earlier).map(|(place, _)| place)
}

#[cfg(test)]
mod tests;

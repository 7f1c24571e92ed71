//! Routers of one entry point in the order in which they are tried.

use sundew_config::model::{EntryPointIndex, Model, RouterTarget};

use super::index::{Index, Rank};
use super::rule::{Compiled, Subject, bare_host};
use crate::observe::access_log::FieldLines;

/// What routers look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// As received.
    pub method: &'a [u8],
    /// The Host field or the target's authority, as received: any case, may have a port.
    pub host: &'a [u8],
    /// The routing path, see [`routing_path`](crate::http1::target::routing_path).
    pub path: &'a [u8],
    /// Fields of the request's head.
    pub fields: FieldLines<'a>,
}

/// Which router takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// Position in [`Model::routers`]; `None` is the built-in router of `/ping`.
    pub router: Option<u32>,
    /// Where it sends the request.
    pub target: RouterTarget,
}

/// The routers of one entry point.
#[derive(Debug)]
pub struct RouteTable {
    has_ping: bool,
    /// In the order in which they are asked.
    routes: Box<[Route]>,
    /// Only for tables so large that looking up is cheaper than asking everybody.
    index: Option<Index>,
}

#[derive(Debug)]
struct Route {
    rule: Compiled,
    router: u32,
    target: RouterTarget,
}

/// Path prefix of the built-in router, Traefik's ``PathPrefix(`/ping`)``.
const PING_PREFIX: &[u8] = b"/ping";

/// Largest table without an index: a host that differs is told apart by its first bytes, a lookup
/// takes about as long as ten of those.
const UNINDEXED_MAX: usize = 8;

impl RouteTable {
    /// Compiles the routers of `entry_point`, highest priority first; of equal priorities the one
    /// that stands first in the model. `ping`: the built-in router for `/ping` stands above them.
    #[must_use]
    pub fn new(model: &Model, entry_point: EntryPointIndex, ping: bool) -> Self {
        let mut routers = (0u32..)
            .zip(&model.routers)
            .filter(|(_, router)| router.entry_points.contains(&entry_point))
            .collect::<Vec<_>>();
        routers.sort_by_key(|(_, router)| std::cmp::Reverse(router.priority));
        let routes = routers.into_iter().map(|(position, router)| Route {
            rule: Compiled::new(&router.rule),
            router: position,
            target: router.target,
        });
        let routes = routes.collect::<Box<[Route]>>();
        let is_large = routes.len() > UNINDEXED_MAX;
        let index = is_large.then(|| Index::new(routes.iter().map(|route| &route.rule)));
        Self { has_ping: ping, routes, index }
    }

    /// The router that takes `request`; `None`: 404. Never allocates.
    #[must_use]
    pub fn find(&self, request: &RequestView<'_>) -> Option<RouteMatch> {
        if self.has_ping && request.path.starts_with(PING_PREFIX) {
            return Some(RouteMatch { router: None, target: RouterTarget::Ping });
        }
        let subject = Subject {
            method: request.method,
            host: bare_host(request.host),
            path: request.path,
            fields: request.fields,
        };
        let route = match &self.index {
            None => self.routes.iter().find(|route| route.rule.matches(&subject))?,
            Some(index) => {
                let at = |rank: Rank| self.routes.get(rank as usize);
                let matches = |rank| at(rank).is_some_and(|route| route.rule.matches(&subject));
                at(index.first(subject.host, subject.path, matches)?)?
            }
        };
        Some(RouteMatch { router: Some(route.router), target: route.target })
    }
}

#[cfg(test)]
mod tests;

//! Routers of one entry point in the order in which they are tried.

use std::net::IpAddr;

use sundew_config::model::{EntryPointIndex, Model, RouterTarget};

use super::index::Index;
use super::rule::{Compiled, Subject};
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
    /// Behind the `?` of the target that is forwarded; empty for none.
    pub query: &'a [u8],
    /// Fields of the request's head.
    pub fields: FieldLines<'a>,
    /// Where the connection comes from.
    pub client: IpAddr,
    /// Whether `X-Forwarded-*` and `X-Real-Ip` of this peer are believed.
    pub is_trusted: bool,
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
    routes: Box<[Route]>,
    /// `None`: so few that asking each is quicker.
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

/// Most routers that are asked one after the other: to compare a few hosts is less work than to hash
/// one.
const IN_TURN_MAX: usize = 4;

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
        let routes = routes.collect::<Box<[_]>>();
        let index = (routes.len() > IN_TURN_MAX)
            .then(|| Index::new(routes.iter().map(|route| &route.rule)));
        Self { has_ping: ping, routes, index }
    }

    /// The router that takes `request`; `None`: 404. Allocates only to give a regular expression
    /// what it matches decoded: a host in upper case, a query with escapes, bytes outside UTF-8.
    #[must_use]
    pub fn find(&self, request: &RequestView<'_>) -> Option<RouteMatch> {
        if self.has_ping && request.path.starts_with(PING_PREFIX) {
            return Some(RouteMatch { router: None, target: RouterTarget::Ping });
        }
        let subject = Subject::new(request);
        let route = match &self.index {
            None => self.routes.iter().find(|route| route.rule.matches(&subject)),
            Some(index) => index
                .find(&subject, |rank| {
                    self.route(rank).is_some_and(|route| route.rule.matches(&subject))
                })
                .and_then(|rank| self.route(rank)),
        }?;
        Some(RouteMatch { router: Some(route.router), target: route.target })
    }

    fn route(&self, rank: u32) -> Option<&Route> {
        self.routes.get(usize::try_from(rank).ok()?)
    }
}

#[cfg(test)]
mod tests;

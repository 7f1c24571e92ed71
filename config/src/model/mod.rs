//! The checked configuration: what the data plane and the control thread build from. Everything
//! here is valid by construction (indexes point somewhere, cookie text cannot break a header) and
//! is never changed after it was made: a reload makes a new [`Model`].

mod admin;
mod load;
mod sealing;
mod service;
mod settings;
mod statics;

pub use admin::*;
pub use load::*;
pub use sealing::*;
pub use service::*;
pub use settings::*;
pub use statics::*;

use crate::rule::Rule;

/// Position of a service in [`Model::services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceIndex(pub u32);

/// Position of a server in its [`LoadBalancer::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIndex(pub u16);

/// Position of an entry point in [`StaticModel::entry_points`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPointIndex(pub u16);

/// Position of a transport in [`Model::transports`]; 0 is the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportIndex(pub u16);

impl ServiceIndex {
    /// As an index into a slice.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl ServerIndex {
    /// As an index into a slice.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

/// The dynamic configuration: what a reload replaces as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Every router, in no particular order; the route table sorts by priority.
    pub routers: Vec<Router>,
    /// Every service; children stand before the services that refer to them.
    pub services: Vec<Service>,
    /// How servers are connected to; `transports[0]` is the static file's `serversTransport`.
    pub transports: Vec<Transport>,
}

impl Model {
    /// The service at `index`, or `None` for an index of another model.
    #[must_use]
    pub fn service(&self, index: ServiceIndex) -> Option<&Service> {
        self.services.get(index.as_usize())
    }

    /// Every load balancer with its index, in order.
    pub fn load_balancers(&self) -> impl Iterator<Item = (ServiceIndex, &Service, &LoadBalancer)> {
        self.services.iter().enumerate().filter_map(|(position, service)| match &service.kind {
            ServiceKind::LoadBalancer(balancer) => {
                Some((ServiceIndex(u32::try_from(position).ok()?), service, balancer))
            }
            _ => None,
        })
    }
}

/// One router: which requests go to which service.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// Qualified name, such as `app@file`.
    pub name: String,
    /// Where it listens; never empty.
    pub entry_points: Vec<EntryPointIndex>,
    /// Which requests it takes.
    pub rule: Rule,
    /// Higher is tried first; the length of the rule's text in bytes unless it was written.
    pub priority: i64,
    /// The rule as it is written, for operators.
    pub rule_text: String,
    /// The service as it is written, for operators.
    pub service_text: String,
    /// Where its requests go.
    pub target: RouterTarget,
}

/// Where a router sends its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterTarget {
    /// A service of the model.
    Service(ServiceIndex),
    /// `ping@internal`: answered by sundew itself.
    Ping,
    /// `noop@internal`: 418, for routers whose middlewares answer.
    Noop,
    /// Its service is wrong by itself and was left out (`--lenient`): 404, as under Traefik.
    LeftOut,
}

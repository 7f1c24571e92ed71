//! One server as a worker knows it; survives reloads that keep its service and URL.

use std::cell::{Cell, Ref, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crate::io::{Address, Stream};

/// What the control thread says about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Not down by its active health check.
    pub is_up: bool,
    /// Where it is, in the order in which to try; empty: its name does not resolve, so it refuses.
    pub addresses: Arc<[Address]>,
}

/// A connection to a server that waits for its next request.
#[derive(Debug)]
pub struct Idle {
    /// The connection.
    pub stream: Stream,
    /// Where it leads.
    pub address: Address,
    /// When its last exchange ended.
    pub since: Instant,
    /// The same by the worker's clock, which is cheap and coarse.
    pub since_ms: u64,
}

/// The state of one server.
#[derive(Debug)]
pub struct Server {
    /// As configured.
    pub url: Box<str>,
    is_up: Cell<bool>,
    is_draining: Cell<bool>,
    is_retired: Cell<bool>,
    addresses: RefCell<Arc<[Address]>>,
    /// Idle connections, the one used last at the end.
    pub idle: RefCell<Vec<Idle>>,
}

impl Server {
    /// A server that is up and whose addresses are not known yet.
    #[must_use]
    pub fn new(url: &str) -> std::rc::Rc<Self> {
        std::rc::Rc::new(Self {
            url: url.into(),
            is_up: Cell::new(true),
            is_draining: Cell::new(false),
            is_retired: Cell::new(false),
            addresses: RefCell::new(Arc::new([])),
            idle: RefCell::new(Vec::new()),
        })
    }

    /// Takes part in picks.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.get()
    }

    /// Went up or down.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.set(is_up);
    }

    /// Gets no new pins; those that there are stay.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Begins or ends to be drained.
    pub fn set_draining(&self, is_draining: bool) {
        self.is_draining.set(is_draining);
    }

    /// Takes requests of new clients.
    #[must_use]
    pub fn takes_new(&self) -> bool {
        self.is_up() && !self.is_draining()
    }

    /// Left the configuration: connections to it are not kept.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.is_retired.get()
    }

    /// Leaves the configuration.
    pub fn retire(&self) {
        self.is_retired.set(true);
        self.idle.borrow_mut().clear();
    }

    /// Where it is.
    #[must_use]
    pub fn addresses(&self) -> Ref<'_, [Address]> {
        Ref::map(self.addresses.borrow(), |addresses| &**addresses)
    }

    /// Moved: idle connections to where it is no more are closed.
    pub fn set_addresses(&self, addresses: &Arc<[Address]>) {
        self.idle.borrow_mut().retain(|idle| addresses.contains(&idle.address));
        *self.addresses.borrow_mut() = Arc::clone(addresses);
    }
}

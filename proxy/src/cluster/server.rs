//! One server as a worker knows it; survives reloads that keep its service and URL.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::readiness::Readiness;
use super::slots::{SharedInFlight, Slot};
use crate::balance::ResponseTimes;
use crate::io::{Address, Stream};
use crate::observe::counters::PinsSeen;

/// What the control thread says about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Not down by its active health check.
    pub is_up: bool,
    /// Gets no new pins.
    pub is_draining: bool,
    /// Where it is, in the order in which to try; empty: its name does not resolve, so it refuses.
    pub addresses: Arc<[Address]>,
    /// Its requests on all workers.
    pub in_flight: SharedInFlight,
}

/// A connection to a server that waits for its next request.
#[derive(Debug)]
pub struct Idle {
    /// The connection.
    pub stream: Stream,
    /// Where it leads.
    pub address: Address,
    /// When its last exchange ended.
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
    in_flight: Cell<u32>,
    /// Cap on those of all workers; 0 without one.
    in_flight_max: Cell<u32>,
    /// Those of all workers, where there is a cap.
    shared: RefCell<SharedInFlight>,
    pub(super) readiness: Readiness,
    /// Requests that it has been given, those included that it refused.
    pub requests: Cell<u64>,
    /// Clients that came with a pin to it.
    pub pins_seen: PinsSeen,
    addresses: RefCell<Arc<[Address]>>,
    /// What comes of its requests is of interest.
    is_judged: Cell<bool>,
    /// The last that was told of it is a failure.
    has_failed: Cell<bool>,
    /// Only where the service chooses by them.
    response_times: RefCell<Option<Box<ResponseTimes>>>,
    /// Idle connections, the one used last at the end.
    pub idle: RefCell<Vec<Idle>>,
}

/// A request that a server has been given: counts as in flight from the pick to the end of the
/// exchange, whether a pin or a strategy chose it.
#[derive(Debug)]
pub struct InFlight {
    server: Rc<Server>,
    _slot: Option<Slot>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let count = &self.server.in_flight;
        count.set(count.get().saturating_sub(1));
    }
}

/// An answer that a server owes since its pick, and whose beginning is of interest.
#[derive(Debug)]
pub struct AwaitedAnswer {
    server: Rc<Server>,
    since: Instant,
}

impl AwaitedAnswer {
    /// Its first byte is there.
    pub fn note_begun(self) {
        let elapsed_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(times) = &mut *self.server.response_times.borrow_mut() {
            times.note(elapsed_ms);
        }
    }
}

impl Server {
    /// A server that is up and whose addresses are not known yet.
    #[must_use]
    pub fn new(url: &str) -> Rc<Self> {
        Rc::new(Self {
            url: url.into(),
            is_up: Cell::new(true),
            is_draining: Cell::new(false),
            is_retired: Cell::new(false),
            in_flight: Cell::new(0),
            in_flight_max: Cell::new(0),
            shared: RefCell::default(),
            readiness: Readiness::default(),
            requests: Cell::new(0),
            pins_seen: PinsSeen::default(),
            addresses: RefCell::new(Arc::new([])),
            is_judged: Cell::new(false),
            has_failed: Cell::new(false),
            response_times: RefCell::new(None),
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
        let was_ready = self.takes_new();
        self.is_up.set(is_up);
        self.note_ready(was_ready);
    }

    /// Gets no new pins; those that there are stay.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Begins or ends to be drained.
    pub fn set_draining(&self, is_draining: bool) {
        let was_ready = self.takes_new();
        self.is_draining.set(is_draining);
        self.note_ready(was_ready);
    }

    fn note_ready(&self, was_ready: bool) {
        if !was_ready && self.takes_new() {
            self.readiness.begin();
        }
    }

    /// Takes requests of new clients.
    #[must_use]
    pub fn takes_new(&self) -> bool {
        self.is_up() && !self.is_draining()
    }

    /// Requests that it has been given and whose exchanges have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Gives it a request; `None` when it has as many as it may.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Option<InFlight> {
        let slot = match self.in_flight_max.get() {
            0 => None,
            max => Some(self.shared.borrow().take(max)?),
        };
        self.in_flight.set(self.in_flight.get() + 1);
        self.requests.set(self.requests.get() + 1);
        Some(InFlight { server: Rc::clone(self), _slot: slot })
    }

    /// Has as many requests as it may, on all workers together.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let max = self.in_flight_max.get();
        max != 0 && self.shared.borrow().count() >= max
    }

    /// From now on it has at most `max` requests on all workers, which count in `shared`; 0: any.
    pub fn cap(&self, max: u32, shared: &SharedInFlight) {
        self.in_flight_max.set(max);
        *self.shared.borrow_mut() = shared.clone();
    }

    /// From now on its response times are measured, or not any more.
    pub fn measure(&self, is_measured: bool) {
        let mut times = self.response_times.borrow_mut();
        if is_measured != times.is_some() {
            *times = is_measured.then(Box::default);
        }
    }

    /// From now on what comes of its requests is of interest, or not any more.
    pub fn judge(&self, is_judged: bool) {
        self.is_judged.set(is_judged);
    }

    /// What comes of its requests is of interest.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.is_judged.get()
    }

    /// Whether this outcome of a request is to be told: every failure is, and the first success
    /// after one.
    #[must_use]
    pub fn is_news(&self, has_failed: bool) -> bool {
        self.has_failed.replace(has_failed) || has_failed
    }

    /// Begins to wait for an answer, where that is measured.
    #[must_use]
    pub fn await_answer(self: &Rc<Self>) -> Option<AwaitedAnswer> {
        let is_measured = self.response_times.borrow().is_some();
        is_measured.then(|| AwaitedAnswer { server: Rc::clone(self), since: Instant::now() })
    }

    /// Milliseconds from its last picks to the first bytes of their answers, on average.
    #[must_use]
    pub fn average_ms(&self) -> f64 {
        self.response_times.borrow().as_ref().map_or(0.0, |times| times.average_ms())
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

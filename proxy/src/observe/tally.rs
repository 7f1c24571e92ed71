//! What the workers have counted, copied out and added up. Owns the shape; never counts. Filled by
//! `worker`, read by the control thread.

use std::sync::Arc;

use sundew_config::model::Model;

use super::counters::{PinAges, Series, merge_series};
use super::outcome::StickyOutcome;

/// Counts of one worker, or of several.
#[derive(Clone, Debug)]
pub struct Tally {
    /// What the indexes below mean.
    pub model: Arc<Model>,
    /// By entry point.
    pub entry_points: Vec<EntryPointTally>,
    /// Series by router; empty where nobody asked for them.
    pub routers: Vec<Vec<Series>>,
    /// By service.
    pub services: Vec<ServiceTally>,
    /// One for each worker that was asked.
    pub workers: Vec<WorkerTally>,
}

/// Of an entry point.
#[derive(Clone, Debug, Default)]
pub struct EntryPointTally {
    /// Connections of clients.
    pub connections: u64,
    /// Exchanges.
    pub series: Vec<Series>,
}

/// Of a service.
#[derive(Clone, Debug, Default)]
pub struct ServiceTally {
    /// Exchanges that one of its servers took.
    pub series: Vec<Series>,
    /// By [`StickyOutcome::ALL`].
    pub outcomes: [u64; StickyOutcome::ALL.len()],
    /// By server; empty for a service without servers of its own.
    pub servers: Vec<ServerTally>,
}

/// Of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerTally {
    /// Requests that it was given.
    pub requests: u64,
    /// Those of them that have not ended.
    pub in_flight: u64,
    /// Clients that came with a pin to it.
    pub pins: PinAges,
}

/// Of a worker.
#[derive(Clone, Debug)]
pub struct WorkerTally {
    /// Which.
    pub index: usize,
    /// Exchanges begun.
    pub requests: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Connections whose task panicked.
    pub panics: u64,
}

impl Tally {
    /// Adds what another worker counted with the same tables.
    pub fn merge(&mut self, other: Self) {
        for (own, others) in self.entry_points.iter_mut().zip(&other.entry_points) {
            own.connections += others.connections;
            merge_series(&mut own.series, &others.series);
        }
        for (own, others) in self.routers.iter_mut().zip(&other.routers) {
            merge_series(own, others);
        }
        for (own, others) in self.services.iter_mut().zip(&other.services) {
            own.merge(others);
        }
        self.workers.extend(other.workers);
        self.workers.sort_by_key(|worker| worker.index);
    }
}

impl ServiceTally {
    fn merge(&mut self, other: &Self) {
        merge_series(&mut self.series, &other.series);
        for (own, others) in self.outcomes.iter_mut().zip(other.outcomes) {
            *own += others;
        }
        for (own, others) in self.servers.iter_mut().zip(&other.servers) {
            own.requests += others.requests;
            own.in_flight += others.in_flight;
            own.pins.merge(&others.pins);
        }
    }
}

//! How many connections all workers may hold together (`sundew.limits.connections`, http1 G6).
//!
//! A number for the whole process, so one atomic cell; touched when a connection begins and ends,
//! and only where the limit is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sundew_config::model::Limits;

use super::address_cap::AddressCap;
use super::descriptors::DescriptorCap;

/// What the whole process may hold, for every worker; nothing is limited by default.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    /// Connections of clients; no limit when `None`.
    pub connections: Option<Arc<ConnectionCap>>,
    /// Connections of each client address; no limit when `None`.
    pub addresses: Option<Arc<AddressCap>>,
    /// Open files.
    pub descriptors: DescriptorCap,
}

impl Caps {
    /// As the `sundew:` section and the kernel set them.
    #[must_use]
    pub fn new(limits: &Limits, descriptors: DescriptorCap) -> Self {
        Self {
            connections: limits.connections_max.map(ConnectionCap::new),
            addresses: limits.connections_per_address_max.map(AddressCap::new),
            descriptors,
        }
    }
}

/// The limit, shared by all workers.
#[derive(Debug)]
pub struct ConnectionCap {
    max: usize,
    now: AtomicUsize,
}

/// One connection's place; leaving it makes room for another.
#[derive(Debug)]
pub struct Place(Arc<ConnectionCap>);

impl ConnectionCap {
    /// At most `max` at a time.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, now: AtomicUsize::new(0) })
    }

    /// A place, `None` when all are taken.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        // Counted before it is compared, so that two workers cannot both take the last one.
        let place = Place(Arc::clone(self));
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        (before < self.max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_no_more_than_the_limit_and_each_end_makes_room() {
        let cap = ConnectionCap::new(2);
        let first = cap.take().unwrap();
        let _second = cap.take().unwrap();
        assert!(cap.take().is_none());
        assert!(cap.take().is_none(), "a refusal takes no place");
        drop(first);
        assert!(cap.take().is_some());
    }
}

//! How many requests a server has on all workers together: the one count that workers share,
//! since a cap that a user states holds for the process. Touched only where there is a cap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The count of one server. Clones are the same count; it outlives reloads.
#[derive(Clone, Debug, Default)]
pub struct SharedInFlight(Arc<AtomicU32>);

/// One request among those that count, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PartialEq for SharedInFlight {
    /// Whether both are the same count, whatever it says.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedInFlight {}

impl SharedInFlight {
    /// Requests at this moment.
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, if that makes no more than `max`. The count guards no other memory, so no order
    /// is asked for.
    pub(super) fn take(&self, max: u32) -> Option<Slot> {
        let more = |count: u32| (count < max).then(|| count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_more_are_taken_than_the_cap_by_all_threads_together() {
        const MAX: u32 = 3;
        let count = SharedInFlight::default();
        let highest = AtomicU32::new(0);
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..10_000 {
                        let slot = count.take(MAX);
                        highest.fetch_max(count.count(), Ordering::Relaxed);
                        drop(slot);
                    }
                });
            }
        });
        assert!((1..=MAX).contains(&highest.into_inner()));
        assert_eq!(count.count(), 0);
    }

    #[test]
    fn a_full_server_has_room_again_when_a_request_ends() {
        let count = SharedInFlight::default();
        let (one, other) = (count.take(2), count.clone().take(2));
        assert!(one.is_some() && other.is_some() && count.take(2).is_none());
        drop(one);
        assert!(count.take(2).is_some());
    }
}

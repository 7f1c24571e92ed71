//! Open files are the first thing that a proxy runs out of (http1 G4, G5), so the last ones are not
//! for clients.
//!
//! The kernel gives every new file the lowest number that is free. So the number of a socket that
//! was just made tells how many files are open, and nobody counts: from `accept_end` on the rest is
//! for connections to servers, from `connect_end` on it is for the control thread (probes, reloads,
//! logs). Owns these bounds and whether they are reached; what is closed then is the sweeper's
//! choice.

use std::cell::Cell;
use std::os::fd::{OwnedFd, RawFd};

use crate::sys;

/// A sixth of what is free at the start is kept for others than clients.
const RESERVE_SHARE: u64 = 6;

/// However many files there are, nobody but clients needs more than twice as many at once.
const RESERVE_MAX: u64 = 256;

/// Where the files of this process end, for every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorCap {
    accept_end: RawFd,
    connect_end: RawFd,
    reserve: usize,
}

impl Default for DescriptorCap {
    /// No end.
    fn default() -> Self {
        Self { accept_end: RawFd::MAX, connect_end: RawFd::MAX, reserve: 0 }
    }
}

impl DescriptorCap {
    /// For a process that may open `max` files (`None`: any number), and will have `own` of them
    /// open for itself before the first client comes.
    #[must_use]
    pub fn new(max: Option<u64>, own: u64) -> Self {
        let Some(max) = max else { return Self::default() };
        let reserve = (max.saturating_sub(own) / RESERVE_SHARE).min(RESERVE_MAX);
        let end = |kept: u64| RawFd::try_from(max - kept).unwrap_or(RawFd::MAX);
        Self {
            accept_end: end(reserve),
            connect_end: end(reserve.div_ceil(2)),
            reserve: usize::try_from(reserve).unwrap_or(0),
        }
    }
}

/// A worker's view of the open files of its process.
#[derive(Debug)]
pub struct Descriptors {
    cap: DescriptorCap,
    /// Held so that its number can be asked for again: one for each worker.
    reserve: Option<OwnedFd>,
    was_refused: Cell<bool>,
}

impl Descriptors {
    /// For a worker that has not accepted anything yet.
    #[must_use]
    pub fn new(cap: DescriptorCap) -> Self {
        Self { cap, reserve: sys::new_reserve(), was_refused: Cell::new(false) }
    }

    /// From which number on an entry point pauses; one that answers probes may go on for longer.
    #[must_use]
    pub fn accept_end(&self, uses_reserve: bool) -> RawFd {
        if uses_reserve { self.cap.connect_end } else { self.cap.accept_end }
    }

    /// From which number on a connection to a server is closed again.
    #[must_use]
    pub fn connect_end(&self) -> RawFd {
        self.cap.connect_end
    }

    /// Most idle connections that one sweep closes.
    #[must_use]
    pub fn shed_max(&self) -> usize {
        (self.cap.reserve / 4).max(2)
    }

    /// The kernel has refused a new file.
    pub fn note_refused(&self) {
        self.was_refused.set(true);
    }

    /// Whether the next file would be `end` or later. Costs two system calls.
    #[must_use]
    pub fn is_at(&self, end: RawFd) -> bool {
        // Without one of its own nothing is known; accepting shows.
        let Some(reserve) = &self.reserve else { return false };
        end != RawFd::MAX && sys::next_descriptor(reserve).is_none_or(|next| next >= end)
    }

    /// Whether clients find none, now or since the last call.
    #[must_use]
    pub fn take_shortage(&self) -> bool {
        self.was_refused.take() || self.is_at(self.cap.accept_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_the_reserve_is_a_share_of_what_is_free_and_half_of_it_is_not_for_servers() {
        let cases = [
            ("nothing is known", None, 20, (RawFd::MAX, RawFd::MAX)),
            ("the usual soft limit", Some(1024), 64, (1024 - 160, 1024 - 80)),
            ("few", Some(64), 22, (64 - 7, 64 - 4)),
            ("hardly any", Some(24), 22, (24, 24)),
            ("fewer than are open", Some(16), 22, (16, 16)),
            ("very many", Some(1 << 20), 22, ((1 << 20) - 256, (1 << 20) - 128)),
            ("more than a number holds", Some(u64::MAX), 22, (RawFd::MAX, RawFd::MAX)),
        ];
        for (name, max, own, want) in cases {
            let cap = DescriptorCap::new(max, own);
            assert_eq!((cap.accept_end, cap.connect_end), want, "{name}");
        }
    }

    #[test]
    fn g5_the_next_number_tells_whether_an_end_is_reached() {
        let descriptors = Descriptors::new(DescriptorCap::default());
        assert!(descriptors.is_at(0) && !descriptors.is_at(RawFd::MAX - 1));
        assert!(!descriptors.is_at(RawFd::MAX), "no limit, no question");
        assert!(!descriptors.take_shortage());
        descriptors.note_refused();
        assert!(descriptors.take_shortage() && !descriptors.take_shortage(), "told once");
    }
}

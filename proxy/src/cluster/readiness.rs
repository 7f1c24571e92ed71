//! Since when a server takes new clients, and how many of them it takes until it is warm
//! (`slowStart`). Told by `server`, moved on by the sweeper's tick, read by `pick`.

use std::cell::Cell;

/// All of the new clients that are its share.
pub(super) const WHOLE: u16 = u16::MAX;

/// When a server became ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Since {
    /// Before anybody looked: it is warm, and nothing is new about it.
    #[default]
    Always,
    /// Just now, or not yet: the next tick on which it is ready says when.
    News,
    /// At this moment.
    At(Moment),
}

/// A moment by both clocks: one that never jumps, and the one that pins are dated by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since the worker began.
    pub now_ms: u64,
    /// Seconds since 1970, by the wall clock.
    pub wall_s: u64,
}

/// Of one server.
#[derive(Debug)]
pub(super) struct Readiness {
    since: Cell<Since>,
    admission: Cell<u16>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { since: Cell::default(), admission: Cell::new(WHOLE) }
    }
}

impl Readiness {
    /// It becomes ready.
    pub(super) fn begin(&self) {
        self.since.set(Since::News);
        self.admission.set(0);
    }

    /// Whatever it became, it counts as warm.
    pub(super) fn settle(&self) {
        self.since.set(Since::Always);
        self.admission.set(WHOLE);
    }

    pub(super) fn since(&self) -> Since {
        self.since.get()
    }

    /// How much of its share of new clients it takes, of [`WHOLE`].
    pub(super) fn admission(&self) -> u16 {
        self.admission.get()
    }

    /// Time has passed; the share grows evenly to the whole in `slow_start_ms`.
    pub(super) fn tick(&self, is_ready: bool, moment: Moment, slow_start_ms: u64) {
        if self.since.get() == Since::News && is_ready {
            self.since.set(Since::At(moment));
        }
        let Since::At(began) = self.since.get() else { return };
        let elapsed_ms = moment.now_ms.saturating_sub(began.now_ms);
        let share = if elapsed_ms >= slow_start_ms {
            WHOLE
        } else {
            let scaled = u128::from(elapsed_ms) * u128::from(WHOLE) / u128::from(slow_start_ms);
            u16::try_from(scaled).unwrap_or(WHOLE)
        };
        self.admission.set(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ms: u64) -> Moment {
        Moment { now_ms, wall_s: 1_000 }
    }

    #[test]
    fn the_share_of_a_server_that_became_ready_grows_to_the_whole() {
        let readiness = Readiness::default();
        readiness.tick(true, at(5), 1_000);
        assert_eq!((readiness.admission(), readiness.since()), (WHOLE, Since::Always));
        readiness.begin();
        assert_eq!(readiness.admission(), 0);
        // It is down yet, so its time does not begin.
        readiness.tick(false, at(10), 1_000);
        assert_eq!((readiness.admission(), readiness.since()), (0, Since::News));
        for (now_ms, want) in [(100, 0), (350, 16_383), (600, 32_767), (1_099, 65_469)] {
            readiness.tick(true, at(now_ms), 1_000);
            assert_eq!(readiness.admission(), want, "{now_ms}");
        }
        readiness.tick(true, at(1_100), 1_000);
        assert_eq!((readiness.admission(), readiness.since()), (WHOLE, Since::At(at(100))));
    }

    #[test]
    fn without_a_slow_start_a_server_is_whole_at_the_first_tick() {
        let readiness = Readiness::default();
        readiness.begin();
        readiness.tick(true, at(100), 0);
        assert_eq!((readiness.admission(), readiness.since()), (WHOLE, Since::At(at(100))));
    }
}

//! When a changed file is loaded: after a moment of quiet, and not more often than the throttle
//! allows. Pure; time comes in.

use std::time::Duration;

use tokio::time::Instant;

/// An editor or a deployment tool writes, renames and removes within this time of each other.
const QUIET: Duration = Duration::from_millis(75);

/// Files that never come to rest are loaded after this time all the same.
const QUIET_MAX: Duration = Duration::from_millis(500);

/// What is known of changes that were not loaded yet.
#[derive(Debug)]
pub(super) struct Schedule {
    /// `providers.providersThrottleDuration`: between two configurations that are applied.
    throttle: Duration,
    changed: Option<(Instant, Instant)>,
    forced: Option<Instant>,
    applied: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(throttle: Duration) -> Self {
        Self { throttle, changed: None, forced: None, applied: None }
    }

    /// A file changed.
    pub(super) fn note(&mut self, now: Instant) {
        let first = self.changed.map_or(now, |(first, _)| first);
        self.changed = Some((first, now));
    }

    /// The operator asked: neither quiet nor throttle are waited for.
    pub(super) fn force(&mut self, now: Instant) {
        self.forced = Some(now);
    }

    /// When to load; `None`: nothing changed.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.forced.is_some() {
            return self.forced;
        }
        let (first, last) = self.changed?;
        let quiet = (last + QUIET).min(first + QUIET_MAX);
        Some(self.applied.map_or(quiet, |applied| quiet.max(applied + self.throttle)))
    }

    /// Loading begins; what changes from now on is loaded next time. Returns whether the operator
    /// asked for it.
    pub(super) fn begin(&mut self) -> bool {
        self.changed = None;
        self.forced.take().is_some()
    }

    /// What was loaded is another configuration and is applied. As under Traefik, a file that is
    /// broken or says the same as before delays nothing.
    pub(super) fn applied(&mut self, now: Instant) {
        self.applied = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROTTLE: Duration = Duration::from_secs(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_change_is_loaded_after_a_moment_of_quiet() {
        let start = Instant::now();
        let mut schedule = Schedule::new(THROTTLE);
        assert_eq!(schedule.due(), None);
        schedule.note(start);
        assert_eq!(schedule.due(), Some(start + QUIET));
        schedule.note(start + ms(50));
        assert_eq!(schedule.due(), Some(start + ms(50) + QUIET));
        assert!(!schedule.begin());
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn changes_without_end_are_loaded_all_the_same() {
        let start = Instant::now();
        let mut schedule = Schedule::new(THROTTLE);
        for step in 0..100 {
            schedule.note(start + ms(step * 20));
        }
        assert_eq!(schedule.due(), Some(start + QUIET_MAX));
    }

    #[test]
    fn the_throttle_separates_configurations_that_are_applied() {
        let start = Instant::now();
        let mut schedule = Schedule::new(THROTTLE);
        schedule.note(start);
        schedule.begin();
        schedule.note(start + ms(100));
        assert_eq!(schedule.due(), Some(start + ms(100) + QUIET), "the first was not applied");
        schedule.begin();
        schedule.applied(start + ms(200));
        schedule.note(start + ms(300));
        assert_eq!(schedule.due(), Some(start + ms(200) + THROTTLE));
        schedule.note(start + ms(5000));
        schedule.begin();
        schedule.note(start + ms(6000));
        assert_eq!(schedule.due(), Some(start + ms(6000) + QUIET), "long after the throttle");
    }

    #[test]
    fn the_operator_waits_for_nothing() {
        let start = Instant::now();
        let mut schedule = Schedule::new(THROTTLE);
        schedule.applied(start);
        schedule.note(start + ms(1));
        schedule.force(start + ms(2));
        assert_eq!(schedule.due(), Some(start + ms(2)));
        assert!(schedule.begin());
        assert_eq!(schedule.due(), None);
    }
}

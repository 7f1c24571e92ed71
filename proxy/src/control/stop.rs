//! How the process ends: go on accepting for a while, then finish what is in flight, then leave.
//! Pure; [`super::run`] tells it the time and what happened, and does what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use sundew_config::model::EntryPoint;
use tokio::time::Instant;

/// Workers cut exchanges off after the grace time themselves; this long after that, one has hung.
const SLACK: Duration = Duration::from_secs(2);

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As asked.
    Stopped,
    /// A worker died; what it served is lost, so a supervisor should start the process anew.
    WorkerDied,
    /// Asked twice, or a worker hung: exchanges may have been cut off.
    Forced,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// Tell the workers that the end is near.
    Announce,
    /// Tell the workers to stop within the grace time.
    Stop,
    /// Leave.
    End(Ending),
}

#[derive(Debug)]
enum Phase {
    Serving,
    Accepting { until: Instant },
    Finishing { until: Instant },
}

/// The way from serving to the end.
#[derive(Debug)]
pub(super) struct Shutdown {
    phase: Phase,
    alive: BTreeSet<usize>,
    has_death: bool,
    accept_grace: Duration,
    /// `graceTimeOut`: for the workers to finish what is in flight.
    pub(super) grace: Duration,
}

impl Shutdown {
    /// The longest times of all entry points count: a stop is one event for the whole process.
    pub(super) fn new(workers: usize, entry_points: &[EntryPoint]) -> Self {
        let longest = |time: fn(&EntryPoint) -> Duration| {
            entry_points.iter().map(time).max().unwrap_or_default()
        };
        Self {
            phase: Phase::Serving,
            alive: (0..workers).collect(),
            has_death: false,
            accept_grace: longest(|it| it.request_accept_grace),
            grace: longest(|it| it.grace),
        }
    }

    /// When [`Shutdown::elapsed`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving => None,
            Phase::Accepting { until } | Phase::Finishing { until } => Some(until),
        }
    }

    /// The operator asked for the end.
    pub(super) fn request(&mut self, now: Instant) -> Step {
        match self.phase {
            Phase::Serving => {
                self.phase = Phase::Accepting { until: now + self.accept_grace };
                Step::Announce
            }
            Phase::Accepting { .. } | Phase::Finishing { .. } => Step::End(Ending::Forced),
        }
    }

    /// The deadline may have passed.
    pub(super) fn elapsed(&mut self, now: Instant) -> Step {
        match self.phase {
            Phase::Accepting { until } if now >= until => {
                self.phase = Phase::Finishing { until: now + self.grace + SLACK };
                Step::Stop
            }
            Phase::Finishing { until } if now >= until => Step::End(Ending::Forced),
            _ => Step::Wait,
        }
    }

    /// A worker ended as told.
    pub(super) fn stopped(&mut self, worker: usize) -> Step {
        self.alive.remove(&worker);
        self.step()
    }

    /// A worker ended by itself: the others finish what they have, and the process ends.
    pub(super) fn died(&mut self, worker: usize, now: Instant) -> Step {
        self.alive.remove(&worker);
        self.has_death = true;
        match self.phase {
            Phase::Serving => {
                self.phase = Phase::Accepting { until: now };
                Step::Announce
            }
            _ => self.step(),
        }
    }

    fn step(&self) -> Step {
        match self.phase {
            Phase::Finishing { .. } if self.alive.is_empty() => {
                let ending = if self.has_death { Ending::WorkerDied } else { Ending::Stopped };
                Step::End(ending)
            }
            _ => Step::Wait,
        }
    }

    /// Workers that have not ended.
    pub(super) fn alive(&self) -> &BTreeSet<usize> {
        &self.alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: Duration = Duration::from_secs(3);
    const GRACE: Duration = Duration::from_secs(10);

    fn shutdown(workers: usize) -> Shutdown {
        Shutdown {
            phase: Phase::Serving,
            alive: (0..workers).collect(),
            has_death: false,
            accept_grace: ACCEPT,
            grace: GRACE,
        }
    }

    #[test]
    fn a_stop_announces_accepts_finishes_and_ends_with_the_last_worker() {
        let now = Instant::now();
        let mut shutdown = shutdown(2);
        assert_eq!(shutdown.request(now), Step::Announce);
        assert_eq!(shutdown.deadline(), Some(now + ACCEPT));
        assert_eq!(shutdown.elapsed(now + ACCEPT / 2), Step::Wait);
        assert_eq!(shutdown.elapsed(now + ACCEPT), Step::Stop);
        assert_eq!(shutdown.stopped(1), Step::Wait);
        assert_eq!(shutdown.stopped(0), Step::End(Ending::Stopped));
    }

    #[test]
    fn asking_twice_ends_at_once() {
        let now = Instant::now();
        let mut shutdown = shutdown(1);
        shutdown.request(now);
        assert_eq!(shutdown.request(now), Step::End(Ending::Forced));
    }

    #[test]
    fn a_worker_that_hangs_does_not_keep_the_process() {
        let now = Instant::now();
        let mut shutdown = shutdown(1);
        shutdown.request(now);
        shutdown.elapsed(now + ACCEPT);
        let late = now + ACCEPT + GRACE + SLACK;
        assert_eq!(shutdown.elapsed(late - Duration::from_millis(1)), Step::Wait);
        assert_eq!(shutdown.elapsed(late), Step::End(Ending::Forced));
    }

    #[test]
    fn a_dead_worker_ends_the_process_after_the_others_have_finished() {
        let now = Instant::now();
        let mut shutdown = shutdown(2);
        assert_eq!(shutdown.died(0, now), Step::Announce);
        assert_eq!(shutdown.elapsed(now), Step::Stop, "the dead worker's clients wait already");
        assert_eq!(shutdown.stopped(1), Step::End(Ending::WorkerDied));
    }

    #[test]
    fn a_worker_that_dies_during_the_stop_is_not_waited_for() {
        let now = Instant::now();
        let mut shutdown = shutdown(1);
        shutdown.request(now);
        shutdown.elapsed(now + ACCEPT);
        assert_eq!(shutdown.died(0, now), Step::End(Ending::WorkerDied));
    }
}

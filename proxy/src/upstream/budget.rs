//! How many requests may be sent a second time after bytes of them went out: retries must not
//! multiply the load of servers that are failing already (http1 G9).

use std::cell::Cell;

/// Length of the window, in seconds.
const WINDOW_SECONDS: u64 = 10;

/// Share of the window's requests that may be sent again, in percent.
const SHARE_PERCENT: u64 = 20;

/// So many a second are always allowed, or a quiet proxy could not retry at all.
const ALWAYS_PER_SECOND: u32 = 10;

/// Counts of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Second {
    number: u64,
    requests: u32,
    resent: u32,
}

/// The budget of one worker. A redispatch after a refused connection is not counted: nothing of
/// the request had reached a server.
#[derive(Debug, Default)]
pub struct RetryBudget {
    seconds: [Cell<Second>; WINDOW_SECONDS as usize],
}

impl RetryBudget {
    /// A request has come at `now_ms`.
    pub fn note_request(&self, now_ms: u64) {
        self.update(now_ms, |second| second.requests = second.requests.saturating_add(1));
    }

    /// Whether one more request may be sent again at `now_ms`; if so, it is counted.
    #[must_use]
    pub fn take(&self, now_ms: u64) -> bool {
        let number = now_ms / 1000;
        let (mut requests, mut resent, mut resent_now) = (0_u64, 0_u64, 0);
        for second in self.seconds.iter().map(Cell::get) {
            if number.saturating_sub(second.number) < WINDOW_SECONDS {
                requests += u64::from(second.requests);
                resent += u64::from(second.resent);
            }
            if second.number == number {
                // Slots that were never used say second 0 as well.
                resent_now = resent_now.max(second.resent);
            }
        }
        let is_allowed =
            resent_now < ALWAYS_PER_SECOND || (resent + 1) * 100 <= requests * SHARE_PERCENT;
        if is_allowed {
            self.update(now_ms, |second| second.resent = second.resent.saturating_add(1));
        }
        is_allowed
    }

    fn update(&self, now_ms: u64, change: impl FnOnce(&mut Second)) {
        let number = now_ms / 1000;
        let slot = usize::try_from(number % WINDOW_SECONDS).unwrap_or(0);
        let Some(cell) = self.seconds.get(slot) else { return };
        let mut second = cell.get();
        if second.number != number {
            second = Second { number, ..Second::default() };
        }
        change(&mut second);
        cell.set(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &RetryBudget, now_ms: u64, wanted: u32) -> u32 {
        (0..wanted).filter(|_| budget.take(now_ms)).count().try_into().unwrap()
    }

    #[test]
    fn g9_a_quiet_worker_may_always_retry_ten_a_second() {
        let budget = RetryBudget::default();
        assert_eq!(taken(&budget, 0, 50), 10);
        assert_eq!(taken(&budget, 999, 50), 0);
        assert_eq!(taken(&budget, 1_000, 50), 10);
    }

    #[test]
    fn g9_a_busy_worker_may_retry_a_fifth_of_its_last_ten_seconds() {
        let budget = RetryBudget::default();
        for now_ms in (0..10_000).step_by(10) {
            budget.note_request(now_ms);
        }
        assert_eq!(taken(&budget, 9_999, 1_000), 200, "of 1,000");
        // Ten seconds later only what is always allowed is left.
        assert_eq!(taken(&budget, 20_000, 1_000), 10);
    }
}

//! The coarse clock of a worker: read for free, set by the sweeper ten times a second.

use std::cell::{Cell, RefCell};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// How often the sweeper runs and the clock moves.
pub const TICK_MS: u64 = 100;

/// Length of a `Date` value (RFC 9110 §5.6.7, IMF-fixdate).
pub const DATE_BYTES: usize = 29;

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Milliseconds since the worker began, and the text of `Date`.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    now_ms: Cell<u64>,
    date_second: Cell<u64>,
    date: RefCell<[u8; DATE_BYTES]>,
}

impl Clock {
    /// A clock that stands at 0.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self {
            began: Instant::now(),
            now_ms: Cell::new(0),
            date_second: Cell::new(u64::MAX),
            date: RefCell::new([b' '; DATE_BYTES]),
        };
        clock.tick();
        clock
    }

    /// Reads the system's clocks; the sweeper does, nobody else.
    pub fn tick(&self) {
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now_ms.set(elapsed_ms);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if wall != self.date_second.get() {
            self.date_second.set(wall);
            self.render_date(wall);
        }
    }

    /// Milliseconds since the worker began, as of the last tick.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// The wall clock in seconds since 1970, as of the last tick.
    #[must_use]
    pub fn wall_s(&self) -> u64 {
        self.date_second.get()
    }

    /// Calls `with` with the current `Date` value.
    pub fn with_date<R>(&self, with: impl FnOnce(&[u8; DATE_BYTES]) -> R) -> R {
        with(&self.date.borrow())
    }

    fn render_date(&self, second: u64) {
        let Ok(second) = i64::try_from(second) else { return };
        let Ok(moment) = time::OffsetDateTime::from_unix_timestamp(second) else { return };
        let mut date = self.date.borrow_mut();
        // Fails only past the year 9999; the last date stays then.
        let _ = moment.format_into(&mut date.as_mut_slice(), IMF_FIXDATE);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_an_imf_fixdate() {
        let clock = Clock::new();
        clock.render_date(784_111_777);
        clock.with_date(|date| assert_eq!(date, b"Sun, 06 Nov 1994 08:49:37 GMT"));
    }
}

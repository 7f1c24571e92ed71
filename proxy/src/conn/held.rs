//! What a worker holds of bodies that it would otherwise have passed on: for a fallback, and for
//! mirrors. Counts, so that all of them together stay bounded; owns no bytes itself.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that one worker holds at most.
pub(super) const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The count of a worker.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Rc<Cell<usize>>);

/// A part of the count; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: HeldBytes,
    bytes: usize,
}

impl HeldBytes {
    /// Nothing yet.
    pub(super) fn begin(&self) -> Held {
        Held { all: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Counts `more` bytes; false, and nothing counted, when that is too much.
    #[must_use]
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let all = self.all.0.get().saturating_add(more);
        let fits = all <= HELD_BYTES_MAX;
        if fits {
            self.all.0.set(all);
            self.bytes += more;
        }
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.set(self.all.0.get().saturating_sub(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_stay_bounded_and_what_is_dropped_makes_room() {
        let all = HeldBytes::default();
        let (mut one, mut other) = (all.begin(), all.begin());
        assert!(one.grow(HELD_BYTES_MAX - 1));
        assert!(!other.grow(2) && other.grow(1) && !one.grow(1));
        drop(one);
        assert!(other.grow(HELD_BYTES_MAX - 1) && !other.grow(1) && !other.grow(usize::MAX));
        drop(other);
        assert!(all.begin().grow(HELD_BYTES_MAX));
    }
}

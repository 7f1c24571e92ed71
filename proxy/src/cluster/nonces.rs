//! Nonces for sealed values: the kernel's generator, read for many at a time, so that a value
//! costs no system call of its own. One a worker and set of tables; called by `pick`.

use std::cell::{Cell, RefCell};

use rustix::rand::{GetRandomFlags, getrandom};

use crate::sticky::NONCE_BYTES;

/// Nonces of one read: what getrandom(2) gives without being interrupted, 256 bytes.
const NONCES: usize = 21;

/// Nonces that nobody has had.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    fresh: RefCell<[[u8; NONCE_BYTES]; NONCES]>,
    left: Cell<usize>,
}

impl Nonces {
    /// The next one. `None` when the kernel gives no random bytes: it has none at boot, and always
    /// has afterwards.
    pub(super) fn take(&self) -> Option<[u8; NONCE_BYTES]> {
        let mut fresh = self.fresh.try_borrow_mut().ok()?;
        if self.left.get() == 0 {
            let bytes = fresh.as_flattened_mut();
            let bytes_max = bytes.len();
            let count = getrandom(bytes, GetRandomFlags::empty()).ok()?;
            if count < bytes_max {
                return None;
            }
            self.left.set(NONCES);
        }
        let at = self.left.get().checked_sub(1)?;
        self.left.set(at);
        fresh.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_is_given_out_twice() {
        let (one, other) = (Nonces::default(), Nonces::default());
        let count = NONCES * 3 + 1;
        let mut seen = HashSet::new();
        for _ in 0..count {
            seen.extend([one.take().unwrap(), other.take().unwrap()]);
        }
        assert_eq!(seen.len(), count * 2);
    }
}

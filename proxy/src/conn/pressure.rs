//! How close the process is to its limit of memory (`sundew.limits.memory`, http1 G7).
//!
//! The control thread measures and tells every worker; an exchange reads one cell of its worker.
//! Pure: bytes in, a state out.

/// From here on bodies that have yet to come are refused, and spare buffers are given up (Envoy's
/// overload manager suggests these two).
const TIGHT_PERCENT: u64 = 95;

/// From here on every request that needs a server is refused.
const FULL_PERCENT: u64 = 98;

/// Below this one all is well again: lower than where it began, or a process at its limit would
/// change its mind ten times a second.
const EASED_PERCENT: u64 = 90;

/// Whether there is memory for what may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pressure {
    /// Enough, or there is no limit.
    #[default]
    None,
    /// No new bodies.
    Tight,
    /// No new requests.
    Full,
}

impl Pressure {
    /// The state after `used` of `limit` bytes were seen.
    #[must_use]
    pub fn after(self, used: u64, limit: u64) -> Self {
        let is_at = |percent| u128::from(used) * 100 >= u128::from(limit) * u128::from(percent);
        match self {
            _ if is_at(FULL_PERCENT) => Self::Full,
            Self::Full if is_at(TIGHT_PERCENT) => Self::Full,
            _ if is_at(TIGHT_PERCENT) => Self::Tight,
            Self::Full | Self::Tight if is_at(EASED_PERCENT) => Self::Tight,
            _ => Self::None,
        }
    }

    /// What reclaimable memory could not change any more, so that it need not be asked for.
    #[must_use]
    pub fn is_far(used: u64, limit: u64) -> bool {
        u128::from(used) * 100 < u128::from(limit) * u128::from(EASED_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g7_each_state_begins_at_its_share_and_ends_at_a_lower_one() {
        use Pressure::{Full, None, Tight};
        let mut state = None;
        for (used, want) in [
            (0, None),
            (949, None),
            (950, Tight),
            (979, Tight),
            (901, Tight),
            (899, None),
            (949, None),
            (980, Full),
            (5_000, Full),
            (950, Full),
            (949, Tight),
            (900, Tight),
            (980, Full),
            (899, None),
        ] {
            let before = state;
            state = state.after(used, 1_000);
            assert_eq!(state, want, "{used} after {before:?}");
        }
        assert_eq!(None.after(u64::MAX, u64::MAX), Full, "no overflow");
    }
}

//! How a service seals its sticky values: keys and times. Read and judged by `check`; the keys
//! come from files that `provider` read. Nothing here prints a key.

use std::fmt;
use std::time::Duration;

/// Bytes of a key (AES-256).
pub const SEALING_KEY_BYTES: usize = 32;

/// What seals and opens values. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey([u8; SEALING_KEY_BYTES]);

impl SealingKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; SEALING_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// For the cipher alone.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SEALING_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// `value: sealed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Never empty: the first seals, all open.
    pub keys: Vec<SealingKey>,
    /// From the first value of a pin to its end, whole seconds; `None`: no end.
    pub lifetime: Option<Duration>,
    /// Longest absence of a client, whole seconds; `None`: no limit.
    pub idle_timeout: Option<Duration>,
    /// Until when values of the hash mode still pin, in seconds since 1970; `None`: they never do.
    pub accept_hash_until_s: Option<u64>,
}

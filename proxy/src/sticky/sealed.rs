//! Sealed values: a pin that its holder can neither read nor make, only bring back.
//!
//! 60 characters of base64url are 45 bytes: version (1), nonce (12), the sealed pin (server 8,
//! issued 4, used 4, big-endian), tag (16); AES-256-GCM-SIV (RFC 8452) with the service's name as
//! associated data. GCM-SIV, because plain GCM with random nonces must stop after 2^32 values of a
//! key (NIST SP 800-38D §8.3), which a busy proxy seals in days; here a repeated nonce costs no
//! more than that two equal pins look equal.
//!
//! Pure: time, nonces and keys come in; nothing is allocated. Called by the table of a service.

use aes_gcm_siv::aead::AeadInPlace as _;
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce, Tag};
use sundew_config::model::{Sealing, SealingKey};

/// Characters of a sealed value. A multiple of four, so each value has exactly one spelling.
pub const VALUE_CHARS: usize = 60;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// How far ahead of ours the clock of the replica that sealed a value may be, in seconds.
pub const AHEAD_S_MAX: u64 = 60;

const VERSION: u8 = 1;
const PIN_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const BYTES: usize = 1 + NONCE_BYTES + PIN_BYTES + TAG_BYTES;
const _: () = assert!(BYTES / 3 * 4 == VALUE_CHARS && BYTES.is_multiple_of(3));

/// A sealed value, as it stands in the cookie.
pub type SealedValue = [u8; VALUE_CHARS];

/// What a sealed value says. Times are the wall clock's, in seconds since 1970 (until 2106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedPin {
    /// The member, by the number that its hash value spells.
    pub server: u64,
    /// When the client was pinned to it.
    pub issued_s: u32,
    /// When the value was sealed: the client was here.
    pub used_s: u32,
}

/// An authentic value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub pin: SealedPin,
    /// Position of the key that opened it; 0 is the one that seals.
    pub key: usize,
    /// What its value was sealed with, and stays with the pin.
    pub nonce: [u8; NONCE_BYTES],
}

/// What a renewed value keeps of the one before it.
///
/// The nonce too: it is what tells a pin from others for as long as it lives, so a pin that is
/// drawn by its nonce (`rebalance`) is not drawn anew with each renewal. That is what the SIV mode
/// is for: under one nonce no more shows than that two equal pins are equal (RFC 8452 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// When the client was pinned.
    pub issued_s: u32,
    /// Of all values of this pin.
    pub nonce: [u8; NONCE_BYTES],
}

/// Whether an authentic value counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Fresh,
    /// It does; a quarter of the idle timeout has passed, so it is sealed again.
    Aging,
    /// Its lifetime or its idle timeout has passed.
    Expired,
    /// It is from the future: somebody's clock is wrong, and no age can be told.
    Ahead,
}

/// Seals and opens the values of one service.
pub struct Seal {
    service: Box<[u8]>,
    keys: Box<[Aes256GcmSiv]>,
    lifetime_s: u64,
    idle_s: u64,
    accepts_hash_until_s: u64,
}

impl std::fmt::Debug for Seal {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let service = String::from_utf8_lossy(&self.service);
        f.debug_struct("Seal").field("service", &service).finish_non_exhaustive()
    }
}

impl Seal {
    /// For the service of this qualified name.
    #[must_use]
    pub fn new(sealing: &Sealing, service: &str) -> Self {
        let cipher = |key: &SealingKey| Aes256GcmSiv::new(key.as_bytes().into());
        Self {
            service: service.as_bytes().into(),
            keys: sealing.keys.iter().map(cipher).collect(),
            lifetime_s: sealing.lifetime.map_or(u64::MAX, |it| it.as_secs()),
            idle_s: sealing.idle_timeout.map_or(u64::MAX, |it| it.as_secs()),
            accepts_hash_until_s: sealing.accept_hash_until_s.unwrap_or(0),
        }
    }

    /// Whether values of the hash mode still pin.
    #[must_use]
    pub fn accepts_hash(&self, now_s: u64) -> bool {
        now_s < self.accepts_hash_until_s
    }

    /// The value of `pin` under the first key. `None` without a key, which no checked
    /// configuration has.
    #[must_use]
    pub fn seal(&self, pin: SealedPin, nonce: [u8; NONCE_BYTES]) -> Option<SealedValue> {
        let mut bytes = [0; BYTES];
        let (version, rest) = bytes.split_first_mut()?;
        let (nonce_place, rest) = rest.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (sealed, tag_place) = rest.split_first_chunk_mut::<PIN_BYTES>()?;
        *version = VERSION;
        *nonce_place = nonce;
        *sealed = pin.to_bytes();
        let key = self.keys.first()?;
        let nonce = Nonce::from(nonce);
        let tag = key.encrypt_in_place_detached(&nonce, &self.service, sealed).ok()?;
        tag_place.copy_from_slice(&tag);
        Some(encode(&bytes))
    }

    /// Opens a value; `None` when it is not authentic for this service under any key. The tag is
    /// compared in constant time by the library.
    #[must_use]
    pub fn open(&self, value: &[u8]) -> Option<Opened> {
        let bytes = decode(value.try_into().ok()?)?;
        let (&version, rest) = bytes.split_first()?;
        let (&nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (sealed, tag) = rest.split_first_chunk::<PIN_BYTES>()?;
        let tag: [u8; TAG_BYTES] = tag.try_into().ok()?;
        if version != VERSION {
            return None;
        }
        let tag = Tag::from(tag);
        self.keys.iter().enumerate().find_map(|(key, cipher)| {
            let mut pin = *sealed;
            cipher
                .decrypt_in_place_detached(&Nonce::from(nonce), &self.service, &mut pin, &tag)
                .ok()?;
            Some(Opened { pin: SealedPin::from_bytes(pin), key, nonce })
        })
    }

    /// Whether `pin` counts at `now_s`, seconds since 1970. A clock that jumps back by up to
    /// [`AHEAD_S_MAX`] makes values young, not wrong; one that jumps further makes them void, as a
    /// jump forward past their time does: where the time is unknown, nobody stays pinned by it.
    #[must_use]
    pub fn standing(&self, pin: SealedPin, now_s: u64) -> Standing {
        let (issued_s, used_s) = (u64::from(pin.issued_s), u64::from(pin.used_s));
        if issued_s.max(used_s) > now_s.saturating_add(AHEAD_S_MAX) {
            return Standing::Ahead;
        }
        let idle_s = now_s.saturating_sub(used_s);
        if now_s.saturating_sub(issued_s) >= self.lifetime_s || idle_s >= self.idle_s {
            return Standing::Expired;
        }
        if idle_s >= self.idle_s.div_ceil(4) { Standing::Aging } else { Standing::Fresh }
    }
}

impl SealedPin {
    /// For `server`, sealed at `now_s`; `issued_s` is kept of an earlier value of the same pin.
    #[must_use]
    pub fn new(server: u64, issued_s: Option<u32>, now_s: u64) -> Self {
        let now_s = u32::try_from(now_s).unwrap_or(u32::MAX);
        Self { server, issued_s: issued_s.unwrap_or(now_s), used_s: now_s }
    }

    fn to_bytes(self) -> [u8; PIN_BYTES] {
        let number = u128::from(self.server) << 64
            | u128::from(self.issued_s) << 32
            | u128::from(self.used_s);
        number.to_be_bytes()
    }

    fn from_bytes(bytes: [u8; PIN_BYTES]) -> Self {
        let number = u128::from_be_bytes(bytes);
        // Each cast takes the low part on purpose.
        Self {
            server: (number >> 64) as u64,
            issued_s: (number >> 32) as u32,
            used_s: number as u32,
        }
    }
}

/// RFC 4648 §5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// No digit of the alphabet: any bit above the lower six marks it.
const NO_DIGIT: u8 = 0xff;

/// The digit that each byte stands for.
#[expect(clippy::indexing_slicing, reason = "done by the compiler, which would stop at a panic")]
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

fn encode(bytes: &[u8; BYTES]) -> SealedValue {
    let mut value = [0; VALUE_CHARS];
    let groups = bytes.as_chunks::<3>().0.iter().zip(value.as_chunks_mut::<4>().0);
    for (&[first, second, third], place) in groups {
        let group = u32::from_be_bytes([0, first, second, third]);
        *place = [18, 12, 6, 0].map(|shift| {
            // Six bits are always below 64.
            ALPHABET.get((group >> shift & 0x3f) as usize).copied().unwrap_or_default()
        });
    }
    value
}

/// `None` for a character outside the alphabet.
fn decode(value: &SealedValue) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut all = 0;
    let groups = value.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<3>().0);
    for (group, place) in groups {
        let digits = group.map(|it| DIGITS.get(usize::from(it)).copied().unwrap_or(NO_DIGIT));
        all |= digits.into_iter().fold(0, |all, digit| all | digit);
        let number = digits.into_iter().fold(0, |number, digit| number << 6 | u32::from(digit));
        let [_, first, second, third] = number.to_be_bytes();
        *place = [first, second, third];
    }
    (all < 64).then_some(bytes)
}

#[cfg(test)]
mod tests;

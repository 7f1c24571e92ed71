//! Highest random weight, or rendezvous hashing, with the scores of Traefik (`hrw.go`): a key
//! stays with its member while that one is there, and only the keys of a member that leaves move.
//!
//! Has no state but its members; every worker and every instance agrees.

/// FNV-1a, 64 bits: offset basis and prime.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// 2^64 as Traefik divides by it.
const HASH_RANGE: f64 = 18_446_744_073_709_551_616.0;

/// Who may be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Hrw {
    members: Box<[Member]>,
}

#[derive(Clone, Debug, PartialEq)]
struct Member {
    member: u16,
    weight: f64,
    name: Box<str>,
}

impl Hrw {
    /// `members` is (member, weight, name); a weight of 0 is never chosen.
    pub fn new<'a>(members: impl IntoIterator<Item = (u16, u32, &'a str)>) -> Self {
        let taking_part = members.into_iter().filter(|(_, weight, _)| *weight > 0);
        let members = taking_part.map(|(member, weight, name)| Member {
            member,
            weight: f64::from(weight),
            name: name.into(),
        });
        Self { members: members.collect() }
    }

    /// The member with the highest score for `key` among those for which `eligible` holds, the
    /// earlier one of equals, or `None` when it holds for none. Looks at every member: the price
    /// of moving so little.
    pub fn choose(&self, key: &[u8], eligible: impl Fn(u16) -> bool) -> Option<u16> {
        let of_key = fnv1a(FNV_BASIS, key);
        let mut best = None;
        let mut best_score = f64::NEG_INFINITY;
        for it in self.members.iter().filter(|it| eligible(it.member)) {
            let score = score(fnv1a(of_key, it.name.as_bytes()), it.weight);
            if score > best_score {
                (best, best_score) = (Some(it.member), score);
            }
        }
        best
    }
}

/// `hash` is that of the key and, without anything between, the member's name.
fn score(hash: u64, weight: f64) -> f64 {
    // The nearest `f64`, as Go converts. A hash that rounds to 2^64 scores infinity.
    #[expect(clippy::cast_precision_loss, reason = "a score is as precise as Traefik's")]
    let share = hash as f64 / HASH_RANGE;
    weight / -share.ln()
}

fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests;

//! How many connections one client address may hold (`sundew.limits.connectionsPerAddress`, http1
//! G6), over all workers.
//!
//! One count for each address that is connected: an entry comes with an address's first connection
//! and leaves with its last, so there are never more entries than connections. The counts lie in
//! shards behind locks that are held for one look-up; they are touched when a connection begins and
//! ends, and only where the limit is set. Called by the listener, and by the connection itself where
//! a PROXY header names its client.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More than workers, so that two of them seldom want the same one.
const SHARDS: usize = 64;

/// Of an IPv6 address: what a client is usually given is a /64, and it may use any address in it.
const V6_PREFIX_MASK: u128 = !(u64::MAX as u128);

/// The limit, shared by all workers.
#[derive(Debug)]
pub struct AddressCap {
    max: u32,
    shards: [Mutex<HashMap<Counted, u32, ahash::RandomState>>; SHARDS],
    /// Apart from the maps' own, or the addresses of one shard would collide in its map.
    hashes: ahash::RandomState,
}

/// What is counted as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Counted(Ipv6Addr);

impl Counted {
    fn new(address: IpAddr) -> Self {
        // The mapped form of an IPv4 address has bits below the prefix, an IPv6 network has none:
        // the two cannot be mistaken for each other.
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & V6_PREFIX_MASK),
        })
    }
}

/// One connection's place; leaving it makes room for another of the same address.
#[derive(Debug)]
pub struct AddressPlace {
    cap: Arc<AddressCap>,
    counted: Counted,
}

impl AddressCap {
    /// At most `max` at a time of each address.
    #[must_use]
    pub fn new(max: u32) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { max, shards, hashes: ahash::RandomState::new() })
    }

    /// A place for a connection from `address`, `None` when all of the address are taken.
    #[must_use]
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let counted = Counted::new(address);
        let mut shard = self.shard(counted)?;
        let count = shard.entry(counted).or_insert(0);
        // An entry that was just made is below any limit, so a refusal leaves none behind.
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(AddressPlace { cap: Arc::clone(self), counted })
    }

    fn leave(&self, counted: Counted) {
        let Some(mut shard) = self.shard(counted) else { return };
        if let Entry::Occupied(mut entry) = shard.entry(counted) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        // A crowd that has left must not hold its room for ever.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
    }

    fn shard(
        &self,
        counted: Counted,
    ) -> Option<MutexGuard<'_, HashMap<Counted, u32, ahash::RandomState>>> {
        let position = usize::try_from(self.hashes.hash_one(counted) % SHARDS as u64).ok()?;
        Some(self.shards.get(position)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        self.cap.leave(self.counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(cap: &AddressCap) -> usize {
        cap.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn g6_each_address_has_its_own_places_and_each_end_makes_room() {
        let cap = AddressCap::new(2);
        let first = cap.take(ip("192.0.2.1")).unwrap();
        let _second = cap.take(ip("192.0.2.1")).unwrap();
        assert!(cap.take(ip("192.0.2.1")).is_none());
        assert!(cap.take(ip("192.0.2.1")).is_none(), "a refusal takes no place");
        assert!(cap.take(ip("192.0.2.2")).is_some(), "another address");
        drop(first);
        assert!(cap.take(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn g6_what_is_one_client_counts_together() {
        let cases = [
            ("IPv4 and its mapped form", "192.0.2.1", "::ffff:192.0.2.1", true),
            ("one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("two /64 of a /48", "2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("neighbours in IPv4", "192.0.2.1", "192.0.2.2", false),
            ("IPv4 and the network ::/64", "0.0.0.1", "::1", false),
        ];
        for (name, one, other, are_one) in cases {
            let cap = AddressCap::new(1);
            let _place = cap.take(ip(one)).unwrap();
            assert_eq!(cap.take(ip(other)).is_none(), are_one, "{name}");
        }
    }

    #[test]
    fn g6_addresses_that_have_left_are_forgotten() {
        let cap = AddressCap::new(1);
        let places: Vec<_> = (0..20_000_u32)
            .map(|number| cap.take(IpAddr::from(number.to_be_bytes())).unwrap())
            .collect();
        assert_eq!(entries(&cap), 20_000);
        drop(places);
        assert_eq!(entries(&cap), 0);
        let room: usize = cap.shards.iter().map(|it| it.lock().unwrap().capacity()).sum();
        assert!(room <= 64 * SHARDS, "room for {room} is kept");
    }

    #[test]
    fn g6_workers_at_once_never_pass_the_limit() {
        let cap = AddressCap::new(8);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let place = cap.take(ip("192.0.2.1"));
                        let now = cap.shard(Counted::new(ip("192.0.2.1"))).unwrap();
                        assert!(now.values().all(|count| *count <= 8));
                        drop(now);
                        drop(place);
                    }
                });
            }
        });
        assert_eq!(entries(&cap), 0);
    }
}

//! Keyed hashing of keys and servers, and the table for big pools.
//!
//! Everything here hangs on server names and a secret seed, never on addresses or positions: balancers that share
//! the seed agree whatever the order of their lists, and a client cannot work out which keys land together.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};

use evenkeel_model::ServerName;
use siphasher::sip::SipHasher13;

use crate::plan::Active;
use crate::rng::scatter;

#[cfg(test)]
mod tests;

/// The largest tier whose servers are weighed one by one for each request (rendezvous hashing): exact weights, no
/// needless move, no table, and about half a microsecond at this size. Above it a table answers.
pub(crate) const RENDEZVOUS_MOST: usize = 64;

/// Slots of the table for bigger tiers: the prime of the Maglev paper's small table, so that each of 1024 servers
/// has 64 slots and shares are true to about a percent.
pub(crate) const MAGLEV_SLOTS: usize = 65_537;

/// What a request is hashed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKeyValue<'a> {
    /// The client's address: all of IPv4, the /64 of IPv6 (a host changes the lower half at will); an IPv4 address
    /// in IPv6 clothes (`::ffff:0:0/96`) counts as the IPv4 address.
    Client(IpAddr),
    /// The bytes of a field, cookie, parameter or path, as received.
    Bytes(&'a [u8]),
}

/// The key of a request for [`Ask::key`](crate::Ask::key), by SipHash-1-3 under the secret seed.
pub fn hash_key(seed: &[u8; 16], value: HashKeyValue<'_>) -> u64 {
    let mut hasher = SipHasher13::new_with_key(seed);
    match value {
        HashKeyValue::Bytes(bytes) => {
            hasher.write_u8(b'b');
            hasher.write(bytes);
        }
        HashKeyValue::Client(address) => match address.to_canonical() {
            IpAddr::V4(v4) => {
                hasher.write_u8(b'4');
                hasher.write(&v4.octets());
            }
            IpAddr::V6(v6) => {
                hasher.write_u8(b'6');
                hasher.write(&prefix_64(v6));
            }
        },
    }
    hasher.finish()
}

fn prefix_64(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

/// The keyed hash of a server's name. It differs in kind from a request's key, so that a client that sends a server's
/// name as its key gains nothing.
pub(crate) fn identity(seed: &[u8; 16], name: &ServerName) -> u64 {
    let mut hasher = SipHasher13::new_with_key(seed);
    hasher.write_u8(b's');
    hasher.write(name.as_str().as_bytes());
    hasher.finish()
}

/// A fingerprint of a list of names, in order. It guards a memory within the process, so its key is no secret.
pub(crate) fn print_of_names<'a>(names: impl Iterator<Item = &'a ServerName>) -> u64 {
    let mut hasher = SipHasher13::new();
    for name in names {
        hasher.write(name.as_str().as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// How far a server stands from a key: the lower, the sooner it is asked. Weighted rendezvous hashing:
/// `-ln(u) / weight` with `u` uniform in (0, 1] gives each server the least distance in proportion to its weight.
pub(crate) fn distance(key: u64, identity: u64, share: u32) -> f64 {
    // 53 bits fill a double's mantissa; the added one keeps the logarithm's argument above 0.
    let steps = (scatter(key ^ identity) >> 11) + 1;
    let uniform = steps as f64 / (1_u64 << 53) as f64;
    -uniform.ln() / f64::from(share.max(1))
}

/// Sorts servers by their hashes, so that tables come out the same whatever the order of the configuration.
pub(crate) fn in_stable_order(mut weights: Vec<(u64, u16)>) -> Vec<(u64, u16)> {
    weights.sort_unstable();
    weights
}

/// A table from slots to servers in which each has slots in proportion to its weight, and of which a change of the
/// servers changes little (Eisenbud and others, "Maglev", NSDI 2016, section 3.4).
#[derive(Debug)]
pub(crate) struct Maglev {
    weights: Vec<(u64, u16)>,
    /// For each slot the rank of its server in `weights`.
    slots: Vec<u16>,
}

impl Maglev {
    /// The table for servers in stable order, each with its identity and a weight above 0. There is at least one.
    pub(crate) fn new(weights: Vec<(u64, u16)>) -> Self {
        let slots = fill(&weights);
        Self { weights, slots }
    }

    /// What the table was made of.
    pub(crate) fn weights(&self) -> &[(u64, u16)] {
        &self.weights
    }

    /// The rank of the server that the key meets at its nth attempt.
    pub(crate) fn rank(&self, key: u64, attempt: u64) -> usize {
        let slot = scatter(key.wrapping_add(attempt)) % MAGLEV_SLOTS as u64;
        usize::from(self.slots[slot as usize])
    }

    /// For each rank, where its server stands among the active ones, if it does.
    pub(crate) fn places(&self, active: &[Active]) -> Vec<Option<u16>> {
        let mut places = vec![None; self.weights.len()];
        for (place, server) in (0..=u16::MAX).zip(active) {
            if let Ok(rank) = self.weights.binary_search_by_key(&server.identity, |(identity, _)| *identity) {
                places[rank] = Some(place);
            }
        }
        places
    }
}

/// Lets the servers take turns, each claiming the next free slot of its own order of slots; a server of half the
/// largest weight takes every other turn.
fn fill(weights: &[(u64, u16)]) -> Vec<u16> {
    const FREE: u16 = u16::MAX;
    let most = MAGLEV_SLOTS as u64;
    let heaviest = u64::from(weights.iter().map(|(_, weight)| *weight).max().unwrap_or(1));
    // Offset and stride of each server's order; the stride is 1 to 65536, and the table's size is prime, so that the
    // order meets every slot once.
    let mut walks: Vec<(u64, u64, u64)> = weights
        .iter()
        .map(|(identity, _)| (scatter(*identity) % most, scatter(!*identity) % (most - 1) + 1, 0))
        .collect();
    let mut slots = vec![FREE; MAGLEV_SLOTS];
    let mut left = MAGLEV_SLOTS;
    loop {
        for (rank, ((at, stride, credit), (_, weight))) in (0..FREE).zip(walks.iter_mut().zip(weights)) {
            *credit += u64::from(*weight);
            if *credit < heaviest {
                continue;
            }
            *credit -= heaviest;
            while slots[*at as usize] != FREE {
                *at = (*at + *stride) % most;
            }
            slots[*at as usize] = rank;
            left -= 1;
            if left == 0 {
                return slots;
            }
        }
    }
}

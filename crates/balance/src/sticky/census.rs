//! How many sessions in sealed tokens live on each server, and which tokens come from many networks.
//!
//! The clients hold those sessions, so that nobody has a list to count. What is counted here is the sessions that showed
//! themselves within `idle`, in a bounded table that threads share without a lock. Where there are more than it holds, one of
//! two, of four and so on is followed, by its hash, and stands for the others.
//!
//! The invariants: nothing grows, whatever clients send; only tokens that were presented count, so that a flood of
//! clients without cookies counts nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use evenkeel_model::caps;

use crate::ServerUid;
use crate::rng::scatter;

/// Places looked at for one session.
const PROBES: usize = 8;
/// Seconds after which a session that is seen again is noted again.
const GRAIN: u32 = 4;
/// Of all places, below a share of one in so many the table follows more sessions again.
const ROOMY: usize = 8;

/// Counts of sessions.
pub struct Census {
    places: Box<[Place]>,
    /// Of the sessions' hashes so many low bits are zero for those that are followed.
    level: AtomicU32,
    /// The same of those that are counted: not below `level` until all of these have had `idle` to show themselves.
    counted: AtomicU32,
    /// When `level` fell.
    fell: AtomicU32,
    /// For how many seconds a session may sleep.
    idle: AtomicU64,
    roaming: AtomicU64,
}

/// What is known of one session. The two halves may be of different sessions for a moment: one is then counted wrongly once.
#[derive(Default)]
struct Place {
    /// The token's number, and when it was seen last. 0 is nobody.
    who: AtomicU64,
    /// The server, and the networks that the token came from, a bit each by hash.
    whence: AtomicU64,
}

/// Sessions by server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    by_server: BTreeMap<u32, u64>,
    /// For how many sessions each one that was counted stands: 1 where the count is exact.
    pub each: u64,
}

impl Counted {
    /// The sessions that live on a server.
    pub fn on(&self, server: ServerUid) -> u64 {
        self.by_server.get(&half(server)).copied().unwrap_or(0).saturating_mul(self.each)
    }
}

impl Default for Census {
    fn default() -> Self {
        Self {
            places: (0..caps::SESSIONS_COUNTED).map(|_| Place::default()).collect(),
            level: AtomicU32::new(0),
            counted: AtomicU32::new(0),
            fell: AtomicU32::new(0),
            idle: AtomicU64::new(0),
            roaming: AtomicU64::new(0),
        }
    }
}

impl std::fmt::Debug for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Census({})", self.places.len())
    }
}

impl Census {
    /// The session of a token, which may sleep for `idle` seconds, was served by its server.
    pub fn note(&self, client: u32, server: ServerUid, from: IpAddr, (now_unix, idle): (u64, u64)) {
        let (hash, now) = (scatter(u64::from(client)), seconds(now_unix));
        if self.idle.load(Ordering::Relaxed) != idle {
            self.idle.store(idle, Ordering::Relaxed);
        }
        if !is_followed(hash, self.level.load(Ordering::Relaxed)) {
            return;
        }
        let bit = 1_u64 << (scatter(network(from)) & 31);
        let mut free = None;
        for place in self.around(hash) {
            let who = place.who.load(Ordering::Relaxed);
            if who != 0 && (who >> 32) as u32 == client {
                self.renew(place, (client, who as u32), (half(server), bit), now);
                return;
            }
            if free.is_none() && self.is_free(who, now, idle) {
                free = Some((place, who));
            }
        }
        match free {
            // Whoever takes the place in the same moment is as good.
            Some((place, was)) => {
                let who = u64::from(client) << 32 | u64::from(now.max(1));
                if place.who.compare_exchange(was, who, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    place.whence.store(u64::from(half(server)) << 32 | bit, Ordering::Relaxed);
                }
            }
            None => self.follow_fewer(),
        }
    }

    /// The session of a token is over: its client was bound anew.
    pub fn forget(&self, client: u32) {
        for place in self.around(scatter(u64::from(client))) {
            let who = place.who.load(Ordering::Relaxed);
            if who != 0 && (who >> 32) as u32 == client {
                // Whoever took the place in the same moment stays.
                let _ = place.who.compare_exchange(who, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// The sessions that are not idle.
    pub fn count(&self, now_unix: u64) -> Counted {
        let (now, idle) = (seconds(now_unix), self.idle.load(Ordering::Relaxed));
        self.settle(now, idle);
        let level = self.counted.load(Ordering::Relaxed);
        let (mut by_server, mut held) = (BTreeMap::<u32, u64>::new(), 0);
        for place in &self.places {
            let who = place.who.load(Ordering::Relaxed);
            if self.is_free(who, now, idle) {
                continue;
            }
            held += 1;
            if is_followed(scatter(who >> 32), level) {
                *by_server.entry((place.whence.load(Ordering::Relaxed) >> 32) as u32).or_default() += 1;
            }
        }
        if held * ROOMY < self.places.len() {
            self.follow_more(now);
        }
        Counted { by_server, each: 1 << level }
    }

    /// Sessions whose token came from [`caps::TOKEN_NETWORKS`] networks or more, since the start: copies of it are about.
    pub fn roaming(&self) -> u64 {
        self.roaming.load(Ordering::Relaxed)
    }

    fn renew(&self, place: &Place, (client, seen): (u32, u32), (server, bit): (u32, u64), now: u32) {
        if now.saturating_sub(seen) >= GRAIN {
            place.who.store(u64::from(client) << 32 | u64::from(now), Ordering::Relaxed);
        }
        let whence = place.whence.load(Ordering::Relaxed);
        let next = u64::from(server) << 32 | (whence & u64::from(u32::MAX)) | bit;
        if next == whence {
            return;
        }
        place.whence.store(next, Ordering::Relaxed);
        let networks = |whence: u64| (whence as u32).count_ones();
        if networks(whence) < caps::TOKEN_NETWORKS && networks(next) >= caps::TOKEN_NETWORKS {
            self.roaming.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn around(&self, hash: u64) -> impl Iterator<Item = &Place> {
        let most = self.places.len();
        let begin = (hash >> 24) as usize;
        (0..PROBES).filter_map(move |step| self.places.get(begin.wrapping_add(step) % most))
    }

    fn is_free(&self, who: u64, now: u32, idle: u64) -> bool {
        let is_idle = u64::from(now.saturating_sub(who as u32)) > idle;
        who == 0 || is_idle || !is_followed(scatter(who >> 32), self.level.load(Ordering::Relaxed))
    }

    fn follow_fewer(&self) {
        let level = self.level.load(Ordering::Relaxed);
        if level < 31 {
            // Where two do it at once, one step is enough.
            let _ = self.level.compare_exchange(level, level + 1, Ordering::Relaxed, Ordering::Relaxed);
            self.counted.fetch_max(level + 1, Ordering::Relaxed);
        }
    }

    fn follow_more(&self, now: u32) {
        let level = self.level.load(Ordering::Relaxed);
        // One step at a time: until it counts, what it would count is not known.
        if level > 0 && self.counted.load(Ordering::Relaxed) == level {
            self.fell.store(now, Ordering::Relaxed);
            let _ = self.level.compare_exchange(level, level - 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Counts by what is followed, once every session that lives has had the time to show itself.
    fn settle(&self, now: u32, idle: u64) {
        if u64::from(now.saturating_sub(self.fell.load(Ordering::Relaxed))) > idle {
            self.counted.store(self.level.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

fn is_followed(hash: u64, level: u32) -> bool {
    hash & ((1 << level) - 1) == 0
}

/// Half of a server's identity: tells the servers of one pool apart.
fn half(server: ServerUid) -> u32 {
    server.to_bits() as u32
}

/// The /24 of an IPv4 address, the /48 of an IPv6 address: what one household or company goes out by.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => (u128::from(v6) >> 80) as u64 | 1 << 63,
    }
}

fn seconds(now_unix: u64) -> u32 {
    u32::try_from(now_unix).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use evenkeel_model::ServerName;

    use super::*;

    const IDLE: u64 = 1800;

    fn uid(name: &str) -> ServerUid {
        ServerUid::of(&ServerName::new(name).unwrap())
    }

    fn home() -> IpAddr {
        "198.51.100.7".parse().unwrap()
    }

    #[test]
    fn few_sessions_are_counted_exactly_and_go_when_they_are_idle() {
        let census = Census::default();
        for client in 0..500 {
            let server = if client % 5 == 0 { "a" } else { "b" };
            for _ in 0..3 {
                census.note(client + 1, uid(server), home(), (1_000, IDLE));
            }
        }
        let counted = census.count(1_000);
        assert_eq!((counted.on(uid("a")), counted.on(uid("b")), counted.on(uid("c")), counted.each), (100, 400, 0, 1));
        (0..10).for_each(|client| census.note(client * 5 + 1, uid("a"), home(), (2_900, IDLE)));
        census.forget(1);
        let counted = census.count(2_900);
        assert_eq!((counted.on(uid("a")), counted.on(uid("b"))), (9, 0));
        // One that was bound anew counts where it is now.
        census.note(6, uid("b"), home(), (2_901, IDLE));
        let counted = census.count(2_901);
        assert_eq!((counted.on(uid("a")), counted.on(uid("b"))), (8, 1));
    }

    #[test]
    fn many_are_counted_nearly_and_few_exactly_again() {
        let census = Census::default();
        for round in 0..3_u64 {
            for client in 1..=200_000_u32 {
                let server = if client % 4 == 0 { "a" } else { "b" };
                census.note(client, uid(server), home(), (1_000 + round, IDLE));
            }
        }
        let counted = census.count(1_003);
        let (a, b) = (counted.on(uid("a")) as f64, counted.on(uid("b")) as f64);
        assert!(counted.each > 1 && (a / 50_000.0 - 1.0).abs() < 0.25 && (b / 150_000.0 - 1.0).abs() < 0.15, "{a} {b}");
        // All but forty leave; the count gets finer with time.
        for round in 0..40_u64 {
            let now = 3_000 + round * IDLE / 2;
            (1..=40).for_each(|client| census.note(client, uid("a"), home(), (now, IDLE)));
            census.count(now);
        }
        let counted = census.count(3_000 + 20 * IDLE);
        assert_eq!((counted.on(uid("a")), counted.each), (40, 1));
    }

    #[test]
    fn a_token_from_many_networks_is_told_once() {
        let census = Census::default();
        let from = |network: u8| IpAddr::from([10, network, 0, 1]);
        (0..3).for_each(|network| census.note(7, uid("a"), from(network), (1_000, IDLE)));
        assert_eq!(census.roaming(), 0, "somebody on a journey");
        for _ in 0..3 {
            (0..60).for_each(|network| census.note(7, uid("a"), from(network), (1_000, IDLE)));
        }
        assert_eq!(census.roaming(), 1);
        assert_eq!(census.count(1_000).on(uid("a")), 1, "it is one session");
    }

    #[test]
    fn a_flood_of_tokens_grows_nothing() {
        let census = Census::default();
        let before = size_of_val(&*census.places);
        (1..2_000_000_u32).for_each(|client| census.note(client, uid("a"), home(), (1_000, IDLE)));
        assert_eq!(size_of_val(&*census.places), before);
        assert!(before <= 64 * 1024, "{before} bytes for a pool");
        let counted = census.count(1_000).on(uid("a")) as f64;
        assert!((counted / 2e6 - 1.0).abs() < 0.3, "{counted}");
    }
}

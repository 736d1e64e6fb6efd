//! Response rate limiting: so that a forged source address gets little out of us (in the manner of Knot DNS).
//!
//! Each client address is counted in prefixes of several lengths at once; the wider the prefix, the more it may
//! have. What is not sent is counted nowhere: else a flood of one address would use up what its network may have. Past
//! its allowance every `slip`-th response is cut to TC, by which an honest client comes back over TCP,
//! and the others are dropped. Clients with a good cookie and TCP are not to be counted. The invariants: a bounded
//! table, whatever the addresses; the time is an argument.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_model::caps;

use super::balanced::mix;

/// Prefix lengths of IPv4 with the factor on the allowance of one address: a network of n addresses rarely needs
/// n times as much.
const V4: [(u32, u32); 4] = [(32, 1), (24, 32), (20, 256), (18, 768)];

/// Prefix lengths of IPv6 with their factors: a /64 is one customer's line, a /32 one provider.
const V6: [(u32, u32); 5] = [(128, 1), (64, 2), (56, 3), (48, 4), (32, 64)];

/// One response, as buckets count: in thousandths, so that a millisecond of any rate is a whole number.
const RESPONSE: u64 = 1000;

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// It is sent.
    Send,
    /// Its cut form is sent instead (see [`super::cut`]).
    Slip,
    /// Nothing is sent.
    Drop,
}

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRules {
    /// Responses a second to one address, in the long run.
    pub rate: u32,
    /// Responses at once to one address that was quiet.
    pub instant: u32,
    /// Of the responses past the allowance every how many-th is sent cut; 0 for none.
    pub slip: u32,
}

impl Default for RateRules {
    fn default() -> Self {
        // A resolver without cookies that asks more often than that for names with a TTL of 30 s is rare; half of
        // what is past it gets the way out.
        Self { rate: 50, instant: 125, slip: 2 }
    }
}

/// What a prefix has used of its allowance.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Which prefix it counts, as the part of its hash that does not choose the place.
    tag: u32,
    /// Responses counted, in thousandths.
    used: u64,
    /// When it was last counted, in milliseconds.
    at: u64,
}

/// The counts of one thread.
#[derive(Debug, Clone)]
pub struct RateLimit {
    rules: RateRules,
    /// Keeps places unknown outside, so that nobody can aim at another's bucket.
    key: u64,
    buckets: Vec<Bucket>,
    limited: u32,
}

impl RateLimit {
    /// Empty counts. `key` is drawn once.
    pub fn new(rules: RateRules, key: u64) -> Self {
        Self { rules, key, buckets: vec![Bucket::default(); caps::DNS_RATE_BUCKETS], limited: 0 }
    }

    /// Counts a response to a client and tells what becomes of it.
    pub fn count(&mut self, now: Duration, client: IpAddr) -> Allowance {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let (bits, width, levels): (u128, u32, &[(u32, u32)]) = match client.to_canonical() {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32, &V4),
            IpAddr::V6(v6) => (u128::from(v6), 128, &V6),
        };
        let mut places = [None; V6.len()];
        let is_within = levels.iter().zip(&mut places).all(|((length, factor), place)| {
            let prefix = bits.checked_shr(width.saturating_sub(*length)).unwrap_or(0);
            let salt = u64::from(width).wrapping_shl(8) | u64::from(*length);
            *place = self.look(prefix, salt, *factor, now);
            place.is_some()
        });
        if is_within {
            self.charge(&places);
            return Allowance::Send;
        }
        self.limited = self.limited.wrapping_add(1);
        match self.limited.checked_rem(self.rules.slip) {
            Some(0) => Allowance::Slip,
            _ => Allowance::Drop,
        }
    }

    /// The place of a prefix, where its allowance holds one more response.
    fn look(&mut self, prefix: u128, salt: u64, factor: u32, now: u64) -> Option<usize> {
        let low = u64::try_from(prefix & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(prefix >> 64).unwrap_or(0);
        let hash = mix(mix(mix(self.key ^ salt) ^ low) ^ high);
        let tag = u32::try_from(hash >> 32).unwrap_or(0);
        let place = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0).checked_rem(self.buckets.len())?;
        let bucket = self.buckets.get_mut(place)?;
        let most = u64::from(self.rules.instant).saturating_mul(u64::from(factor)).saturating_mul(RESPONSE);
        let rate = u64::from(self.rules.rate).saturating_mul(u64::from(factor));
        if bucket.tag != tag {
            // Two prefixes meet in one place: the newer begins anew, so that nobody suffers for another.
            *bucket = Bucket { tag, used: 0, at: now };
        }
        let passed = now.saturating_sub(bucket.at);
        bucket.used = bucket.used.saturating_sub(passed.saturating_mul(rate));
        bucket.at = now;
        (bucket.used.saturating_add(RESPONSE) <= most).then_some(place)
    }

    /// Counts one response for the prefixes that were looked at.
    fn charge(&mut self, places: &[Option<usize>]) {
        for place in places.iter().flatten() {
            if let Some(bucket) = self.buckets.get_mut(*place) {
                bucket.used = bucket.used.saturating_add(RESPONSE);
            }
        }
    }
}

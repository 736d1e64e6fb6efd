//! How often one token may be used: a bounded table of counts that threads share without a lock.
//!
//! Sessions share places by hash; a session that meets another in its place begins to count anew. So a flood of different
//! tokens can make the table forget, which lets each of them through, but one token sent over and over is counted well:
//! that is the one that would drown a server.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places of one table, 8 bytes each: a thousand sessions over the limit at a time hardly ever meet.
const PLACES: usize = 16_384;
/// Of a place, the low bits count, the next tell the second, the rest the session.
const COUNT_BITS: u32 = 24;
const SECOND_BITS: u32 = 16;

/// Counts of requests by session and second.
pub struct Rate {
    places: Box<[AtomicU64]>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl std::fmt::Debug for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rate({})", self.places.len())
    }
}

impl Rate {
    /// Counts one request of the session; whether it is within `most` a second.
    pub fn admit(&self, client: u32, now_unix: u64, most: u32) -> bool {
        let hash = crate::rng::scatter(u64::from(client));
        let Some(place) = self.places.get(hash as usize % PLACES) else { return true };
        let mark = (hash >> 40) << SECOND_BITS | (now_unix & ((1 << SECOND_BITS) - 1));
        let most = u64::from(most).min((1 << COUNT_BITS) - 1);
        let mut held = place.load(Ordering::Relaxed);
        loop {
            let count = if held >> COUNT_BITS == mark { held & ((1 << COUNT_BITS) - 1) } else { 0 };
            if count >= most {
                return false;
            }
            let next = mark << COUNT_BITS | (count + 1);
            match place.compare_exchange_weak(held, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => held = other,
            }
        }
    }
}

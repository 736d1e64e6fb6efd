//! What a server carries right now, counted exactly over all workers.
//!
//! This is the one piece of the crate that threads share. It lives outside configuration generations, one for each
//! server's full name. Its invariant: `in_flight` never exceeds the `max` that was passed while it grew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(test)]
mod tests;

/// Requests in flight on one server.
#[derive(Debug, Default)]
pub struct ServerLoad {
    in_flight: AtomicU32,
}

impl ServerLoad {
    /// Takes a slot, unless `max` are taken already; `None` is no bound. A `true` is owed one [`Self::release`].
    pub fn try_take(&self, max: Option<u32>) -> bool {
        let most = max.unwrap_or(u32::MAX);
        // Relaxed is enough: the count protects no other memory, and one atomic is always seen in one order.
        self.in_flight
            .fetch_update(
                Ordering::Relaxed,
                Ordering::Relaxed,
                |taken| if taken < most { Some(taken + 1) } else { None },
            )
            .is_ok()
    }

    /// Gives a slot back. Giving back more than was taken is a fault of the caller and leaves the count at 0.
    pub fn release(&self) {
        let given = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| taken.checked_sub(1));
        debug_assert!(given.is_ok(), "a slot was given back that nobody held");
    }

    /// Takes a slot that gives itself back when it is dropped.
    pub fn take(self: &Arc<Self>, max: Option<u32>) -> Option<Slot> {
        self.try_take(max).then(|| Slot { load: Arc::clone(self) })
    }

    /// How many slots are taken.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether all of `max` slots are taken; `None` is never full.
    pub fn is_full(&self, max: Option<u32>) -> bool {
        max.is_some_and(|max| self.in_flight() >= max)
    }
}

/// One taken slot of a server; dropping it gives it back.
#[derive(Debug)]
pub struct Slot {
    load: Arc<ServerLoad>,
}

impl Slot {
    /// The load that the slot belongs to.
    pub fn load(&self) -> &ServerLoad {
        &self.load
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.load.release();
    }
}

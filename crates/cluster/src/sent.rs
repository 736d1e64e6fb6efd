//! When this node sent which heartbeat: what turns a peer's echo into a time of our own clock.
//!
//! The invariant: a sequence number is either known with its exact time, or not at all.

use std::time::Duration;

use evenkeel_model::caps;

/// Times of the latest heartbeats, by sequence number from 1.
#[derive(Debug, Clone)]
pub(crate) struct SendTimes {
    times: Vec<Duration>,
    latest: u64,
}

impl SendTimes {
    pub(crate) fn new() -> Self {
        Self { times: vec![Duration::ZERO; caps::CLUSTER_SENT], latest: 0 }
    }

    /// Notes that the next heartbeat goes out now, and returns its number.
    pub(crate) fn record(&mut self, now: Duration) -> u64 {
        self.latest = self.latest.saturating_add(1);
        let slot = self.slot(self.latest);
        if let Some(time) = self.times.get_mut(slot) {
            *time = now;
        }
        self.latest
    }

    /// When that heartbeat was sent, if it is among the latest.
    pub(crate) fn at(&self, sequence: u64) -> Option<Duration> {
        let is_kept = sequence > 0 && sequence <= self.latest && self.latest - sequence < caps::CLUSTER_SENT as u64;
        if is_kept { self.times.get(self.slot(sequence)).copied() } else { None }
    }

    /// The number of the last one.
    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    fn slot(&self, sequence: u64) -> usize {
        // The remainder is below the length, which is a `usize`.
        (sequence % self.times.len() as u64) as usize
    }
}

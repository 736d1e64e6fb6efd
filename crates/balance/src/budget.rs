//! How many retries a worker may add to an outage.
//!
//! Without a budget, two retries for each request triple the traffic of a pool at the moment when it can bear least.
//! The invariant: over ten seconds, retries stay below the given percentage of requests, or below three a second.

use std::time::Duration;

use crate::window::Window;

#[cfg(test)]
mod tests;

/// The stretch over which requests and retries are compared: long enough to smooth a burst, short enough that an
/// outage's first failures are still served from the requests before it.
const SPAN: Duration = Duration::from_secs(10);

/// Retries allowed in each second whatever the percentage says, so that a quiet service can retry at all.
const ALWAYS_PER_SECOND: u64 = 3;

/// One worker's allowance of retries for one pool.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    percent: u64,
    requests: Window,
    retries: Window,
}

impl RetryBudget {
    /// An allowance of `percent` of the requests of the last ten seconds, and of three retries a second in any case.
    pub fn new(percent: u8) -> Self {
        Self { percent: u64::from(percent), requests: Window::new(SPAN), retries: Window::new(SPAN) }
    }

    /// Follows a changed configuration; what was counted stays.
    pub fn set_percent(&mut self, percent: u8) {
        self.percent = u64::from(percent);
    }

    /// Counts a request of a client, once, whatever becomes of it.
    pub fn on_request(&mut self, now: Duration) {
        self.requests.add(now);
    }

    /// Takes one retry out of the allowance, or says that none is left.
    pub fn try_spend(&mut self, now: Duration) -> bool {
        // A part of the ten-second window is one second, so `latest` is this second's retries.
        let within_floor = self.retries.latest(now) < ALWAYS_PER_SECOND;
        let allowed = self.requests.total(now).saturating_mul(self.percent) / 100;
        let is_allowed = within_floor || self.retries.total(now) < allowed;
        if is_allowed {
            self.retries.add(now);
        }
        is_allowed
    }
}

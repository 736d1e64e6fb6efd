//! How long a client was waited for.
//!
//! Not here: what is waited for, and who ends the wait. The invariant: time counts only while the client is waited for, and
//! bytes take time off again: all of it, or, where a rate is asked for, as much as they are worth at that rate, so that who
//! drips runs out of time as who is silent does.

use std::time::Duration;

use tokio::time::Instant;

/// How long a client was waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Bytes a second that the client has to move.
    rate: Option<u64>,
    waited: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// With a client that has to move so many bytes a second.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { rate, waited: Duration::ZERO, since: None }
    }

    /// The client is waited for.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The client moved so many bytes.
    pub(crate) fn moved(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        let micros = (bytes as u64).saturating_mul(1_000_000);
        let worth = self.rate.and_then(|rate| micros.checked_div(rate)).map_or(Duration::MAX, Duration::from_micros);
        self.waited = self.waited.saturating_sub(worth);
    }

    /// The client is waited for no longer, whatever it moved.
    pub(crate) fn pause(&mut self) {
        self.since = None;
    }

    /// Until when the client may be waited for, where it may take so long; counted from `begun` while it is not.
    pub(crate) fn deadline(&self, timeout: Duration, begun: Instant) -> Instant {
        self.since.unwrap_or(begun) + timeout.saturating_sub(self.waited)
    }
}

/// How a client takes what waits for it alone, by a count of bytes that changes as they go.
#[derive(Debug)]
pub(crate) struct Rest {
    count: u64,
    patience: Patience,
}

impl Rest {
    /// The count stands there, and the client has to take so many bytes a second.
    pub(crate) fn new(count: u64, rate: Option<u64>, now: Instant) -> Self {
        let mut patience = Patience::new(rate);
        patience.wait(now);
        Self { count, patience }
    }

    /// The count stands there by now; until when the client may take to go on, where it may take so long.
    pub(crate) fn deadline(&mut self, count: u64, timeout: Duration, now: Instant) -> Instant {
        let taken = self.count.abs_diff(count);
        self.count = count;
        if taken > 0 {
            self.patience.moved(usize::try_from(taken).unwrap_or(usize::MAX), now);
            self.patience.wait(now);
        }
        self.patience.deadline(timeout, now)
    }
}

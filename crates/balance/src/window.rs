//! Counting what happened within a sliding stretch of time, in constant memory.

use std::time::Duration;

/// How many parts a window is cut into. An event leaves the count with its part: at most a tenth of the window
/// early, never late.
const PARTS: usize = 10;

/// A count of the events of the last `span`, to within a tenth of it.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    part: Duration,
    /// Which part of time `counts[newest % PARTS]` stands for.
    newest: u64,
    counts: [u64; PARTS],
}

impl Window {
    /// An empty window. A span of zero counts as the shortest that can be cut.
    pub(crate) fn new(span: Duration) -> Self {
        let part = (span / (PARTS as u32)).max(Duration::from_nanos(1));
        Self { part, newest: 0, counts: [0; PARTS] }
    }

    /// Adds an event at `now`.
    pub(crate) fn add(&mut self, now: Duration) {
        let place = self.advance(now);
        self.counts[place] += 1;
    }

    /// Events of the window that ends at `now`.
    pub(crate) fn total(&mut self, now: Duration) -> u64 {
        self.advance(now);
        self.counts.iter().sum()
    }

    /// Events of the part of time that `now` is in.
    pub(crate) fn latest(&mut self, now: Duration) -> u64 {
        let place = self.advance(now);
        self.counts[place]
    }

    /// Drops the parts that have left the window and says where the present one is. A `now` before the newest event
    /// counts as that event's time: clocks of different workers are read a moment apart.
    fn advance(&mut self, now: Duration) -> usize {
        let present = u64::try_from(now.as_nanos() / self.part.as_nanos()).unwrap_or(u64::MAX);
        let gone = present.saturating_sub(self.newest).min(PARTS as u64);
        for step in 1..=gone {
            self.counts[((self.newest + step) % PARTS as u64) as usize] = 0;
        }
        self.newest = self.newest.max(present);
        (self.newest % PARTS as u64) as usize
    }
}

//! What workers count while they work.
//!
//! Not here: what others read of it (`stats`). The invariant: each set has one worker that writes it, so that counting
//! is an addition in memory that no other core holds; readers add the sets up. Sets live as long as what they count
//! is named, whatever becomes of their worker and of the configuration.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_model::Histogram;

use crate::stats::Traffic;

/// A number that one worker writes and anyone reads.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds to the number; for its worker alone.
    pub(crate) fn add(&self, amount: u64) {
        // Two plain moves instead of a locked addition: nobody else writes.
        self.0.store(self.read().wrapping_add(amount), Ordering::Relaxed);
    }

    /// The number now.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long things took.
#[derive(Debug)]
pub(crate) struct Times {
    counts: [Count; Histogram::STEPS],
    micros: Count,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| Count::default()), micros: Count::default() }
    }
}

impl Times {
    /// Counts a duration.
    pub(crate) fn add(&self, took: Duration) {
        self.add_at(Histogram::step(took), took);
    }

    /// Counts a duration whose step is known.
    pub(crate) fn add_at(&self, step: usize, took: Duration) {
        if let Some(count) = self.counts.get(step) {
            count.add(1);
        }
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Histogram {
        Histogram::new(self.counts.each_ref().map(Count::read), Duration::from_micros(self.micros.read()))
    }
}

/// Requests, their answers and their bytes.
#[derive(Debug, Default)]
pub(crate) struct TrafficCounts {
    pub(crate) requests: Count,
    by_class: [Count; 5],
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) times: Times,
}

impl TrafficCounts {
    /// Counts an answer by the class of its status; what is none is not counted.
    pub(crate) fn add_status(&self, status: u16) {
        if let Some(count) = usize::from(status / 100).checked_sub(1).and_then(|class| self.by_class.get(class)) {
            count.add(1);
        }
    }

    pub(crate) fn add_bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.add(bytes_in);
        self.bytes_out.add(bytes_out);
    }

    pub(crate) fn read_into(&self, sum: &mut Traffic) {
        sum.requests += self.requests.read();
        for (total, count) in sum.by_class.iter_mut().zip(&self.by_class) {
            *total += count.read();
        }
        sum.bytes_in += self.bytes_in.read();
        sum.bytes_out += self.bytes_out.read();
        sum.times.merge(&self.times.read());
    }
}

/// One worker's counts of a listener.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct ListenerCounts {
    pub(crate) accepted: Count,
    pub(crate) closed: Count,
    pub(crate) handshakes: Count,
    pub(crate) handshakes_resumed: Count,
    pub(crate) handshakes_failed: Count,
    /// How often connections began to wait because there were as many as may be.
    pub(crate) full: Count,
    pub(crate) traffic: TrafficCounts,
}

/// One worker's counts of a pool.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct PoolCounts {
    pub(crate) traffic: TrafficCounts,
    pub(crate) retries: Count,
    pub(crate) redispatches: Count,
    /// How long those stood in line who had to.
    pub(crate) waits: Times,
    pub(crate) queue_full: Count,
    pub(crate) queue_timeouts: Count,
}

/// One worker's counts of a server.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct ServerCounts {
    pub(crate) traffic: TrafficCounts,
    pub(crate) failures: Count,
    pub(crate) sticky_hits: Count,
    pub(crate) sticky_new: Count,
    pub(crate) sticky_moved: Count,
    pub(crate) sticky_lost: Count,
    pub(crate) connects: Count,
    pub(crate) connect_failures: Count,
    pub(crate) reused: Count,
}

/// One worker's counts of the process.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct WorkerCounts {
    pub(crate) accepted: Count,
    pub(crate) accept_errors: Count,
    pub(crate) requests: Count,
    pub(crate) by_class: [Count; 5],
    pub(crate) retries: Count,
    pub(crate) panics: Count,
    pub(crate) log_lines_dropped: Count,
    pub(crate) surplus: Count,
    pub(crate) tunnels: Count,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
}

/// The sets of all workers that had anything to count.
#[derive(Debug)]
pub(crate) struct Shards<T> {
    sets: Mutex<Vec<(u64, Arc<T>)>>,
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        Self { sets: Mutex::default() }
    }
}

impl<T: Default> Shards<T> {
    /// The set of the worker with that number, made on first asking.
    pub(crate) fn of(&self, worker: u64) -> Arc<T> {
        let mut sets = self.lock();
        if let Some((_, set)) = sets.iter().find(|(owner, _)| *owner == worker) {
            return Arc::clone(set);
        }
        let set = Arc::<T>::default();
        sets.push((worker, Arc::clone(&set)));
        set
    }

    /// Looks at each set.
    pub(crate) fn each(&self, mut look: impl FnMut(&T)) {
        self.lock().iter().for_each(|(_, set)| look(set));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Arc<T>)>> {
        // Each holder makes one insertion at most, so that a panic leaves the list whole.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_all_workers_add_up_and_outlive_them() {
        let shards = Shards::<TrafficCounts>::default();
        for worker in 0..3 {
            let set = shards.of(worker);
            set.requests.add(10);
            set.add_status(204);
            set.add_status(0);
            set.add_status(999);
            set.times.add(Duration::from_millis(3));
        }
        shards.of(1).add_bytes(5, 7);
        let mut sum = Traffic::default();
        shards.each(|set| set.read_into(&mut sum));
        assert_eq!((sum.requests, sum.by_class, sum.bytes_in, sum.bytes_out), (30, [0, 3, 0, 0, 0], 5, 7));
        assert_eq!((sum.times.total(), sum.times.sum()), (3, Duration::from_millis(9)));
    }
}

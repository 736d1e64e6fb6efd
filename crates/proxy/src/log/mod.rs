//! Access logs: how lines leave the workers, and what they look like.
//!
//! Not here: writing them to files or sockets; a thread of the composition root drains the [`LogSource`]. The
//! invariant: a log that does not keep up costs lines, which are counted, and never a request's time.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use evenkeel_model::caps;

pub(crate) mod escape;
pub(crate) mod line;
pub(crate) mod passage;
pub(crate) mod time;

/// Where workers put batches of log lines.
#[derive(Debug, Clone)]
pub struct LogSink {
    batches: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
    number: u64,
}

/// Where the log's writer takes them.
#[derive(Debug)]
pub struct LogSource {
    batches: Receiver<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// A bounded channel of log batches: `caps::LOG_BATCHES` wait at most.
pub fn channel() -> (LogSink, LogSource) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (sender, receiver) = sync_channel(caps::LOG_BATCHES);
    let dropped = Arc::new(AtomicU64::new(0));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    (LogSink { batches: sender, dropped: Arc::clone(&dropped), number }, LogSource { batches: receiver, dropped })
}

impl LogSource {
    /// The next batch of whole lines; waits for one. `None` when every sink is gone.
    pub fn recv(&self) -> Option<Vec<u8>> {
        self.batches.recv().ok()
    }

    /// The next batch if one is there.
    pub fn try_recv(&self) -> Option<Vec<u8>> {
        self.batches.try_recv().ok()
    }

    /// Lines given up since the channel was made, because batches were not taken in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl LogSink {
    /// Hands a batch over; says how many lines were lost instead.
    pub fn send(&self, batch: Vec<u8>) -> u64 {
        let Err(failed) = self.batches.try_send(batch) else { return 0 };
        let (std::sync::mpsc::TrySendError::Full(batch) | std::sync::mpsc::TrySendError::Disconnected(batch)) = failed;
        let lines = memchr::memchr_iter(b'\n', &batch).count() as u64;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        lines
    }
}

/// One worker's unfinished batches.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: RefCell<Vec<(LogSink, Vec<u8>)>>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    /// Whether the line is the first to wait, so that a flush must be planned.
    pub(crate) is_first: bool,
    /// How many lines were lost.
    pub(crate) lost: u64,
}

impl Batches {
    /// Appends what `write` writes, a whole line, to the sink's batch.
    pub(crate) fn append(&self, sink: &LogSink, write: impl FnOnce(&mut Vec<u8>)) -> Written {
        let mut open = self.open.borrow_mut();
        let is_first = open.iter().all(|(_, batch)| batch.is_empty());
        let place = match open.iter().position(|(known, _)| known.number == sink.number) {
            Some(place) => place,
            None => {
                open.push((sink.clone(), Vec::with_capacity(caps::LOG_BATCH_BYTES + 1024)));
                open.len() - 1
            }
        };
        let Some((_, batch)) = open.get_mut(place) else { return Written::default() };
        write(batch);
        let mut lost = 0;
        if batch.len() >= caps::LOG_BATCH_BYTES {
            let full = std::mem::replace(batch, Vec::with_capacity(caps::LOG_BATCH_BYTES + 1024));
            lost = sink.send(full);
        }
        Written { is_first, lost }
    }

    /// Hands over whatever waits, and forgets sinks that had nothing; says how many lines were lost.
    pub(crate) fn flush(&self) -> u64 {
        let mut open = self.open.borrow_mut();
        open.retain(|(_, batch)| !batch.is_empty());
        open.iter_mut().map(|(sink, batch)| sink.send(std::mem::take(batch))).sum()
    }

    /// Whether lines wait.
    #[cfg(test)]
    pub(crate) fn is_waiting(&self) -> bool {
        self.open.borrow().iter().any(|(_, batch)| !batch.is_empty())
    }
}

#[cfg(test)]
mod tests;

//! The latest lines of all access logs, for whoever looks at them while they run.
//!
//! The logs' writers hand in what they have written, whole batches. Not here: what a line looks like, or who may see it. The
//! invariant: it holds at most [`caps::LOG_TAIL_BYTES`], and a writer waits for a reader no longer than it takes to note down
//! which batches there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_model::caps;

/// The latest lines; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct LogTail {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// The number of the next line, from 1.
    lines: u64,
}

#[derive(Debug, Clone)]
struct Batch {
    /// The number of its first line.
    first: u64,
    text: Arc<[u8]>,
}

impl LogTail {
    /// Takes whole lines that were written.
    pub(crate) fn push(&self, lines: &[u8]) {
        // Of a batch larger than all that is held nothing would be held.
        if lines.is_empty() || lines.len() > caps::LOG_TAIL_BYTES {
            return;
        }
        let text: Arc<[u8]> = lines.into();
        let count = memchr::memchr_iter(b'\n', lines).count();
        let mut held = self.held();
        let first = held.lines.saturating_add(1);
        held.lines = held.lines.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        held.bytes = held.bytes.saturating_add(text.len());
        held.batches.push_back(Batch { first, text });
        while held.bytes > caps::LOG_TAIL_BYTES {
            let Some(gone) = held.batches.pop_front() else { return };
            held.bytes = held.bytes.saturating_sub(gone.text.len());
        }
    }

    /// The latest `most` lines that fit, each with its number, oldest first; of those after line `after` alone.
    pub fn latest(&self, after: u64, most: usize, fits: &dyn Fn(&str) -> bool) -> Vec<(u64, String)> {
        let batches: Vec<Batch> = self.held().batches.iter().cloned().collect();
        let mut found = Vec::new();
        for batch in batches.iter().rev() {
            let numbered: Vec<(u64, &[u8])> = (batch.first..).zip(lines(&batch.text)).collect();
            for (number, line) in numbered.into_iter().rev() {
                if number <= after || found.len() >= most {
                    found.reverse();
                    return found;
                }
                let line = String::from_utf8_lossy(line);
                if fits(&line) {
                    found.push((number, line.into_owned()));
                }
            }
        }
        found.reverse();
        found
    }

    /// A panic within leaves batches that are whole.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(found: Vec<(u64, String)>) -> Vec<String> {
        found.into_iter().map(|(number, text)| format!("{number} {text}")).collect()
    }

    #[test]
    fn the_latest_lines_that_fit_come_oldest_first() {
        let tail = LogTail::default();
        tail.push(b"a\nb\n");
        tail.push(b"c\nab\n");
        assert_eq!(texts(tail.latest(0, 10, &|_| true)), ["1 a", "2 b", "3 c", "4 ab"]);
        assert_eq!(texts(tail.latest(0, 2, &|_| true)), ["3 c", "4 ab"]);
        assert_eq!(texts(tail.latest(2, 10, &|_| true)), ["3 c", "4 ab"]);
        assert_eq!(texts(tail.latest(0, 10, &|line| line.contains('a'))), ["1 a", "4 ab"]);
        assert!(tail.latest(4, 10, &|_| true).is_empty());
    }

    #[test]
    fn it_holds_no_more_than_its_cap_and_numbers_go_on() {
        let tail = LogTail::default();
        let line = format!("{}\n", "x".repeat(1023));
        let batch = line.repeat(16);
        let batches = 2 * caps::LOG_TAIL_BYTES / batch.len();
        for _ in 0..batches {
            tail.push(batch.as_bytes());
        }
        let held = tail.latest(0, usize::MAX, &|_| true);
        assert!(held.len() * line.len() <= caps::LOG_TAIL_BYTES, "{}", held.len());
        assert!(held.len() * line.len() > caps::LOG_TAIL_BYTES / 2);
        assert_eq!(held.last().unwrap().0, u64::try_from(16 * batches).unwrap());
        tail.push(&vec![b'\n'; caps::LOG_TAIL_BYTES + 1]);
        assert_eq!(tail.latest(0, usize::MAX, &|_| true).len(), held.len());
    }
}

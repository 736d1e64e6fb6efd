//! The journal: what has happened, one line each, for whoever watches.
//!
//! The last [`caps::EVENTS_KEPT`] stay, so that who comes back finds what was missed. The invariant: an event is written down once, numbered
//! without a gap, and never changed; a watcher that is too slow loses its place and nobody else's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::clock;
use tokio::sync::broadcast;

/// Something that happened.
#[derive(Debug)]
pub struct Happening {
    /// Grows by one with each, from 1.
    pub id: u64,
    /// When, since 1970.
    pub at: Duration,
    /// What it is about: `server`, `intent`, `reload`, `name`, `zonefile`, `node`, `audit`.
    pub kind: &'static str,
    /// What it happened to: `shop/a`, or empty.
    pub subject: String,
    /// In one sentence.
    pub text: String,
    /// The state that a server has now; empty for what is about something else.
    pub state: &'static str,
    /// The form in which it goes to watchers, made by the first one that needs it.
    pub encoded: OnceLock<Arc<[u8]>>,
}

/// The journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    kept: Arc<Mutex<Kept>>,
    watchers: broadcast::Sender<Arc<Happening>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    happenings: VecDeque<Arc<Happening>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Arc::default(), watchers: broadcast::Sender::new(caps::EVENTS_WAITING) }
    }
}

impl Journal {
    /// Writes something down.
    pub fn note(&self, kind: &'static str, subject: impl Into<String>, text: impl Into<String>) {
        self.write(kind, subject.into(), text.into(), "");
    }

    /// Writes a server's change of state down.
    pub fn note_state(&self, subject: impl Into<String>, text: impl Into<String>, state: &'static str) {
        self.write("server", subject.into(), text.into(), state);
    }

    /// What was kept and is younger than `after`, oldest first. Who comes with a number that was never given out was here before we
    /// were, and has missed everything.
    pub fn since(&self, after: u64) -> Vec<Arc<Happening>> {
        self.lock().since(after)
    }

    /// What is kept and younger than `after`, and what comes from now on, without a gap between.
    pub fn watch(&self, after: u64) -> (Vec<Arc<Happening>>, broadcast::Receiver<Arc<Happening>>) {
        let kept = self.lock();
        (kept.since(after), self.watchers.subscribe())
    }

    /// The number of the last one.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    fn write(&self, kind: &'static str, subject: String, text: String, state: &'static str) {
        let mut kept = self.lock();
        kept.last = kept.last.saturating_add(1);
        let encoded = OnceLock::new();
        let happening =
            Arc::new(Happening { id: kept.last, at: clock::unix_now(), kind, subject, text, state, encoded });
        if kept.happenings.len() >= caps::EVENTS_KEPT {
            kept.happenings.pop_front();
        }
        kept.happenings.push_back(Arc::clone(&happening));
        // Nobody watches most of the time.
        let _ = self.watchers.send(happening);
    }

    /// Each holder makes one change, so that a panic leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn since(&self, after: u64) -> Vec<Arc<Happening>> {
        let after = if after > self.last { 0 } else { after };
        self.happenings.iter().filter(|happening| happening.id > after).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_and_what_comes_join_without_a_gap() {
        let journal = Journal::default();
        journal.note("node", "", "one");
        journal.note("node", "", "two");
        let (missed, mut coming) = journal.watch(1);
        journal.note("node", "", "three");
        assert_eq!(missed.iter().map(|it| it.id).collect::<Vec<_>>(), [2]);
        assert_eq!(coming.try_recv().unwrap().id, 3);
    }

    #[test]
    fn who_was_here_before_the_restart_has_missed_everything() {
        let journal = Journal::default();
        journal.note("node", "", "one");
        assert_eq!(journal.since(1).len(), 0);
        assert_eq!(journal.since(500).len(), 1);
    }

    #[test]
    fn the_oldest_go_first_and_numbers_go_on() {
        let journal = Journal::default();
        for number in 0..caps::EVENTS_KEPT + 3 {
            journal.note("node", "", number.to_string());
        }
        let kept = journal.since(0);
        assert_eq!((kept.len(), kept[0].id), (caps::EVENTS_KEPT, 4));
    }

    #[test]
    fn a_watcher_that_is_too_slow_loses_its_own_place() {
        let journal = Journal::default();
        let (_, mut slow) = journal.watch(0);
        for _ in 0..=caps::EVENTS_WAITING {
            journal.note("node", "", "x");
        }
        assert!(matches!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}

//! Connections of ours that lead to listeners of ours, so that what goes round comes to an end.
//!
//! A listener may well be the server of another one. Where it is its own, or two are each other's, one request would
//! open connections until no descriptor is left for anybody. No field of a request tells of it; but the connection over
//! which it comes is one that this process opened, and stands here by its two ends for as long as it is open, with the
//! number of listeners that were passed before. The invariant: what goes over such a connection has passed as many
//! listeners as it is noted with, from the first byte to the last, be it one request or many, one by one or at a time. So
//! whoever has come another way uses another connection, and nobody pays for the way of others.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_model::caps;
use evenkeel_net::stream::Ends;

use crate::error::Kind;
use crate::snapshot::{ServerPart, Snapshot};
use crate::wire::Stream;

/// The connections of this process to itself: never more than descriptors are open, and none in most places.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    noted: Mutex<Noted>,
    /// How many are noted, so that nobody waits for the lock where none is.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Noted {
    passed: HashMap<Line, (u32, u64)>,
    next: u64,
}

/// Who called, and whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Line {
    caller: SocketAddr,
    called: SocketAddr,
}

impl Line {
    /// Whether both ends may be on this machine.
    fn is_within(self) -> bool {
        self.caller.ip() == self.called.ip() || self.called.ip().is_loopback()
    }
}

/// A connection's note. It goes with the connection; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct Note {
    rounds: Arc<Rounds>,
    line: Line,
    passed: u32,
    /// The ends may be another connection's before the note is dropped.
    number: u64,
}

impl Note {
    /// Whether the connection is one for what has passed so many listeners before it came to this one.
    pub(crate) fn is_for(&self, before: u32) -> bool {
        self.passed == before.saturating_add(1)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let mut noted = self.rounds.lock();
        if noted.passed.get(&self.line).is_some_and(|(_, number)| *number == self.number) {
            noted.passed.remove(&self.line);
        }
        self.rounds.count.store(noted.passed.len(), Ordering::SeqCst);
    }
}

impl Rounds {
    /// How many of our listeners what comes over the connection passed before it came to this one.
    pub(crate) fn before(&self, client: &Stream) -> u32 {
        let Ends { own, other } = client.ends();
        self.passed(Line { caller: other, called: own })
    }

    /// How many connections are noted.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().passed.len()
    }

    fn passed(&self, line: Line) -> u32 {
        if !line.is_within() || self.count.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        self.lock().passed.get(&line).map_or(0, |(passed, _)| *passed)
    }

    fn note(self: &Arc<Self>, line: Line, passed: u32) -> Note {
        let mut noted = self.lock();
        let number = noted.next;
        noted.next = noted.next.wrapping_add(1);
        noted.passed.insert(line, (passed, number));
        self.count.store(noted.passed.len(), Ordering::SeqCst);
        Note { rounds: Arc::clone(self), line, passed, number }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        // Each holder makes one insertion or one removal, so that a panic leaves the table whole.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what has passed so many listeners before this one may go on to the server. Asked before there is a connection: one
/// that is taken back at once has called the next listener already.
///
/// # Errors
/// Where it goes round.
pub(crate) fn admit(snapshot: &Snapshot, before: u32, server: &ServerPart) -> Result<(), Kind> {
    let is_round = before >= caps::OWN_ROUNDS && server.addrs.iter().any(|addr| snapshot.listens_at(*addr));
    if is_round { Err(Kind::Loop) } else { Ok(()) }
}

/// Notes a new connection to a server for what has passed so many listeners before this one. `None` where it leads to no
/// listener of ours.
pub(crate) fn note(rounds: &Arc<Rounds>, snapshot: &Snapshot, before: u32, server: &Stream) -> Option<Box<Note>> {
    let Ends { own, other } = server.ends();
    let line = Line { caller: own, called: other };
    let is_own = line.is_within() && snapshot.listens_at(other);
    is_own.then(|| Box::new(rounds.note(line, before.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: u16, to: u16) -> Line {
        let end = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Line { caller: end(from), called: end(to) }
    }

    #[test]
    fn a_connection_is_known_by_both_ends_for_as_long_as_it_is_open() {
        let rounds = Arc::new(Rounds::default());
        let (one, other) = (rounds.note(line(1, 80), 3), rounds.note(line(1, 81), 5));
        assert_eq!([(1, 80), (1, 81), (2, 80), (80, 1)].map(|(from, to)| rounds.passed(line(from, to))), [3, 5, 0, 0]);
        assert!(one.is_for(2) && !one.is_for(3));
        drop(one);
        assert_eq!((rounds.passed(line(1, 80)), rounds.passed(line(1, 81))), (0, 5));
        // Its ends are the next one's before its note is gone.
        let later = rounds.note(line(1, 81), 1);
        drop(other);
        assert_eq!(rounds.passed(line(1, 81)), 1);
        drop(later);
        assert_eq!((rounds.len(), rounds.count.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn who_comes_from_elsewhere_is_never_looked_for() {
        let line = Line { caller: "192.0.2.7:80".parse().unwrap(), called: "192.0.2.1:80".parse().unwrap() };
        assert!(!line.is_within());
        assert!(Line { caller: "192.0.2.1:9".parse().unwrap(), ..line }.is_within());
        assert!(Line { called: "[::1]:80".parse().unwrap(), ..line }.is_within());
    }
}

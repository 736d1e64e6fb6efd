//! A worker's silent client connections, in the order in which they fell silent.
//!
//! Not here: when room is wanted (`shared`). The invariant: an entry speaks of one silence; once that is over it is
//! passed over, and such entries never make up more than half of the line and a few.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::time::Instant;

use crate::shared::ListenerShared;

/// Entries that are over for which the line is not looked through.
const FEW: usize = 64;

/// A worker's silent connections.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    line: RefCell<VecDeque<Entry>>,
    asleep: Cell<usize>,
}

#[derive(Debug)]
struct Entry {
    bed: Rc<Bed>,
    silence: u64,
    since: Instant,
}

/// A connection's own place.
#[derive(Debug, Default)]
pub(crate) struct Bed {
    /// The listener whose connection it is.
    door: Option<DoorId>,
    /// Which silence it is, counted from one; 0 while there is none.
    silence: Cell<u64>,
    last: Cell<u64>,
    is_told_to_leave: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What tells one listener from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DoorId(usize);

impl DoorId {
    /// That of the listener whose counters these are: they stand at one place for as long as it has connections.
    pub(crate) fn of(listener: &Arc<ListenerShared>) -> Self {
        Self(Arc::as_ptr(listener).addr())
    }
}

impl Bed {
    /// A place for a connection of that listener.
    pub(crate) fn at(door: DoorId) -> Rc<Self> {
        Rc::new(Self { door: Some(door), ..Self::default() })
    }
}

/// A silence; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Nap<'w> {
    sleepers: &'w Sleepers,
    bed: Rc<Bed>,
}

impl Sleepers {
    /// A connection is silent since then. One that says so late stands behind those who did before.
    pub(crate) fn lie_down(&self, bed: &Rc<Bed>, since: Instant) -> Nap<'_> {
        let silence = bed.last.get().wrapping_add(1);
        bed.last.set(silence);
        bed.silence.set(silence);
        bed.is_told_to_leave.set(false);
        self.asleep.set(self.asleep.get() + 1);
        let mut line = self.line.borrow_mut();
        if line.len() > self.asleep.get().saturating_mul(2).saturating_add(FEW) {
            line.retain(Entry::is_asleep);
        }
        let since = line.back().map_or(since, |last| last.since.max(since));
        line.push_back(Entry { bed: Rc::clone(bed), silence, since });
        Nap { sleepers: self, bed: Rc::clone(bed) }
    }

    /// How many are silent.
    pub(crate) fn count(&self) -> usize {
        self.asleep.get()
    }

    /// Tells the connection of one listener that has been silent for longest to leave, if it fell silent before then; whether
    /// there was one.
    pub(crate) fn wake_oldest_of(&self, door: DoorId, before: Instant) -> bool {
        let mut line = self.line.borrow_mut();
        let is_due = |entry: &Entry| entry.is_asleep() && entry.bed.door == Some(door);
        let place = line.iter().take_while(|entry| entry.since <= before).position(is_due);
        let Some(entry) = place.and_then(|place| line.remove(place)) else { return false };
        entry.tell_to_leave();
        true
    }

    /// Tells the connection that has been silent for longest to leave, if it fell silent before then.
    pub(crate) fn wake_oldest(&self, before: Instant) {
        let mut line = self.line.borrow_mut();
        while line.front().is_some_and(|entry| !entry.is_asleep()) {
            line.pop_front();
        }
        if line.front().is_none_or(|entry| entry.since > before) {
            return;
        }
        if let Some(entry) = line.pop_front() {
            entry.tell_to_leave();
        }
    }
}

impl Entry {
    fn is_asleep(&self) -> bool {
        self.bed.silence.get() == self.silence
    }

    fn tell_to_leave(self) {
        self.bed.is_told_to_leave.set(true);
        if let Some(waker) = self.bed.waker.take() {
            waker.wake();
        }
    }
}

impl Nap<'_> {
    /// Whether the connection is to make room; wakes the task when it is.
    pub(crate) fn is_over(&self, cx: &Context<'_>) -> bool {
        if self.bed.is_told_to_leave.get() {
            return true;
        }
        let mut waker = self.bed.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|held| held.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }
}

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        self.bed.silence.set(0);
        self.sleepers.asleep.set(self.sleepers.asleep.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn leaves(nap: &Nap<'_>) -> bool {
        nap.is_over(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_longest_silence_ends_first_and_a_short_one_is_left_alone() {
        let sleepers = Sleepers::default();
        let beds: Vec<Rc<Bed>> = (0..3).map(|_| Rc::default()).collect();
        let first = sleepers.lie_down(&beds[0], Instant::now());
        let second = sleepers.lie_down(&beds[1], Instant::now());
        sleepers.wake_oldest(Instant::now() - Duration::from_secs(1));
        assert!(!leaves(&first) && !leaves(&second));
        // Who spoke meanwhile has a new silence, behind the others.
        drop(first);
        let again = sleepers.lie_down(&beds[0], Instant::now());
        sleepers.wake_oldest(Instant::now());
        assert!(leaves(&second) && !leaves(&again));
        sleepers.wake_oldest(Instant::now());
        assert!(leaves(&again));
        sleepers.wake_oldest(Instant::now());
    }

    #[test]
    fn room_is_made_by_the_listener_that_wants_it() {
        let sleepers = Sleepers::default();
        let listeners = [Arc::<ListenerShared>::default(), Arc::default()];
        let [ours, other] = [0, 1].map(|at| DoorId::of(&listeners[at]));
        let beds = [other, ours, ours].map(Bed::at);
        let naps = [0, 1, 2].map(|at| sleepers.lie_down(&beds[at], Instant::now()));
        assert!(!sleepers.wake_oldest_of(ours, Instant::now() - Duration::from_secs(1)));
        assert!(sleepers.wake_oldest_of(ours, Instant::now()));
        assert!(!leaves(&naps[0]) && leaves(&naps[1]) && !leaves(&naps[2]));
        assert!(sleepers.wake_oldest_of(ours, Instant::now()) && leaves(&naps[2]));
        assert!(!sleepers.wake_oldest_of(ours, Instant::now()) && !leaves(&naps[0]));
    }

    #[test]
    fn silences_that_are_over_do_not_pile_up() {
        let sleepers = Sleepers::default();
        let (quiet, busy) = (Rc::<Bed>::default(), Rc::<Bed>::default());
        let _quiet = sleepers.lie_down(&quiet, Instant::now());
        for _ in 0..10_000 {
            drop(sleepers.lie_down(&busy, Instant::now()));
            assert!(sleepers.line.borrow().len() <= 2 * FEW);
        }
    }
}

//! The line in front of a pool whose servers are all at their `max-conns`, shared by all workers.
//!
//! Not here: who gets which server (`pick`), and who of those is next that wait for room on connections to one server
//! (`server::h2`): they are counted here, so that no more wait in all than may. A freed slot wakes the first waiter whom it can help; the waiter then
//! takes the slot itself. A waiter that leaves with a wake-up unused passes it on, so that no slot stays empty while
//! someone waits. The lock is taken only while the pool is saturated.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_balance::ServerUid;
use evenkeel_model::caps;
use tokio::sync::Notify;

/// One pool's line, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<VecDeque<Waiter>>,
    length: AtomicU32,
    /// How many of them any server would help.
    undemanding: AtomicU32,
    /// How many wait beside them, for room on connections to a server.
    aside: AtomicU32,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// The one server that helps this waiter; `None`: any.
    wants: Option<ServerUid>,
    bell: Arc<Notify>,
}

/// A place in the line.
#[derive(Debug)]
pub(crate) struct Ticket {
    queue: Arc<Queue>,
    number: u64,
    bell: Arc<Notify>,
}

/// A place beside the line.
#[derive(Debug)]
pub(crate) struct Aside {
    queue: Arc<Queue>,
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.queue.aside.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.len().saturating_add(self.aside.load(Ordering::Acquire))
    }

    /// How many stand in line.
    fn len(&self) -> u32 {
        self.length.load(Ordering::Acquire)
    }

    /// Whether someone waits whom any server would help; who comes now and wants no more stands behind them.
    pub(crate) fn is_waited_in(&self) -> bool {
        self.undemanding.load(Ordering::Acquire) > 0
    }

    /// Takes a place at the end, unless `max` or the house's own cap stand in line already.
    pub(crate) fn join(self: &Arc<Self>, max: u32, wants: Option<ServerUid>) -> Option<Ticket> {
        let mut line = self.lock();
        if self.is_full(&line, max) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let bell = Arc::new(Notify::new());
        line.push_back(Waiter { number, wants, bell: Arc::clone(&bell) });
        self.count(&line);
        drop(line);
        Some(Ticket { queue: Arc::clone(self), number, bell })
    }

    /// Takes a place beside the line, within the same bounds.
    pub(crate) fn stand_aside(self: &Arc<Self>, max: u32) -> Option<Aside> {
        let line = self.lock();
        if self.is_full(&line, max) {
            return None;
        }
        self.aside.fetch_add(1, Ordering::AcqRel);
        Some(Aside { queue: Arc::clone(self) })
    }

    /// Whether as many wait as may.
    fn is_full(&self, line: &VecDeque<Waiter>, max: u32) -> bool {
        let aside = self.aside.load(Ordering::Acquire) as usize;
        line.len().saturating_add(aside) >= max.min(caps::QUEUE_PER_POOL) as usize
    }

    /// A slot of that server came free: the first waiter whom it helps may try.
    pub(crate) fn on_free(&self, server: ServerUid) {
        // SeqCst orders this look behind the release of the slot, as `Ticket` orders its look at slots behind its
        // joining: one of the two sees the other.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.len() == 0 {
            return;
        }
        let line = self.lock();
        if let Some(waiter) = line.iter().find(|waiter| waiter.wants.is_none_or(|wanted| wanted == server)) {
            waiter.bell.notify_one();
        }
    }

    /// The servers changed: everyone may look again.
    pub(crate) fn wake_all(&self) {
        if self.len() > 0 {
            self.lock().iter().for_each(|waiter| waiter.bell.notify_one());
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // Each holder makes one insertion or one removal, so that a panic leaves the line whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, line: &VecDeque<Waiter>) {
        let undemanding = line.iter().filter(|waiter| waiter.wants.is_none()).count();
        self.undemanding.store(u32::try_from(undemanding).unwrap_or(u32::MAX), Ordering::SeqCst);
        self.length.store(u32::try_from(line.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

impl Ticket {
    /// Waits until it is worth looking for a slot.
    pub(crate) async fn called(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut line = self.queue.lock();
        if let Some(place) = line.iter().position(|waiter| waiter.number == self.number) {
            line.remove(place);
        }
        self.queue.count(&line);
        // Whoever leaves, served or not, may hold a wake-up that the next one needs; looking in vain costs little.
        for waiter in line.iter() {
            waiter.bell.notify_one();
            if waiter.wants.is_none() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use evenkeel_model::ServerName;

    use super::{Queue, ServerUid, Ticket};

    fn uid(name: &str) -> ServerUid {
        ServerUid::of(&ServerName::new(name).unwrap())
    }

    fn is_called(ticket: &Ticket) -> bool {
        let called = std::pin::pin!(ticket.called());
        matches!(Future::poll(called, &mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn a_freed_slot_calls_the_first_whom_it_helps() {
        let queue = Arc::new(Queue::default());
        let only_b = queue.join(9, Some(uid("b"))).unwrap();
        let any = queue.join(9, None).unwrap();
        let later = queue.join(9, None).unwrap();
        queue.on_free(uid("a"));
        assert!(!is_called(&only_b) && !is_called(&later));
        assert!(is_called(&any));
        queue.on_free(uid("b"));
        assert!(is_called(&only_b));
    }

    #[test]
    fn whoever_leaves_passes_the_call_on() {
        let queue = Arc::new(Queue::default());
        let first = queue.join(9, None).unwrap();
        let second = queue.join(9, None).unwrap();
        // Two slots come free, and both calls go to the first.
        queue.on_free(uid("a"));
        queue.on_free(uid("a"));
        assert!(!is_called(&second));
        drop(first);
        assert!(is_called(&second));
        drop(second);
        assert_eq!((queue.len(), queue.is_waited_in()), (0, false));
    }

    #[test]
    fn the_line_has_an_end() {
        let queue = Arc::new(Queue::default());
        let mut kept: Vec<Ticket> = (0..3).filter_map(|_| queue.join(2, None)).collect();
        assert_eq!((kept.len(), queue.len()), (2, 2));
        // Who waits beside it takes a place as well.
        assert!(queue.stand_aside(2).is_none());
        kept.pop();
        let aside = queue.stand_aside(2).unwrap();
        assert!(queue.join(2, None).is_none() && queue.stand_aside(2).is_none());
        assert_eq!((queue.waiting(), queue.len()), (2, 1));
        drop(aside);
        assert!(queue.join(2, None).is_some());
    }

    #[test]
    fn who_waits_for_one_server_does_not_hold_up_the_others() {
        let queue = Arc::new(Queue::default());
        let _only_b = queue.join(9, Some(uid("b"))).unwrap();
        assert!(!queue.is_waited_in());
        let _any = queue.join(9, None).unwrap();
        assert!(queue.is_waited_in());
    }
}

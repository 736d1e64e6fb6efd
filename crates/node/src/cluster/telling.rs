//! What the heartbeat thread has to tell, kept until there is room for it: it waits for nobody.
//!
//! The invariant: what was told is heard in its order, and of too much only what an operator would miss is left out,
//! never what the process has to act on.

use std::collections::VecDeque;

use evenkeel_cluster::Event;
use evenkeel_model::caps;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::thread::Told;
use crate::supervisor;

/// Tells the supervisor.
#[derive(Debug)]
pub(super) struct Teller {
    events: mpsc::Sender<supervisor::Event>,
    waiting: VecDeque<Told>,
}

impl Teller {
    pub(super) fn new(events: mpsc::Sender<supervisor::Event>) -> Self {
        Self { events, waiting: VecDeque::new() }
    }

    /// Tells this, now or as soon as there is room.
    pub(super) fn tell(&mut self, told: Told) {
        if weight(&told) == Weight::Now {
            self.waiting.retain(|told| weight(told) != Weight::Now);
        }
        if self.waiting.len() >= caps::CLUSTER_UNTOLD {
            // Whoever looks sees the state itself, and a later claim of a group is the one that counts.
            let least = self.waiting.iter().position(|told| weight(told) == Weight::News);
            let least = least.or_else(|| self.waiting.iter().position(|told| weight(told) == Weight::Claim));
            least.and_then(|at| self.waiting.remove(at));
        }
        self.waiting.push_back(told);
        self.go_on();
    }

    /// Tells what waits, as far as there is room.
    pub(super) fn go_on(&mut self) {
        while !self.waiting.is_empty() {
            match self.events.try_reserve() {
                Ok(room) => {
                    let Some(told) = self.waiting.pop_front() else { return };
                    room.send(supervisor::Event::Cluster(Box::new(told)));
                }
                Err(TrySendError::Full(())) => return,
                // Nobody is there to hear it any more.
                Err(TrySendError::Closed(())) => self.waiting.clear(),
            }
        }
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// What hangs on something's being heard.
#[derive(PartialEq, Eq)]
enum Weight {
    /// A line of the journal.
    News,
    /// What the node remembers over a restart, or does soon.
    Claim,
    /// How things are at last.
    Now,
    /// The end of the process.
    End,
}

fn weight(told: &Told) -> Weight {
    match told {
        Told::GuardLost | Told::Left(_) => Weight::End,
        Told::Nodes(_) => Weight::Now,
        Told::Event(Event::Claimed(..)) | Told::Look => Weight::Claim,
        Told::Event(_) | Told::Report(..) | Told::Unreadable(_) => Weight::News,
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_cluster::Cause;

    use super::*;

    fn heard(from: &mut mpsc::Receiver<supervisor::Event>) -> Told {
        match from.try_recv() {
            Ok(supervisor::Event::Cluster(told)) => *told,
            _ => panic!("nothing was told"),
        }
    }

    fn claim(number: u64) -> Told {
        Told::Event(Event::Claimed("web".into(), Cause::Vacant, number))
    }

    #[test]
    fn what_finds_no_room_is_told_later_and_in_its_order() {
        let (events, mut received) = mpsc::channel(1);
        let mut teller = Teller::new(events);
        for told in [claim(1), Told::GuardLost, Told::Left(None)] {
            teller.tell(told);
        }
        assert!(matches!(heard(&mut received), Told::Event(Event::Claimed(_, _, 1))));
        teller.go_on();
        assert!(matches!(heard(&mut received), Told::GuardLost));
        assert!(teller.is_waiting());
        teller.go_on();
        assert!(matches!(heard(&mut received), Told::Left(_)));
        assert!(!teller.is_waiting());
    }

    #[test]
    fn of_too_much_the_news_are_left_out_and_never_what_matters() {
        let (events, mut received) = mpsc::channel(1);
        let mut teller = Teller::new(events);
        teller.tell(claim(1));
        teller.tell(claim(2));
        teller.tell(Told::GuardLost);
        for _ in 0..3 * caps::CLUSTER_UNTOLD {
            teller.tell(Told::Event(Event::PeerUp("lb2".into())));
        }
        teller.tell(Told::Left(None));
        assert_eq!(teller.waiting.len(), caps::CLUSTER_UNTOLD);
        let mut kept = Vec::new();
        while let Ok(supervisor::Event::Cluster(told)) = received.try_recv() {
            kept.push(weight(&told));
            teller.go_on();
        }
        assert!(kept.starts_with(&[Weight::Claim, Weight::Claim, Weight::End, Weight::News]));
        assert!(kept.ends_with(&[Weight::News, Weight::End]));
    }

    #[test]
    fn where_nobody_hears_nothing_is_kept() {
        let (events, received) = mpsc::channel(1);
        drop(received);
        let mut teller = Teller::new(events);
        teller.tell(Told::Left(None));
        assert!(!teller.is_waiting());
    }
}

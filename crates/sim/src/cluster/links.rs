//! The network between the nodes: what it loses, delays, doubles and cuts.
//!
//! The invariant: a cut link carries nothing; every other one carries what chance lets through.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::chance::Chance;

/// One direction between two nodes.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Percent of packets that are lost.
    pub loss: usize,
    /// Percent of packets that come twice.
    pub doubles: usize,
    /// The longest delay; the shortest is a tenth of a millisecond. Packets overtake each other within it.
    pub delay: Duration,
    /// Whether nothing passes.
    pub is_cut: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self { loss: 0, doubles: 0, delay: Duration::from_millis(1), is_cut: false }
    }
}

/// A packet under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packet {
    pub(crate) at: Duration,
    /// Tells packets of one moment apart, in the order of sending.
    serial: u64,
    pub(crate) to: usize,
    pub(crate) bytes: Vec<u8>,
}

/// All links, and what is under way on them.
#[derive(Debug)]
pub struct Links {
    size: usize,
    links: Vec<Link>,
    packets: BinaryHeap<Reverse<Packet>>,
    serial: u64,
    /// What was recorded for a replay.
    tape: Vec<Vec<u8>>,
}

/// How many packets are kept for a replay.
const TAPE: usize = 512;

impl Links {
    pub(crate) fn new(size: usize) -> Self {
        let links = vec![Link::default(); size * size];
        Self { size, links, packets: BinaryHeap::new(), serial: 0, tape: Vec::new() }
    }

    /// The link from one node to another.
    pub fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.size + to]
    }

    /// Every link.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }

    /// Whether both directions carry most of what is sent.
    pub(crate) fn is_joined(&self, first: usize, second: usize) -> bool {
        let is_good = |from: usize, to: usize| {
            let link = self.links[from * self.size + to];
            !link.is_cut && link.loss <= 30
        };
        is_good(first, second) && is_good(second, first)
    }

    pub(crate) fn send(&mut self, now: Duration, from: usize, bytes: &[u8], chance: &mut Chance) {
        if self.tape.len() < TAPE {
            self.tape.push(bytes.to_vec());
        }
        for to in (0..self.size).filter(|to| *to != from) {
            let link = self.links[from * self.size + to];
            if link.is_cut || chance.below(100) < link.loss {
                continue;
            }
            let copies = if chance.below(100) < link.doubles { 2 } else { 1 };
            for _ in 0..copies {
                let longest = usize::try_from(link.delay.as_micros()).unwrap_or(usize::MAX);
                let delay = 100 + u64::try_from(chance.below(longest)).unwrap_or(0);
                self.put(now + Duration::from_micros(delay), to, bytes.to_vec());
            }
        }
    }

    /// Sends recorded packets again, to everybody.
    pub(crate) fn replay(&mut self, now: Duration, chance: &mut Chance) {
        for _ in 0..32 {
            let at = chance.below(self.tape.len());
            let Some(bytes) = self.tape.get(at).cloned() else { return };
            let to = chance.below(self.size);
            self.put(now + Duration::from_micros(50), to, bytes);
        }
    }

    fn put(&mut self, at: Duration, to: usize, bytes: Vec<u8>) {
        self.serial += 1;
        self.packets.push(Reverse(Packet { at, serial: self.serial, to, bytes }));
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.packets.peek().map(|Reverse(packet)| packet.at)
    }

    pub(crate) fn take(&mut self, now: Duration) -> Option<Packet> {
        let is_due = self.next_at().is_some_and(|at| at <= now);
        if is_due { self.packets.pop().map(|Reverse(packet)| packet) } else { None }
    }
}

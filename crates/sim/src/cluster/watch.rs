//! What must hold at every moment, and what was seen.
//!
//! The invariant: the watcher knows more than any node does (who has addresses at this very moment), and changes nothing.

use std::time::Duration;

use evenkeel_cluster::Mode;

use super::host::Host;
use super::links::Links;
use super::world::Shape;

/// How long two owners that are joined in at least one direction may last beyond two dead times: a heartbeat in each
/// direction with some losses, and the stop.
const GRACE: Duration = Duration::from_millis(500);

/// A change of an address's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at: Duration,
    /// Which machine took it.
    pub host: usize,
    /// Which address.
    pub address: usize,
}

/// What has been seen.
#[derive(Debug)]
pub struct Watch {
    bound: Duration,
    /// How many addresses there are that are never to be on two machines.
    safe: usize,
    /// For each address: since when two joined owners have been seen.
    doubled: Vec<Option<Duration>>,
    /// The longest time of two owners, whatever the links.
    pub longest_double: Duration,
    any_double: Vec<Option<Duration>>,
    /// Every taking of addresses.
    pub moves: Vec<Move>,
    /// Announcements without a taking: when, and which machine.
    pub announcements: Vec<(Duration, usize)>,
    /// What must not be: the time, and what.
    pub wrongs: Vec<(Duration, String)>,
}

impl Watch {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self {
            safe: if shape.mode == Mode::Safe { shape.groups } else { 0 },
            bound: shape.timing.dead * 2 + GRACE,
            doubled: vec![None; shape.groups],
            longest_double: Duration::ZERO,
            any_double: vec![None; shape.groups],
            moves: Vec::new(),
            announcements: Vec::new(),
            wrongs: Vec::new(),
        }
    }

    /// So many addresses are watched from now on.
    pub(crate) fn widen(&mut self, addresses: usize) {
        self.doubled.resize(addresses, None);
        self.any_double.resize(addresses, None);
    }

    pub(crate) fn taken(&mut self, at: Duration, host: usize, address: usize) {
        self.moves.push(Move { at, host, address });
    }

    pub(crate) fn announced(&mut self, at: Duration, host: usize) {
        self.announcements.push((at, host));
    }

    pub(crate) fn order(&mut self, now: Duration, host: usize, is_right: bool, what: &str) {
        if !is_right {
            self.wrongs.push((now, format!("machine {host}: {what}")));
        }
    }

    pub(crate) fn look(&mut self, now: Duration, hosts: &[Host], links: &Links) {
        for address in 0..self.doubled.len() {
            let mut owners = (0..hosts.len()).filter(|host| hosts[*host].has(now, address));
            let pair = owners.next().zip(owners.next());
            drop(owners);
            self.look_at_pair(now, address, pair, |one, other| {
                let is_here = |host: usize| hosts[host].is_running(now) && !hosts[host].is_absent;
                let is_running = is_here(one) && is_here(other);
                // As long as they run by different files each may be right by its own.
                is_running && hosts[one].layout == hosts[other].layout && links.is_joined(one, other)
            });
        }
    }

    fn look_at_pair(
        &mut self,
        now: Duration,
        address: usize,
        pair: Option<(usize, usize)>,
        is_joined: impl Fn(usize, usize) -> bool,
    ) {
        self.any_double[address] = pair.map(|_| self.any_double[address].unwrap_or(now));
        let lasted = self.any_double[address].map_or(Duration::ZERO, |since| now - since);
        self.longest_double = self.longest_double.max(lasted);
        if let Some((one, other)) = pair.filter(|_| address < self.safe) {
            self.wrongs.push((now, format!("address {address}, which is safe, is owned by {one} and {other}")));
        }
        let is_bad = pair.is_some_and(|(one, other)| is_joined(one, other));
        self.doubled[address] = if is_bad { self.doubled[address].or(Some(now)) } else { None };
        if self.doubled[address].is_some_and(|since| now - since > self.bound) {
            self.wrongs.push((now, format!("address {address} has had two joined owners for too long: {pair:?}")));
            self.doubled[address] = Some(now);
        }
    }
}

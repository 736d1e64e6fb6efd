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

/// A change of owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at: Duration,
    /// Which machine took the addresses.
    pub host: usize,
    /// Of which group.
    pub group: usize,
}

/// What has been seen.
#[derive(Debug)]
pub struct Watch {
    mode: Mode,
    bound: Duration,
    /// For each group: since when two joined owners have been seen.
    doubled: Vec<Option<Duration>>,
    /// The longest time of two owners, whatever the links.
    pub longest_double: Duration,
    any_double: Vec<Option<Duration>>,
    /// Since when nobody has had the group's addresses.
    pub vacant_since: Vec<Option<Duration>>,
    /// Every taking of addresses.
    pub moves: Vec<Move>,
    /// Announcements without a taking.
    pub announcements: Vec<Move>,
    /// What must not be: the time, and what.
    pub wrongs: Vec<(Duration, String)>,
}

impl Watch {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self {
            mode: shape.mode,
            bound: shape.timing.dead * 2 + GRACE,
            doubled: vec![None; shape.groups],
            longest_double: Duration::ZERO,
            any_double: vec![None; shape.groups],
            vacant_since: vec![None; shape.groups],
            moves: Vec::new(),
            announcements: Vec::new(),
            wrongs: Vec::new(),
        }
    }

    pub(crate) fn taken(&mut self, at: Duration, host: usize, group: usize) {
        self.moves.push(Move { at, host, group });
    }

    pub(crate) fn announced(&mut self, at: Duration, host: usize, group: usize) {
        self.announcements.push(Move { at, host, group });
    }

    pub(crate) fn order(&mut self, now: Duration, host: usize, is_right: bool, what: &str) {
        if !is_right {
            self.wrongs.push((now, format!("machine {host}: {what}")));
        }
    }

    pub(crate) fn look(&mut self, now: Duration, hosts: &[Host], links: &Links) {
        for group in 0..self.doubled.len() {
            let mut owners = (0..hosts.len()).filter(|host| hosts[*host].has_addresses(now, group));
            let (first, second) = (owners.next(), owners.next());
            drop(owners);
            self.vacant_since[group] = if first.is_none() { self.vacant_since[group].or(Some(now)) } else { None };
            let pair = first.zip(second);
            self.look_at_pair(now, group, pair, |one, other| {
                let is_running = hosts[one].is_running(now) && hosts[other].is_running(now);
                is_running && links.is_joined(one, other)
            });
        }
    }

    fn look_at_pair(
        &mut self,
        now: Duration,
        group: usize,
        pair: Option<(usize, usize)>,
        is_joined: impl Fn(usize, usize) -> bool,
    ) {
        self.any_double[group] = pair.map(|_| self.any_double[group].unwrap_or(now));
        let lasted = self.any_double[group].map_or(Duration::ZERO, |since| now - since);
        self.longest_double = self.longest_double.max(lasted);
        if let Some((one, other)) = pair.filter(|_| self.mode == Mode::Safe) {
            self.wrongs.push((now, format!("group {group}, which is safe, is owned by {one} and {other}")));
        }
        let is_bad = pair.is_some_and(|(one, other)| is_joined(one, other));
        self.doubled[group] = if is_bad { self.doubled[group].or(Some(now)) } else { None };
        if self.doubled[group].is_some_and(|since| now - since > self.bound) {
            self.wrongs.push((now, format!("group {group} has had two joined owners for too long: {pair:?}")));
            self.doubled[group] = Some(now);
        }
    }
}

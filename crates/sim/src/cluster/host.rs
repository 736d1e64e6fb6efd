//! One machine: the node's process, the kernel's addresses, the resources.
//!
//! The invariant: what the process does not renew the kernel drops; what the process started and did not stop runs on.

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_cluster::{Change, Event, Node, Outcome};

use super::guard::Guard;
use super::layout::Layout;

/// How the resources of a machine behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Habit {
    /// They start and stop.
    #[default]
    Good,
    /// They do not start.
    NoStart,
    /// They do not stop.
    NoStop,
    /// They never report.
    Hangs,
}

/// A machine.
#[derive(Debug)]
pub struct Host {
    /// The process, while it lives.
    pub node: Option<Node>,
    /// Until when it stands still.
    pub paused_until: Option<Duration>,
    /// How its resources behave.
    pub habit: Habit,
    /// Whether its own address is not on it: nothing comes to it or leaves it.
    pub is_absent: bool,
    /// Whether its process was told so.
    pub(crate) knows_absence: bool,
    /// Addresses with which it has seen another machine.
    pub(crate) sightings: VecDeque<usize>,
    /// What runs on it.
    pub(crate) guard: Guard,
    /// The file that it runs by,
    pub(crate) layout: Layout,
    /// those that its guard has not heard of yet,
    pub(crate) arriving: VecDeque<Layout>,
    /// and whether it is to read the file again when it goes on.
    pub(crate) is_reload_due: bool,
    /// Reports that come: when, and what.
    pub(crate) reports: VecDeque<(Duration, u32, Outcome)>,
    /// What came while it stood still.
    pub(crate) waiting: VecDeque<Vec<u8>>,
    /// When a supervisor of a dead process has stopped what ran, and what it says then.
    pub(crate) last_word: Option<(Duration, Vec<u8>)>,
    /// What the node told, with the time.
    pub events: Vec<(Duration, Event)>,
}

/// Packets that a socket holds for a process that does not read.
const SOCKET: usize = 128;

impl Host {
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            node: None,
            paused_until: None,
            habit: Habit::Good,
            is_absent: false,
            knows_absence: false,
            sightings: VecDeque::new(),
            guard: Guard::default(),
            layout,
            arriving: VecDeque::new(),
            is_reload_due: false,
            reports: VecDeque::new(),
            waiting: VecDeque::new(),
            last_word: None,
            events: Vec::new(),
        }
    }

    /// Whether the machine has the address of that number.
    pub fn has(&self, now: Duration, address: usize) -> bool {
        self.guard.has(now, address)
    }

    /// Whether the process lives and runs.
    pub fn is_running(&self, now: Duration) -> bool {
        self.node.is_some() && self.paused_until.is_none_or(|until| until <= now)
    }

    /// The process dies, and its supervisor with it. What it started runs on, and addresses live until the kernel drops
    /// them.
    pub(crate) fn crash(&mut self) {
        self.last_word = None;
        self.node = None;
        self.paused_until = None;
        self.reports.clear();
        self.waiting.clear();
        self.sightings.clear();
        self.arriving.clear();
        self.is_reload_due = false;
    }

    /// What a starting process does first: it cleans up what a dead one left.
    pub(crate) fn clean(&mut self, layout: Layout) {
        self.last_word = None;
        self.knows_absence = false;
        self.guard = Guard::new(&layout);
        self.layout = layout;
    }

    pub(crate) fn queue(&mut self, bytes: Vec<u8>) {
        if self.waiting.len() < SOCKET {
            self.waiting.push_back(bytes);
        }
    }

    /// When this machine has something to do.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        let Some(node) = self.node.as_ref() else { return self.last_word.as_ref().map(|(at, _)| *at) };
        let report = self.reports.iter().map(|(at, ..)| *at).min();
        let due = report.into_iter().fold(node.poll_timeout(), Duration::min);
        Some(self.paused_until.map_or(due, |until| due.max(until)))
    }

    /// What a supervisor says now, when it has stopped what ran.
    pub(crate) fn take_last_word(&mut self, now: Duration) -> Option<Vec<u8>> {
        let (_, word) = self.last_word.take_if(|(at, _)| *at <= now)?;
        self.guard.stop_all();
        Some(word)
    }

    /// What the process is told of its own address, and of other machines that have one of its own.
    pub(crate) fn take_look(&mut self) -> Option<Change> {
        if self.knows_absence != self.is_absent {
            self.knows_absence = self.is_absent;
            return Some(Change::Present(!self.is_absent));
        }
        let address = self.sightings.pop_front()?;
        self.guard.group_with(address).map(|group| Change::ForeignOwner { group })
    }

    /// The next report that is due.
    pub(crate) fn take_report(&mut self, now: Duration) -> Option<Change> {
        let at = self.reports.iter().position(|(at, ..)| *at <= now)?;
        let (_, number, outcome) = self.reports.remove(at)?;
        Some(Change::Done { number, outcome })
    }
}

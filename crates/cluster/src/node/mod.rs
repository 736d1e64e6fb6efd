//! A node of a cluster: what it hears, what it owns, what it says.
//!
//! Every entry ends in the same turn: what time has brought is seen, each group is considered, a heartbeat is due or
//! not. The invariant: between two entries nothing is left to decide, so that the order of entries alone decides.

mod absence;
mod arrange;
mod consider;
mod hear;
mod hold;
mod orders;
mod say;
mod view;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::duty::Duty;
use crate::event::Event;
use crate::key::Keyring;
use crate::packet::{Beat, BootId, LARGEST, Phase, Role};
use crate::peer::Peer;
use crate::sent::SendTimes;
use crate::settings::{Mode, Settings};

use absence::Absence;

pub use view::{GroupView, Hearing, PathView, PeerView, View};

/// How many quick heartbeats go into the time of one, while one may be lost: twenty in a dead time of five, of which
/// a path that loses every third lets one through but for one case in ten thousand million.
const QUICK: u32 = 4;

/// How long a node that did not take a group when offered is left alone.
const DECLINED: Duration = Duration::from_secs(60);

/// A node of a cluster.
#[derive(Debug)]
pub struct Node {
    settings: Settings,
    keys: Keyring,
    boot: BootId,
    phase: Phase,
    started: Duration,
    /// When this node last did anything, and when it wanted to be called again.
    woke: Duration,
    expected: Duration,
    /// From when it may claim what is vacant: behind what it listened at its start, or after an absence.
    grown: Duration,
    /// While it doubts: until when, and whom it has asked, as bits.
    doubt: (Duration, u16),
    /// While no own address is on this machine.
    absence: Option<Absence>,
    is_leaving: bool,
    is_aside: bool,
    score: u8,
    /// How long others may see servers otherwise than this node does.
    lag: Duration,
    reaches: bool,
    peers: Vec<Option<Peer>>,
    moods: Vec<Mood>,
    duties: Vec<Duty>,
    sent: SendTimes,
    sent_at: Duration,
    beat_due: Duration,
    number: u32,
    /// What is being read, and what is being said.
    inbox: Beat,
    own: Beat,
    outbox: Vec<u8>,
    notice: Vec<u8>,
    resignation: Vec<u8>,
    actions: VecDeque<Action>,
}

/// What was last told of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mood {
    state: MoodState,
    is_deaf: bool,
}

/// See [`Mood`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MoodState {
    Unknown,
    Up,
    Late,
    Dead,
    Left,
}

impl Node {
    /// A node that starts now, under a boot id that was never used before.
    pub fn new(settings: Settings, keys: Keyring, boot: BootId, now: Duration) -> Self {
        let me = settings.me;
        let own = settings.ids.get(me).copied().unwrap_or(0);
        let peers = settings.ids.iter().enumerate().map(|(at, id)| (at != me).then(|| Peer::new(*id))).collect();
        let quiet = Mood { state: MoodState::Unknown, is_deaf: false };
        Self {
            moods: vec![quiet; settings.members.len()],
            duties: settings.groups.iter().map(|_| Duty::new(now)).collect(),
            keys,
            boot,
            phase: Phase::Listening,
            started: now,
            woke: now,
            expected: now + settings.timing.dead,
            grown: now,
            doubt: (now, 0),
            absence: None,
            is_leaving: false,
            is_aside: false,
            score: 100,
            lag: Duration::ZERO,
            reaches: true,
            peers,
            sent: SendTimes::new(),
            sent_at: Duration::ZERO,
            beat_due: now,
            number: 0,
            inbox: Beat::blank(0, boot),
            own: Beat::blank(own, boot),
            outbox: Vec::with_capacity(LARGEST),
            notice: Vec::with_capacity(LARGEST),
            resignation: Vec::with_capacity(LARGEST),
            actions: VecDeque::with_capacity(64),
            settings,
        }
    }

    /// Sets the highest claim that was written down for the group before this process started. Without it a node
    /// that starts alone would begin at one, and lose to a peer that remembers more.
    pub fn remember_epoch(&mut self, group: usize, epoch: u64) {
        if let Some(duty) = self.duties.get_mut(group) {
            duty.highest = duty.highest.max(epoch);
        }
    }

    /// Sets that no own address is on this machine, before anything else happens.
    pub fn begin_absent(&mut self, now: Duration) {
        self.be_present(now, false);
    }

    /// Other keys from now on. What was sealed before stays as it was said.
    pub fn change_keys(&mut self, keys: Keyring) {
        self.keys = keys;
    }

    /// Time has come: at [`Self::poll_timeout`] or at any other moment.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.wake(now);
        self.turn(now);
    }

    /// The next thing to do, in the order in which it has to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted at the latest. Who comes much later was paused, and is treated so.
    pub fn poll_timeout(&self) -> Duration {
        self.expected
    }

    /// The heartbeat that [`Action::Beat`] sends, the same over every path.
    pub fn heartbeat(&self) -> &[u8] {
        &self.outbox
    }

    /// The last word but one, for the time in which units and scripts of the dead process are still being stopped: that all
    /// else is given up. Empty where none runs.
    pub fn notice(&self) -> &[u8] {
        &self.notice
    }

    /// The last word of this process, for a supervisor to send over every path if it finds the process dead. It is
    /// written anew with each heartbeat, and says that this boot owns nothing any more.
    pub fn resignation(&self) -> &[u8] {
        &self.resignation
    }

    /// Whether the node has left, and owns nothing: the process may end.
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// One turn: what every entry ends with.
    fn turn(&mut self, now: Duration) {
        self.watch_peers(now);
        self.settle_absence(now);
        self.grow_up(now);
        for group in 0..self.duties.len() {
            self.consider(now, group);
        }
        self.finish_leaving(now);
        if now >= self.beat_due {
            self.beat(now);
        }
        self.renew(now);
        self.woke = now;
        self.expected = self.next_timeout(now);
    }

    /// Sees whether this node was paused.
    fn wake(&mut self, now: Duration) {
        let late = now.saturating_sub(self.expected);
        if late <= self.settings.timing.dead / 2 {
            return;
        }
        let dead = self.settings.timing.dead;
        let before = self.woke;
        let mut asked = 0;
        for (at, peer) in self.peers.iter_mut().enumerate() {
            let Some(peer) = peer else { continue };
            if peer.is_alive(before, dead) {
                asked |= 1 << at;
            }
            peer.doubt();
        }
        self.duties.iter_mut().for_each(|duty| duty.steps.extend(late));
        self.note(Event::Paused(late));
        // Whom an earlier pause left without an answer is not alive by now, and asked all the same.
        let still_asked = if self.phase == Phase::Doubting { self.doubt.1 } else { 0 };
        match self.phase {
            Phase::Listening => self.started = now,
            Phase::Active | Phase::Doubting => {
                self.phase = Phase::Doubting;
                self.doubt = (now + dead, asked | still_asked);
            }
            Phase::Leaving => {}
        }
        for group in 0..self.duties.len() {
            self.withdraw(group);
        }
        self.beat_due = now;
    }

    /// Ends listening and doubting when their time has come.
    fn grow_up(&mut self, now: Duration) {
        let (until, asked) = match self.phase {
            // Nobody could have answered.
            Phase::Listening | Phase::Doubting if self.absence.is_some() => return,
            Phase::Listening => (self.started + self.settings.timing.init, u16::MAX),
            Phase::Doubting => self.doubt,
            Phase::Active | Phase::Leaving => return,
        };
        let dead = self.settings.timing.dead;
        let mut others = self.peers.iter().enumerate().filter_map(|(at, peer)| Some((at, peer.as_ref()?)));
        let is_answered = others.all(|(at, peer)| asked & (1 << at) == 0 || peer.is_alive(now, dead));
        if !is_answered && now < until {
            return;
        }
        let was_doubting = self.phase == Phase::Doubting;
        self.phase = Phase::Active;
        self.beat_due = now;
        if was_doubting {
            for group in 0..self.duties.len() {
                self.restore(now, group);
            }
        } else {
            self.grown = now;
        }
    }

    fn next_timeout(&self, now: Duration) -> Duration {
        let timing = self.settings.timing;
        let mut next = self.beat_due.min(now + timing.every);
        for peer in self.peers.iter().flatten().filter(|peer| peer.is_alive(now, timing.dead)) {
            let heard = peer.heard_at.unwrap_or(now);
            // One more than the time itself, since a peer is alive at the very end of it.
            next = next.min(heard + timing.dead + Duration::from_nanos(1));
        }
        for (group, duty) in self.duties.iter().enumerate() {
            let ends = [duty.steps.deadline(), self.lease_end(group), self.claim_time(now, group)];
            next = ends.into_iter().flatten().filter(|end| *end > now).fold(next, Duration::min);
        }
        next = self.absence_ends().filter(|end| *end > now).map_or(next, |end| next.min(end));
        next.max(now + Duration::from_micros(100))
    }

    /// Until when most members stand by our claim on a safe group.
    fn lease_end(&self, group: usize) -> Option<Duration> {
        let duty = self.duties.get(group).filter(|duty| duty.role.needs_votes() || duty.role == Role::Stopping)?;
        duty.tally.lease_end(self.settings.quorum(), self.settings.timing.dead).filter(|_| self.is_safe(group))
    }

    fn is_safe(&self, group: usize) -> bool {
        self.settings.groups.get(group).is_some_and(|group| group.mode == Mode::Safe)
    }

    fn note(&mut self, event: Event) {
        self.actions.push_back(Action::Note(event));
    }

    fn name(&self, member: usize) -> Arc<str> {
        self.settings.members.get(member).map(|member| member.name.clone()).unwrap_or_default()
    }

    /// The name of the group at that place; empty where there is none.
    pub fn group_name(&self, group: usize) -> Arc<str> {
        self.settings.groups.get(group).map(|group| group.name.clone()).unwrap_or_default()
    }
}

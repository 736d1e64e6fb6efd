//! The heartbeat thread: it moves packets, time and orders into the node of the cluster, and carries out what comes out.
//!
//! It touches no disk and asks no name server, and what it has to tell goes out when there is room. Addresses are
//! the guard's. The invariant: between two heartbeats nothing here waits for anything but packets.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Duration;

use evenkeel_cluster::{Action, Change, Event, Keyring, Node, Outcome, View};
use evenkeel_model::{State, caps};
use evenkeel_net::beat::{Path, readable, wait};
use evenkeel_net::bell::Bell;
use evenkeel_net::clock;
use evenkeel_net::ping::Ping;
use evenkeel_net::process::{Companion, be_urgent};
use tokio::sync::oneshot;

use super::hand::{Address, Arrangement, Order, Report};
use super::multicast::Keeping;
use super::news::News;
use super::telling::Teller;
use crate::tasks::Token;

/// Packets that are read from one path before the others get their turn.
const BATCH: usize = 64;
/// Bytes of a datagram that are read; a longer one is no heartbeat.
const DATAGRAM: usize = 2048;
/// Before what found no room is told again.
const AGAIN: Duration = Duration::from_millis(10);
/// How long the end of the thread waits for room for its last words.
const LAST: Duration = Duration::from_millis(500);
/// How long the guard may be silent at least: a busy machine is no broken one.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);
/// As many signs of life at least have to be unanswered then: who was stopped together with it has sent one.
const GUARD_MISSED: u32 = 4;
/// The pause between echo requests to a ping node, as a part of the dead time.
const PINGS: u32 = 4;

/// What the thread is told.
pub(crate) enum Command {
    /// A change, of health or by an operator or by the runner.
    Change(Change),
    /// An operator's order; why it cannot be followed is answered, if it cannot.
    Order { order: Change, reply: oneshot::Sender<Option<&'static str>> },
    /// Other keys from now on.
    Keys(Keyring),
    /// Other times, preferences, ping nodes and groups from now on.
    Settings(Box<News>),
    /// Says how things are.
    View { reply: oneshot::Sender<View> },
    /// Ends, once it owns nothing any more or that moment has come.
    Leave { by: Duration },
}

/// Speaks to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    commands: SyncSender<Command>,
    bell: Arc<Bell>,
}

impl Line {
    pub(super) fn new(commands: SyncSender<Command>, bell: Arc<Bell>) -> Self {
        Self { commands, bell }
    }

    /// Tells the thread something. Whether it will hear of it: it does not when it has ended, or hangs.
    pub(crate) fn tell(&self, command: Command) -> bool {
        let is_taken = self.commands.try_send(command).is_ok();
        self.bell.ring();
        is_taken
    }
}

/// What the thread tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// Something that happened.
    Event(Event),
    /// What the guard saw, and the name of the group of which it did, if it was one.
    Report(Report, Arc<str>),
    /// What the other nodes are held for, by their places in the configuration.
    Nodes(Held),
    /// The capacity of another node has changed much: servers that both have are to be looked at soon.
    Look,
    /// The guard saw something, and what it was cannot be read.
    Unreadable(String),
    /// The guard has ended. Without it addresses cannot be held.
    GuardLost,
    /// The node has left the cluster. Its guard goes on for connections that are open.
    Left(Option<Companion>),
}

/// What each node is held for; `None`: this one.
pub(crate) type Held = [Option<State>; caps::CLUSTER_NODES];

/// One ping node.
pub(super) struct PingNode {
    pub(super) ping: Ping,
    pub(super) answered_at: Option<Duration>,
}

/// Everything that the thread holds.
pub(super) struct Heart {
    pub(super) node: Node,
    pub(super) paths: Vec<Path>,
    /// For each path, the other nodes by their places with their addresses: what comes from elsewhere is not read.
    pub(super) peers: Vec<Vec<(usize, IpAddr)>>,
    pub(super) guard: Companion,
    /// For each group, for each of its resources: the service address, as the guard knows it.
    pub(super) addresses: Vec<Vec<Option<Address>>>,
    pub(super) pings: Vec<PingNode>,
    pub(super) need: usize,
    pub(super) dead: Duration,
    pub(super) commands: Receiver<Command>,
    pub(super) bell: Arc<Bell>,
    pub(super) teller: Teller,
    pub(super) _keeping: Option<Keeping>,
    pub(super) _token: Token,
}

/// What changes from turn to turn beside the node itself.
#[derive(Default)]
struct Turn {
    message: Vec<u8>,
    ping_due: Duration,
    reaches: bool,
    leave_by: Option<Duration>,
    is_guard_lost: bool,
    /// The signs of life that the guard has not answered, and when the first of them went out.
    unanswered: (u32, Duration),
    held: Held,
    /// The classes of the other nodes' capacities.
    worths: [Option<u8>; caps::CLUSTER_NODES],
    /// The addresses of settings that were taken, for each arrangement that is still to be carried out.
    addresses: VecDeque<Vec<Vec<Option<Address>>>>,
    /// Where groups went, by their places before, for each arrangement of which the guard has not reported.
    arranged: VecDeque<Vec<Option<usize>>>,
}

impl Turn {
    /// Names a report's group, if it has one, by its place now; `None` where there is no such group any more.
    fn place(&self, mut report: Report) -> Option<(Report, Option<usize>)> {
        let Some(group) = report.group_mut() else { return Some((report, None)) };
        let now = self.arranged.iter().try_fold(*group, |at, arranged| *arranged.get(at)?)?;
        *group = now;
        Some((report, Some(now)))
    }
}

impl Heart {
    /// Beats until the node has left, or everybody who could command it is gone.
    pub(super) fn run(mut self) {
        // Busy neighbours must not look like a dead node. Refused to who is not root, and then it takes its turn.
        be_urgent();
        let mut turn = Turn { message: Vec::with_capacity(DATAGRAM), reaches: true, ..Turn::default() };
        let (mut buffer, mut report) = (vec![0; DATAGRAM], vec![0; caps::GUARD_REPORT_BYTES]);
        loop {
            self.wait(&turn);
            self.receive(&mut buffer);
            self.hear_guard(&mut report, &mut turn);
            self.bell.hear();
            if !self.obey(&mut turn) {
                break;
            }
            let now = clock::now();
            self.miss_guard(now, &mut turn);
            self.ping(now, &mut turn);
            if now >= self.node.poll_timeout() {
                self.node.handle_timeout(now);
            }
            self.act(&mut turn);
            self.tell_held(&mut turn);
            self.teller.go_on();
            let is_late = turn.leave_by.is_some_and(|by| by <= clock::now());
            if turn.leave_by.is_some() && (self.node.has_left() || is_late) {
                break;
            }
        }
        self.end(&mut turn);
    }

    /// Ends with the guard: whoever hears that the node has left waits for this thread.
    fn end(mut self, turn: &mut Turn) {
        // Of an end that is not orderly the peers have to hear: then the guard is told nothing, and the tie's end has
        // it give up what is held in our name, with a last word.
        let guard = if self.node.has_left() && !turn.is_guard_lost {
            self.say(turn, &Order::Leave);
            // It goes on for connections that are open, until the process ends or their time is over.
            Some(self.guard)
        } else {
            self.guard.finish();
            None
        };
        self.teller.tell(Told::Left(guard));
        let until = clock::now() + LAST;
        while self.teller.is_waiting() && clock::now() < until {
            let _ = wait(&mut [readable(self.bell.as_fd())], AGAIN);
            self.bell.hear();
            self.teller.go_on();
        }
    }

    fn wait(&self, turn: &Turn) {
        let now = clock::now();
        let mut due = self.node.poll_timeout();
        if !self.pings.is_empty() {
            due = due.min(turn.ping_due);
        }
        if let Some(by) = turn.leave_by {
            due = due.min(by);
        }
        if self.teller.is_waiting() {
            due = due.min(now + AGAIN);
        }
        let mut these = vec![readable(self.bell.as_fd())];
        if !turn.is_guard_lost {
            these.push(readable(self.guard.tie.as_fd()));
        }
        these.extend(self.paths.iter().flat_map(Path::sockets).map(readable));
        these.extend(self.pings.iter().map(|node| readable(node.ping.as_fd())));
        // Where the system does not let us wait we go on without: late is worse than busy.
        let _ = wait(&mut these, due.saturating_sub(now));
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for (index, path) in self.paths.iter().enumerate() {
            for _ in 0..BATCH {
                let Some((length, from)) = path.receive(buffer) else { break };
                let from = from.to_canonical();
                let peers = self.peers.get(index).map_or(&[][..], Vec::as_slice);
                let Some((member, _)) = peers.iter().find(|(_, addr)| *addr == from) else { continue };
                let now = clock::now();
                if let Err(error) = self.node.handle_packet(now, index, buffer.get(..length).unwrap_or_default()) {
                    self.node.blame(now, *member, index, error);
                }
            }
        }
    }

    fn hear_guard(&mut self, buffer: &mut [u8], turn: &mut Turn) {
        while !turn.is_guard_lost {
            let length = match self.guard.tie.receive(buffer) {
                Ok(None) => return,
                Ok(Some(0)) | Err(_) => return self.lose_guard(turn),
                Ok(Some(length)) => length,
            };
            let report = match serde_json::from_slice::<Report>(buffer.get(..length).unwrap_or_default()) {
                Ok(report) => report,
                Err(error) => {
                    self.teller.tell(Told::Unreadable(format!("{length} bytes, {error}")));
                    continue;
                }
            };
            turn.unanswered = (0, Duration::ZERO);
            match report {
                Report::Alive => continue,
                Report::Arranged => {
                    turn.arranged.pop_front();
                    continue;
                }
                _ => {}
            }
            let Some((report, group)) = turn.place(report) else { continue };
            let change = match &report {
                Report::Done { number, failed } => {
                    let outcome = if failed.is_none() { Outcome::Ok } else { Outcome::Failed };
                    Some(Change::Done { number: *number, outcome })
                }
                Report::Broken { group, resource, .. } => Some(Change::Broken { group: *group, resource: *resource }),
                Report::CarrierLost { group } => Some(Change::CarrierLost { group: *group }),
                Report::CarrierBack { group } => Some(Change::CarrierBack { group: *group }),
                Report::ForeignOwner { group, .. } => Some(Change::ForeignOwner { group: *group }),
                Report::Missing { addrs } => Some(Change::Present(addrs.len() < self.peers.len())),
                Report::Restored { .. } | Report::Lost { .. } | Report::Stays { .. } | Report::Mute { .. } => None,
                Report::Arranged | Report::Alive => None,
            };
            if let Some(change) = change {
                self.node.apply(clock::now(), change);
            }
            let is_told = match &report {
                Report::Done { failed, .. } => failed.is_some(),
                // The next owner, who was told to.
                Report::ForeignOwner { group, .. } => self.node.is_ours(*group),
                _ => true,
            };
            if is_told {
                let group = group.map(|group| self.node.group_name(group)).unwrap_or_default();
                self.teller.tell(Told::Report(report, group));
            }
        }
    }

    /// Whether to go on.
    fn obey(&mut self, turn: &mut Turn) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Change(change)) => self.node.apply(clock::now(), change),
                Ok(Command::Order { order, reply }) => {
                    let now = clock::now();
                    let refused = self.node.refusal(now, order);
                    self.node.apply(now, order);
                    // Whoever ordered may have left.
                    let _ = reply.send(refused);
                }
                Ok(Command::Keys(keys)) => self.node.change_keys(keys),
                Ok(Command::Settings(news)) => self.change_settings(*news, turn),
                Ok(Command::View { reply }) => {
                    // Whoever asked and left is not waited for.
                    let _ = reply.send(self.node.view(clock::now()));
                }
                Ok(Command::Leave { by }) => {
                    turn.leave_by = Some(turn.leave_by.map_or(by, |known| known.min(by)));
                    self.node.apply(clock::now(), Change::Leave);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn change_settings(&mut self, news: News, turn: &mut Turn) {
        let News { settings, claims, addresses, dead, lifetime, pings, .. } = news;
        if !self.node.change_settings(clock::now(), settings, &claims) {
            return self.teller.tell(Told::Unreadable("other settings, which cannot follow those that run".to_owned()));
        }
        turn.addresses.push_back(addresses);
        self.dead = dead;
        if let Some((pings, need)) = pings {
            (self.pings, self.need, turn.ping_due) = (pings, need, Duration::ZERO);
            if self.pings.is_empty() && !turn.reaches {
                turn.reaches = true;
                self.node.apply(clock::now(), Change::Reaches(true));
            }
        }
        let [lifetime, patience] = [lifetime, dead].map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        self.say(turn, &Order::Times { lifetime, patience });
    }

    /// Has the guard follow to other groups, where they are others.
    fn arrange(&mut self, origins: Vec<Option<usize>>, turn: &mut Turn) {
        let Some(groups) = turn.addresses.pop_front() else { return };
        let is_same = origins.iter().enumerate().all(|(at, origin)| *origin == Some(at));
        if is_same && groups == self.addresses {
            return;
        }
        let now_at = |before: usize| origins.iter().position(|origin| *origin == Some(before));
        turn.arranged.push_back((0..self.addresses.len()).map(now_at).collect());
        self.addresses.clone_from(&groups);
        Order::Arrange(Arrangement { groups, origins }).write(&mut turn.message);
        if self.guard.tie.send(&turn.message).is_err() {
            self.lose_guard(turn);
        }
    }

    /// Ends a guard that hangs. The kernel has dropped its addresses by now, and nobody has them as long as this node goes on
    /// to say that they are here.
    fn miss_guard(&mut self, now: Duration, turn: &mut Turn) {
        let (missed, since) = turn.unanswered;
        let patience = GUARD_PATIENCE.max(self.dead * 2);
        if !turn.is_guard_lost && missed >= GUARD_MISSED && now.saturating_sub(since) >= patience {
            tracing::error!("the address guard has not answered for {} ms, and is ended", (now - since).as_millis());
            self.guard.kill();
            self.lose_guard(turn);
        }
    }

    fn lose_guard(&mut self, turn: &mut Turn) {
        if !std::mem::replace(&mut turn.is_guard_lost, true) {
            self.teller.tell(Told::GuardLost);
        }
    }

    fn ping(&mut self, now: Duration, turn: &mut Turn) {
        if self.pings.is_empty() {
            return;
        }
        for node in &mut self.pings {
            if node.ping.is_answered() {
                node.answered_at = Some(now);
            }
        }
        if now >= turn.ping_due {
            turn.ping_due = now + self.dead / PINGS;
            self.pings.iter_mut().for_each(|node| node.ping.ask());
        }
        let is_alive = |node: &&PingNode| node.answered_at.is_some_and(|at| now.saturating_sub(at) <= self.dead);
        let reaches = self.pings.iter().filter(is_alive).count() >= self.need;
        if reaches != turn.reaches {
            turn.reaches = reaches;
            self.node.apply(now, Change::Reaches(reaches));
        }
    }

    fn act(&mut self, turn: &mut Turn) {
        while let Some(action) = self.node.poll_action() {
            match action {
                Action::Beat => {
                    self.paths.iter().for_each(|path| path.send(self.node.heartbeat()));
                    let mut message = std::mem::take(&mut turn.message);
                    let (notice, resignation) = (self.node.notice(), self.node.resignation());
                    Order::LastWords { notice, resignation }.write(&mut message);
                    turn.message = message;
                    self.send(turn);
                    turn.unanswered = match turn.unanswered {
                        (0, _) => (1, clock::now()),
                        (missed, since) => (missed.saturating_add(1), since),
                    };
                }
                Action::Start { group, resource, number } => {
                    if let (Ok(group), Ok(resource)) = (u8::try_from(group), u8::try_from(resource)) {
                        self.say(turn, &Order::Start { group, resource, number });
                    }
                }
                Action::Stop { group, resource, number } => {
                    if let (Ok(group), Ok(resource)) = (u8::try_from(group), u8::try_from(resource)) {
                        self.say(turn, &Order::Stop { group, resource, number });
                    }
                }
                Action::Inherit { group, from } => {
                    let from = from.and_then(|from| u8::try_from(from).ok());
                    self.say_of(turn, group, |group| Order::Inherit { group, from });
                }
                Action::Linger { group } => self.say_of(turn, group, |group| Order::Linger { group }),
                Action::Withdraw { group } => self.say_of(turn, group, |group| Order::Withdraw { group }),
                Action::Restore { group } => self.say_of(turn, group, |group| Order::Restore { group }),
                Action::Announce { group } => self.say_of(turn, group, |group| Order::Announce { group }),
                Action::Renew { group } => self.say_of(turn, group, |group| Order::Renew { group }),
                Action::Arrange { origins } => self.arrange(origins, turn),
                Action::Note(event) => self.teller.tell(Told::Event(event)),
            }
        }
    }

    /// Tells what the other nodes are held for, where that has changed.
    fn tell_held(&mut self, turn: &mut Turn) {
        let now = clock::now();
        let (held, worths) = (self.node.held_for(now), self.node.worths(now));
        let has_changed =
            |(before, now): (&Option<u8>, &Option<u8>)| before.zip(*now).is_some_and(|(one, two)| one != two);
        if turn.worths.iter().zip(&worths).any(has_changed) {
            self.teller.tell(Told::Look);
        }
        turn.worths = worths;
        if turn.held != held {
            turn.held = held;
            self.teller.tell(Told::Nodes(held));
        }
    }

    fn say_of(&self, turn: &mut Turn, group: usize, order: impl FnOnce(u8) -> Order<'static>) {
        if let Ok(group) = u8::try_from(group) {
            self.say(turn, &order(group));
        }
    }

    fn say(&self, turn: &mut Turn, order: &Order<'_>) {
        order.write(&mut turn.message);
        self.send(turn);
    }

    fn send(&self, turn: &Turn) {
        // One that did not hear of an arrangement would take every later order for another group's.
        if turn.is_guard_lost {
            return;
        }
        // It fails when the guard is gone, which is heard of, or does not read, which the kernel's lifetime ends.
        let _ = self.guard.tie.send(&turn.message);
    }
}

#[cfg(test)]
mod tests;

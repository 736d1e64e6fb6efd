//! The world: machines and links, run moment by moment.
//!
//! The invariant: time never goes back, and at each moment every machine has done all it had to do before the watcher
//! looks.

use std::time::Duration;

use evenkeel_cluster::{Action, BootId, Change, Event, Key, Keyring, Member, Mode, Node, Outcome, Settings, Timing};

use super::host::{Habit, Host};
use super::layout::{self, Layout};
use super::links::Links;
use super::watch::Watch;
use crate::chance::Chance;

/// What the kernel was measured to add to a lifetime.
const KERNEL_SLACK: Duration = Duration::from_millis(350);

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How many nodes, the last of which only votes where there is a witness.
    pub nodes: usize,
    /// Whether the last node only votes.
    pub has_witness: bool,
    /// What matters more in a split.
    pub mode: Mode,
    /// After how long the preferred node gets its group back.
    pub failback: Option<Duration>,
    /// How many groups; the preferred nodes take turns.
    pub groups: usize,
    /// Resources beside the address, in each group.
    pub scripts: usize,
    /// The times.
    pub timing: Timing,
}

impl Shape {
    /// The usual pair: defaults, one address, nothing else.
    pub fn pair() -> Self {
        Self {
            nodes: 2,
            has_witness: false,
            mode: Mode::Available,
            failback: None,
            groups: 1,
            scripts: 0,
            timing: Timing {
                every: Duration::from_millis(200),
                warn: Duration::from_millis(600),
                dead: Duration::from_secs(1),
                init: Duration::from_secs(3),
                lifetime: Duration::from_secs(1),
            },
        }
    }

    fn settings(&self, layout: &Layout, me: usize) -> Settings {
        let members = (0..self.nodes)
            .map(|at| Member { name: format!("lb{at}").into(), is_witness: self.has_witness && at + 1 == self.nodes });
        let made = Settings::new("edge", me, members.collect(), self.timing, layout.groups(self));
        made.expect("the shapes of the simulator are valid")
    }
}

/// Machines, links and a watcher.
#[derive(Debug)]
pub struct World {
    /// The present.
    pub now: Duration,
    /// How the cluster is made.
    pub shape: Shape,
    /// The machines.
    pub hosts: Vec<Host>,
    /// The network.
    pub links: Links,
    /// What has been seen.
    pub watch: Watch,
    /// The file as it is written now, the same on every machine. Each runs by what it read last.
    pub(crate) file: Layout,
    chance: Chance,
    keys: Keyring,
    boots: u64,
}

impl World {
    /// A world in which nothing runs yet.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let file = Layout::new(&shape);
        let key = Key::derive(b"a secret of the simulator").expect("the secret is long enough");
        Self {
            now: Duration::from_secs(100),
            hosts: (0..shape.nodes).map(|_| Host::new(file.clone())).collect(),
            links: Links::new(shape.nodes),
            watch: Watch::new(&shape),
            file,
            chance: Chance::new(seed),
            keys: Keyring::new(vec![key]).expect("one key is enough"),
            boots: seed,
            shape,
        }
    }

    /// A world in which all nodes have just started.
    pub fn started(shape: Shape, seed: u64) -> Self {
        let mut world = Self::new(shape, seed);
        (0..world.hosts.len()).for_each(|host| world.start(host));
        world
    }

    /// Starts a machine's process, if none runs.
    pub fn start(&mut self, host: usize) {
        if self.hosts[host].node.is_some() {
            return;
        }
        self.boots += 1;
        let mut boot = [0; 16];
        let half = Chance::new(self.boots.wrapping_mul(0x9e37_79b9)).number();
        boot[..8].copy_from_slice(&half.to_be_bytes());
        boot[8..].copy_from_slice(&self.boots.to_be_bytes());
        self.hosts[host].clean(self.file.clone());
        let settings = self.shape.settings(&self.file, host);
        self.hosts[host].node = Some(Node::new(settings, self.keys.clone(), BootId(boot), self.now));
        self.take_looks(host);
        self.settle(host);
    }

    /// Takes a machine's own address away, or puts it back.
    pub fn place(&mut self, host: usize, is_present: bool) {
        self.hosts[host].is_absent = !is_present;
        if self.hosts[host].is_running(self.now) {
            self.take_looks(host);
            self.settle(host);
        }
    }

    /// Kills a machine's process.
    pub fn crash(&mut self, host: usize) {
        self.hosts[host].crash();
    }

    /// Kills a machine's process under the eyes of a supervisor, who drops the addresses and says so, stops what else runs in
    /// that time, and sends the last word.
    pub fn crash_supervised(&mut self, host: usize, stopping: Duration) {
        let Some(node) = self.hosts[host].node.take() else { return };
        self.hosts[host].crash();
        self.hosts[host].guard.withdraw_all();
        if node.notice().is_empty() {
            self.send(host, node.resignation());
        } else {
            self.send(host, node.notice());
            self.hosts[host].last_word = Some((self.now + stopping, node.resignation().to_vec()));
        }
    }

    /// Stops a machine's process for a while.
    pub fn pause(&mut self, host: usize, long: Duration) {
        self.hosts[host].paused_until = Some(self.now + long);
    }

    /// Tells a node something.
    pub fn tell(&mut self, host: usize, change: Change) {
        let now = self.now;
        if self.hosts[host].is_running(now) {
            if let Some(node) = &mut self.hosts[host].node {
                node.apply(now, change);
            }
            self.settle(host);
        }
    }

    /// Writes another file, which no machine has read yet.
    pub fn edit(&mut self) {
        self.file.edit(&self.shape, &mut self.chance);
        self.watch.widen(self.shape.groups + layout::MORE);
    }

    /// How many addresses there may be.
    pub fn addresses(&self) -> usize {
        self.shape.groups + layout::MORE
    }

    /// Has a machine's process read the file again: now, or as soon as it goes on.
    pub fn reload(&mut self, at: usize) {
        let (now, is_running) = (self.now, self.hosts[at].is_running(self.now));
        let host = &mut self.hosts[at];
        host.is_reload_due = host.node.is_some() && !is_running;
        let Some(node) = host.node.as_mut().filter(|_| is_running && host.layout != self.file) else { return };
        let follows = node.change_settings(now, self.shape.settings(&self.file, at), &[]);
        self.watch.order(now, at, follows, "a reload that does not follow");
        host.arriving.push_back(self.file.clone());
        host.layout = self.file.clone();
        self.settle(at);
    }

    /// Sends recorded packets again.
    pub fn replay(&mut self) {
        self.links.replay(self.now, &mut self.chance);
    }

    /// Lets time pass.
    pub fn run(&mut self, long: Duration) {
        let end = self.now + long;
        while let Some(next) = self.next_at().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.moment();
            self.watch.look(self.now, &self.hosts, &self.links);
        }
        self.now = end;
        self.watch.look(self.now, &self.hosts, &self.links);
    }

    /// Lets time pass until something holds; whether it came to hold.
    pub fn run_until(&mut self, longest: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + longest;
        while self.now < end {
            if holds(self) {
                return true;
            }
            self.run(Duration::from_millis(1));
        }
        holds(self)
    }

    /// The machines that have the address of that number.
    pub fn owners(&self, address: usize) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].has(self.now, address)).collect()
    }

    /// Everything that nodes told, in its order.
    pub fn diary(&self) -> String {
        let hosts = self.hosts.iter().enumerate();
        let mut lines: Vec<_> = hosts
            .flat_map(|(at, host)| host.events.iter().map(move |(when, event)| (*when, at, event.to_string())))
            .collect();
        lines.sort_by_key(|(when, at, _)| (*when, *at));
        lines.iter().map(|(when, at, event)| format!("{when:>16?} lb{at}: {event}\n")).collect()
    }

    fn next_at(&self) -> Option<Duration> {
        let expiry = self.hosts.iter().filter_map(|host| host.guard.next_end(self.now)).min();
        let hosts = self.hosts.iter().filter_map(Host::next_at).min();
        [expiry, hosts, self.links.next_at()].into_iter().flatten().min()
    }

    fn moment(&mut self) {
        let now = self.now;
        while let Some(packet) = self.links.take(now) {
            if !self.hosts[packet.to].is_absent {
                self.hosts[packet.to].queue(packet.bytes);
            }
        }
        for host in 0..self.hosts.len() {
            self.live(host);
        }
    }

    fn live(&mut self, at: usize) {
        let now = self.now;
        let host = &mut self.hosts[at];
        if !host.is_running(now) {
            if host.node.is_none() {
                // A socket of a process that is gone holds nothing.
                host.waiting.clear();
            }
            if let Some(word) = host.take_last_word(now) {
                self.send(at, &word);
            }
            return;
        }
        host.paused_until = None;
        // What came first is read first, and that is either.
        let is_reload_first = host.is_reload_due && self.chance.below(2) == 0;
        if is_reload_first {
            self.reload(at);
        }
        self.take_in(at);
        if self.hosts[at].is_reload_due {
            self.reload(at);
        }
        self.settle(at);
        let until = now + self.lifetime();
        self.hosts[at].guard.put_back(now, until);
    }

    /// Takes what has come for a machine's process: packets, reports, time.
    fn take_in(&mut self, at: usize) {
        let now = self.now;
        self.take_looks(at);
        let host = &mut self.hosts[at];
        while let Some(bytes) = host.waiting.pop_front() {
            if let Some(node) = &mut host.node {
                // What is wrong with a packet the node itself tells.
                let _ = node.handle_packet(now, 0, &bytes);
            }
        }
        while let Some(report) = host.take_report(now) {
            if let Some(node) = &mut host.node {
                node.apply(now, report);
            }
        }
        if let Some(node) = host.node.as_mut().filter(|node| node.poll_timeout() <= now) {
            node.handle_timeout(now);
        }
    }

    /// Tells a machine's process what is seen of its own address, and of others on the network of the addresses.
    fn take_looks(&mut self, at: usize) {
        let now = self.now;
        let host = &mut self.hosts[at];
        while let Some(look) = host.take_look() {
            if let Some(node) = &mut host.node {
                node.apply(now, look);
            }
        }
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        if !self.hosts[from].is_absent {
            self.links.send(self.now, from, bytes, &mut self.chance);
        }
    }

    /// Tells the network of the addresses, on which a machine without an address of its own hears it as well.
    fn announce(&mut self, from: usize, addresses: &[usize]) {
        let now = self.now;
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            let is_cut = self.links.link(from, to).is_cut;
            let host = &mut self.hosts[to];
            if host.is_absent && !is_cut {
                let has = addresses.iter().filter(|address| host.guard.has(now, **address));
                host.sightings.extend(has);
            }
        }
    }

    fn lifetime(&self) -> Duration {
        self.shape.timing.lifetime + KERNEL_SLACK
    }

    fn settle(&mut self, at: usize) {
        while let Some(action) = self.hosts[at].node.as_mut().and_then(Node::poll_action) {
            self.act(at, action);
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        let (now, until) = (self.now, self.now + self.lifetime());
        let host = &mut self.hosts[at];
        match action {
            Action::Beat => {
                let bytes = host.node.as_ref().map(|node| node.heartbeat().to_vec()).unwrap_or_default();
                self.send(at, &bytes);
            }
            Action::Start { group, resource, number } => {
                let address = host.guard.address(group, resource);
                // Those of the beginning always start.
                let fails = host.habit == Habit::NoStart && address.is_none_or(|it| it >= self.shape.groups);
                let is_next = host.guard.start(group, resource, Some(until).filter(|_| !fails));
                self.watch.order(now, at, is_next, "start out of order");
                if let Some(address) = address.filter(|_| !fails) {
                    self.watch.taken(now, at, address);
                    self.announce(at, &[address]);
                }
                self.report(at, address.is_none(), number, fails);
            }
            Action::Stop { group, resource, number } => {
                let is_script = host.guard.address(group, resource).is_none();
                let fails = is_script && host.habit == Habit::NoStop;
                let stays = fails || is_script && host.habit == Habit::Hangs;
                let is_last = host.guard.stop(group, resource, stays);
                self.watch.order(now, at, is_last, "stop out of order");
                self.report(at, is_script, number, fails);
            }
            Action::Inherit { .. } | Action::Linger { .. } => {}
            Action::Withdraw { group } => host.guard.withdraw(group),
            Action::Restore { group } => host.guard.restore(group, until),
            Action::Renew { group } => host.guard.renew(group, until),
            Action::Arrange { origins } => {
                if let Some(layout) = host.arriving.pop_front() {
                    host.guard.arrange(&layout, &origins);
                }
            }
            Action::Announce { group } => {
                let addresses = host.guard.started(group);
                self.watch.announced(now, at);
                self.announce(at, &addresses);
            }
            Action::Note(event) => self.note(at, event),
        }
    }

    fn note(&mut self, at: usize, event: Event) {
        let now = self.now;
        if let Event::Stopped(group) = &event {
            let number = group.trim_start_matches("group").parse().ok();
            let is_stopped = number.is_some_and(|number| self.hosts[at].guard.is_stopped(number));
            self.watch.order(now, at, is_stopped, "something runs of what is said to be stopped");
        }
        self.hosts[at].events.push((now, event));
    }

    fn report(&mut self, at: usize, is_script: bool, number: u32, fails: bool) {
        let host = &mut self.hosts[at];
        if is_script && host.habit == Habit::Hangs {
            return;
        }
        let took = Duration::from_micros(if is_script { 5_000 + self.chance.number() % 50_000 } else { 200 });
        let outcome = if fails { Outcome::Failed } else { Outcome::Ok };
        host.reports.push_back((self.now + took, number, outcome));
    }
}

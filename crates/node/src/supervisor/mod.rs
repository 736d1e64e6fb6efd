//! The supervisor: the one owner of everything that is not traffic, and the one place where it changes.
//!
//! Probes, look-ups, workers, signals and the control socket send it events; it hands out snapshots. No lock guards its
//! state, because nobody else touches it. What takes long is done by others, and comes back as an event.
//!
//! ```text
//!             Reload                 prepared                  every worker answered
//!   serving ─────────▶ preparing ───────────────▶ applying ─────────────────────────▶ serving
//!                          │ refused: nothing has changed
//!                          ▼
//!                       serving            Stop (from any of them) ─▶ draining ─▶ ended
//! ```
//!
//! The invariant: a configuration is applied whole or not at all, and whoever asked is answered when traffic sees it.

mod aside;
mod cluster;
mod describe;
mod reload;
mod shared;
mod steer;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::CheckOutcome;
use evenkeel_model::config::Config;
use evenkeel_model::{ListenerName, ServerId};
use evenkeel_net::clock;
use evenkeel_net::process::Companion;
use evenkeel_net::resolve::Resolver;
use evenkeel_proxy::{
    Explanation, Question, ServerView, Shared, Snapshot, SnapshotParts, TrafficOutcome, TrafficReport,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::acme::Acme;
use crate::certificates::Tls;
use crate::cluster::{Cluster, Heard, Told};
use crate::compare::Sources;
use crate::crew::{Crew, JOIN_PATIENCE, Silent};
use crate::dns::{Answered, Dns, DnsAsked, HealthView, ZoneStatus};
use crate::door::AdminDoor;
use crate::intents::Intents;
use crate::journal::Journal;
use crate::keeper::{Keeper, Noted};
use crate::logs::LogWriters;
use crate::names::{Answer, Lookups};
use crate::node::Ended;
use crate::origin::{Origin, Texts};
use crate::pages::Pages;
use crate::prepare::Refusal;
use crate::prober::Probes;
use crate::secrets::{OwnSecrets, TokenKeys};
use crate::sessions::{KeptSessions, SessionBook};
use crate::state::State;
use crate::status::{LastReload, NodeStatus, Phase, ReloadCounts};
use crate::watchdog::{Due, Watchdog};
use crate::zonefile::{Zonefiles, pool_verdicts};

pub use aside::NodeOrder;
pub use cluster::{ClusterStatus, GroupOrder, GroupRefused};
pub use reload::Reloaded;
pub(crate) use reload::{Readied, Waiting};
pub use shared::OtherView;
pub(crate) use shared::Others;
pub use steer::{SteerError, Steering};

/// The first change of a verdict is published at once, those that follow within this time together: a switch that fails
/// takes many servers at once.
const GATHER: Duration = Duration::from_millis(10);

/// How long after a start DNS waits for the first result of every check before it answers by what it has. Until then
/// names whose addresses are chosen by health are answered SERVFAIL, so that resolvers ask another node.
const DNS_PATIENCE: Duration = Duration::from_secs(5);

/// How much later than the deadline of a drain the process ends, come what may.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Something that happened.
pub(crate) enum Event {
    /// A probe has ended.
    Checked { id: ServerId, outcome: CheckOutcome },
    /// A name was looked up.
    Resolved { host: String, answer: Answer },
    /// Somebody orders something.
    Order(Order),
    /// A reload is ready to be applied, or refused.
    Prepared(Box<Readied>),
    /// Every worker uses the new configuration, or one of them is silent.
    Applied(Box<Reloaded>, Result<(), Silent>),
    /// Every worker is drained; so many connections were cut off.
    Drained { cut: u64 },
    /// A task of the control thread has panicked.
    Panicked { task: &'static str },
    /// A worker has ended.
    WorkerEnded { index: usize, panicked: bool },
    /// The heartbeat thread tells something.
    Cluster(Box<Told>),
    /// Another node of the cluster tells something as a whole.
    Shared(Box<Heard>),
}

/// What is ordered over the control socket or by a signal.
pub(crate) enum Order {
    /// Read the configuration anew.
    Reload { by: &'static str, reply: oneshot::Sender<Result<Reloaded, Refusal>> },
    /// Apply a configuration of the history.
    Rollback { number: u64, by: String, reply: oneshot::Sender<Result<Reloaded, Refusal>> },
    /// Say what would become of a request.
    Explain { question: Box<Question>, reply: oneshot::Sender<Result<Explanation, String>> },
    /// Say what configurations there are.
    Sources { reply: oneshot::Sender<Sources> },
    /// Order something of a server.
    Steer { order: Box<Steering>, reply: steer::Reply },
    /// Hand out the tables of learned sessions.
    Sessions { reply: oneshot::Sender<SessionBook> },
    /// Have a listener show the certificates that authorities gave. Answered when traffic sees them.
    ShowCertificates { listener: ListenerName, reply: oneshot::Sender<Result<(), String>> },
    /// Have DNS answer what authorities look for. Answered when queries see it.
    ShowTexts { reply: oneshot::Sender<Result<(), String>> },
    /// Say how things are.
    Status { reply: oneshot::Sender<NodeStatus> },
    /// Say how the cluster is.
    Cluster { reply: oneshot::Sender<Option<ClusterStatus>> },
    /// Order something of a group of the cluster.
    Group { group: String, order: GroupOrder, by: String, reply: oneshot::Sender<Result<(), GroupRefused>> },
    /// Drain this node, or have it ready again.
    Node { order: NodeOrder, reply: oneshot::Sender<Result<(), SteerError>> },
    /// Stop; ordered again by a signal, at once.
    Stop { by: &'static str, again: Again },
    /// Open the log files anew.
    Reopen,
    /// Say what a query of DNS gets now.
    DnsQuery { asked: DnsAsked, reply: oneshot::Sender<Answered> },
    /// Say which zones there are.
    DnsZones { reply: oneshot::Sender<Vec<ZoneStatus>> },
}

/// What a stop means that is ordered while one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Nothing new: a command is as good twice as once.
    IsTheSame,
    /// To end at once: who signals twice is in a hurry.
    Hurries,
}

/// What a start hands to the supervisor.
pub(crate) struct Supervisor {
    pub(crate) origin: Origin,
    pub(crate) state: State,
    pub(crate) own_secrets: OwnSecrets,
    pub(crate) hash_seed: [u8; 16],
    pub(crate) shared: Arc<Shared>,
    pub(crate) crew: Crew,
    pub(crate) keeper: Keeper,
    pub(crate) intents: Intents,
    pub(crate) journal: Journal,
    pub(crate) probes: Probes,
    pub(crate) zonefiles: Zonefiles,
    pub(crate) lookups: Lookups,
    pub(crate) resolver: Rc<Resolver>,
    pub(crate) running: Running,
    pub(crate) logs: LogWriters,
    pub(crate) sessions: KeptSessions,
    pub(crate) dns: Dns,
    pub(crate) acme: Acme,
    pub(crate) watchdog: Watchdog,
    pub(crate) admin: watch::Sender<AdminDoor>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) cluster: Option<Cluster>,
    /// What the other nodes told.
    pub(crate) others: Others,
    /// The address guard, after the node has left: it goes on until this process ends.
    pub(crate) parted: Option<Companion>,
    pub(crate) about: About,
}

/// The configuration in force, with what belongs to it.
pub(crate) struct Running {
    pub(crate) config: Arc<Config>,
    /// What it was made of, and what the history calls it.
    pub(crate) texts: Arc<Texts>,
    pub(crate) kept_as: u64,
    /// Whether it came from the history, so that the file says something else.
    pub(crate) is_rollback: bool,
    pub(crate) generation: u64,
    pub(crate) applied_at: Duration,
    pub(crate) pages: Pages,
    pub(crate) keys: TokenKeys,
    pub(crate) tls: Tls,
    pub(crate) bound: HashMap<ListenerName, SocketAddr>,
    /// The snapshot that was published last, and the views that it was built of.
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) views: HashMap<ServerId, ServerView>,
    /// Counts snapshots.
    pub(crate) number: u64,
}

/// Facts that no reload changes.
pub(crate) struct About {
    pub(crate) started: Duration,
    pub(crate) first_config: Arc<Config>,
    pub(crate) is_last_good: bool,
    pub(crate) control: Option<PathBuf>,
    pub(crate) descriptors: u64,
}

/// What changes while it runs, beside the configuration.
#[derive(Default)]
struct Turn {
    /// When the next snapshot is published, if one is due.
    publish_at: Option<Instant>,
    /// When the last one was.
    published_at: Option<Instant>,
    /// Whether a worker had no room for the last snapshot.
    is_lagging: bool,
    /// Who waits for the reload that is under way, and who came after it began.
    reloads: Waiting,
    last_reload: Option<LastReload>,
    /// What is known of the servers that drain, and when they are looked at next.
    draining: HashMap<ServerId, steer::Draining>,
    look_at: Option<Instant>,
    /// When certificates of our own are looked at next.
    renew_own_at: Option<Instant>,
    /// Where the intents could not be written: when that is tried again.
    keep_at: Option<Instant>,
    reload_counts: ReloadCounts,
    /// When the process ends at the latest, once it drains.
    end_at: Option<Instant>,
    /// Whether it was told twice to end.
    is_hurried: bool,
}

impl Supervisor {
    /// Runs until the process is to end.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut reports: mpsc::Receiver<TrafficReport>,
    ) -> Ended {
        let mut turn = Turn::default();
        self.grade();
        let ended = loop {
            let wake = self.wake_at(&turn);
            tokio::select! {
                Some(event) = events.recv() => {
                    if let Some(ended) = self.take(event, &mut turn).await {
                        break ended;
                    }
                }
                Some(report) = reports.recv() => self.take_report(&report, &mut turn),
                () = tokio::time::sleep_until(wake) => {}
                due = self.watchdog.due() => self.watch(due, &turn),
            }
            if turn.end_at.is_some_and(|end| end <= Instant::now()) {
                break Ended { cut: self.shared.connections(), failed: None };
            }
            self.after(&mut turn);
        };
        if turn.keep_at.is_some() {
            self.keep_intents(&mut turn);
        }
        self.finish(&turn);
        ended
    }

    // long: one arm an event
    async fn take(&mut self, event: Event, turn: &mut Turn) -> Option<Ended> {
        let now = clock::now();
        match event {
            Event::Checked { id, outcome } => {
                let before = self.keeper.next_possible_change();
                let reason = self.keeper.verdict(&id).map(|verdict| verdict.reason);
                let noted = self.keeper.checked(&id, outcome, now);
                self.note(noted, turn);
                if self.keeper.verdict(&id).map(|verdict| verdict.reason) != reason {
                    // It may count for the cluster, although traffic sees the same: ejected before, and down by its checks now.
                    turn.publish_soon();
                }
                if self.dns.is_ready() && self.keeper.next_possible_change() != before {
                    self.follow_health();
                }
            }
            Event::Resolved { host, answer } => {
                self.resolved(&host, answer, turn);
            }
            Event::Order(Order::Reload { by, reply }) => self.order_reload(by, reply, turn),
            Event::Order(Order::Rollback { number, by, reply }) => self.order_rollback(number, by, reply, turn),
            Event::Order(Order::Explain { question, reply }) => {
                // Whoever asked and left is not waited for.
                let _ = reply.send(self.explain(&question));
            }
            Event::Order(Order::Sources { reply }) => {
                // Whoever asked and left is not waited for.
                let _ = reply.send(self.sources());
            }
            Event::Order(Order::ShowCertificates { listener, reply }) => self.show_certificates(listener, reply),
            Event::Order(Order::ShowTexts { reply }) => self.show_texts(reply),
            Event::Order(Order::Steer { order, reply }) => self.steer(&order, reply, turn),
            Event::Order(Order::Sessions { reply }) => {
                // Whoever asked may have left.
                let _ = reply.send(SessionBook {
                    tables: self.shared.session_tables(),
                    config: Arc::clone(&self.running.config),
                });
            }
            Event::Order(Order::Status { reply }) => {
                // Whoever asked and left is not waited for.
                let _ = reply.send(self.describe(turn));
            }
            Event::Order(Order::DnsQuery { asked, reply }) => {
                // Whoever asked and left is not waited for.
                let _ = reply.send(self.dns.query(&asked, &self.running.config));
            }
            Event::Order(Order::DnsZones { reply }) => {
                let _ = reply.send(self.dns.zones(&self.running.config, &self.running.views));
            }
            Event::Order(Order::Cluster { reply }) => self.tell_cluster(reply),
            Event::Order(Order::Group { group, order, by, reply }) => {
                self.order_group(&group, order, &by, reply);
            }
            Event::Order(Order::Node { order, reply }) => self.order_node(order, reply, turn),
            Event::Cluster(told) => return self.hear_cluster(*told, turn),
            Event::Shared(heard) => self.hear_shared(*heard, turn),
            Event::Order(Order::Reopen) => {
                tracing::info!("log files are opened anew");
                self.logs.reopen();
            }
            Event::Order(Order::Stop { by, again }) => return self.stop(by, again, turn),
            Event::Prepared(outcome) => self.prepared(*self.compared(outcome), turn).await,
            Event::Applied(reloaded, answered) => self.applied(*reloaded, answered, turn),
            Event::Drained { cut } => return Some(Ended { cut, failed: None }),
            Event::Panicked { task } => {
                let failed = format!("the task `{task}` panicked");
                tracing::error!("{failed}; the process ends");
                return Some(Ended { cut: self.shared.connections(), failed: Some(failed) });
            }
            Event::WorkerEnded { index, panicked } => return self.lost_worker(index, panicked, turn),
        }
        None
    }

    fn take_report(&mut self, report: &TrafficReport, turn: &mut Turn) {
        let TrafficOutcome::Failed { reason, status } = report.outcome;
        let requests = self.shared.requests_to(&report.server);
        let noted = self.keeper.failed(&report.server, (reason, status), requests, report.at);
        self.note(noted, turn);
    }

    fn resolved(&mut self, host: &str, answer: Answer, turn: &mut Turn) {
        let answer = answer.map(|(addrs, _)| addrs);
        if let Some(news) = self.keeper.news(host, &answer) {
            news.log(host);
        }
        let noted = self.keeper.resolved(host, answer, clock::now());
        for id in self.keeper.servers_of(host) {
            self.probes.moved(&id, &self.keeper.addrs(&id));
        }
        self.note(noted, turn);
        turn.publish_soon();
    }

    /// Logs changes of state and has them published.
    fn note(&mut self, noted: impl IntoIterator<Item = Noted>, turn: &mut Turn) {
        for noted in noted {
            noted.log();
            let text = format!("{} is {}: {}", noted.id, noted.verdict.state, noted.verdict.text);
            self.journal.note_state(noted.id.to_string(), text, noted.verdict.state.as_str());
            turn.publish_soon();
            self.tell_verdicts_soon();
        }
    }

    /// What is due after each event: the keeper's timeouts, and a snapshot.
    fn after(&mut self, turn: &mut Turn) {
        let now = clock::now();
        if self.keeper.next_timeout().is_some_and(|due| due <= now) {
            let noted = self.keeper.elapsed(now);
            self.note(noted, turn);
            // A step of a slow start is no transition, and traffic has to see it all the same.
            turn.publish_soon();
        }
        if self.others.tell_at.take_if(|due| *due <= Instant::now()).is_some() {
            self.tell_verdicts();
        }
        if self.intents_due(turn).is_some_and(|due| due <= Instant::now()) {
            self.watch_intents(turn);
        }
        if turn.keep_at.is_some_and(|due| due <= Instant::now()) {
            self.keep_intents(turn);
        }
        if turn.publish_at.is_some_and(|due| due <= Instant::now()) {
            turn.publish_at = None;
            turn.published_at = Some(Instant::now());
            turn.is_lagging = !self.publish(turn.is_lagging);
            if turn.is_lagging {
                turn.publish_soon();
            }
        }
        self.renew_own_certificates(turn);
        // What is known has to be published before it is called complete.
        if !self.dns.is_ready() && turn.publish_at.is_none() {
            self.follow_health();
        }
    }

    /// Publishes a snapshot if the data plane has to see another view, or a worker missed the last one. Says whether
    /// every worker has it.
    fn publish(&mut self, is_lagging: bool) -> bool {
        let is_changed = self.gather();
        if !is_changed && !is_lagging {
            return true;
        }
        self.crew.publish(&self.running.snapshot)
    }

    /// Makes the snapshot anew if the data plane has to see another view. Says whether that was so.
    fn gather(&mut self) -> bool {
        let mut changed = self.keeper.touched_views(clock::now());
        changed.retain(|id, view| self.running.views.get(id).is_none_or(|known| known != view));
        let is_changed = !changed.is_empty();
        if is_changed {
            self.running.number = self.running.number.saturating_add(1);
            self.running.snapshot = self.running.snapshot.following(self.running.number, &changed, &self.shared);
            self.running.views.extend(changed);
            self.follow_health();
        }
        // Orders count, and why a server is down, also where traffic sees nothing new.
        self.grade();
        is_changed
    }

    /// Has DNS answer by what is known now.
    pub(super) fn follow_health(&mut self) {
        if self.running.config.dns.is_empty() {
            return;
        }
        let health = self.health();
        self.dns.follow(health);
    }

    /// What is known now, for the names of the running configuration.
    pub(super) fn health(&mut self) -> HealthView {
        let now = clock::now();
        let is_settled = self.keeper.is_settled() || now >= self.about.started + DNS_PATIENCE;
        let next_change = self.keeper.next_possible_change();
        let known = (&self.running.views, self.nodes_as_servers());
        self.dns.health(&self.running.config, known, is_settled, next_change)
    }

    /// A snapshot of the running configuration under these views.
    fn build(&mut self, views: HashMap<ServerId, ServerView>) -> Arc<Snapshot> {
        self.running.number = self.running.number.saturating_add(1);
        let snapshot = Snapshot::build(SnapshotParts {
            generation: self.running.number,
            config: Arc::clone(&self.running.config),
            servers: &views,
            previous: Some(&self.running.snapshot),
            token_keys: self.running.keys.by_pool(),
            pages: &self.running.pages,
            acceptors: self.running.tls.acceptors(),
            connectors: self.running.tls.connectors(),
            logs: self.logs.sinks(),
            hash_seed: self.hash_seed,
            shared: &self.shared,
        });
        self.zonefiles.tell(|| pool_verdicts(&views));
        self.running.views = views;
        snapshot
    }

    /// The next moment at which something is due by itself.
    fn wake_at(&self, turn: &Turn) -> Instant {
        let now = clock::now();
        let keeper = self.keeper.next_timeout().map(|due| Instant::now() + due.saturating_sub(now));
        let patience = self.about.started + DNS_PATIENCE;
        let first_view = (!self.dns.is_ready()).then(|| Instant::now() + patience.saturating_sub(now));
        let own = [turn.publish_at, turn.end_at, turn.renew_own_at, turn.keep_at];
        let due = [keeper, self.intents_due(turn), first_view, self.others.tell_at].into_iter().chain(own);
        let due = due.flatten().min();
        // An hour is as good as never: any event wakes us.
        due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn stop(&mut self, by: &str, again: Again, turn: &mut Turn) -> Option<Ended> {
        if turn.end_at.is_some() {
            if again == Again::IsTheSame {
                return None;
            }
            tracing::warn!("{by} again: stopping at once");
            turn.is_hurried = true;
            return Some(Ended { cut: self.shared.connections(), failed: None });
        }
        let drain = self.running.config.process.drain;
        let open = self.shared.connections();
        match open {
            0 => tracing::info!("{by}: stopping"),
            _ => tracing::info!("{by}: stopping; {open} connections have {} s to finish", drain.as_secs()),
        }
        self.watchdog.stopping();
        self.journal.note("node", "", format!("{by} stops the node"));
        self.dns.stand_aside(true);
        self.acme.end();
        self.follow_health();
        turn.end_at = Some(Instant::now() + drain + DRAIN_GRACE);
        // What is served here under an address of the cluster goes on until the other node has it.
        if !self.leave_cluster(drain / 2) {
            self.drain(turn);
        }
        None
    }

    /// Has the workers accept nothing more and their connections finish.
    fn drain(&mut self, turn: &Turn) {
        let deadline = turn.end_at.map_or_else(Instant::now, |end| end - DRAIN_GRACE);
        let (drained, events) = (self.crew.drain(deadline), self.events.clone());
        tokio::task::spawn_local(async move {
            let cut = drained.await;
            // If nobody takes it, the process has ended otherwise.
            let _ = events.send(Event::Drained { cut }).await;
        });
    }

    /// A worker that ends although nobody told it to takes its listeners' share of the clients with it. The process
    /// ends, and its supervisor starts a whole one.
    fn lost_worker(&self, index: usize, panicked: bool, turn: &Turn) -> Option<Ended> {
        if turn.end_at.is_some() {
            return None;
        }
        let how = if panicked { "panicked" } else { "ended by itself" };
        tracing::error!("worker {index} {how}; the process ends");
        Some(Ended { cut: self.shared.connections(), failed: Some(format!("worker {index} {how}")) })
    }

    /// Workers that drain end one by one, and are not asked any more.
    fn watch(&mut self, due: Due, turn: &Turn) {
        match due {
            _ if turn.end_at.is_some() => {}
            Due::Question => self.watchdog.ask(self.crew.ask(&self.running.snapshot)),
            Due::News => {
                self.grade();
                self.follow_health();
            }
        }
    }

    fn phase(turn: &Turn) -> Phase {
        if turn.end_at.is_some() { Phase::Draining } else { Phase::Serving }
    }

    /// Leaves everything in order: verdicts on paper, workers and log writers ended. Whoever is in a hurry waits for
    /// neither; their threads end with the process.
    fn finish(mut self, turn: &Turn) {
        if let Some(cluster) = &mut self.cluster {
            cluster.leave(Duration::ZERO);
            cluster.finish();
        }
        self.state.save_verdicts(&self.keeper.save(clock::now(), clock::unix_now()));
        if turn.is_hurried {
            return;
        }
        drop((self.probes, self.lookups, self.running));
        self.dns.finish(JOIN_PATIENCE);
        self.crew.dismiss();
        self.sessions.finish();
        self.logs.finish();
    }
}

impl Turn {
    /// Has a snapshot published: now, or a moment after the last one.
    fn publish_soon(&mut self) {
        let now = Instant::now();
        let due = self.published_at.map_or(now, |last| now.max(last + GATHER));
        self.publish_at.get_or_insert(due);
    }
}

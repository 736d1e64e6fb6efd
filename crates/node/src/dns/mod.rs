//! DNS on the wire: threads that answer, what they answer with, and how that follows the configuration and verdicts.
//!
//! [`load`] makes zones of a configuration, `needs` says which pools their names go by; [`view`] puts them together with what is healthy; [`worker`] is a thread
//! that answers datagrams, `stream` the thread for TCP with its `seats` and `errands`: `notice` tells secondaries of changes, `news` an operator, `delegation` looks what the parent
//! zone says. `long` is the way of what is not common. The invariant: every thread answers from one [`View`], which is swapped whole; sockets stay
//! open over a reload that keeps their address.

mod answered;
mod asking;
mod chosen;
mod delegation;
mod errands;
mod load;
mod long;
mod needs;
mod news;
mod notice;
mod seats;
mod stream;
mod tally;
mod view;
mod worker;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::Loaded;
use evenkeel_dns::Name;
use evenkeel_dns::answer::Texts;
use evenkeel_model::config::{Config, LogTarget};
use evenkeel_model::{ListenerName, PoolName, ServerId, State};
use evenkeel_net::listen;
use evenkeel_net::udp;
use evenkeel_net::udp::Port;
use evenkeel_proxy::ServerView;
use evenkeel_proxy::log::LogSink;
use tokio::sync::{mpsc, oneshot};

use crate::prepare::{Refusal, presence};
use crate::supervisor::Event;
use crate::tasks::Ending;

pub use answered::{Answered, DnsAsked, ZoneStatus};
pub use asking::{LookedUp, look_up};
pub use chosen::{BalancedStatus, ChosenServer};
pub(crate) use load::Block as LoadedBlock;
pub use load::problems;
pub(crate) use load::{doubts, load};
pub(crate) use needs::every as serving;
pub(crate) use news::{ZoneNews, news};
pub use tally::DnsTotals;
pub(crate) use view::{HealthView, peer_pools};

use delegation::Delegation;
use errands::{About, Errand};
use stream::Streams;
use tally::{Tally, ZoneNumbers};
use view::View;
use worker::Worker;

/// How often is looked whether the threads have let go of old zones, and how long between two looks.
const RETIRE_LOOKS: u32 = 600;
const RETIRE_PAUSE: Duration = Duration::from_millis(100);

/// The new sockets of one address.
pub(crate) struct Opened {
    name: ListenerName,
    ports: Vec<Port>,
    streams: TcpListener,
}

impl Opened {
    /// The address that is bound, the system's port in it.
    pub(crate) fn bound(&self) -> Option<(ListenerName, SocketAddr)> {
        self.ports.first().map(|port| (self.name.clone(), port.addr()))
    }
}

/// DNS of a running node.
pub(crate) struct Dns {
    workers: Vec<Worker>,
    streams: Option<Streams>,
    blocks: Arc<Vec<LoadedBlock>>,
    /// Those that blocks name.
    logs: HashMap<LogTarget, LogSink>,
    health: Arc<HealthView>,
    view: Arc<View>,
    /// What is answered beside the zones.
    texts: Arc<Texts>,
    last_good: HashMap<PoolName, HashSet<IpAddr>>,
    /// The node's own state: draining once the process stops.
    own: State,
    tallies: Vec<Arc<Tally>>,
    ending: Ending,
    events: mpsc::Sender<Event>,
    /// Serials that secondaries were told of.
    told: HashMap<(Name, SocketAddr), u32>,
    counted: ZoneNumbers,
    /// Delegations that were looked at.
    tested: Vec<Delegation>,
}

/// Binds the addresses of `dns` blocks that `now` lacks: all of them or none.
///
/// # Errors
/// The first address that cannot be had.
pub(crate) fn bind(next: &Config, now: &Config, workers: usize, loaded: &Loaded) -> Result<Vec<Opened>, Refusal> {
    let mut opened = Vec::new();
    for listener in next.dns.iter().flat_map(|dns| &dns.listeners) {
        let is_bound = now.dns.iter().flat_map(|dns| &dns.listeners).any(|other| other == listener);
        if is_bound {
            continue;
        }
        let presence = presence(next, listener.addr);
        let ports = udp::bind(listener.addr, workers, presence);
        let both = ports.and_then(|ports| {
            // With port 0 the system's choice for datagrams is the one for streams as well.
            let addr = ports.first().map_or(listener.addr, |port| with_port(listener.addr, port.addr().port()));
            listen::bind(addr, 1, presence).map(|streams| (ports, streams))
        });
        match both {
            Ok((ports, streams)) => {
                let Some(streams) = streams.into_iter().next() else { continue };
                opened.push(Opened { name: listener.name.clone(), ports, streams });
            }
            Err(error) => {
                let mut found = loaded.unbindable(&listener.name, &error.cause());
                if let Some(hint) = error.hint() {
                    found.help(hint);
                }
                return Err(Refusal::of_diagnostics(&[found], &loaded.sources));
            }
        }
    }
    Ok(opened)
}

fn with_port(addr: evenkeel_model::config::ListenAddr, port: u16) -> evenkeel_model::config::ListenAddr {
    use evenkeel_model::config::ListenAddr;
    match addr {
        ListenAddr::Every(_) => ListenAddr::Every(port),
        ListenAddr::One(one) => ListenAddr::One(SocketAddr::new(one.ip(), port)),
    }
}

/// The addresses of `now` that `next` lacks.
pub(crate) fn gone(now: &Config, next: &Config) -> Vec<ListenerName> {
    let stays = |listener| next.dns.iter().flat_map(|dns| &dns.listeners).any(|other| other == listener);
    let all = now.dns.iter().flat_map(|dns| &dns.listeners);
    all.filter(|listener| !stays(*listener)).map(|listener| listener.name.clone()).collect()
}

/// Frees zones that are answered no more, once the threads have let go of them, where nobody waits: a large one takes
/// longer to free than a query may wait.
fn retire(old: Arc<Vec<LoadedBlock>>) {
    if old.is_empty() {
        return;
    }
    tokio::task::spawn_local(async move {
        for _ in 0..RETIRE_LOOKS {
            if Arc::strong_count(&old) == 1 {
                break;
            }
            tokio::time::sleep(RETIRE_PAUSE).await;
        }
        // Where the process ends before, it is freed with it.
        let _ = tokio::task::spawn_blocking(move || drop(old)).await;
    });
}

impl Dns {
    /// No DNS yet.
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            workers: Vec::new(),
            streams: None,
            blocks: Arc::new(Vec::new()),
            logs: HashMap::new(),
            health: Arc::new(HealthView::default()),
            view: Arc::new(View::default()),
            texts: Arc::default(),
            last_good: HashMap::new(),
            own: State::Up,
            tallies: Vec::new(),
            ending: Ending::new(),
            events,
            told: HashMap::new(),
            counted: ZoneNumbers::default(),
            tested: Vec::new(),
        }
    }

    /// The first configuration: threads, addresses, answers.
    ///
    /// # Errors
    /// Where the system has no thread or descriptor to give.
    pub(crate) fn start(
        &mut self,
        (blocks, health): (Vec<LoadedBlock>, HealthView),
        opened: Vec<Opened>,
        logs: &HashMap<LogTarget, LogSink>,
        workers: usize,
    ) -> io::Result<()> {
        self.staff(&blocks, workers)?;
        drop(self.apply((blocks, health), (opened, Vec::new()), logs));
        Ok(())
    }

    /// Makes sure that there are threads, where the configuration wants DNS.
    ///
    /// # Errors
    /// Where the system has no thread or descriptor to give.
    pub(crate) fn staff(&mut self, blocks: &[LoadedBlock], workers: usize) -> io::Result<()> {
        if blocks.is_empty() || self.streams.is_some() {
            return Ok(());
        }
        while self.workers.len() < workers {
            let worker = Worker::start(self.workers.len(), &self.events, self.ending.token())?;
            self.tallies.push(worker.tally());
            self.workers.push(worker);
        }
        let streams = Streams::start(&self.events, self.ending.token())?;
        self.tallies.push(streams.tally());
        self.streams = Some(streams);
        Ok(())
    }

    /// Answers by another configuration, from new addresses too. Who waits for the receivers knows that it is so. Blocks
    /// and health come together: under the names of another configuration no pool would have a server.
    pub(crate) fn apply(
        &mut self,
        (mut blocks, health): (Vec<LoadedBlock>, HealthView),
        (opened, closed): (Vec<Opened>, Vec<ListenerName>),
        logs: &HashMap<LogTarget, LogSink>,
    ) -> Vec<oneshot::Receiver<()>> {
        if blocks.is_empty() && self.blocks.is_empty() {
            return Vec::new();
        }
        blocks.iter_mut().for_each(|block| block.number_zones(&mut self.counted));
        retire(std::mem::replace(&mut self.blocks, Arc::new(blocks)));
        self.health = Arc::new(health);
        // Others would be kept open beyond the reload that takes them away.
        let named = self.blocks.iter().filter_map(|block| block.log.as_ref());
        self.logs = named.filter_map(|log| Some((log.to.clone(), logs.get(&log.to)?.clone()))).collect();
        self.view = Arc::new(View::build(&self.view, &self.blocks, &self.health, &self.texts, &self.logs));
        let mut answers = self.send_view();
        for Opened { name, ports, streams } in opened {
            for (worker, port) in self.workers.iter().zip(ports) {
                answers.extend(worker.open(name.clone(), port));
            }
            if let Some(all) = &self.streams {
                answers.extend(all.open(name, streams));
            }
        }
        for name in closed {
            self.workers.iter().for_each(|worker| worker.close(name.clone()));
            if let Some(all) = &self.streams {
                all.close(name);
            }
        }
        self.send_errands();
        answers
    }

    /// What is healthy for the names of a configuration, `nodes` being the servers that are nodes of our cluster.
    pub(crate) fn health(
        &mut self,
        config: &Config,
        known: (&HashMap<ServerId, ServerView>, HashMap<ServerId, State>),
        is_settled: bool,
        next_change: Option<Duration>,
    ) -> HealthView {
        HealthView::of(config, known, self.own, &mut self.last_good, (is_settled, next_change))
    }

    /// Takes a new view of what is healthy; does nothing where it is the same.
    pub(crate) fn follow(&mut self, health: HealthView) {
        if self.blocks.is_empty() || *self.health == health {
            return;
        }
        self.health = Arc::new(health);
        self.view = Arc::new(View::build(&self.view, &self.blocks, &self.health, &self.texts, &self.logs));
        drop(self.send_view());
    }

    /// Answers these texts from now on, beside the zones. Who waits for the receivers knows that it is so.
    pub(crate) fn show_texts(&mut self, texts: Texts) -> Vec<oneshot::Receiver<()>> {
        if *self.texts == texts {
            return Vec::new();
        }
        self.texts = Arc::new(texts);
        if self.blocks.is_empty() {
            return Vec::new();
        }
        self.view = Arc::new(View::build(&self.view, &self.blocks, &self.health, &self.texts, &self.logs));
        self.send_view()
    }

    /// Whether what is known of health is complete.
    pub(crate) fn is_ready(&self) -> bool {
        self.health.ready || self.blocks.is_empty()
    }

    /// Whether this node is being left: then the peers are answered, as long as there are any.
    pub(crate) fn stand_aside(&mut self, is_aside: bool) {
        self.own = if is_aside { State::Draining } else { State::Up };
    }

    /// Whether this node is being left.
    pub(crate) fn is_aside(&self) -> bool {
        self.own == State::Draining
    }

    /// Ends the threads.
    pub(crate) fn finish(mut self, patience: Duration) {
        self.workers.clear();
        self.streams = None;
        if !self.ending.wait(patience) {
            tracing::error!("a thread of DNS has not ended after {} s", patience.as_secs());
        }
    }

    /// The blocks that are answered.
    pub(crate) fn blocks(&self) -> Arc<Vec<LoadedBlock>> {
        Arc::clone(&self.blocks)
    }

    /// What was asked and answered since the start.
    pub(crate) fn totals(&self) -> DnsTotals {
        DnsTotals::of(&self.tallies, &self.counted)
    }

    fn send_view(&self) -> Vec<oneshot::Receiver<()>> {
        let mut answers: Vec<_> = self.workers.iter().filter_map(|worker| worker.view(&self.view)).collect();
        answers.extend(self.streams.as_ref().and_then(|streams| streams.view(&self.view)));
        answers
    }

    /// Has the delegations looked at that were not yet, and the secondaries told of zones whose serial is another one than
    /// they were told of.
    fn send_errands(&mut self) {
        let Some(streams) = &self.streams else { return };
        let delegations = self.blocks.iter().flat_map(|block| &block.delegations).cloned().collect();
        let tested = std::mem::replace(&mut self.tested, delegations);
        let zones = || self.blocks.iter().flat_map(|block| &block.zones_told);
        let wanted = || zones().flat_map(|zone| zone.secondaries.iter().map(move |secondary| (zone, secondary)));
        let serials = wanted().map(|(zone, (to, _))| ((zone.name.clone(), *to), zone.serial)).collect();
        let told = std::mem::replace(&mut self.told, serials);
        let errands = streams.errands();
        errands.keep(|about, party| match about {
            About::Notice(zone) => self.told.contains_key(&(zone.clone(), party)),
            About::Delegation(zone) => {
                self.tested.iter().any(|wanted| (&wanted.zone, wanted.resolver) == (zone, party))
            }
        });
        let news = wanted().filter(|(zone, (to, _))| told.get(&(zone.name.clone(), *to)) != Some(&zone.serial));
        errands.add(news.map(|(zone, secondary)| Errand::Tell(zone.notice(secondary))));
        let untested = self.tested.iter().filter(|delegation| !tested.contains(delegation));
        errands.add(untested.cloned().map(Errand::Test));
    }
}

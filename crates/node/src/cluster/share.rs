//! What nodes tell each other beside heartbeats: learned sessions, which configuration they run, and papers.
//!
//! ```text
//!   the later node of two calls the earlier one ─▶ TLS ─▶ hello, hello ─▶ frames both ways, one at least each second
//! ```
//!
//! A frame of sessions holds entries that the other side may not have; the table merges them in any order and as often as they
//! come. A paper ([`papers`]) holds all that a node has to say of its topic. After a gap everything is told anew. The invariant: nothing here is waited for; without a channel each node
//! goes on with what it knows, and says so.

mod line;
mod news;
mod papers;
mod seed;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_balance::sessions::TableSecret;
use evenkeel_cluster::Keyring;
use evenkeel_model::caps;
use evenkeel_net::{clock, stream};
use evenkeel_proxy::Shared;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_local;

use crate::supervisor::Event;
use crate::tasks;

use line::Sides;
use papers::Papers;
pub(crate) use papers::{Desk, Paper, Topic};
pub(crate) use seed::{Seed, SeedFile};

/// How long a connection may take to be there, hellos included.
const GREETING: Duration = Duration::from_secs(2);
/// Between two calls of a node that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A channel that ends so soon has a reason that stays,
const BRIEF: Duration = Duration::from_secs(3);
/// and is tried again after this time.
const LATER: Duration = Duration::from_secs(5);

/// Another node.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) name: Arc<str>,
    pub(super) id: u32,
    /// Where it listens, one address for each path.
    pub(super) addrs: Vec<SocketAddr>,
    /// Whether this node calls it, or is called.
    pub(super) is_called: bool,
}

/// How the channel to a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Since when it is there, by this machine's clock.
    pub since: Option<Duration>,
    /// Why it is not.
    pub trouble: Option<String>,
    /// Sessions that were told to it.
    pub sent: u64,
    /// Sessions that it told.
    pub received: u64,
    /// The digest of the configuration that it runs.
    pub config: Option<[u8; 8]>,
    /// How many lines there are: a new one may stand before the old one is given up.
    lines: u32,
}

/// The channels by the names of nodes, for whoever wants to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<Arc<str>, Link>>>);

impl Board {
    /// How each channel is.
    pub(crate) fn links(&self) -> BTreeMap<Arc<str>, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with(&self, node: &Arc<str>, change: impl FnOnce(&mut Link)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(Arc::clone(node)).or_default());
    }
}

/// What the thread needs, had before rights are given up.
#[derive(Default)]
pub(super) struct Sharing {
    pub(super) keys: Option<Keyring>,
    pub(super) cluster: u32,
    pub(super) me: u32,
    pub(super) peers: Vec<Peer>,
    pub(super) listeners: Vec<TcpListener>,
    /// Where this node calls from, one address for each path.
    pub(super) own: Vec<IpAddr>,
    /// The seed of the tables, and where it is kept.
    pub(super) seed: Seed,
    pub(super) seeds: SeedFile,
}

/// The thread at work. It ends when this is dropped.
pub(crate) struct SharingThread {
    _stop: oneshot::Sender<()>,
    /// How the channels are.
    pub(crate) board: Board,
    config: watch::Sender<[u8; 8]>,
    sides: watch::Sender<Sides>,
    /// What this node tells the others.
    pub(crate) desk: Desk,
}

/// What the thread tells.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A paper of another node.
    Told(Paper),
    /// The channel to that node is over: what it told is what it knew last.
    Over(Arc<str>),
}

impl SharingThread {
    /// In new channels these are proven, and accepted.
    pub(crate) fn change_keys(&self, keys: &Keyring) {
        match line::sides(keys) {
            Ok(sides) => drop(self.sides.send_replace(sides)),
            Err(why) => tracing::error!("nodes share what they know by the keys of before: {why}"),
        }
    }

    /// Tells the others which configuration this node runs.
    pub(crate) fn run_config(&self, digest: [u8; 8]) {
        self.config.send_if_modified(|now| std::mem::replace(now, digest) != digest);
    }
}

/// What all channels of this node have in common.
struct Common {
    sides: watch::Receiver<Sides>,
    cluster: u32,
    me: u32,
    peers: Vec<Peer>,
    secret: TableSecret,
    seed: Seed,
    seeds: SeedFile,
    shared: Arc<Shared>,
    board: Board,
    config: watch::Receiver<[u8; 8]>,
    papers: watch::Receiver<Papers>,
    events: mpsc::Sender<Event>,
}

impl Sharing {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the keys cannot be used, or the system has no thread to give.
    pub(super) fn start(self, shared: &Arc<Shared>, events: &mpsc::Sender<Event>) -> io::Result<SharingThread> {
        let board = Board::default();
        let keys = self.keys.ok_or_else(|| io::Error::other("a channel needs the cluster's key"))?;
        for peer in &self.peers {
            board.with(&peer.name, |link| link.trouble = Some("it was not reached yet".to_owned()));
        }
        let (stop, stopped) = oneshot::channel();
        let (config, known) = watch::channel([0; 8]);
        let (sides, known_sides) = watch::channel(line::sides(&keys).map_err(io::Error::other)?);
        let (desk, papers) = Desk::new();
        let common = Common {
            sides: known_sides,
            cluster: self.cluster,
            me: self.me,
            peers: self.peers,
            secret: TableSecret::derive(&self.seed.bytes()),
            seed: self.seed,
            seeds: self.seeds,
            shared: Arc::clone(shared),
            board: board.clone(),
            config: known,
            papers,
            events: events.clone(),
        };
        let (listeners, own) = (self.listeners, self.own);
        tasks::start_thread(tasks::SHARING, None, events, move || run(common, listeners, &own, stopped))?;
        Ok(SharingThread { _stop: stop, board, config, sides, desk })
    }
}

fn run(common: Common, listeners: Vec<TcpListener>, own: &[IpAddr], stopped: oneshot::Receiver<()>) {
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("nodes cannot share what they know: {error}"),
    };
    runtime.block_on(async {
        let common = Rc::new(common);
        for listener in listeners {
            spawn_local(answer(Rc::clone(&common), listener));
        }
        for peer in common.peers.iter().filter(|peer| peer.is_called) {
            spawn_local(call(Rc::clone(&common), peer.clone(), own.to_vec()));
        }
        // Whoever holds the other end has ended when it is gone.
        let _ = stopped.await;
    });
}

/// Takes calls, of which only so many may be unknown at a time.
async fn answer(common: Rc<Common>, listener: TcpListener) {
    let is_ready = listener.set_nonblocking(true);
    let Ok(listener) = is_ready.and_then(|()| tokio::net::TcpListener::from_std(listener)) else { return };
    let room = Arc::new(tokio::sync::Semaphore::new(caps::CLUSTER_CALLS));
    loop {
        let Ok(stream) = stream::accept(&listener).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let from = stream.peer_addr().ip();
        let is_peer = common.peers.iter().any(|peer| peer.addrs.iter().any(|at| at.ip() == from));
        let Some(permit) = Arc::clone(&room).try_acquire_owned().ok().filter(|_| is_peer) else { continue };
        let common = Rc::clone(&common);
        spawn_local(async move {
            let greeted = tokio::time::timeout(GREETING, line::greet_caller(&common, stream)).await;
            drop(permit);
            if let Ok(Ok((line, name))) = greeted {
                speak(&common, &name, line).await;
            }
        });
    }
}

/// Calls a node again and again, over one path after the other.
async fn call(common: Rc<Common>, peer: Peer, own: Vec<IpAddr>) {
    for turn in 0_usize.. {
        let at = turn.checked_rem(peer.addrs.len()).and_then(|place| Some((*peer.addrs.get(place)?, own.get(place)?)));
        let Some((to, from)) = at else { return };
        let greeted = async {
            // From the path's own address, by which the other side knows its peers.
            let stream = stream::connect_from(*from, to).await.map_err(|error| format!("{to}: {error}"))?;
            line::greet_called(&common, stream, &peer).await
        };
        match tokio::time::timeout(GREETING, greeted).await {
            Ok(Ok(line)) => {
                let began = clock::now();
                speak(&common, &peer.name, line).await;
                if clock::now().saturating_sub(began) < BRIEF {
                    // It would only end again, and say so.
                    tokio::time::sleep(LATER).await;
                }
            }
            Ok(Err(why)) => common.board.with(&peer.name, |link| link.trouble = Some(why)),
            Err(_) => common.board.with(&peer.name, |link| link.trouble = Some(format!("{to} does not answer"))),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Speaks over a line until it ends.
async fn speak(common: &Common, name: &Arc<str>, line: line::Line) {
    common.board.with(name, |link| {
        (link.since, link.trouble) = (Some(clock::now()), None);
        link.lines = link.lines.saturating_add(1);
    });
    tracing::info!("sessions, orders, certificates and token keys are shared with node {name}");
    let why = news::exchange(common, name, line).await;
    let mut is_last = false;
    common.board.with(name, |link| {
        link.lines = link.lines.saturating_sub(1);
        is_last = link.lines == 0;
        if is_last {
            (link.since, link.trouble, link.config) = (None, Some(why.clone()), None);
        }
    });
    if is_last {
        // If nobody takes it, the process has ended.
        let _ = common.events.send(Event::Shared(Box::new(Heard::Over(Arc::clone(name))))).await;
        tracing::warn!("nothing is shared with node {name} any more, each goes on with what it knows: {why}");
    }
}

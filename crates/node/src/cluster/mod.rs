//! The cluster: this node among the others, from its sockets to what operators see.
//!
//! ```text
//!   supervisor ──commands──▶ heartbeat thread ──orders──▶ address guard (another process) ──▶ kernel
//!              ◀──events────                  ◀─reports──
//! ```
//!
//! What is decided is decided by `evenkeel-cluster`; here are its clock, its sockets and its hands. The invariant:
//! sockets are bound and the guard is started before the process gives its rights up, and no thread waits for the other.

mod guard;
mod hand;
mod multicast;
mod news;
mod share;
mod sighted;
mod telling;
mod thread;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use evenkeel_cluster::{BootId, Change, Group, Key, Keyring, Member, Mode, Node, Resource, Settings, Timing, name_id};
use evenkeel_model::config::{self, GroupMode, ListenAddr, ResourceKind};
use evenkeel_model::{caps, defaults};
use evenkeel_net::addresses::Addresses;
use evenkeel_net::beat::Path;
use evenkeel_net::bell::Bell;
use evenkeel_net::listen::{self, Presence};
use evenkeel_net::ping::Ping;
use evenkeel_net::process::Companion;
use evenkeel_net::{clock, process, rng};
use evenkeel_proxy::Shared;
use tokio::sync::{mpsc, oneshot};

use crate::prepare::Refusal;
use crate::resource::{Managed, Service};
use crate::secrets;
use crate::state::State;
use crate::supervisor::Event;
use crate::tasks::{self, Ending};

use guard::presence::missing;
use hand::{Address, Order, Setup};
use multicast::Keeping;
use share::{Peer, SeedFile, Sharing};
use sighted::Sighted;
use telling::Teller;
use thread::{Command, Heart, Line, PingNode};

pub use crate::supervisor::{ClusterStatus, GroupOrder, GroupRefused, OtherView};
pub use evenkeel_cluster::{Cause, GroupView, Hearing, Move, PacketError, PathView, PeerView, Phase, Role, View};
pub use guard::run_address_guard;
pub(crate) use hand::Report;
pub(crate) use news::{News, news};
pub use share::Link;
pub(crate) use share::{Desk, Heard, Paper, SharingThread, Topic};
pub(crate) use thread::{Held, Told};

/// The name of the hidden command that is the address guard.
pub const GUARD_COMMAND: &str = "address-guard";
/// How long the thread may take to say how things are.
const VIEW_PATIENCE: Duration = Duration::from_secs(1);

/// The heartbeat thread does not hear, or does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deaf;

/// Everything that the cluster needs and that can be refused, had before the process gives its rights up.
pub(crate) struct Ready {
    node: Node,
    paths: Vec<Path>,
    peers: Vec<Vec<IpAddr>>,
    guard: Companion,
    config: Arc<config::Cluster>,
    pings: Vec<PingNode>,
    need: usize,
    dead: Duration,
    name: Arc<str>,
    sharing: Sharing,
    seed: [u8; 16],
    /// What all nodes have, to make keys of session tickets of.
    pub(crate) ticket_secret: Vec<u8>,
}

/// The running cluster.
pub(crate) struct Cluster {
    line: Line,
    ending: Option<Ending>,
    /// This node's name in it.
    pub(crate) name: Arc<str>,
    /// What it runs by. A file that was reloaded may say more, which waits for a restart.
    pub(crate) config: Arc<config::Cluster>,
    /// Percent of the capacity that was last told.
    score: u8,
    /// Devices whose addresses are not announced, and why.
    pub(crate) mute: BTreeMap<String, String>,
    /// This node's own addresses that are not on this machine.
    pub(crate) missing: Vec<IpAddr>,
    pub(crate) sighted: Sighted,
    sharing: SharingThread,
    /// Groups that go, or are gone.
    pub(crate) leaving: BTreeSet<Arc<str>>,
}

/// Gets everything ready. `name` is this node's, as `--node` gives it; else it is the machine's.
///
/// # Errors
/// Where this node is none of the cluster's, a key or socket cannot be had, or the guard does not start.
pub(crate) fn ready(
    cluster: &config::Cluster,
    name: Option<&str>,
    program: Option<&FilePath>,
    state: &State,
) -> Result<Ready, Refusal> {
    let me = find_self(cluster, name)?;
    let settings =
        settings(cluster, me).map_err(|error| Refusal::plain(format!("cluster `{}`: {error}", cluster.name)))?;
    let keys = keys(cluster)?;
    let seeds = SeedFile::new(state.cluster_seed());
    let (seed, shared_keys) = (seeds.seed(keys.seed(), clock::unix_now().as_secs()), keys.clone());
    let routes = routes(cluster, me);
    let mut paths = Vec::with_capacity(routes.len());
    for route in &routes {
        let path = open_path(route).map_err(|(what, error)| {
            Refusal::plain(format!("cluster `{}`: no heartbeats {what}: {error}", cluster.name))
        })?;
        paths.push(path);
    }
    // Long enough, or the ring of keys would have refused it.
    let ticket_secret = secrets::read_private(&cluster.key).map_err(Refusal::plain)?;
    let pings = pings(cluster)?;
    let guard = start_guard(cluster, program, &routes, state.silenced()).map_err(|error| {
        Refusal::plain(format!("cluster `{}`: the address guard does not start: {error}", cluster.name))
    })?;
    let mut node = Node::new(settings, keys, BootId(boot_id()), clock::now());
    for (index, claim) in state.claims(cluster).into_iter().enumerate() {
        node.remember_epoch(index, claim);
    }
    // As it is before the guard looks: nothing is to be claimed in between.
    node.apply(clock::now(), Change::Present(is_present(&routes)));
    let peers = routes.iter().map(|route| route.peers.iter().map(|peer| peer.ip().to_canonical()).collect()).collect();
    Ok(Ready {
        node,
        paths,
        peers,
        guard,
        config: Arc::new(cluster.clone()),
        pings,
        need: cluster.ping.as_ref().map_or(0, |ping| ping.need),
        dead: cluster.beat.dead,
        name: cluster.nodes.get(me).map(|node| Arc::clone(&node.name)).unwrap_or_default(),
        sharing: Sharing { seed, seeds, ..sharing(cluster, me, shared_keys)? },
        seed: seed.bytes(),
        ticket_secret,
    })
}

impl Ready {
    /// Keeps what this node has to find again at its next start. The process runs as its user by now.
    pub(crate) fn settle(&self) {
        self.sharing.seeds.settle(self.sharing.seed);
    }

    /// Starts the heartbeat thread.
    ///
    /// # Errors
    /// Where the system has no thread or descriptor to give.
    pub(crate) fn start(mut self, events: &mpsc::Sender<Event>, shared: &Arc<Shared>) -> io::Result<Cluster> {
        let bell = Arc::new(Bell::new()?);
        let (commands, received) = sync_channel(caps::CLUSTER_COMMANDS);
        let ending = Ending::new();
        let (name, config) = (Arc::clone(&self.name), Arc::clone(&self.config));
        let line = Line::new(commands, Arc::clone(&bell));
        let sharing = std::mem::take(&mut self.sharing).start(shared, events)?;
        let keeping = multicast::keep(&self.paths, events)?;
        let heart = self.heart(received, bell, (events.clone(), keeping), &ending);
        tasks::start_thread(tasks::HEARTBEAT, None, events, move || heart.run())?;
        Ok(Cluster {
            line,
            ending: Some(ending),
            name,
            config,
            score: 100,
            sharing,
            leaving: BTreeSet::new(),
            mute: BTreeMap::new(),
            missing: Vec::new(),
            sighted: Sighted::default(),
        })
    }

    /// This node's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// This node's id.
    pub(crate) fn id(&self) -> u32 {
        name_id(&self.name)
    }

    /// A seed that all nodes have, for the names of learned sessions.
    pub(crate) fn seed(&self) -> [u8; 16] {
        self.seed
    }

    fn heart(
        self,
        commands: Receiver<Command>,
        bell: Arc<Bell>,
        (events, keeping): (mpsc::Sender<Event>, Option<Keeping>),
        ending: &Ending,
    ) -> Heart {
        let Self { node, paths, peers, guard, config, pings, need, dead, .. } = self;
        let (teller, addresses, _token) = (Teller::new(events), addresses(&config), ending.token());
        Heart {
            node,
            paths,
            peers,
            guard,
            addresses,
            pings,
            need,
            dead,
            commands,
            bell,
            teller,
            _keeping: keeping,
            _token,
        }
    }
}

impl Cluster {
    /// Tells the node something. Whether it takes it.
    pub(crate) fn change(&self, change: Change) -> bool {
        self.line.tell(Command::Change(change))
    }

    /// Passes an operator's order on. `Err`: nobody hears of it; `Ok(Some)`: why it cannot be followed.
    pub(crate) fn order(&self, order: Change) -> impl Future<Output = Result<Option<&'static str>, Deaf>> + use<> {
        let (reply, answer) = oneshot::channel();
        let is_asked = self.line.tell(Command::Order { order, reply });
        async move {
            if !is_asked {
                return Err(Deaf);
            }
            tokio::time::timeout(VIEW_PATIENCE, answer).await.map_err(|_| Deaf)?.map_err(|_| Deaf)
        }
    }

    /// Tells what percent of its capacity this node can serve with.
    pub(crate) fn grade(&mut self, score: u8) {
        if self.score != score && self.change(Change::Score(score)) {
            self.score = score;
        }
    }

    /// How the channels to the other nodes are.
    pub(crate) fn links(&self) -> BTreeMap<Arc<str>, Link> {
        self.sharing.board.links()
    }

    /// Seals with other keys from now on, and accepts what is sealed with them.
    fn change_keys(&self, keys: Keyring) {
        self.sharing.change_keys(&keys);
        if !self.line.tell(Command::Keys(keys)) {
            tracing::error!("the heartbeat thread takes no keys; it goes on with those that it has");
        }
    }

    /// What a reload changes of it.
    pub(crate) fn follow(&mut self, keys: Option<Keyring>, news: Option<News>) {
        keys.into_iter().for_each(|keys| self.change_keys(keys));
        news.into_iter().for_each(|news| self.change_settings(news));
    }

    /// Other times, preferences, ping nodes and groups from now on.
    fn change_settings(&mut self, news: News) {
        let config = Arc::clone(&news.config);
        if self.line.tell(Command::Settings(Box::new(news))) {
            self.leaving.retain(|group| config.groups.iter().any(|known| known.name == *group));
            self.config = config;
        } else {
            tracing::error!("the heartbeat thread takes no settings; it goes on with those that it has");
        }
    }

    /// Tells the others something as a whole, in the place of what was told of that topic before.
    pub(crate) fn lay(&self, topic: Topic, bytes: Vec<u8>) {
        self.sharing.desk.lay(topic, bytes);
    }

    /// Where others lay what they tell as a whole.
    pub(crate) fn desk(&self) -> Desk {
        self.sharing.desk.clone()
    }

    /// Tells the others which configuration runs here.
    pub(crate) fn run_config(&self, digest: [u8; 8]) {
        self.sharing.run_config(digest);
    }

    /// How things are; `None` from a thread that does not answer.
    pub(crate) fn view(&self) -> impl Future<Output = Option<View>> + 'static {
        let (reply, answer) = oneshot::channel();
        let is_asked = self.line.tell(Command::View { reply });
        async move {
            if !is_asked {
                return None;
            }
            tokio::time::timeout(VIEW_PATIENCE, answer).await.ok()?.ok()
        }
    }

    /// Has the node hand over what it owns, and end. [`Told::Left`] says when.
    pub(crate) fn leave(&self, within: Duration) {
        self.line.tell(Command::Leave { by: clock::now() + within });
    }

    /// Waits for the thread's end after it was told to leave.
    pub(crate) fn finish(&mut self) {
        if let Some(ending) = self.ending.take()
            && !ending.wait(crate::crew::JOIN_PATIENCE)
        {
            tracing::error!("the heartbeat thread has not ended after {} s", crate::crew::JOIN_PATIENCE.as_secs());
        }
    }
}

/// This node among the cluster's: by the name it was given, or the machine's with or without its domain.
fn find_self(cluster: &config::Cluster, name: Option<&str>) -> Result<usize, Refusal> {
    let host = process::host_name();
    let wanted = name.unwrap_or(&host);
    let short = wanted.split('.').next().unwrap_or(wanted);
    let found = cluster.node(wanted).or_else(|| cluster.node(short).filter(|_| name.is_none()));
    found.ok_or_else(|| {
        let known: Vec<String> = cluster.nodes.iter().map(|node| format!("`{}`", node.name)).collect();
        Refusal::with_hint(
            format!("this node is `{wanted}`, and cluster `{}` has the nodes {}", cluster.name, known.join(", ")),
            Some("say which one it is with `--node NAME`, or name it in the `cluster` block"),
        )
    })
}

fn settings(cluster: &config::Cluster, me: usize) -> Result<Settings, evenkeel_cluster::InvalidCluster> {
    let member = |node: &config::ClusterNode| Member { name: Arc::clone(&node.name), is_witness: node.is_witness };
    let resource = |resource: &config::GroupResource| Resource {
        name: resource.kind.name().into(),
        is_address: matches!(resource.kind, ResourceKind::Address(_)),
        timeout: resource.timeout,
    };
    let group = |group: &config::Group| Group {
        name: Arc::clone(&group.name),
        prefer: group.prefer.clone(),
        failback: group.failback,
        mode: match group.mode {
            GroupMode::Available => Mode::Available,
            GroupMode::Safe => Mode::Safe,
        },
        resources: group.resources.iter().map(resource).collect(),
    };
    let config::Beat { every, warn, dead, init } = cluster.beat;
    let settings = Settings::new(
        &cluster.name,
        me,
        cluster.nodes.iter().map(member).collect(),
        Timing { every, warn, dead, init, lifetime: lifetime(dead) },
        cluster.groups.iter().map(group).collect(),
    )?;
    Ok(settings.agreeing_on(&cluster.groups.iter().map(prefixes).collect::<Vec<_>>()))
}

/// The networks of a group's addresses, as they are written. Devices are each machine's own, and may have other names there.
fn prefixes(group: &config::Group) -> String {
    let prefix = |resource: &config::GroupResource| match &resource.kind {
        ResourceKind::Address(address) => address.prefix,
        ResourceKind::Unit(_) | ResourceKind::Script { .. } => None,
    };
    format!("{:?}", group.resources.iter().map(prefix).collect::<Vec<_>>())
}

/// How long the kernel keeps an address that nobody renews: whole seconds, no less than the dead time.
fn lifetime(dead: Duration) -> Duration {
    Duration::from_secs(u64::try_from(dead.as_millis().div_ceil(1000)).unwrap_or(u64::MAX))
        .max(defaults::ADDRESS_LIFETIME)
}

/// The keys that heartbeats are sealed and accepted with.
///
/// # Errors
/// Where one cannot be had, or is none.
pub(crate) fn keys(cluster: &config::Cluster) -> Result<Keyring, Refusal> {
    let key = |secret: &config::SecretRef| {
        let bytes = secrets::read_private(secret)?;
        Key::derive(&bytes).map_err(|error| error.to_string())
    };
    let refused = |cause: String| Refusal::plain(format!("cluster `{}`: {cause}", cluster.name));
    let keys = std::iter::once(&cluster.key).chain(&cluster.accept).map(key).collect::<Result<Vec<_>, _>>();
    Keyring::new(keys.map_err(refused)?).map_err(|error| refused(error.to_string()))
}

/// A path: the own address, those of the peers that have it, and the one that all of them hear, if there is one.
struct Route {
    own: SocketAddr,
    peers: Vec<SocketAddr>,
    all: Option<SocketAddr>,
}

impl Route {
    /// Where heartbeats go.
    fn to(&self) -> Vec<SocketAddr> {
        self.all.map_or_else(|| self.peers.clone(), |all| vec![all])
    }
}

/// The path's sockets; or what is not to be had, and why.
fn open_path(route: &Route) -> Result<Path, (String, io::Error)> {
    let mut path = Path::open(route.own, route.to()).map_err(|error| (format!("from {}", route.own), error))?;
    if let Some(all) = route.all {
        path.hear_all(all).map_err(|error| (format!("by {} on the network of {}", all.ip(), route.own.ip()), error))?;
    }
    Ok(path)
}

/// Every path.
fn routes(cluster: &config::Cluster, me: usize) -> Vec<Route> {
    let own = cluster.nodes.get(me).map(|node| node.addrs.as_slice()).unwrap_or_default();
    let at = |addr: &IpAddr| SocketAddr::new(*addr, cluster.port);
    let route = |(index, addr): (usize, &IpAddr)| {
        let others = cluster.nodes.iter().enumerate().filter(|(other, _)| *other != me);
        let all = cluster.spread.iter().find(|spread| spread.path == index);
        Route {
            own: at(addr),
            peers: others.filter_map(|(_, node)| node.addrs.get(index).map(at)).collect(),
            all: all.map(|spread| at(&spread.to)),
        }
    };
    own.iter().enumerate().map(route).collect()
}

/// Whether any of the own addresses is on this machine. Where the kernel does not say it is not doubted.
fn is_present(routes: &[Route]) -> bool {
    let own: Vec<IpAddr> = routes.iter().map(|route| route.own.ip()).collect();
    let missing = Addresses::open().and_then(|mut kernel| missing(&mut kernel, &own));
    missing.map_or(true, |missing| missing.len() < own.len())
}

/// What is needed to share sessions with the others. A witness has none.
fn sharing(cluster: &config::Cluster, me: usize, keys: Keyring) -> Result<Sharing, Refusal> {
    let own = cluster.nodes.get(me).map(|node| node.addrs.clone()).unwrap_or_default();
    let at = |addr: &IpAddr| SocketAddr::new(*addr, cluster.port);
    let serving = |node: &config::ClusterNode| !node.is_witness;
    let is_serving = cluster.nodes.get(me).is_some_and(serving);
    let others = cluster.nodes.iter().enumerate().filter(|(other, node)| *other != me && serving(node) && is_serving);
    let peer = |(other, node): (usize, &config::ClusterNode)| Peer {
        name: Arc::clone(&node.name),
        id: name_id(&node.name),
        addrs: node.addrs.iter().map(at).collect(),
        is_called: other < me,
    };
    let peers: Vec<Peer> = others.map(peer).collect();
    let mut listeners = Vec::new();
    for addr in own.iter().filter(|_| !peers.is_empty()) {
        let bound = listen::bind(ListenAddr::One(at(addr)), 1, Presence::Moves).map_err(|error| {
            Refusal::plain(format!("cluster `{}`: no channel for sessions at {}: {error}", cluster.name, at(addr)))
        })?;
        listeners.extend(bound);
    }
    let me = cluster.nodes.get(me).map_or(0, |node| name_id(&node.name));
    let cluster = name_id(&cluster.name);
    Ok(Sharing { keys: Some(keys), cluster, me, peers, listeners, own, ..Sharing::default() })
}

fn pings(cluster: &config::Cluster) -> Result<Vec<PingNode>, Refusal> {
    let Some(config) = &cluster.ping else { return Ok(Vec::new()) };
    let open = |addr: &IpAddr| {
        let ping = Ping::open(*addr).map_err(|error| {
            Refusal::with_hint(
                format!("cluster `{}`: no echo requests to {addr}: {error}", cluster.name),
                Some("start as root, with CAP_NET_RAW, or set net.ipv4.ping_group_range"),
            )
        })?;
        // Taken for reachable until it had time to answer.
        Ok(PingNode { ping, answered_at: Some(clock::now()) })
    };
    config.addrs.iter().map(open).collect()
}

fn start_guard(
    cluster: &config::Cluster,
    program: Option<&FilePath>,
    routes: &[Route],
    note: Option<PathBuf>,
) -> io::Result<Companion> {
    let program = match program {
        Some(program) => program.to_owned(),
        None => own_program()?,
    };
    let guard = Companion::start(&program, &[GUARD_COMMAND])?;
    let setup = Setup {
        groups: addresses(cluster),
        services: cluster.groups.iter().map(|group| group.resources.iter().map(service).collect()).collect(),
        nodes: cluster.nodes.iter().map(|node| node.addrs.clone()).collect(),
        lifetime: lifetime(cluster.beat.dead),
        patience: cluster.beat.dead,
        paths: routes.iter().map(|route| (route.own, route.to())).collect(),
        note,
    };
    let mut message = Vec::new();
    Order::Setup(setup).write(&mut message);
    guard.tie.send(&message)?;
    Ok(guard)
}

/// For each group, for each of its resources: the service address, where it is one.
fn addresses(cluster: &config::Cluster) -> Vec<Vec<Option<Address>>> {
    let address = |resource: &config::GroupResource| match &resource.kind {
        ResourceKind::Address(address) => {
            Some(Address { addr: address.addr, prefix: address.prefix, device: address.device.clone() })
        }
        ResourceKind::Unit(_) | ResourceKind::Script { .. } => None,
    };
    cluster.groups.iter().map(|group| group.resources.iter().map(address).collect()).collect()
}

fn service(resource: &config::GroupResource) -> Option<Managed> {
    let service = match &resource.kind {
        ResourceKind::Address(_) => return None,
        ResourceKind::Unit(unit) => Service::Unit(unit.clone()),
        ResourceKind::Script { path, args } => Service::Script { path: path.clone(), args: args.clone() },
    };
    Some(Managed { service, timeout: resource.timeout, every: resource.every })
}

/// This very program, also after its file was replaced by a newer one.
fn own_program() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

fn boot_id() -> [u8; 16] {
    rng::seed().first_chunk::<16>().copied().unwrap_or_default()
}

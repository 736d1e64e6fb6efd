//! Everything a worker needs to serve, built once and never changed: configuration, plans of balancing, addresses,
//! pages, logs.
//!
//! Not here: what lasts longer than a configuration (`shared`) and what one worker has to it (`hold`). The
//! invariant: a request keeps the snapshot that it began with, so that it never sees half of a change.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_balance::sessions::{SessionTable, TableSecret};
use evenkeel_balance::{Loads, Member, MethodKeys, Plan, ServerIndex, ServerUid};
use evenkeel_http::Limits;
use evenkeel_model::config::{
    AccessLog, Action, Balance, Config, HashKey, Host, ListenAddr, Listener, LogFormat, LogTarget, Pool, ProxyVersion,
    Route, Server, Site, StickyMethod, called,
};
use evenkeel_model::{ListenerName, PoolName, ServerId, State, TemplatePart, Variable};
use evenkeel_net::tls::{Acceptor, Connector, ServerName, TlsFacts};

use crate::guard;
use crate::learn::{self, Learning};
use crate::log::LogSink;
use crate::pages::ErrorPages;
use crate::shared::{ListenerShared, PoolShared, ServerShared, Shared};
use crate::stick::{self, MethodPart};

/// The port of HTTPS (RFC 9110 section 4.2.2).
pub(crate) const HTTPS_PORT: u16 = 443;

/// What a [`Snapshot`] is built from.
pub struct SnapshotParts<'a> {
    /// A number that grows with each snapshot.
    pub generation: u64,
    /// The configuration.
    pub config: Arc<Config>,
    /// What is held for each server of the configuration. One that is missing is taken for unknown and unresolved.
    pub servers: &'a HashMap<ServerId, ServerView>,
    /// The snapshot before: pools in which nothing differs are taken over from it.
    pub previous: Option<&'a Snapshot>,
    /// What the methods of sticky pools need of secrets, in their order. Tokens without keys keep nobody.
    pub token_keys: &'a HashMap<PoolName, Arc<[MethodKeys]>>,
    /// The pages of each `errors` directory.
    pub pages: &'a HashMap<PathBuf, Arc<ErrorPages>>,
    /// TLS of each listener that speaks it. One without takes nobody.
    pub acceptors: &'a HashMap<ListenerName, Arc<Acceptor>>,
    /// TLS towards the servers of each pool that has it. One without gets no connections.
    pub connectors: &'a HashMap<PoolName, Arc<Connector>>,
    /// Where each log goes. A log without a sink is not written.
    pub logs: &'a HashMap<LogTarget, LogSink>,
    /// The secret of hash balancing, shared by balancers that are to agree.
    pub hash_seed: [u8; 16],
    /// What all workers share.
    pub shared: &'a Arc<Shared>,
}

/// What is held for a server at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Its state.
    pub state: State,
    /// Its weight, an operator's intent applied.
    pub weight: u16,
    /// How much of the weight counts, in per mille: below 1000 during slow start.
    pub ramp_per_mille: u16,
    /// Where it is. Empty while its name does not resolve.
    pub addrs: Arc<[SocketAddr]>,
}

impl Default for ServerView {
    fn default() -> Self {
        Self { state: State::Unknown, weight: 0, ramp_per_mille: 1000, addrs: Arc::from([]) }
    }
}

/// Everything a worker needs to serve.
pub struct Snapshot {
    generation: u64,
    config: Arc<Config>,
    pools: Vec<Arc<PoolPart>>,
    places: Arc<HashMap<PoolName, usize>>,
    listeners: Arc<[ListenerPart]>,
    /// Where they listen.
    doors: Arc<[ListenAddr]>,
    /// The port that `redirect https` leads to.
    https_port: u16,
}

/// One pool, ready to choose from.
pub(crate) struct PoolPart {
    pub(crate) config: Arc<Pool>,
    pub(crate) plan: Plan,
    pub(crate) servers: Vec<ServerPart>,
    /// How clients are kept on their servers, method by method.
    pub(crate) sticky: Arc<[MethodPart]>,
    /// The plan for clients that are kept by their address, where the pool balances by another rule.
    pub(crate) client_plan: Option<Plan>,
    pub(crate) hash_seed: [u8; 16],
    pub(crate) shared: Arc<PoolShared>,
    /// How the pool learns sessions from answers, if it does.
    pub(crate) learning: Option<Arc<Learning>>,
    /// Whether every server is in maintenance.
    pub(crate) is_in_maintenance: bool,
    connector: Option<Arc<Connector>>,
    keys: Option<Arc<[MethodKeys]>>,
    views: Vec<ServerView>,
}

/// One server, ready to be connected to.
pub(crate) struct ServerPart {
    pub(crate) id: ServerId,
    pub(crate) uid: ServerUid,
    /// Where it is called.
    pub(crate) addrs: Arc<[SocketAddr]>,
    pub(crate) max_conns: Option<u32>,
    /// How the server is told whose a connection is.
    pub(crate) proxy: Option<ProxyVersion>,
    pub(crate) shared: Arc<ServerShared>,
    /// The `Host` for a request that came without one.
    pub(crate) authority: String,
    pub(crate) way: Way,
}

/// How a server is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// In the clear.
    Plain,
    /// Over TLS, under the name that it has to prove.
    Tls(Arc<Connector>, ServerName<'static>),
    /// Over TLS, which cannot be had: not at all.
    Closed,
}

impl Way {
    /// Whether a connection of the one is as good as one of the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain, Self::Plain) | (Self::Closed, Self::Closed) => true,
            (Self::Tls(one, name), Self::Tls(two, other)) => Arc::ptr_eq(one, two) && name == other,
            _ => false,
        }
    }
}

/// One listener, ready to route.
pub(crate) struct ListenerPart {
    pub(crate) name: ListenerName,
    pub(crate) limits: Limits,
    pub(crate) sites: Vec<SitePart>,
    /// The logs of connections that are passed on.
    pub(crate) logs: Vec<LogPart>,
    pub(crate) shared: Arc<ListenerShared>,
    pub(crate) door: Entrance,
}

/// How clients come in.
#[derive(Debug, Clone)]
pub(crate) enum Entrance {
    /// In the clear.
    Plain,
    /// Over TLS.
    Tls(Arc<Acceptor>),
    /// Over TLS, which cannot be had: not at all.
    Closed,
}

/// One site's running parts.
pub(crate) struct SitePart {
    pub(crate) pages: Option<Arc<ErrorPages>>,
    pub(crate) logs: Vec<LogPart>,
    /// For each route the pool that it leads to.
    pub(crate) pools: Vec<Option<usize>>,
    /// The answer's fields that logs speak of, in lower case: kept before the answer's head is gone.
    pub(crate) logged_fields: Vec<String>,
    /// Whether any log, edit or page speaks of the request's id.
    pub(crate) id_field: Option<String>,
}

/// One access log.
pub(crate) struct LogPart {
    pub(crate) config: AccessLog,
    pub(crate) sink: LogSink,
}

impl Snapshot {
    /// A snapshot of the parts.
    pub fn build(parts: SnapshotParts<'_>) -> Arc<Self> {
        let pools: Vec<Arc<PoolPart>> = parts.config.pools.iter().map(|pool| pool_part(pool, &parts)).collect();
        let places: HashMap<PoolName, usize> =
            parts.config.pools.iter().enumerate().map(|(place, pool)| (pool.name.clone(), place)).collect();
        let listeners =
            parts.config.listeners.iter().map(|listener| listener_part(listener, &places, &parts)).collect();
        let https_port = https_port(&parts.config);
        Arc::new(Self {
            doors: parts.config.listeners.iter().map(|listener| listener.addr).collect(),
            https_port,
            generation: parts.generation,
            config: parts.config,
            pools,
            places: Arc::new(places),
            listeners,
        })
    }

    /// This snapshot with another view of some servers. What it costs grows with their pools, and hardly with the
    /// configuration: a switch that fails must not keep the control thread busy.
    #[must_use]
    pub fn following(
        &self,
        generation: u64,
        changed: &HashMap<ServerId, ServerView>,
        shared: &Arc<Shared>,
    ) -> Arc<Self> {
        let mut pools = self.pools.clone();
        let mut touched: Vec<usize> = changed.keys().filter_map(|id| self.pool_place(&id.pool)).collect();
        touched.sort_unstable();
        touched.dedup();
        for place in touched {
            let Some(pool) = pools.get_mut(place) else { continue };
            let view = |(server, known): (&Server, &ServerView)| {
                changed.get(&pool.config.id_of(server)).unwrap_or(known).clone()
            };
            let views = pool.config.servers.iter().zip(&pool.views).map(view).collect();
            let given = Given { keys: pool.keys.clone(), connector: pool.connector.clone() };
            *pool = pool_of(Arc::clone(&pool.config), views, given, Some(pool), pool.hash_seed, shared);
        }
        Arc::new(Self {
            generation,
            config: Arc::clone(&self.config),
            pools,
            places: Arc::clone(&self.places),
            listeners: Arc::clone(&self.listeners),
            doors: Arc::clone(&self.doors),
            https_port: self.https_port,
        })
    }

    /// The port that `redirect https` leads to.
    pub(crate) fn https_port(&self) -> u16 {
        self.https_port
    }

    /// The number that the snapshot was built with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Where the listener of that name stands, if it is still there.
    pub(crate) fn listener_place(&self, name: &ListenerName) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.name == *name)
    }

    pub(crate) fn listener(&self, place: usize) -> Option<(&Listener, &ListenerPart)> {
        Some((self.config.listeners.get(place)?, self.listeners.get(place)?))
    }

    /// Whether a listener takes connections to an address of this machine.
    pub(crate) fn listens_at(&self, addr: SocketAddr) -> bool {
        self.doors.iter().any(|door| match door {
            ListenAddr::Every(port) => *port == addr.port(),
            ListenAddr::One(own) => own.port() == addr.port() && (own.ip() == addr.ip() || own.ip().is_unspecified()),
        })
    }

    /// Whether a connection of that listener may stay: the listener is still there, and asks no more of its clients than it
    /// did when they connected.
    pub(crate) fn keeps(&self, name: &ListenerName, tls: Option<&TlsFacts>) -> bool {
        let listener = self.listener_place(name).and_then(|place| self.listeners.get(place));
        listener.is_some_and(|part| guard::are_rules_met(&part.door, tls))
    }

    pub(crate) fn site(&self, listener: usize, site: usize) -> Option<(&Site, &SitePart)> {
        let (config, part) = self.listener(listener)?;
        Some((config.sites.get(site)?, part.sites.get(site)?))
    }

    pub(crate) fn route(&self, listener: usize, site: usize, route: usize) -> Option<&Route> {
        self.site(listener, site)?.0.routes.get(route)
    }

    pub(crate) fn pools(&self) -> &[Arc<PoolPart>] {
        &self.pools
    }

    /// Where the pool of that name stands.
    pub(crate) fn pool_place(&self, name: &PoolName) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(crate) fn listeners(&self) -> &[ListenerPart] {
        &self.listeners
    }
}

impl PoolPart {
    pub(crate) fn server(&self, index: ServerIndex) -> Option<&ServerPart> {
        self.servers.get(index.at())
    }

    /// What is known of the server.
    pub(crate) fn view(&self, index: ServerIndex) -> Option<&ServerView> {
        self.views.get(index.at())
    }

    /// What the server is held for.
    pub(crate) fn state(&self, index: ServerIndex) -> Option<State> {
        self.views.get(index.at()).map(|view| view.state)
    }
}

impl Loads for PoolPart {
    fn in_flight(&self, index: ServerIndex) -> u32 {
        self.server(index).map_or(0, |server| server.shared.load.in_flight())
    }

    fn is_full(&self, index: ServerIndex) -> bool {
        self.server(index).is_none_or(|server| server.shared.load.is_full(server.max_conns))
    }
}

fn pool_part(pool: &Pool, parts: &SnapshotParts<'_>) -> Arc<PoolPart> {
    let views: Vec<ServerView> =
        pool.servers.iter().map(|server| parts.servers.get(&pool.id_of(server)).cloned().unwrap_or_default()).collect();
    let keys = parts.token_keys.get(&pool.name).cloned();
    let connector = parts.connectors.get(&pool.name).cloned();
    let previous = parts.previous.and_then(|previous| previous.pools.get(previous.pool_place(&pool.name)?));
    let previous = previous.filter(|old| old.hash_seed == parts.hash_seed);
    let given = Given { keys, connector };
    if let Some(old) = previous.filter(|old| is_unchanged(old, pool, &views, &given)) {
        return Arc::clone(old);
    }
    let config = match previous.filter(|old| *old.config == *pool) {
        Some(old) => Arc::clone(&old.config),
        None => Arc::new(pool.clone()),
    };
    pool_of(config, views, given, previous.map(|old| &**old), parts.hash_seed, parts.shared)
}

/// What a pool has from outside of the configuration.
struct Given {
    keys: Option<Arc<[MethodKeys]>>,
    connector: Option<Arc<Connector>>,
}

/// A pool whose servers may have changed their state. What does not hang on that is taken over from the one before.
fn pool_of(
    config: Arc<Pool>,
    views: Vec<ServerView>,
    Given { keys, connector }: Given,
    previous: Option<&PoolPart>,
    hash_seed: [u8; 16],
    shared: &Arc<Shared>,
) -> Arc<PoolPart> {
    let pool = &*config;
    let is_by_client = pool.sticky.iter().any(|sticky| sticky.method == StickyMethod::Client);
    // A session stays where it is, however busy that server.
    let by_client = Balance::Hash { key: HashKey::Client, bound: None };
    let same = previous.filter(|old| Arc::ptr_eq(&old.config, &config));
    let pool_shared = shared.pool(&pool.name);
    Arc::new(PoolPart {
        plan: plan(pool, &views, previous.map(|old| &old.plan), (&pool.balance, hash_seed)),
        client_plan: is_by_client.then(|| {
            let previous = previous.and_then(|old| old.client_plan.as_ref());
            plan(pool, &views, previous, (&by_client, hash_seed))
        }),
        servers: pool
            .servers
            .iter()
            .zip(&views)
            .map(|(server, view)| ServerPart {
                way: way(pool, server, connector.as_ref()),
                ..server_part(pool, server, view, shared)
            })
            .collect(),
        sticky: match same.filter(|old| is_same_way(old, &views, keys.as_ref())) {
            Some(old) => Arc::clone(&old.sticky),
            None => stick::parts(pool, &views, keys.as_deref()).into(),
        },
        hash_seed,
        learning: match same {
            Some(old) => old.learning.clone(),
            None => learning(pool, &pool_shared, &hash_seed),
        },
        shared: pool_shared,
        is_in_maintenance: views.iter().all(|view| view.state == State::Maintenance),
        connector,
        keys,
        views,
        config,
    })
}

/// How a server of the pool is spoken to.
fn way(pool: &Pool, server: &Server, connector: Option<&Arc<Connector>>) -> Way {
    let Some(tls) = &pool.tls else { return Way::Plain };
    let own = || match &server.addr.host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    let name = Connector::name_of(&tls.name.clone().unwrap_or_else(own));
    match (connector, name) {
        (Some(connector), Ok(name)) => Way::Tls(Arc::clone(connector), name),
        _ => Way::Closed,
    }
}

/// 443 where a listener has it, or there is none with TLS; else the first one's.
fn https_port(config: &Config) -> u16 {
    let is_https = |listener: &&Listener| listener.tls.is_some() && listener.tcp.is_none();
    let mut ports = config.listeners.iter().filter(is_https).map(|it| it.addr.port());
    let first = ports.next().unwrap_or(HTTPS_PORT);
    if ports.any(|port| port == HTTPS_PORT) { HTTPS_PORT } else { first }
}

/// What the pool learns sessions by. Its table goes on from configuration to configuration.
fn learning(pool: &Pool, shared: &PoolShared, seed: &[u8; 16]) -> Option<Arc<Learning>> {
    let bounds = learn::bounds(pool)?;
    let made = || Arc::new(SessionTable::new(&pool.name, &TableSecret::derive(seed), bounds));
    let table = shared.sessions.get_or_init(made);
    table.set_bounds(bounds);
    Some(Arc::new(Learning::new(pool, Arc::clone(table))))
}

fn is_unchanged(old: &PoolPart, pool: &Pool, views: &[ServerView], given: &Given) -> bool {
    is_same(old.keys.as_ref(), given.keys.as_ref())
        && is_same(old.connector.as_ref(), given.connector.as_ref())
        && *old.config == *pool
        && old.views == views
}

/// Whether what tells servers apart in requests is as it was: the keys, and the addresses.
fn is_same_way(old: &PoolPart, views: &[ServerView], keys: Option<&Arc<[MethodKeys]>>) -> bool {
    let addrs = old.views.iter().zip(views).all(|(old, new)| old.addrs == new.addrs);
    addrs && old.views.len() == views.len() && is_same(old.keys.as_ref(), keys)
}

fn is_same<T: ?Sized>(old: Option<&Arc<T>>, new: Option<&Arc<T>>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        _ => false,
    }
}

fn plan(pool: &Pool, views: &[ServerView], previous: Option<&Plan>, (balance, seed): (&Balance, [u8; 16])) -> Plan {
    let member = |(server, view): (&Server, &ServerView)| Member {
        id: server.name.clone(),
        weight: view.weight,
        backup: server.backup,
        state: view.state,
        has_address: !view.addrs.is_empty(),
        ramp: view.ramp_per_mille,
    };
    let mut members: Vec<Member> = pool.servers.iter().zip(views).map(member).collect();
    if !pool.failback && previous.is_some_and(|previous| is_taken_over(previous, &members)) {
        members.iter_mut().filter(|member| !member.backup).for_each(|member| member.weight = 0);
    }
    match previous {
        Some(old) => Plan::following(old, &members, balance, pool.fail_open, seed),
        None => Plan::new(&members, balance, pool.fail_open, seed),
    }
}

/// Whether backups had the traffic, and one of them can go on.
fn is_taken_over(previous: &Plan, members: &[Member]) -> bool {
    let had = |member: &&Member| previous.eligible().any(|index| previous.name(index) == Some(&member.id));
    let can =
        |member: &Member| member.has_address && member.weight > 0 && matches!(member.state, State::Up | State::Unknown);
    members.iter().filter(|member| member.backup).any(can) && members.iter().find(had).is_some_and(|first| first.backup)
}

fn server_part(pool: &Pool, server: &Server, view: &ServerView, shared: &Shared) -> ServerPart {
    let id = pool.id_of(server);
    ServerPart {
        uid: ServerUid::of(&server.name),
        addrs: called_at(&view.addrs),
        max_conns: server.max_conns,
        proxy: server.proxy,
        shared: shared.server(&id),
        authority: server.addr.to_string(),
        way: Way::Closed,
        id,
    }
}

/// Where connections to these addresses go.
fn called_at(addrs: &Arc<[SocketAddr]>) -> Arc<[SocketAddr]> {
    if addrs.iter().all(|addr| called(addr.ip()) == addr.ip()) {
        return Arc::clone(addrs);
    }
    addrs.iter().map(|addr| SocketAddr::new(called(addr.ip()), addr.port())).collect()
}

fn listener_part(listener: &Listener, places: &HashMap<PoolName, usize>, parts: &SnapshotParts<'_>) -> ListenerPart {
    let limits = &listener.limits;
    ListenerPart {
        name: listener.name.clone(),
        limits: Limits {
            head: usize::try_from(limits.head).unwrap_or(usize::MAX),
            fields: usize::from(limits.fields),
            target: usize::try_from(limits.target).unwrap_or(usize::MAX),
        },
        sites: listener.sites.iter().map(|site| site_part(site, places, parts)).collect(),
        logs: listener.tcp.as_ref().map(|tcp| log_parts(&tcp.logs, parts)).unwrap_or_default(),
        shared: parts.shared.listener(&listener.name),
        door: match (&listener.tls, parts.acceptors.get(&listener.name)) {
            (None, _) => Entrance::Plain,
            (Some(_), Some(acceptor)) => Entrance::Tls(Arc::clone(acceptor)),
            (Some(_), None) => Entrance::Closed,
        },
    }
}

fn site_part(site: &Site, places: &HashMap<PoolName, usize>, parts: &SnapshotParts<'_>) -> SitePart {
    let logs = log_parts(&site.logs, parts);
    let pools = site
        .routes
        .iter()
        .map(|route| match &route.action {
            Action::To(pool) => places.get(pool).copied(),
            Action::Redirect(_) | Action::Respond(_) => None,
        })
        .collect();
    SitePart {
        pages: site.errors.as_ref().and_then(|dir| parts.pages.get(dir)).cloned(),
        logged_fields: logged_fields(&logs),
        logs,
        pools,
        id_field: match &site.request_id {
            evenkeel_model::config::RequestId::Off => None,
            evenkeel_model::config::RequestId::Field(name) => Some(name.clone()),
        },
    }
}

fn log_parts(logs: &[AccessLog], parts: &SnapshotParts<'_>) -> Vec<LogPart> {
    let part = |log: &AccessLog| Some(LogPart { config: log.clone(), sink: parts.logs.get(&log.to)?.clone() });
    logs.iter().filter_map(part).collect()
}

/// The names of `$response.NAME` in the logs' formats.
fn logged_fields(logs: &[LogPart]) -> Vec<String> {
    let mut names = Vec::new();
    for log in logs {
        let LogFormat::Custom(template) = &log.config.format else { continue };
        for part in &template.parts {
            if let TemplatePart::Variable(Variable::ResponseField(name)) = part
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
    }
    names
}

//! Pools of interchangeable servers: how one is chosen, probed, retried and kept to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{PoolTls, Sticky};
use crate::{PoolName, ServerId, ServerName, defaults};

/// Interchangeable servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// Its servers in written order. Never empty, names unique.
    pub servers: Vec<Server>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// How a client is kept on the server it had: methods in the order in which they are asked. Empty: not at all.
    pub sticky: Vec<Sticky>,
    /// The active probe. `None`: only live traffic tells.
    pub check: Option<Check>,
    /// What live traffic tells. `None`: nothing.
    pub eject: Option<Eject>,
    /// With every server down by checks: try them all (`true`), or answer 503.
    pub fail_open: bool,
    /// What happens when an attempt fails.
    pub retry: Retry,
    /// How long servers may take.
    pub timeouts: PoolTimeouts,
    /// Where requests wait when every server is full.
    pub queue: Queue,
    /// How long a server that comes back takes to get its full share. Zero: at once.
    pub slow_start: Duration,
    /// When a connection to a server is used again.
    pub reuse: Reuse,
    /// The table of learned sessions.
    pub sessions: Sessions,
    /// What becomes of connections that are passed on, upgraded ones included, when their server goes down.
    pub on_down: OnDown,
    /// Whether primary servers that come back get new traffic at once. Otherwise backups that have taken over keep it
    /// until none of them can serve.
    pub failback: bool,
    /// What is spoken to the servers.
    pub protocol: ServerProtocol,
    /// TLS towards its servers. `None`: they are spoken to in the clear.
    pub tls: Option<PoolTls>,
}

/// What is spoken to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerProtocol {
    /// HTTP/1.1
    #[default]
    Http1,
    /// HTTP/2, without asking first.
    Http2,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, unique in the pool.
    pub name: ServerName,
    /// Where it is.
    pub addr: ServerAddr,
    /// Its share, 0 to 1000. 0 keeps sessions and gets no new ones.
    pub weight: u16,
    /// Used only when no primary server is left.
    pub backup: bool,
    /// What the configuration orders for it.
    pub standing: Standing,
    /// Requests at one time, over all workers. `None`: no bound.
    pub max_conns: Option<u32>,
    /// What it is called in cookies and parameters that name servers; the first is written, all are understood. Empty:
    /// its name.
    pub known_as: Vec<String>,
    /// The header by which the server is told whose each connection is. `None`: it is told nothing.
    pub proxy: Option<ProxyVersion>,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary, with more facts.
    V2,
}

/// What becomes of the connections that a server carries when it goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnDown {
    /// They go on for as long as they can.
    Keep,
    /// They are closed, so that their clients connect anew.
    Close,
}

/// What the configuration orders for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Serve.
    Ready,
    /// `drain`: keep sessions, take no new ones.
    Drain,
    /// `maint`: take nothing.
    Maintenance,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddr {
    /// Its host.
    pub host: Host,
    /// Its port, 1 to 65535.
    pub port: u16,
}

/// A host by address or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name that is resolved while running, in lower case.
    Name(String),
}

/// Where a connection to that address goes: the system takes one that stands for every address of a machine for the machine's
/// own loopback (Linux, `connect`).
pub fn called(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            Host::Ip(IpAddr::V4(v4)) => write!(f, "{v4}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// How a server is chosen for a request without a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight, evenly spread (smooth weighted round robin).
    RoundRobin,
    /// The one with the fewest requests in flight for its weight.
    LeastConn,
    /// Two at random by weight, then the less loaded.
    Random,
    /// By hash of what the key names; the same key finds the same server while it lives.
    Hash {
        /// What is hashed.
        key: HashKey,
        /// A server above this many percent of the average load passes to the next one, 100 to 1000. `None`: none does.
        bound: Option<u16>,
    },
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address: all of IPv4, the /64 of IPv6.
    Client,
    /// The first field of that name, in lower case.
    Field(String),
    /// The cookie of that name.
    Cookie(String),
    /// The query parameter of that name.
    Query(String),
    /// The path, without the query.
    Path,
}

/// An active probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// From one probe's start to the next one's; up to a tenth is added or taken by chance, so that probes spread.
    pub every: Duration,
    /// The whole probe, connection included.
    pub timeout: Duration,
    /// Probes passed in a row before a server that was down is up.
    pub rise: u16,
    /// Probes failed in a row before a server that was up is down.
    pub fall: u16,
    /// Another port than the traffic's.
    pub port: Option<u16>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            kind: CheckKind::Tcp,
            every: defaults::CHECK_EVERY,
            timeout: defaults::CHECK_TIMEOUT,
            rise: defaults::CHECK_RISE,
            fall: defaults::CHECK_FALL,
            port: None,
        }
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// That a connection is accepted.
    Tcp,
    /// That an HTTP request is answered as expected.
    Http(HttpCheck),
    /// That a server says what is expected.
    Talk(TalkCheck),
    /// That a Redis server answers `PING`, or has a role.
    Redis {
        /// The role that it must have.
        role: Option<RedisRole>,
    },
    /// That a PostgreSQL server takes connections.
    Postgres {
        /// The user that it is asked for; it need not exist.
        user: String,
    },
    /// That a MySQL or MariaDB server takes connections.
    Mysql {
        /// The user that logs in, without a password; it need not exist.
        user: String,
    },
}

/// Words that are exchanged with a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkCheck {
    /// What is sent first. Empty: the server speaks first.
    pub send: Vec<u8>,
    /// What must come, within the first [`crate::caps::CHECK_BODY_BYTES`]. Never empty.
    pub expect: Vec<u8>,
}

/// Which of a set of Redis servers one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedisRole {
    /// The one that is written to.
    Primary,
    /// One that follows it.
    Replica,
}

impl fmt::Display for RedisRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        })
    }
}

/// An HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// The method, in upper case.
    pub method: String,
    /// The target: path and query.
    pub target: String,
    /// `HTTP/1.0` where true: such a request goes out without `Host` unless one is set.
    pub http10: bool,
    /// The `Host` field. `None`: the server's own address.
    pub host: Option<String>,
    /// Further fields, name and value.
    pub fields: Vec<(String, String)>,
    /// Statuses that pass.
    pub expect: Vec<StatusRange>,
    /// What the body must hold, within the first [`crate::caps::CHECK_BODY_BYTES`].
    pub body: Option<BodyMatch>,
}

/// What a probe's body must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyMatch {
    /// The text, byte for byte.
    pub text: String,
}

/// A range of statuses, both ends in it; 100 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
}

impl StatusRange {
    /// Whether the status is in the range.
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

/// When live traffic takes a server out: so many failures within so long.
///
/// Failures are refused, timed-out and broken connections, unusable answers, and the statuses 500, 502, 503 and 504
/// of the server itself. What a client does never counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eject {
    /// How many failures.
    pub errors: u32,
    /// Within how long.
    pub within: Duration,
    /// For how long it stays out the first time; each time that follows closely takes twice as long.
    pub hold: Duration,
    /// Percent of the pool's servers that may be out by live traffic at one time.
    pub most: u8,
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            errors: defaults::EJECT_ERRORS,
            within: defaults::EJECT_WITHIN,
            hold: defaults::EJECT_FOR,
            most: defaults::EJECT_MOST,
        }
    }
}

/// What happens when an attempt fails. Whatever is set here, a request is sent again only where it cannot be
/// executed twice: nothing of it was sent, or it is idempotent (RFC 9110 section 9.2.2) and no byte of an answer
/// reached the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts after the first, 0 to 10.
    pub attempts: u8,
    /// Only on servers not tried yet; otherwise the same one may be asked again.
    pub elsewhere: bool,
    /// What counts as failed, beyond connections that were never established.
    pub on: Vec<RetryOn>,
    /// Retries in percent of the requests of the last ten seconds, 1 to 100; a handful is always allowed. A request that
    /// reached no server (its connection was refused, or a kept one had been closed) is tried again at no cost.
    pub budget: u8,
    /// Bytes of a request's body kept for sending again; a longer body is sent once.
    pub replay: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: defaults::RETRIES,
            elsewhere: true,
            on: vec![RetryOn::Lost],
            budget: defaults::RETRY_BUDGET,
            replay: defaults::REPLAY,
        }
    }
}

/// A failure after which an idempotent request may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// The connection broke before a byte of the answer.
    Lost,
    /// No answer in time.
    Timeout,
    /// The answer was not HTTP.
    Malformed,
    /// The server answered with this status.
    Status(u16),
}

/// How long servers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the request's last byte, or the last byte that the server took of it, to the answer's head.
    pub answer: Duration,
    /// Between two pieces of an answer's body, and without taking a byte of the request's.
    pub idle: Duration,
    /// How long an unused connection is kept.
    pub keep: Duration,
    /// From the despatch of the request to the answer's last byte. `None`: no bound.
    pub total: Option<Duration>,
}

impl Default for PoolTimeouts {
    fn default() -> Self {
        Self {
            connect: defaults::CONNECT_TIMEOUT,
            answer: defaults::ANSWER_TIMEOUT,
            idle: defaults::SERVER_IDLE_TIMEOUT,
            keep: defaults::SERVER_KEEP,
            total: None,
        }
    }
}

/// Where requests wait when every server is at its `max-conns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many may wait; one more is answered 503 at once.
    pub max: u32,
    /// How long one waits before it is answered 503.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { max: defaults::QUEUE_MAX, timeout: defaults::QUEUE_TIMEOUT }
    }
}

/// The table of sessions that answers told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// How many it holds; past it those go first that no request has ever presented.
    pub max: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { max: defaults::SESSIONS_MAX }
    }
}

/// When a kept connection to a server is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reuse {
    /// Never: each request gets its own connection.
    Never,
    /// The first request of a client's connection goes over a kept one only if it may be sent again should the
    /// server have closed meanwhile.
    Safe,
    /// Always.
    Always,
}

impl Pool {
    /// What one of its servers is called in the whole configuration.
    pub fn id_of(&self, server: &Server) -> ServerId {
        ServerId { pool: self.name.clone(), server: server.name.clone() }
    }

    /// A pool with the given servers and every default.
    pub fn new(name: PoolName, servers: Vec<Server>) -> Self {
        Self {
            name,
            servers,
            balance: Balance::RoundRobin,
            sticky: Vec::new(),
            check: Some(Check::default()),
            eject: Some(Eject::default()),
            fail_open: true,
            retry: Retry::default(),
            timeouts: PoolTimeouts::default(),
            queue: Queue::default(),
            slow_start: Duration::ZERO,
            reuse: Reuse::Safe,
            sessions: Sessions::default(),
            on_down: OnDown::Keep,
            failback: true,
            protocol: ServerProtocol::default(),
            tls: None,
        }
    }
}

impl Server {
    /// A server with every default.
    pub fn new(name: ServerName, addr: ServerAddr) -> Self {
        Self {
            name,
            addr,
            weight: defaults::WEIGHT,
            backup: false,
            standing: Standing::Ready,
            max_conns: None,
            known_as: Vec::new(),
            proxy: None,
        }
    }
}

//! DNS: where it is answered, which zones, and which names have their addresses chosen by health.
//!
//! Names of DNS are texts here, in lower case and without the final dot; `.` is the root.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{ListenAddr, LogTarget, Network, SecretRef};
use crate::{ListenerName, PoolName, defaults};

/// One `dns` block: addresses, and the zones answered there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Where queries come in, over UDP and TCP. Never empty.
    pub listeners: Vec<DnsListener>,
    /// The zones, names unique.
    pub zones: Vec<DnsZone>,
    /// What is told to whoever asks which server this is (NSID, `id.server`). `None`: nothing.
    pub id: Option<String>,
    /// What is told to whoever asks for the version (`version.bind`). `None`: nothing.
    pub version: Option<String>,
    /// The limit on responses to one client. `None`: no limit.
    pub rate: Option<DnsRate>,
    /// Whether clients get cookies, and of which secret.
    pub cookies: DnsCookies,
    /// Bounds of connections over TCP.
    pub tcp: DnsTcp,
    /// Where a part of the queries is noted.
    pub log: Option<DnsLog>,
}

/// One address of a `dns` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsListener {
    /// The address as written.
    pub name: ListenerName,
    /// The address.
    pub addr: ListenAddr,
}

/// The limit on responses over UDP to one client without a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsRate {
    /// Responses a second in the long run.
    pub rate: u32,
    /// Responses at once to a client that was quiet.
    pub burst: u32,
    /// Past the limit every how many-th response is sent cut, so that an honest client comes over TCP. 0: none.
    pub slip: u32,
}

impl Default for DnsRate {
    fn default() -> Self {
        Self { rate: defaults::DNS_RATE, burst: defaults::DNS_RATE_BURST, slip: defaults::DNS_RATE_SLIP }
    }
}

/// Cookies (RFC 7873).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsCookies {
    /// None are made or looked at.
    Off,
    /// Of a secret of this node's own.
    Own,
    /// Of this secret, so that every node behind one address takes the others' cookies.
    Shared(SecretRef),
}

/// Bounds of connections over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsTcp {
    /// How long a connection without a query is kept.
    pub idle: Duration,
    /// Connections of one client.
    pub per_client: u32,
    /// Connections in all.
    pub conns: u32,
}

impl Default for DnsTcp {
    fn default() -> Self {
        Self { idle: defaults::DNS_TCP_IDLE, per_client: defaults::DNS_TCP_PER_CLIENT, conns: defaults::DNS_TCP_CONNS }
    }
}

/// Where queries are noted, and which share of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsLog {
    /// Where the lines go.
    pub to: LogTarget,
    /// The share that is noted, in percent.
    pub keep_percent: u8,
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsZone {
    /// The zone's name.
    pub name: String,
    /// What its records are.
    pub source: ZoneSource,
    /// Names whose addresses are chosen by health, beside those of the records. In a zone that is made, its apex is
    /// not among them.
    pub names: Vec<BalancedName>,
    /// Who may transfer the zone.
    pub transfer: Vec<Transfer>,
    /// Who is told when it has changed.
    pub notify: Vec<Notify>,
}

/// What the records of a zone are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneSource {
    /// Those of a file.
    File(PathBuf),
    /// Those that follow from the configuration: apex, name servers, and addresses chosen at each query.
    Made(MadeZone),
}

/// A zone that is made from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeZone {
    /// The name servers, in written order. Never empty.
    pub servers: Vec<NameServer>,
    /// Whether every name below is answered like the apex.
    pub wildcard: bool,
    /// How long NS records and their addresses may be kept.
    pub ns_ttl: Duration,
    /// How long a negative answer may be kept.
    pub negative_ttl: Duration,
    /// How the addresses of the apex are chosen.
    pub answer: DnsAnswer,
}

/// A name server with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its name.
    pub name: String,
    /// Its addresses, handed out where the name lies in the zone.
    pub addrs: Vec<IpAddr>,
}

/// A name of a zone whose addresses are chosen at each query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancedName {
    /// The whole name.
    pub name: String,
    /// How its addresses are chosen.
    pub answer: DnsAnswer,
}

/// How the addresses of a name are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Whose addresses they are.
    pub mode: DnsMode,
    /// This node's own addresses; empty for the one that the query arrived at.
    pub own: Vec<IpAddr>,
    /// The pool whose servers are answered, or that has to have a server left for this node to answer with itself.
    pub pool: Option<PoolName>,
    /// The pool whose servers are the other nodes.
    pub peers: Option<PoolName>,
    /// How long an answer may be kept while nothing changes.
    pub ttl: Duration,
    /// How long it may be kept at least.
    pub ttl_min: Duration,
    /// Most addresses in one answer.
    pub most: u8,
    /// Fewest that must be alive before health is believed.
    pub min: u16,
    /// Least percentage that must be alive before health is believed.
    pub min_percent: u8,
    /// What is answered below that.
    pub fallback: DnsFallback,
    /// How the addresses of one answer are chosen from many.
    pub spread: DnsSpread,
}

/// Whose addresses a name is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMode {
    /// `self`: this node's own; the peers' while it cannot serve.
    OwnAddress,
    /// `self+peers`: this node's own first, and the healthy peers'.
    OwnAndPeers,
    /// `peers`: the healthy peers'; a node that drains.
    Peers,
    /// `pool`: the healthy servers of a pool.
    Pool,
}

impl DnsMode {
    /// The mode's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnAddress => "self",
            Self::OwnAndPeers => "self+peers",
            Self::Peers => "peers",
            Self::Pool => "pool",
        }
    }
}

/// What is answered where too few are alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsFallback {
    /// `all`: all of them.
    All,
    /// `last-good`: those that were last alive in sufficient number.
    LastGood,
}

/// How the addresses of one answer are chosen from many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsSpread {
    /// `rotate`: anew at each query.
    Rotate,
    /// `hash`: the same for the same client.
    Hash,
}

/// Who may transfer a zone: these addresses, with this key where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The addresses. Empty for any, which needs a key.
    pub from: Vec<Network>,
    /// Where the key (TSIG) is kept that must have signed the request, in the form of `tsig-keygen`.
    pub key: Option<SecretRef>,
}

/// Who is told of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The secondary server.
    pub to: SocketAddr,
    /// Where the key is kept that signs the notice.
    pub key: Option<SecretRef>,
}

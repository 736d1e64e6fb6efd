//! Names to addresses: `/etc/hosts` first, then the name servers, both families, with the time the answer holds.
//!
//! There is no cache: whoever asks keeps the answer for its `ttl` and asks again. Must be used within a tokio runtime.
//! Invariant: an answer has at least one address, and a `ttl` between [`TTL_MIN`] and [`TTL_MAX`].

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError as LookupError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{IntoName, Name, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};

mod hosts;

/// The shortest time that an answer holds, so that a TTL of 0 does not make us ask without pause.
pub const TTL_MIN: Duration = Duration::from_secs(1);

/// The longest time that an answer holds, so that a careless TTL does not tie us to a dead address for days.
pub const TTL_MAX: Duration = Duration::from_secs(3600);

/// How long an entry of `/etc/hosts` holds: reading the file again is cheap, and operators expect an edit to count.
const TTL_HOSTS: Duration = Duration::from_secs(5);

/// How long one name server may take, where the system's configuration does not say.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a silent name server is asked again, likewise. The next asking is ours to time.
const SERVER_RETRIES: usize = 1;

/// Asks for addresses. Cheap to clone: clones share their sockets.
#[derive(Clone)]
pub struct Resolver {
    servers: TokioResolver,
    hosts: PathBuf,
}

impl Resolver {
    /// A resolver that asks `servers`, or the system's (`/etc/resolv.conf`, read now) where there are none.
    /// Without a usable file it asks the name server on this machine, as the C library does.
    pub fn new(servers: &[SocketAddr]) -> Self {
        let (config, mut options) = match servers {
            [] => hickory_resolver::system_conf::read_system_conf()
                .unwrap_or_else(|_| asking(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))])),
            servers => asking(servers),
        };
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let mut builder = Hickory::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let servers = builder.build().expect("only TLS, which is not in use, can fail to be set up");
        Self { servers, hosts: PathBuf::from("/etc/hosts") }
    }

    /// The addresses of a host, IPv4 first. An address in text form is its own answer.
    ///
    /// # Errors
    /// Where there is no address; the kind says whether asking again may help.
    pub async fn lookup(&self, host: &str) -> Result<Answer, ResolveError> {
        if let Ok(addr) = host.parse() {
            return Ok(Answer { addrs: vec![addr], ttl: TTL_MAX });
        }
        let listed = hosts::lookup(&fs::read_to_string(&self.hosts).unwrap_or_default(), host);
        if !listed.is_empty() {
            return Ok(Answer { addrs: listed, ttl: TTL_HOSTS });
        }
        let Ok(name) = host.into_name() else {
            return Err(ResolveError { host: host.to_owned(), kind: ResolveFailure::Invalid });
        };
        let (v4, v6) = tokio::join!(self.ask(&name, RecordType::A), self.ask(&name, RecordType::AAAA));
        combine(host, v4, v6)
    }

    async fn ask(&self, name: &Name, family: RecordType) -> Result<Answer, ResolveFailure> {
        let found = self.servers.lookup(name.clone(), family).await.map_err(|error| ResolveFailure::from(&error))?;
        let addrs = found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
        // An alias on the way there may run out before the address does.
        let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Answer { addrs, ttl: Duration::from_secs(ttl.into()) })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// What a name stands for, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, IPv4 first, otherwise in the order of the answer; never empty.
    pub addrs: Vec<IpAddr>,
    /// When to ask again.
    pub ttl: Duration,
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// Whether asking again may help.
    pub kind: ResolveFailure,
}

/// The kinds of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveFailure {
    /// The name servers say that there is no such name, or none with an address.
    NoSuchName,
    /// The text cannot be a host name.
    Invalid,
    /// No name server gave an answer; the sentence says why.
    Unanswered(String),
}

impl From<&LookupError> for ResolveFailure {
    fn from(error: &LookupError) -> Self {
        if error.is_no_records_found() { Self::NoSuchName } else { Self::Unanswered(error.to_string()) }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.kind {
            ResolveFailure::NoSuchName => write!(f, "`{host}` has no address: the name servers do not know it"),
            ResolveFailure::Invalid => write!(f, "`{host}` cannot be a host name"),
            ResolveFailure::Unanswered(why) => write!(f, "`{host}` has no address: no name server answered ({why})"),
        }
    }
}

impl std::error::Error for ResolveError {}

fn asking(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.to_vec())
    });
    let mut options = ResolverOpts::default();
    options.timeout = SERVER_TIMEOUT;
    options.attempts = SERVER_RETRIES;
    (ResolverConfig::from_name_servers(servers.collect()), options)
}

/// One family's silence does not hide the other's addresses; without any address, a failure to answer weighs more
/// than a plain no, since the addresses may be behind it.
fn combine(
    host: &str,
    v4: Result<Answer, ResolveFailure>,
    v6: Result<Answer, ResolveFailure>,
) -> Result<Answer, ResolveError> {
    let mut addrs = Vec::new();
    let mut ttl = TTL_MAX;
    let mut kind = ResolveFailure::NoSuchName;
    for family in [v4, v6] {
        match family {
            Ok(answer) if answer.addrs.is_empty() => {}
            Ok(answer) => {
                addrs.extend(answer.addrs);
                ttl = ttl.min(answer.ttl);
            }
            Err(ResolveFailure::NoSuchName) => {}
            Err(failure) => kind = failure,
        }
    }
    if addrs.is_empty() {
        return Err(ResolveError { host: host.to_owned(), kind });
    }
    Ok(Answer { addrs, ttl: ttl.max(TTL_MIN) })
}

#[cfg(test)]
mod tests;

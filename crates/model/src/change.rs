//! The differences between two configurations, as a reload applies and prints them.

use std::fmt;

use crate::{ListenerName, PoolName, ServerId};

/// One difference between the running configuration and the next one.
///
/// What is not named by a change is untouched by the reload: its sockets, connections, verdicts and counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A listener is new: its address gets bound.
    ListenerAdded(ListenerName),
    /// A listener is gone: its address is let go, its connections finish.
    ListenerRemoved(ListenerName),
    /// A listener's routes or rules differ: new requests see the new ones.
    ListenerChanged(ListenerName),
    /// A pool is new.
    PoolAdded(PoolName),
    /// A pool is gone.
    PoolRemoved(PoolName),
    /// A pool's own words differ (balancing, checks, timeouts); its servers keep their verdicts.
    PoolChanged(PoolName),
    /// A server is new: it begins as unknown.
    ServerAdded(ServerId),
    /// A server is gone: its requests in flight finish.
    ServerRemoved(ServerId),
    /// A server has another address: its verdict begins anew.
    ServerMoved(ServerId),
    /// A server's weight, limits or flags differ.
    ServerChanged(ServerId),
    /// Where DNS is answered, or what, differs: queries that come after the reload get the new answers.
    DnsChanged,
    /// A zone's contents differ, with its serial before and now.
    ZoneChanged {
        /// The zone, as in the configuration.
        zone: String,
        /// The serial that it had.
        before: u32,
        /// The serial that it has.
        after: u32,
    },
    /// So many more zones have other contents.
    MoreZonesChanged(usize),
    /// A word of the process as a whole differs. Where it holds a reason, it needs a restart to take effect.
    ProcessChanged {
        /// The word in the configuration (`limits.workers`).
        word: &'static str,
        /// Whether the change waits for the next start.
        needs_restart: bool,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListenerAdded(name) => write!(f, "listener {name} added"),
            Self::ListenerRemoved(name) => write!(f, "listener {name} removed"),
            Self::ListenerChanged(name) => write!(f, "listener {name} changed"),
            Self::PoolAdded(name) => write!(f, "pool {name} added"),
            Self::PoolRemoved(name) => write!(f, "pool {name} removed"),
            Self::PoolChanged(name) => write!(f, "pool {name} changed"),
            Self::ServerAdded(id) => write!(f, "server {id} added"),
            Self::ServerRemoved(id) => write!(f, "server {id} removed"),
            Self::ServerMoved(id) => write!(f, "server {id} has another address"),
            Self::ServerChanged(id) => write!(f, "server {id} changed"),
            Self::DnsChanged => f.write_str("dns changed"),
            Self::ZoneChanged { zone, before, after } if before == after => {
                write!(f, "zone {zone} changed, serial still {after}")
            }
            Self::ZoneChanged { zone, before, after } => write!(f, "zone {zone} changed, serial {before} -> {after}"),
            Self::MoreZonesChanged(1) => f.write_str("1 more zone changed"),
            Self::MoreZonesChanged(count) => write!(f, "{count} more zones changed"),
            Self::ProcessChanged { word, needs_restart: false } => write!(f, "`{word}` changed"),
            Self::ProcessChanged { word, needs_restart: true } => {
                write!(f, "`{word}` changed, and takes effect at the next start")
            }
        }
    }
}

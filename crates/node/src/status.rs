//! What a node says of itself: the facts behind `status`, in the words of the model.
//!
//! It is a copy of one moment. Formatting, JSON and pages are made of it elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::acme::AcmeStatus;
use crate::certificates::ShownCertificate;
use crate::dns::DnsTotals;
use crate::zonefile::ZonefileReport;
use evenkeel_model::config::{Config, ServerAddr};
use evenkeel_model::{ListenerName, PoolName, ServerId, Verdict};
use evenkeel_net::process::Usage;
use evenkeel_proxy::{ListenerStats, PoolStats, ServerStats, Totals};

use crate::intents::{Intent, NodeDrain};
use crate::sessions::SessionsOn;

/// A node at one moment.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// The node's name: the machine's.
    pub name: String,
    /// The process's id.
    pub pid: u32,
    /// How long it has run.
    pub uptime: Duration,
    /// How many workers carry traffic.
    pub workers: usize,
    /// The worker that does not answer, if one does not.
    pub silent_worker: Option<usize>,
    /// What it is doing.
    pub phase: Phase,
    /// The configuration.
    pub config: ConfigStatus,
    /// The configuration itself.
    pub running: Arc<Config>,
    /// Where the control socket is.
    pub control: Option<PathBuf>,
    /// The listeners in written order.
    pub listeners: Vec<ListenerStatus>,
    /// The pools in written order.
    pub pools: Vec<PoolStatus>,
    /// By whom this node was drained and why, if it was.
    pub drained: Option<NodeDrain>,
    /// Whether what operators ordered last could not be written down, so that a restart forgets it.
    pub is_unkept: bool,
    /// The zone files that are kept in step, by block.
    pub zonefiles: Arc<Vec<ZonefileReport>>,
    /// The certificates that listeners show.
    pub certificates: Vec<ShownCertificate>,
    /// The certificates that authorities are asked for.
    pub acme: Vec<AcmeStatus>,
    /// What DNS has answered since the start.
    pub dns: DnsTotals,
    /// Client connections open now.
    pub connections: u64,
    /// The process's counters.
    pub totals: Totals,
    /// Log lines that could not be written, by log: those given up in the queue and those that the disk refused.
    pub log_lines_lost: BTreeMap<String, u64>,
    /// What the process takes from the machine.
    pub usage: Usage,
    /// Tasks that the workers run: one for each connection, and a few of their own.
    pub tasks: usize,
}

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It accepts nothing more and waits for its connections to end.
    Draining,
}

/// The configuration that runs.
#[derive(Debug, Clone)]
pub struct ConfigStatus {
    /// The file, or what it was made of.
    pub origin: String,
    /// A number that grows with each configuration that was applied, from 1.
    pub generation: u64,
    /// When it was applied, since 1970.
    pub applied_at: Duration,
    /// What the history calls it; 0 where nothing is kept.
    pub kept_as: u64,
    /// Whether it came from the history, so that the file says something else.
    pub is_rollback: bool,
    /// Whether it is the last good one because the file was broken at the start.
    pub is_last_good: bool,
    /// The last reload, if there was any.
    pub last_reload: Option<LastReload>,
    /// How reloads have ended so far.
    pub reloads: ReloadCounts,
    /// Words whose change waits for a restart.
    pub waiting_for_restart: Vec<&'static str>,
}

/// How many reloads have ended which way since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// Applied.
    pub applied: u64,
    /// Refused.
    pub refused: u64,
}

/// How a reload ended.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// When, since 1970.
    pub at: Duration,
    /// Why it was refused; `None` if it was applied.
    pub refused: Option<String>,
}

/// One listener.
#[derive(Debug, Clone)]
pub struct ListenerStatus {
    /// Its name: the address as written.
    pub name: ListenerName,
    /// The address that is bound.
    pub bound: Option<SocketAddr>,
    /// Its numbers.
    pub stats: ListenerStats,
}

/// One pool.
#[derive(Debug, Clone)]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// Its numbers.
    pub stats: PoolStats,
    /// Its servers in written order.
    pub servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    /// Its full name.
    pub id: ServerId,
    /// Where it is, as written.
    pub address: ServerAddr,
    /// Where that leads, as far as known.
    pub addrs: Arc<[SocketAddr]>,
    /// What it is held for.
    pub verdict: Verdict,
    /// How long that has been so.
    pub held_for: Duration,
    /// Whether active checks are made.
    pub is_checked: bool,
    /// Its share.
    pub weight: u16,
    /// How much of the share counts, in per mille: below 1000 during slow start.
    pub ramp_per_mille: u16,
    /// What an operator ordered of it.
    pub intent: Option<Intent>,
    /// Whether that outlives the process: there is a state directory, and it could be written.
    pub is_intent_kept: bool,
    /// A number for what is configured and ordered of it: another one when any of it changes.
    pub version: u64,
    /// While it drains: how long no request has come, and whether nobody is left.
    pub drain: Option<(Duration, bool)>,
    /// The sessions that live there, where they can be counted.
    pub sessions: Option<SessionsOn>,
    /// Used only when no primary server is left.
    pub backup: bool,
    /// Its numbers.
    pub stats: ServerStats,
}

impl NodeStatus {
    /// Whether every server that is checked has its first result, or cannot have one.
    pub fn is_settled(&self) -> bool {
        let mut checked = self.pools.iter().flat_map(|pool| &pool.servers).filter(|server| server.is_checked);
        checked.all(|server| server.verdict.reason != evenkeel_model::Reason::Initial)
    }
}

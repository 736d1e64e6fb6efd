//! What a node says of itself, in the form that crosses the control socket and `--json` prints.
//!
//! Names and meanings are an interface: fields are added, never renamed. Times are seconds; `at` counts from
//! 1970-01-01 UTC. States and reasons are the words of the model.

mod certificate;
mod cluster;
mod config;
mod dns;
mod route;
mod sessions;
mod zonefile;

use std::collections::BTreeMap;
use std::fmt;

use evenkeel_model::{Histogram, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::dns::{
    BalancedReport, ChosenReport, DnsAnswerReport, DnsLiveReport, DnsReport, DnsViewReport, ZoneReport,
};
pub use self::sessions::{ServerSessionsReport, SessionListReport, SessionReport, SessionTableReport, SessionsChanged};
pub use self::zonefile::{RecordReport, SetReport, SheetReport, ThenReport, ZonefileReport};
pub use certificate::{AcmeReport, CertificateReport};
pub use cluster::{ClusterReport, GroupReport, MoveReport, NodeReport, OtherViewReport, PathReport};
pub use config::{ConfigDiff, ConfigText, HistoryEntry, TextFile};
pub use route::{RouteFinding, RouteLooked, ServerFinding};

/// A node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReport {
    /// The program's version.
    pub version: String,
    /// The process's id.
    pub pid: u32,
    /// How long the process has run.
    pub uptime_s: u64,
    /// The node's name.
    pub node: String,
    /// Whether the node stops: it accepts nothing more and waits for its connections to end.
    pub stopping: bool,
    /// Threads that carry traffic.
    pub workers: u64,
    /// The worker that does not answer, if one does not: connections that it has or gets are not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_worker: Option<u64>,
    /// What the process takes from the machine.
    #[serde(default)]
    pub process: ProcessReport,
    /// The configuration that runs.
    pub config: ConfigReport,
    /// The listeners in written order.
    pub listeners: Vec<ListenerReport>,
    /// The pools in written order.
    pub pools: Vec<PoolReport>,
    /// The certificates that listeners show.
    #[serde(default)]
    pub certificates: Vec<CertificateReport>,
    /// The certificates that authorities are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acme: Vec<AcmeReport>,
    /// What DNS was asked; absent without a `dns` block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsReport>,
    /// The cluster as this node sees it, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterReport>,
    /// By whom this node was drained and why, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<NodeDrainReport>,
    /// Whether what was ordered last could not be written down, so that a restart forgets it.
    #[serde(default)]
    pub unkept: bool,
    /// The zone files that are kept in step, by block.
    #[serde(default)]
    pub zonefiles: Vec<ZonefileReport>,
    /// The counters of the process.
    pub totals: TotalsReport,
    /// How the traffic of all listeners goes at the moment; absent until it was watched for a few seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveReport>,
}

/// What the servers were held for in the last day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineReport {
    /// The end of the last step, or the moment of the report within it, since 1970.
    pub until: u64,
    /// How long a step is.
    pub step_s: u64,
    /// The servers in written order.
    pub rows: Vec<TimelineRow>,
}

/// One server's day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRow {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub server: String,
    /// A letter for each step, the latest last, for the gravest state in it: `u` up, `?` unknown, `r` draining,
    /// `m` maintenance, `d` down, `-` nothing known.
    pub steps: String,
}

/// A line of an access log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Grows by one with each line of any log, from the start of the process.
    pub number: u64,
    /// The line as it was written.
    pub text: String,
}

/// What the process takes from the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessReport {
    /// Seconds that its threads computed.
    pub cpu_s: f64,
    /// Memory that is resident, in bytes.
    pub resident_bytes: u64,
    /// Descriptors that are open.
    pub open_files: u64,
    /// Descriptors that may be.
    pub max_files: u64,
    /// Tasks that the workers run: one for each connection, and a few of their own.
    #[serde(default)]
    pub tasks: u64,
}

/// The configuration that runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigReport {
    /// The file, or what it was made of.
    pub path: String,
    /// Grows by one with each configuration applied, from 1.
    pub generation: u64,
    /// When it was applied.
    pub applied_at: u64,
    /// What the history calls it; 0 where nothing is kept.
    #[serde(default)]
    pub kept_as: u64,
    /// Whether it came from the history, so that the file says something else.
    #[serde(default)]
    pub is_rollback: bool,
    /// Whether it is the last good copy, since the file was broken at the start.
    pub is_last_good: bool,
    /// The last reload, if there was one.
    pub last_reload: Option<LastReload>,
    /// Words whose change waits for a restart.
    pub waiting_for_restart: Vec<String>,
    /// Reloads that were applied since the start.
    #[serde(default)]
    pub reloads_applied: u64,
    /// Reloads that were refused since the start.
    #[serde(default)]
    pub reloads_refused: u64,
}

/// How the last reload ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastReload {
    /// Whether it was applied.
    pub ok: bool,
    /// When.
    pub at: u64,
    /// Why it was refused.
    pub error: Option<String>,
}

/// One listener.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListenerReport {
    /// The address as written.
    pub name: String,
    /// What it takes: `http`, or `tcp` for connections that are passed on, whose requests are connections.
    #[serde(default)]
    pub protocol: String,
    /// Whether its clients speak TLS, which ends here.
    #[serde(default)]
    pub tls: bool,
    /// The address that is bound.
    pub bound: Option<String>,
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted since the start.
    #[serde(default)]
    pub accepted: u64,
    /// TLS handshakes since the start that came to their end.
    #[serde(default)]
    pub handshakes: u64,
    /// Those of them that resumed a session.
    #[serde(default)]
    pub handshakes_resumed: u64,
    /// TLS handshakes that did not come to their end.
    #[serde(default)]
    pub handshakes_failed: u64,
    /// The most client connections at one time; absent where only the process bounds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_conns: Option<u32>,
    /// How often it had as many as that, so that the next ones waited.
    #[serde(default)]
    pub full: u64,
    /// Requests since the start.
    pub requests: u64,
    /// What its traffic amounts to.
    #[serde(default)]
    pub traffic: TrafficReport,
    /// Its routes in written order.
    #[serde(default)]
    pub routes: Vec<RouteReport>,
}

/// One route of a listener.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteReport {
    /// The hosts that it is for; none means every host.
    pub hosts: Vec<String>,
    /// Its path as written, `*` for every path.
    pub pattern: String,
    /// Its other conditions.
    pub also: Option<String>,
    /// What it does with a request, in a few words.
    pub does: String,
    /// The pool that it sends requests to, if it does.
    pub pool: Option<String>,
}

/// One pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolReport {
    /// Its name.
    pub name: String,
    /// Requests that wait for a server's slot.
    pub queued: u64,
    /// Requests that came to it since the start.
    #[serde(default)]
    pub requests: u64,
    /// Sessions whose token or learned id came from many networks since the start, so that copies of it must be about.
    #[serde(default)]
    pub sticky_roaming: u64,
    /// What its traffic amounts to.
    #[serde(default)]
    pub traffic: TrafficReport,
    /// Its servers in written order.
    pub servers: Vec<ServerReport>,
}

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerReport {
    /// Its name in the pool.
    pub name: String,
    /// Where it is, as written.
    pub address: String,
    /// `up`, `down`, `draining`, `maintenance` or `unknown`.
    pub state: String,
    /// Why, as a stable code.
    pub reason: String,
    /// Why, as a sentence.
    pub text: String,
    /// How long it has had that state.
    pub since_s: u64,
    /// The first line of its last answer to a check.
    pub last_answer: Option<String>,
    /// Its share of the traffic.
    pub weight: u16,
    /// What an operator ordered of it, and has not lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentReport>,
    /// While it drains: how that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainReport>,
    /// The sessions that live on it; absent where the pool keeps clients in no way, or in one that leaves nothing to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsOnReport>,
    /// Another one whenever what is configured or ordered of it changes; its `ETag`.
    #[serde(default)]
    pub version: String,
    /// Whether it is used only when no other server is left.
    pub backup: bool,
    /// Requests that it has now.
    pub in_flight: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Requests that failed on it since the start.
    pub failures: u64,
    /// Answers of 500 and above since the start.
    #[serde(default)]
    pub errors_5xx: u64,
    /// Requests that came to it by their session since the start.
    #[serde(default)]
    pub sticky_hits: u64,
    /// Clients that were bound to it since the start.
    #[serde(default)]
    pub sticky_new: u64,
    /// Requests of its sessions that others served since the start: it was busy or failed them.
    #[serde(default)]
    pub sticky_moved: u64,
    /// Sessions that others took over since the start: it could not be asked.
    #[serde(default)]
    pub sticky_lost: u64,
    /// Connections made to it since the start.
    #[serde(default)]
    pub connects: u64,
    /// Requests that went over a kept connection since the start.
    #[serde(default)]
    pub reused: u64,
    /// Whether active checks are made.
    #[serde(default)]
    pub is_checked: bool,
    /// How much of its share counts, in percent: below 100 while it starts slowly.
    #[serde(default)]
    pub ramp_percent: u8,
    /// What its traffic amounts to.
    #[serde(default)]
    pub traffic: TrafficReport,
}

impl ServerReport {
    /// Whether it gets traffic; one that nobody has checked yet does.
    pub fn is_serving(&self) -> bool {
        matches!(self.state.as_str(), "up" | "unknown")
    }

    /// Whether no check has told about it yet.
    pub fn is_unchecked(&self) -> bool {
        self.state == "unknown" && self.text == Verdict::NOT_CHECKED
    }

    /// Whether it gets traffic although its last check failed, or none could be made.
    pub fn is_doubtful(&self) -> bool {
        let is_judged = self.is_checked && self.text != Verdict::CHECKS_PASS;
        self.is_serving() && !self.is_unchecked() && is_judged
    }
}

/// What the traffic of a listener, a pool or a server amounts to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficReport {
    /// Bytes received from clients since the start.
    pub bytes_in: u64,
    /// Bytes sent to clients since the start.
    pub bytes_out: u64,
    /// Answers by the class of their status since the start: `2xx` and so on. Empty where it is not counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_class: BTreeMap<String, u64>,
    /// How long requests took since the start.
    #[serde(default, skip)]
    pub latency: Option<Histogram>,
    /// How it goes at the moment; absent until it was watched for a few seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveReport>,
}

/// How the traffic of a listener, a pool or a server goes at the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveReport {
    /// Requests a second, over the last few seconds.
    pub requests_per_s: f64,
    /// Of the requests of the last minute, the time within which half were answered, in milliseconds.
    pub p50_ms: Option<f64>,
    /// The same of 95 in a hundred.
    pub p95_ms: Option<f64>,
    /// Requests a second in the last minutes, the latest last, one for each [`LiveReport::STEP_S`] seconds.
    pub recent: Vec<f64>,
}

impl LiveReport {
    /// Seconds between two values of `recent`.
    pub const STEP_S: u64 = 5;
}

/// What an operator ordered of a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntentReport {
    /// `ready`, `drain` or `maint`; absent where only the weight is ordered.
    pub state: Option<String>,
    /// The weight; absent where only the state is ordered.
    pub weight: Option<u16>,
    /// Why, in the operator's words.
    pub why: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// Since when.
    pub since: u64,
    /// How much longer it lasts; absent where it lasts until it is lifted.
    pub left_s: Option<u64>,
    /// Whether it outlives the process; not without a state directory that can be written.
    pub is_kept: bool,
}

/// The sessions of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionsOnReport {
    /// How many there are: those in tokens that showed themselves before they went idle, and the learned ones.
    pub live: u64,
    /// Whether it is a count; with many sessions in tokens it is an estimate.
    pub is_exact: bool,
}

impl fmt::Display for SessionsOnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.is_exact || self.live == 0 { "" } else { "about " };
        match self.live {
            0 => f.write_str("no session"),
            1 => write!(f, "{about}1 session"),
            many => write!(f, "{about}{many} sessions"),
        }
    }
}

/// How a drain goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrainReport {
    /// How long no request has come.
    pub quiet_s: u64,
    /// Whether nobody is left: no request, and no session that could come back.
    pub is_over: bool,
}

/// That an operator drained this node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeDrainReport {
    /// Who ordered it.
    pub by: String,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// Whether a node is drained, and what is left on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AsideReport {
    /// By whom and why it was drained; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<NodeDrainReport>,
    /// Whether the order could not be written down, so that a restart forgets it.
    #[serde(default)]
    pub unkept: bool,
    /// Client connections that are open.
    pub connections: u64,
    /// Groups of the cluster that are here.
    pub groups: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventReport {
    /// Grows by one with each.
    pub id: u64,
    /// When, in milliseconds.
    pub at_ms: u64,
    /// What it is about: `server`, `intent`, `reload`, `audit`, `node`.
    pub kind: String,
    /// What it happened to, such as `shop/a`; empty for the node.
    pub subject: String,
    /// In one sentence.
    pub text: String,
    /// The state that a server has now; empty for others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
}

/// The counters of the process, since its start unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TotalsReport {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Requests answered, by us or by a server.
    pub requests: u64,
    /// The same by the class of the status: `2xx` and so on.
    pub by_class: BTreeMap<String, u64>,
    /// Requests that were not served as asked, by the cause's stable code.
    pub rejected: BTreeMap<String, u64>,
    /// TLS handshakes of clients that came to nothing, by cause.
    #[serde(default)]
    pub handshakes_failed: BTreeMap<String, u64>,
    /// Attempts beyond a request's first.
    pub retries: u64,
    /// Connections lost to a panic.
    pub panics: u64,
    /// Failed attempts to accept a connection.
    #[serde(default)]
    pub accept_errors: u64,
    /// Connections upgraded (WebSocket) and tunnelled.
    #[serde(default)]
    pub tunnels: u64,
    /// Bytes received from clients.
    #[serde(default)]
    pub bytes_in: u64,
    /// Bytes sent to clients.
    #[serde(default)]
    pub bytes_out: u64,
    /// Log lines lost to a slow or full log.
    pub log_lines_lost: u64,
}

/// A reload that was applied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReport {
    /// The generation that serves now.
    pub generation: u64,
    /// What the history calls it; 0 where nothing is kept.
    #[serde(default)]
    pub kept_as: u64,
    /// What changed, a sentence each; empty where nothing did.
    pub changes: Vec<String>,
    /// What the new configuration was warned of.
    pub warnings: Vec<String>,
}

/// A reload that was refused. What served before still does, untouched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadRefused {
    /// The generation that goes on serving.
    pub generation: u64,
    /// Why, ready for a terminal: diagnostics with their place, or the address that could not be bound.
    pub errors: Vec<String>,
}

//! What the API asks of a node.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use evenkeel_model::config::Standing;
use hyper::body::Bytes;

use crate::report::{
    ClusterReport, ConfigDiff, ConfigText, DnsAnswerReport, EventReport, HistoryEntry, LogLine, ReloadRefused,
    ReloadReport, RouteFinding, ServerReport, SessionListReport, SessionTableReport, SessionsChanged, StatusReport,
    TimelineReport, ZoneReport,
};

/// An answer that may take a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who did what, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Who, and by which way.
    pub who: String,
    /// The method, the path and the beginning of the body, on one line.
    pub what: String,
    /// The status of the answer.
    pub status: u16,
}

/// What can be ordered of servers.
pub trait Servers: Send + Sync {
    /// Carries an order out; answers when all traffic sees it.
    fn order(&self, order: ServerOrder) -> Answer<'_, Result<ServerReport, OrderRefused>>;
}

/// An order for a server. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOrder {
    /// The pool.
    pub pool: String,
    /// The server.
    pub server: String,
    /// The state; `Ready` lifts.
    pub standing: Option<Standing>,
    /// The share.
    pub weight: Option<OrderedWeight>,
    /// For how long.
    pub lasting: Option<Duration>,
    /// Why.
    pub why: Option<String>,
    /// Who orders it.
    pub by: String,
    /// The version that the server must have.
    pub expected: Option<u64>,
}

/// A share that is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedWeight {
    /// This one.
    Fixed(u16),
    /// So many percent of the configured one.
    Percent(u16),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderRefused {
    /// There is no such pool or server.
    Unknown,
    /// The server has another version.
    Stale,
    /// The node is stopping.
    Stopping,
    /// A worker has not taken it up in time.
    Silent(usize),
}

/// Learned sessions, seen and steered.
pub trait Sessions: Send + Sync {
    /// Those that fit, at most `limit` of them.
    fn list(&self, choice: SessionChoice, limit: usize) -> Answer<'_, Result<SessionListReport, SessionsRefused>>;

    /// The tables of the pools that learn.
    fn tables(&self) -> Answer<'_, Vec<SessionTableReport>>;

    /// Moves those that fit to another server.
    fn move_to(&self, choice: SessionChoice, to: String) -> Answer<'_, Result<SessionsChanged, SessionsRefused>>;

    /// Forgets those that fit.
    fn forget(&self, choice: SessionChoice) -> Answer<'_, Result<SessionsChanged, SessionsRefused>>;
}

/// Which sessions. What is `None` fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionChoice {
    /// Those of this pool.
    pub pool: Option<String>,
    /// Those on this server: by name, by address, or as `pool/server`.
    pub server: Option<String>,
    /// Those that this address spoke for last.
    pub client: Option<IpAddr>,
    /// The one of this name, or of this id of the application.
    pub session: Option<String>,
}

/// Why sessions are not shown or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionsRefused {
    /// There is no such pool, or it learns nothing.
    Pool(String),
    /// The pool has no such server.
    Server {
        /// The server.
        server: String,
        /// The pool.
        pool: String,
    },
    /// The node is stopping.
    Stopping,
}

/// An order for this node as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOrder {
    /// Whether clients are to go elsewhere.
    pub drained: bool,
    /// Why.
    pub why: Option<String>,
    /// Who orders it.
    pub by: String,
}

/// What can be asked and ordered of the cluster.
pub trait Cluster: Send + Sync {
    /// The cluster as this node sees it; `None` without one.
    fn report(&self) -> Answer<'_, Option<ClusterReport>>;

    /// Orders something of a group. That it was taken does not say that it was followed: the report does.
    fn order(&self, group: String, order: GroupOrder, by: String) -> Answer<'_, Result<(), GroupRefused>>;
}

/// What is ordered of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupOrder {
    /// This node is to own it.
    Takeover,
    /// Another node is to own it.
    Standby,
    /// What was ordered or has failed here counts no more.
    Ready,
}

/// Why an order for a group was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRefused {
    /// There is no cluster.
    NoCluster,
    /// There is no such group.
    NoGroup,
    /// Nobody takes orders at the moment.
    Silent,
    /// It cannot be followed at this moment, and why.
    Refused(&'static str),
}

/// What has happened, and what happens.
pub trait Events: Send + Sync {
    /// Those after a number that are still kept, oldest first.
    fn recent(&self, after: u64) -> Vec<EventReport>;

    /// Those after a number that are still kept (none without a number), in the form of a stream, and what comes then.
    fn watch(&self, after: Option<u64>) -> (Vec<Bytes>, Box<dyn Coming>);
}

/// The next event, and who waits for the one after it.
pub type NextStep = Answer<'static, (Box<dyn Coming>, Step)>;

/// The events to come, for one viewer.
pub trait Coming: Send {
    /// Waits for the next one.
    fn next(self: Box<Self>) -> NextStep;
}

/// What comes next.
#[derive(Debug, Clone)]
pub enum Step {
    /// An event, in the form of a stream.
    Event(Bytes),
    /// More has come than waits for one viewer: some of it is lost.
    TooSlow,
    /// Nothing any more.
    End,
}

/// A configuration that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that runs.
    Running,
    /// The file as it is now.
    File,
    /// The one of that number in the history.
    Kept(u64),
}

/// Why there is no such configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoConfig {
    /// The history does not hold that number.
    Unknown(u64),
    /// The node has ended.
    Gone,
}

/// The configurations: the one that runs, the file, the history.
pub trait Configs: Send + Sync {
    /// What one was made of.
    fn text(&self, which: Which) -> Answer<'_, Result<ConfigText, NoConfig>>;

    /// Two of them beside each other.
    fn compare(&self, from: Which, to: Which) -> Answer<'_, Result<ConfigDiff, NoConfig>>;

    /// Those that were applied, oldest first.
    fn history(&self) -> Answer<'_, Vec<HistoryEntry>>;

    /// Applies one of the history again; the file stays as it is.
    fn rollback(&self, number: u64, by: String) -> Answer<'_, Result<ReloadReport, ReloadRefused>>;
}

/// A request that did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteQuestion {
    /// The listener, if it is named.
    pub listener: Option<String>,
    /// The port of the URL.
    pub port: u16,
    /// Whether the URL names that port.
    pub is_port_given: bool,
    /// The request's head, with its empty line.
    pub head: Vec<u8>,
    /// The client.
    pub client: IpAddr,
}

/// Which request goes where.
pub trait Routes: Send + Sync {
    /// What would become of a request; in a sentence, where no listener fits.
    fn find(&self, question: RouteQuestion) -> Answer<'_, Result<RouteFinding, String>>;
}

/// A running node, as the API sees it. Every method may be called at any time, several at once.
pub trait Control: Send + Sync + 'static {
    /// How the node is at this moment.
    fn status(&self) -> Answer<'_, StatusReport>;

    /// The same without rates and percentiles, which cost more than all the rest where there are many servers.
    fn counters(&self) -> Answer<'_, StatusReport> {
        self.status()
    }

    /// Reads the configuration anew and applies it. Answers when traffic sees it, or when it was refused whole.
    fn reload(&self) -> Answer<'_, Result<ReloadReport, ReloadRefused>>;

    /// The latest `most` lines of the access logs that fit, oldest first; of those after line `after` alone.
    fn log(&self, after: u64, most: usize, fits: &dyn Fn(&str) -> bool) -> Vec<LogLine>;

    /// What the servers of this report were held for in the last day.
    fn timeline(&self, report: &StatusReport) -> TimelineReport;

    /// What it answers to queries of DNS.
    fn dns(&self) -> &dyn DnsControl;

    /// Writes down who changed what.
    fn audit(&self, line: &Audit);

    /// What can be ordered of servers.
    fn servers(&self) -> &dyn Servers;

    /// Learned sessions.
    fn sessions(&self) -> &dyn Sessions;

    /// The configurations.
    fn configs(&self) -> &dyn Configs;

    /// Which request goes where.
    fn routes(&self) -> &dyn Routes;

    /// The cluster.
    fn cluster(&self) -> &dyn Cluster;

    /// What has happened, and what happens.
    fn events(&self) -> &dyn Events;

    /// Drains this node, or has it ready again. Whether that was taken: not by a node that stops.
    fn order_node(&self, order: NodeOrder) -> Answer<'_, bool>;

    /// Begins to stop: no new connections, open ones finish. Answers when that has begun.
    fn stop(&self) -> Answer<'_, ()>;
}

/// A query of DNS that nobody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuestion {
    /// The name, as people write it.
    pub name: String,
    /// The type, as people write it.
    pub kind: String,
    /// Who would ask.
    pub client: Option<IpAddr>,
    /// Which address would be asked.
    pub arrived_at: Option<IpAddr>,
}

/// DNS of a running node.
pub trait DnsControl: Send + Sync {
    /// What a query gets now, and why; a sentence where the name or the type is none.
    fn query(&self, question: DnsQuestion) -> Answer<'_, Result<DnsAnswerReport, String>>;

    /// Every zone.
    fn zones(&self) -> Answer<'_, Vec<ZoneReport>>;
}

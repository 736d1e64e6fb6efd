//! Starting a node, and holding one that runs.
//!
//! The order of a start: descriptor limit, every socket, control socket, privileges, state, pages, keys and logs,
//! then the threads. The invariant: everything that can be refused is asked for before the first thread starts, so
//! that a start that fails leaves nothing behind.

mod start;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::thread;

use evenkeel_config::Loaded;
use evenkeel_model::config::{Ceiling, Process};
use evenkeel_proxy::{Explanation, Question};
use tokio::sync::{mpsc, oneshot};

use crate::compare::{Comparison, NoSuch, Sources, Which};
use crate::dns::{Answered, DnsAsked, ZoneStatus};
use crate::door::Doors;
use crate::history::Kept;
use crate::journal::Journal;
use crate::origin::{Origin, Texts};
use crate::prepare::Refusal;
use crate::sessions::SessionBook;
use crate::status::{NodeStatus, ServerStatus};
use crate::supervisor::{
    Again, ClusterStatus, Event, GroupOrder, GroupRefused, NodeOrder, Order, Reloaded, SteerError, Steering,
};

/// Descriptors that are no client connections: listeners, logs, probes, the runtime's own, and some to spare.
const OWN_DESCRIPTORS: u64 = 256;

/// What a start is given.
pub struct Start {
    /// Where reloads read the configuration.
    pub origin: Origin,
    /// The configuration that was read first; it holds no error.
    pub loaded: Loaded,
    /// The texts that it was made of.
    pub texts: Texts,
    /// Whether it is the last good one because the file is broken.
    pub is_last_good: bool,
    /// The state directory, instead of the configuration's.
    pub state: Option<PathBuf>,
    /// The control socket.
    pub control: ControlPlace,
    /// What answers on the control socket and on the admin listener.
    pub service: Option<Service>,
    /// Whether signals are this node's.
    pub signals: SignalUse,
    /// Which node of its cluster this is; `None`: the one that is called as the machine is.
    pub node: Option<String>,
    /// The program whose hidden command is the address guard; `None`: this very one.
    pub guard: Option<PathBuf>,
}

/// Where the control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlPlace {
    /// Where the configuration says, or the first usable of the customary places.
    Configured,
    /// Here.
    At(PathBuf),
    /// Nowhere: the node is held by its handle alone.
    Nowhere,
}

/// Whether a node takes the process's signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalUse {
    /// They are this node's, and so are the sockets that the service manager has opened for the process.
    Take,
    /// They are somebody else's: the node is a part of a larger program.
    Leave,
}

/// Serves the node's doors on the control thread: given the node's handle and its doors, a future that answers there until
/// it is dropped.
pub type Service = Box<dyn FnOnce(Handle, Doors) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A node that could not start. Nothing of it is left.
#[derive(Debug)]
pub enum StartError {
    /// The configuration, or something that it names, cannot be used.
    Refused(Refusal),
    /// The system has no thread or runtime to give.
    System(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{}", refusal.report),
            Self::System(error) => write!(f, "the system has no thread or descriptor left: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<Refusal> for StartError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Client connections that were cut off.
    pub cut: u64,
    /// What failed; `None` after an ordered stop.
    pub failed: Option<String>,
}

/// A node that was ordered to, or had to, end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process is ending")
    }
}

impl std::error::Error for Gone {}

/// A running node.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    control: thread::JoinHandle<Ended>,
}

/// Speaks to a running node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    events: mpsc::Sender<Event>,
    journal: Journal,
}

impl Node {
    /// Starts a node. When this returns, it accepts connections.
    ///
    /// # Errors
    /// Where anything that the configuration names cannot be had; everything is let go again then.
    pub fn start(start: Start) -> Result<Self, StartError> {
        start::start(start)
    }

    /// Speaks to the node.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until it has ended.
    pub fn wait(self) -> Ended {
        drop(self.handle);
        self.control.join().unwrap_or_else(|_| Ended { cut: 0, failed: Some("the control thread panicked".to_owned()) })
    }
}

impl Handle {
    /// Reads the configuration anew and applies it. `Ok` means that traffic sees it.
    ///
    /// # Errors
    /// Where it is refused; the one before runs on unchanged.
    pub async fn reload(&self, by: &'static str) -> Result<Reloaded, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| Refusal::plain(Gone.to_string());
        self.order(Order::Reload { by, reply }).await.map_err(gone)?;
        answer.await.unwrap_or_else(|_| Err(gone(Gone)))
    }

    /// Applies a configuration of the history again; the file stays as it is. `Ok` means that traffic sees it.
    ///
    /// # Errors
    /// Where it is refused; the one before runs on unchanged.
    pub async fn rollback(&self, number: u64, by: String) -> Result<Reloaded, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| Refusal::plain(Gone.to_string());
        self.order(Order::Rollback { number, by, reply }).await.map_err(gone)?;
        answer.await.unwrap_or_else(|_| Err(gone(Gone)))
    }

    /// The configurations that were applied, oldest first, and the number of the one that runs.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn history(&self) -> Result<(Vec<Kept>, u64), Gone> {
        let sources = self.sources().await?;
        let (history, kept_as) = (sources.history, sources.kept_as);
        Ok((blocking(move || history.all()).await.ok_or(Gone)?, kept_as))
    }

    /// What a configuration was made of: each file with its text, the entry first.
    ///
    /// # Errors
    /// Where there is no such configuration.
    pub async fn texts(&self, which: Which) -> Result<Texts, NoSuch> {
        let sources = self.sources().await.map_err(|Gone| NoSuch::Gone)?;
        blocking(move || sources.read(which)).await.ok_or(NoSuch::Gone)?.map(|read| read.texts)
    }

    /// Two configurations beside each other.
    ///
    /// # Errors
    /// Where there is none of one.
    pub async fn compare(&self, from: Which, to: Which) -> Result<Comparison, NoSuch> {
        let sources = self.sources().await.map_err(|Gone| NoSuch::Gone)?;
        blocking(move || sources.compare(from, to)).await.ok_or(NoSuch::Gone)?
    }

    async fn sources(&self) -> Result<Sources, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Sources { reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Orders something of a server. `Ok` means that all traffic sees it.
    ///
    /// # Errors
    /// Where it was not carried out, or not everybody has seen it yet.
    pub async fn steer(&self, order: Steering) -> Result<ServerStatus, SteerError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Steer { order: Box::new(order), reply };
        self.order(order).await.map_err(|Gone| SteerError::Stopping)?;
        answer.await.unwrap_or(Err(SteerError::Stopping))
    }

    /// Drains this node, or has it ready again. `Ok` means that it was taken; [`Self::cluster`] and [`Self::status`] show
    /// what came of it.
    ///
    /// # Errors
    /// Where the node stops.
    pub async fn order_node(&self, order: NodeOrder) -> Result<(), SteerError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Node { order, reply }).await.map_err(|Gone| SteerError::Stopping)?;
        answer.await.unwrap_or(Err(SteerError::Stopping))
    }

    /// What would become of a request at this moment.
    ///
    /// # Errors
    /// In a sentence, where no listener fits the question, or the node has ended.
    pub async fn explain(&self, question: Question) -> Result<Explanation, String> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Explain { question: Box::new(question), reply };
        self.order(order).await.map_err(|gone| gone.to_string())?;
        answer.await.unwrap_or_else(|_| Err(Gone.to_string()))
    }

    /// What has happened.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How things are.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn status(&self) -> Result<NodeStatus, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Status { reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// The tables of learned sessions. Looking through them may take a while: do it where that holds nobody up.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn sessions(&self) -> Result<SessionBook, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Sessions { reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// [`sessions`](Self::sessions) for callers outside of the runtime.
    ///
    /// # Errors
    /// Where the node has ended.
    pub fn sessions_blocking(&self) -> Result<SessionBook, Gone> {
        let (reply, answer) = oneshot::channel();
        self.events.blocking_send(Event::Order(Order::Sessions { reply })).map_err(|_| Gone)?;
        answer.blocking_recv().map_err(|_| Gone)
    }

    /// What a query of DNS gets now, and why.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn dns_query(&self, asked: DnsAsked) -> Result<Answered, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::DnsQuery { asked, reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// The zones that are answered.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn dns_zones(&self) -> Result<Vec<ZoneStatus>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::DnsZones { reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Begins a stop: no new connections, and the open ones have `limits.drain` to finish. Ordered twice, it
    /// is as once; only a second signal hurries.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn stop(&self, by: &'static str) -> Result<(), Gone> {
        self.order(Order::Stop { by, again: Again::IsTheSame }).await
    }

    /// How the cluster is; `None` without one.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn cluster(&self) -> Result<Option<ClusterStatus>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Cluster { reply }).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Orders something of a group of the cluster. `Ok` means that the order was taken; [`Self::cluster`] shows what
    /// came of it.
    ///
    /// # Errors
    /// Where there is no such group, or the node has ended.
    pub async fn order_group(&self, group: String, order: GroupOrder, by: String) -> Result<(), GroupRefused> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| GroupRefused::Deaf;
        self.order(Order::Group { group, order, by, reply }).await.map_err(gone)?;
        answer.await.unwrap_or(Err(GroupRefused::Deaf))
    }

    /// Has the log files opened anew.
    ///
    /// # Errors
    /// Where the node has ended.
    pub async fn reopen_logs(&self) -> Result<(), Gone> {
        self.order(Order::Reopen).await
    }

    /// [`Handle::status`] for callers without a runtime. It must not be called on one.
    ///
    /// # Errors
    /// Where the node has ended.
    pub fn status_blocking(&self) -> Result<NodeStatus, Gone> {
        let (reply, answer) = oneshot::channel();
        self.events.blocking_send(Event::Order(Order::Status { reply })).map_err(|_| Gone)?;
        answer.blocking_recv().map_err(|_| Gone)
    }

    /// [`Handle::stop`] for callers without a runtime. It must not be called on one.
    ///
    /// # Errors
    /// Where the node has ended.
    pub fn stop_blocking(&self, by: &'static str) -> Result<(), Gone> {
        self.events.blocking_send(Event::Order(Order::Stop { by, again: Again::IsTheSame })).map_err(|_| Gone)
    }

    /// [`Handle::reload`] for callers without a runtime. It must not be called on one.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn reload_blocking(&self, by: &'static str) -> Result<Reloaded, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| Refusal::plain(Gone.to_string());
        self.events.blocking_send(Event::Order(Order::Reload { by, reply })).map_err(|_| gone(Gone))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(gone(Gone)))
    }

    async fn order(&self, order: Order) -> Result<(), Gone> {
        self.events.send(Event::Order(order)).await.map_err(|_| Gone)
    }
}

/// Bytes of buffers for each worker: of what is configured, or of a quarter of the memory that there is.
pub(crate) fn buffers(process: &Process, workers: usize) -> u64 {
    let all = process.buffers.unwrap_or_else(|| evenkeel_net::process::memory() / 4);
    all / u64::try_from(workers.max(1)).unwrap_or(1)
}

/// Runs what reads files where that may take its time; `None` where it panicked, which the log tells.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Client connections in all: what is configured, or half of the descriptors that are left, since a client's
/// connection comes with one to a server.
pub(crate) fn max_conns(process: &Process, descriptors: u64) -> u32 {
    match process.max_conns {
        Ceiling::Fixed(most) => most,
        Ceiling::FromSystem => {
            // Where there are few, half of them: a balancer for a handful of clients is more use than none.
            let pairs = (descriptors - OWN_DESCRIPTORS.min(descriptors / 2)).max(2) / 2;
            u32::try_from(pairs).unwrap_or(u32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_two_descriptors_each_of_what_is_left() {
        let process = Process::default();
        assert_eq!(max_conns(&process, 1024), 384);
        assert_eq!(max_conns(&process, 64), 16);
        assert_eq!(max_conns(&process, 2), 1);
        assert_eq!(max_conns(&Process { max_conns: Ceiling::Fixed(7), ..process }, 1024), 7);
    }
}

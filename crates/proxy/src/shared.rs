//! What all workers share, and what outlives every configuration: loads, counters, queues, the gate of connections.
//!
//! Not here: anything that a request looks at to decide where it goes (`snapshot`). Everything hangs on stable names,
//! so that a reload touches none of it. The data path sees atomics alone; the maps are read when a snapshot is built
//! and when someone asks for numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_balance::ServerLoad;
use evenkeel_model::{ListenerName, PoolName, Reason, ServerId};
use tokio::sync::{Notify, mpsc};

use crate::queue::Queue;

/// How often room is asked for while there is none.
const ROOM_PATIENCE: Duration = Duration::from_millis(100);

/// What all workers share. Made once, before the first snapshot.
pub struct Shared {
    /// Counters of what is rare.
    pub(crate) counters: Counters,
    /// Counters of what is not, one set for each worker.
    shards: Mutex<Vec<Arc<Counters>>>,
    connections: AtomicU64,
    max_conns: AtomicU32,
    /// Woken when a connection ends while the gate was shut.
    freed: Notify,
    /// Woken while clients may be waiting for want of room.
    crowded: Notify,
    reports: mpsc::Sender<TrafficReport>,
    servers: Mutex<HashMap<ServerId, Arc<ServerShared>>>,
    pools: Mutex<HashMap<PoolName, Arc<PoolShared>>>,
    listeners: Mutex<HashMap<ListenerName, Arc<ListenerShared>>>,
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

/// A failure of a server that live traffic saw, for the health keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficReport {
    /// The server.
    pub server: ServerId,
    /// What happened.
    pub outcome: TrafficOutcome,
    /// When, on the clock of `evenkeel_net::clock::now`.
    pub at: Duration,
}

/// What live traffic saw of a server. Successes are counted, not reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrafficOutcome {
    /// The server failed a request. What a client does wrong never comes here.
    Failed {
        /// How.
        reason: Reason,
        /// The status, where it answered with one that counts as a failure.
        status: Option<u16>,
    },
}

/// Counters of the process; each grows for ever. Sets of two workers never share a line of cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) by_class: [AtomicU64; 5],
    pub(crate) retries: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) log_lines_dropped: AtomicU64,
    pub(crate) reports_dropped: AtomicU64,
    pub(crate) surplus: AtomicU64,
    pub(crate) tunnels: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

/// The counters of the process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections accepted.
    pub accepted: u64,
    /// Failed attempts to accept one.
    pub accept_errors: u64,
    /// Requests answered, by us or by a server.
    pub requests: u64,
    /// The same by the first digit of the status: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub by_class: [u64; 5],
    /// Requests that were not served as asked, by the cause's stable code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Attempts beyond a request's first.
    pub retries: u64,
    /// Connections lost to a panic.
    pub panics: u64,
    /// Log lines given up because their writer did not keep up.
    pub log_lines_dropped: u64,
    /// Traffic reports given up because the health keeper did not keep up.
    pub reports_dropped: u64,
    /// Server connections destroyed because bytes came that nobody asked for.
    pub surplus: u64,
    /// Connections upgraded and tunnelled.
    pub tunnels: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
}

/// One server's loads and counters, kept while anything names it.
#[derive(Debug, Default)]
pub struct ServerShared {
    /// Requests in flight, exactly.
    pub(crate) load: Arc<ServerLoad>,
    pub(crate) errors_5xx: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) sticky_hits: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) reused: AtomicU64,
}

impl ServerShared {
    /// The exact count of requests in flight, with the totals of requests and failures.
    pub fn load(&self) -> &Arc<ServerLoad> {
        &self.load
    }
}

/// One server's numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Requests in flight now.
    pub in_flight: u32,
    /// Requests sent to it, retries included.
    pub requests: u64,
    /// Requests that failed by its fault.
    pub failures: u64,
    /// Answers of 500 and above.
    pub errors_5xx: u64,
    /// Bytes sent to it.
    pub bytes_in: u64,
    /// Bytes received from it.
    pub bytes_out: u64,
    /// Requests that came to it by their session.
    pub sticky_hits: u64,
    /// Connections made to it.
    pub connects: u64,
    /// Requests that went over a kept connection.
    pub reused: u64,
}

/// One pool's queue and counters.
#[derive(Debug, Default)]
pub(crate) struct PoolShared {
    pub(crate) queue: Arc<Queue>,
    pub(crate) requests: AtomicU64,
}

/// One pool's numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Requests that wait for a slot now.
    pub queued: u32,
    /// Requests that came to the pool.
    pub requests: u64,
}

/// One listener's counters.
#[derive(Debug, Default)]
pub(crate) struct ListenerShared {
    pub(crate) connections: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) requests: AtomicU64,
}

/// One listener's numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Requests answered.
    pub requests: u64,
}

impl Shared {
    /// The shared part of a process that carries at most `max_conns` client connections and reports failures of
    /// servers to `reports`, which should hold `caps::TRAFFIC_REPORTS`.
    pub fn new(max_conns: u32, reports: mpsc::Sender<TrafficReport>) -> Arc<Self> {
        Arc::new(Self {
            counters: Counters::default(),
            shards: Mutex::default(),
            connections: AtomicU64::new(0),
            max_conns: AtomicU32::new(max_conns),
            freed: Notify::new(),
            crowded: Notify::new(),
            reports,
            servers: Mutex::default(),
            pools: Mutex::default(),
            listeners: Mutex::default(),
            rejected: Mutex::default(),
        })
    }

    /// Changes the ceiling of client connections; those that stand are kept.
    pub fn set_max_conns(&self, max: u32) {
        self.max_conns.store(max, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// Drops what no snapshot names any more. Call it after a reload was applied everywhere.
    pub fn forget_unnamed(&self) {
        lock(&self.servers).retain(|_, server| Arc::strong_count(server) > 1 || server.load.in_flight() > 0);
        lock(&self.pools).retain(|_, pool| Arc::strong_count(pool) > 1);
        lock(&self.listeners).retain(|_, listener| Arc::strong_count(listener) > 1);
    }

    /// Client connections open now.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// The server's shared part, made on first asking and the same ever after, while a snapshot names it.
    pub fn server(&self, id: &ServerId) -> Arc<ServerShared> {
        Arc::clone(lock(&self.servers).entry(id.clone()).or_default())
    }

    /// The process's counters.
    pub fn totals(&self) -> Totals {
        let shards = lock(&self.shards).clone();
        let all = || shards.iter().map(|shard| &**shard).chain([&self.counters]);
        let sum = |of: fn(&Counters) -> &AtomicU64| all().map(|counters| read(of(counters))).sum();
        let mut by_class = [0; 5];
        for (class, total) in by_class.iter_mut().enumerate() {
            *total = all().filter_map(|counters| counters.by_class.get(class)).map(read).sum();
        }
        Totals {
            accepted: sum(|counters| &counters.accepted),
            accept_errors: sum(|counters| &counters.accept_errors),
            requests: sum(|counters| &counters.requests),
            by_class,
            rejected: lock(&self.rejected).clone(),
            retries: sum(|counters| &counters.retries),
            panics: sum(|counters| &counters.panics),
            log_lines_dropped: sum(|counters| &counters.log_lines_dropped),
            reports_dropped: sum(|counters| &counters.reports_dropped),
            surplus: sum(|counters| &counters.surplus),
            tunnels: sum(|counters| &counters.tunnels),
            bytes_in: sum(|counters| &counters.bytes_in),
            bytes_out: sum(|counters| &counters.bytes_out),
        }
    }

    /// A server's numbers; `None` for one that no snapshot ever named.
    pub fn server_stats(&self, id: &ServerId) -> Option<ServerStats> {
        let server = Arc::clone(lock(&self.servers).get(id)?);
        Some(ServerStats {
            in_flight: server.load.in_flight(),
            requests: server.load.requests(),
            failures: server.load.failures(),
            errors_5xx: read(&server.errors_5xx),
            bytes_in: read(&server.bytes_in),
            bytes_out: read(&server.bytes_out),
            sticky_hits: read(&server.sticky_hits),
            connects: read(&server.connects),
            reused: read(&server.reused),
        })
    }

    /// A listener's numbers.
    pub fn listener_stats(&self, name: &ListenerName) -> Option<ListenerStats> {
        let listener = Arc::clone(lock(&self.listeners).get(name)?);
        Some(ListenerStats {
            connections: read(&listener.connections),
            accepted: read(&listener.accepted),
            requests: read(&listener.requests),
        })
    }

    /// A pool's numbers.
    pub fn pool_stats(&self, name: &PoolName) -> Option<PoolStats> {
        let pool = Arc::clone(lock(&self.pools).get(name)?);
        Some(PoolStats { queued: pool.queue.len(), requests: read(&pool.requests) })
    }

    /// A set of counters for one worker. It outlives the worker, as its counts must.
    pub(crate) fn shard(&self) -> Arc<Counters> {
        let shard = Arc::<Counters>::default();
        lock(&self.shards).push(Arc::clone(&shard));
        shard
    }

    pub(crate) fn pool(&self, name: &PoolName) -> Arc<PoolShared> {
        Arc::clone(lock(&self.pools).entry(name.clone()).or_default())
    }

    pub(crate) fn listener(&self, name: &ListenerName) -> Arc<ListenerShared> {
        Arc::clone(lock(&self.listeners).entry(name.clone()).or_default())
    }

    /// Counts a request that was not served as asked. It takes a lock, which only failing requests pay for.
    pub(crate) fn reject(&self, code: &'static str) {
        *lock(&self.rejected).entry(code).or_default() += 1;
    }

    /// Hands a report to the health keeper, or counts that it had no room.
    pub(crate) fn report(&self, report: TrafficReport) {
        if self.reports.try_send(report).is_err() {
            add(&self.counters.reports_dropped, 1);
        }
    }

    /// Whether another client connection may stand.
    pub(crate) fn has_room(&self) -> bool {
        self.connections() < u64::from(self.max_conns.load(Ordering::Relaxed))
    }

    /// Takes one of the process's client connections, or `None` when all are taken.
    pub(crate) fn try_admit(self: &Arc<Self>) -> Option<Admission> {
        let max = u64::from(self.max_conns.load(Ordering::Relaxed));
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max).then_some(open + 1))
            .ok()
            .map(|_| Admission { shared: Arc::clone(self) })
    }

    /// Waits until there is room; only for those that found the gate shut. While somebody waits for it, who has been
    /// silent for long makes room.
    pub(crate) async fn room(&self, is_waited_for: impl Fn() -> bool) {
        loop {
            let freed = self.freed.notified();
            if self.has_room() {
                return;
            }
            if is_waited_for() {
                self.ask_for_room();
            }
            // Somebody may come, or have been silent for long enough, only later: hence another look.
            let _ = tokio::time::timeout(ROOM_PATIENCE, freed).await;
        }
    }

    /// Has each worker close the connection that has been silent for longest.
    pub(crate) fn ask_for_room(&self) {
        self.crowded.notify_waiters();
    }

    /// Ends when room is asked for.
    pub(crate) async fn room_asked_for(&self) {
        self.crowded.notified().await;
    }
}

/// One of the process's client connections; dropping it lets the next one in.
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let before = self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        if before >= u64::from(self.shared.max_conns.load(Ordering::Relaxed)) {
            self.shared.freed.notify_waiters();
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A panic while a map is held leaves the map whole: each holder makes one insertion or one removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What all workers share, and what outlives every configuration: loads, counters, queues, the gate of connections.
//!
//! Not here: anything that a request looks at to decide where it goes (`snapshot`), and what is counted (`counts`).
//! Everything hangs on stable names, so that a reload touches none of it. The maps are read when a snapshot is built,
//! when a worker first counts something of a name, and when someone asks for numbers.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use evenkeel_balance::ServerLoad;
use evenkeel_balance::sessions::SessionTable;
use evenkeel_balance::sticky::{Census, Counted, Rate};
use evenkeel_model::{ListenerName, PoolName, Reason, ServerId};
use tokio::sync::{Notify, mpsc};

use crate::counts::{ListenerCounts, PoolCounts, ServerCounts, Shards, WorkerCounts};
use crate::leaving::Leaving;
use crate::queue::Queue;
use crate::rounds::Rounds;
use crate::stats::{ListenerStats, PoolStats, ServerStats, Totals};

/// How often room is asked for while there is none.
const ROOM_PATIENCE: Duration = Duration::from_millis(100);

/// What all workers share. Made once, before the first snapshot.
pub struct Shared {
    workers: Shards<WorkerCounts>,
    next_worker: AtomicU64,
    connections: AtomicU64,
    max_conns: AtomicU32,
    /// Bytes of buffers that each worker may lend.
    buffers: Arc<AtomicU64>,
    /// Woken when a connection ends while the gate was shut.
    freed: Notify,
    /// Woken while clients may be waiting for want of room.
    crowded: Notify,
    reports: mpsc::Sender<TrafficReport>,
    reports_dropped: AtomicU64,
    servers: Mutex<HashMap<ServerId, Arc<ServerShared>>>,
    pools: Mutex<HashMap<PoolName, Arc<PoolShared>>>,
    listeners: Mutex<HashMap<ListenerName, Arc<ListenerShared>>>,
    rejected: Mutex<BTreeMap<&'static str, u64>>,
    leaving: Leaving,
    pub(crate) rounds: Arc<Rounds>,
    handshakes_failed: Mutex<BTreeMap<&'static str, u64>>,
    /// What authorities are told that look whether a host is ours, by token. Locked by requests for their path alone.
    proofs: Mutex<HashMap<String, String>>,
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

/// One server's load and counters, kept while anything names it.
#[derive(Debug, Default)]
pub(crate) struct ServerShared {
    /// Requests in flight, exactly.
    pub(crate) load: Arc<ServerLoad>,
    pub(crate) counts: Shards<ServerCounts>,
}

/// One pool's queue and counters.
#[derive(Debug, Default)]
pub(crate) struct PoolShared {
    pub(crate) queue: Arc<Queue>,
    /// Sessions that answers told, once the pool has learned any that way.
    pub(crate) sessions: OnceLock<Arc<SessionTable>>,
    pub(crate) counts: Shards<PoolCounts>,
    rate: OnceLock<Rate>,
    census: OnceLock<Census>,
}

impl PoolShared {
    /// How often tokens are used, where the pool bounds that.
    pub(crate) fn rate(&self) -> &Rate {
        self.rate.get_or_init(Rate::default)
    }

    /// Who is kept by tokens.
    pub(crate) fn census(&self) -> &Census {
        self.census.get_or_init(Census::default)
    }
}

/// One listener's counters, and its own gate.
#[derive(Debug, Default)]
pub(crate) struct ListenerShared {
    pub(crate) counts: Shards<ListenerCounts>,
    /// Its client connections, exactly.
    open: AtomicU64,
    /// Woken when one of them ends.
    freed: Notify,
    /// Whether somebody waits for room while there is none.
    is_wanted: AtomicBool,
}

impl ListenerShared {
    /// Takes one of the listener's connections; `None` when all are taken.
    pub(crate) fn try_enter(self: &Arc<Self>, most: Option<u32>) -> Option<Entry> {
        let most = most.map_or(u64::MAX, u64::from);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < most).then_some(open.saturating_add(1)))
            .ok()
            .map(|_| Entry { listener: Arc::clone(self), is_bounded: most < u64::MAX })
    }

    /// Whether another connection may stand.
    pub(crate) fn has_room(&self, most: Option<u32>) -> bool {
        most.is_none_or(|most| self.open.load(Ordering::Relaxed) < u64::from(most))
    }

    /// Waits until there is room, or for as long as it takes until another look is due. While somebody is waited for,
    /// one of the workers that look has whoever was silent for longest make room by `release`.
    pub(crate) async fn freed(&self, most: Option<u32>, is_waited_for: bool, release: impl FnOnce() -> bool) {
        let freed = self.freed.notified();
        // Whoever left before this line woke nobody here.
        if self.has_room(most) {
            return self.is_wanted.store(false, Ordering::Relaxed);
        }
        if is_waited_for {
            self.is_wanted.store(true, Ordering::Relaxed);
        }
        if self.is_wanted.load(Ordering::Relaxed) && release() {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
        let _ = tokio::time::timeout(ROOM_PATIENCE, freed).await;
    }
}

/// One of a listener's connections; dropping it lets the next one in.
pub(crate) struct Entry {
    listener: Arc<ListenerShared>,
    is_bounded: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.listener.open.fetch_sub(1, Ordering::Relaxed);
        if self.is_bounded {
            self.listener.freed.notify_waiters();
        }
    }
}

impl Shared {
    /// The shared part of a process that carries at most `max_conns` client connections and reports failures of
    /// servers to `reports`, which should hold `caps::TRAFFIC_REPORTS`.
    pub fn new(max_conns: u32, reports: mpsc::Sender<TrafficReport>) -> Arc<Self> {
        Arc::new(Self {
            workers: Shards::default(),
            next_worker: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            max_conns: AtomicU32::new(max_conns),
            buffers: Arc::new(AtomicU64::new(u64::MAX)),
            freed: Notify::new(),
            crowded: Notify::new(),
            reports,
            reports_dropped: AtomicU64::new(0),
            servers: Mutex::default(),
            pools: Mutex::default(),
            listeners: Mutex::default(),
            rejected: Mutex::default(),
            leaving: Leaving::default(),
            rounds: Arc::default(),
            handshakes_failed: Mutex::default(),
            proofs: Mutex::default(),
        })
    }

    /// What authorities are told from now on that look whether a host is ours, by token (RFC 8555 section 8.3).
    pub fn set_proofs(&self, proofs: HashMap<String, String>) {
        *lock(&self.proofs) = proofs;
    }

    /// What is told to who asks for a token.
    pub(crate) fn proof(&self, token: &[u8]) -> Option<String> {
        let token = std::str::from_utf8(token).ok()?;
        lock(&self.proofs).get(token).cloned()
    }

    /// These addresses leave this machine, and no others: connections to them end with the answer under way.
    pub fn set_leaving(&self, addrs: &[Ipv4Addr]) {
        self.leaving.set(addrs);
    }

    /// Clients are to go elsewhere, whatever address they came to: their connections end with the answer under way.
    pub fn set_all_leaving(&self, all: bool) {
        self.leaving.set_all(all);
    }

    /// Whether an address of ours leaves this machine.
    pub(crate) fn is_leaving(&self, addr: IpAddr) -> bool {
        self.leaving.holds(addr)
    }

    /// Changes the ceiling of client connections; those that stand are kept.
    pub fn set_max_conns(&self, max: u32) {
        self.max_conns.store(max, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// Changes how many bytes of buffers each worker may lend; what is lent stays.
    pub fn set_buffers(&self, of_each_worker: u64) {
        self.buffers.store(of_each_worker, Ordering::Relaxed);
    }

    pub(crate) fn buffers(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.buffers)
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

    /// The tables of learned sessions, by pool, in the order of the pools' names.
    pub fn session_tables(&self) -> BTreeMap<PoolName, Arc<SessionTable>> {
        let pools = lock(&self.pools);
        let table =
            |(name, pool): (&PoolName, &Arc<PoolShared>)| Some((name.clone(), Arc::clone(pool.sessions.get()?)));
        pools.iter().filter_map(table).collect()
    }

    /// The sessions in tokens that are not idle, by pool; those that have seen no token are left out.
    pub fn tokens_seen(&self, now_unix: u64) -> HashMap<PoolName, Counted> {
        let pools: Vec<_> = lock(&self.pools).iter().map(|(name, pool)| (name.clone(), Arc::clone(pool))).collect();
        let count = |(name, pool): (PoolName, Arc<PoolShared>)| Some((name, pool.census.get()?.count(now_unix)));
        pools.into_iter().filter_map(count).collect()
    }

    /// Requests sent to a server since it got its name, retries included.
    pub fn requests_to(&self, id: &ServerId) -> u64 {
        let Some(server) = lock(&self.servers).get(id).map(Arc::clone) else { return 0 };
        let mut sum = 0;
        server.counts.each(|counts| sum += counts.traffic.requests.read());
        sum
    }

    /// The process's counters.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            rejected: lock(&self.rejected).clone(),
            handshakes_failed: lock(&self.handshakes_failed).clone(),
            reports_dropped: self.reports_dropped.load(Ordering::Relaxed),
            ..Totals::default()
        };
        self.workers.each(|counts| {
            let fields = [
                (&mut totals.accepted, &counts.accepted),
                (&mut totals.accept_errors, &counts.accept_errors),
                (&mut totals.requests, &counts.requests),
                (&mut totals.retries, &counts.retries),
                (&mut totals.panics, &counts.panics),
                (&mut totals.log_lines_dropped, &counts.log_lines_dropped),
                (&mut totals.surplus, &counts.surplus),
                (&mut totals.tunnels, &counts.tunnels),
                (&mut totals.bytes_in, &counts.bytes_in),
                (&mut totals.bytes_out, &counts.bytes_out),
            ];
            fields.into_iter().for_each(|(total, count)| *total += count.read());
            totals.by_class.iter_mut().zip(&counts.by_class).for_each(|(total, count)| *total += count.read());
        });
        totals
    }

    /// A server's numbers; `None` for one that no snapshot ever named.
    pub fn server_stats(&self, id: &ServerId) -> Option<ServerStats> {
        let server = Arc::clone(lock(&self.servers).get(id)?);
        let mut stats = ServerStats { in_flight: server.load.in_flight(), ..ServerStats::default() };
        server.counts.each(|counts| {
            counts.traffic.read_into(&mut stats.traffic);
            stats.failures += counts.failures.read();
            stats.sticky_hits += counts.sticky_hits.read();
            stats.sticky_new += counts.sticky_new.read();
            stats.sticky_moved += counts.sticky_moved.read();
            stats.sticky_lost += counts.sticky_lost.read();
            stats.connects += counts.connects.read();
            stats.connect_failures += counts.connect_failures.read();
            stats.reused += counts.reused.read();
        });
        Some(stats)
    }

    /// A listener's numbers.
    pub fn listener_stats(&self, name: &ListenerName) -> Option<ListenerStats> {
        let listener = Arc::clone(lock(&self.listeners).get(name)?);
        let mut stats = ListenerStats::default();
        listener.counts.each(|counts| {
            // Those closed first: what closes between the two looks must not count below nothing.
            let closed = counts.closed.read();
            let accepted = counts.accepted.read();
            stats.connections += accepted.saturating_sub(closed);
            stats.accepted += accepted;
            stats.handshakes += counts.handshakes.read();
            stats.handshakes_resumed += counts.handshakes_resumed.read();
            stats.handshakes_failed += counts.handshakes_failed.read();
            stats.full += counts.full.read();
            counts.traffic.read_into(&mut stats.traffic);
        });
        Some(stats)
    }

    /// A pool's numbers.
    pub fn pool_stats(&self, name: &PoolName) -> Option<PoolStats> {
        let pool = Arc::clone(lock(&self.pools).get(name)?);
        let mut stats = PoolStats { queued: pool.queue.waiting(), ..PoolStats::default() };
        pool.counts.each(|counts| {
            counts.traffic.read_into(&mut stats.traffic);
            stats.retries += counts.retries.read();
            stats.redispatches += counts.redispatches.read();
            stats.waits.merge(&counts.waits.read());
            stats.queue_full += counts.queue_full.read();
            stats.queue_timeouts += counts.queue_timeouts.read();
        });
        stats.roaming =
            pool.census.get().map_or(0, Census::roaming) + pool.sessions.get().map_or(0, |sessions| sessions.roaming());
        Some(stats)
    }

    /// A number for a worker that nobody had before, and its counts of the process.
    pub(crate) fn enrol(&self) -> (u64, Arc<WorkerCounts>) {
        let number = self.next_worker.fetch_add(1, Ordering::Relaxed);
        (number, self.workers.of(number))
    }

    pub(crate) fn server(&self, id: &ServerId) -> Arc<ServerShared> {
        Arc::clone(lock(&self.servers).entry(id.clone()).or_default())
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

    /// Counts a handshake that came to nothing, under a lock as [`Self::reject`].
    pub(crate) fn fail_handshake(&self, code: &'static str) {
        *lock(&self.handshakes_failed).entry(code).or_default() += 1;
    }

    /// Hands a report to the health keeper, or counts that it had no room.
    pub(crate) fn report(&self, report: TrafficReport) {
        if self.reports.try_send(report).is_err() {
            self.reports_dropped.fetch_add(1, Ordering::Relaxed);
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

/// A panic while a map is held leaves the map whole: each holder makes one insertion or one removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

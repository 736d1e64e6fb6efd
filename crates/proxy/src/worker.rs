//! One worker: a thread's whole share of the traffic.
//!
//! Not here: the thread and its runtime; the composition root makes them. A worker takes commands one by one and
//! answers each when traffic sees its effect. What it remembers between requests (turns of balancing, kept
//! connections, free buffers, unfinished log batches) is its own and needs no lock. Its tasks are one for each socket
//! that it accepts on, one for each client connection, and hands for the streams of HTTP/2; all end with it.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::{Picker, Rng};
use evenkeel_http::format_http_date;
use evenkeel_model::ListenerName;
use evenkeel_net::{clock, memory, rng};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::buffer::FreeList;
use crate::counts::WorkerCounts;
use crate::hold::{HeldPool, Hold};
use crate::listen::Door;
use crate::log::Batches;
use crate::serve::h2::Hands;
use crate::serve::room::Rooms;
use crate::server::h2::Links;
use crate::server::pool::IdlePool;
use crate::shared::Shared;
use crate::sleepers::{DoorId, Sleepers};
use crate::snapshot::Snapshot;

/// How long a log line waits for company before it is handed over.
const LOG_PATIENCE: Duration = Duration::from_millis(100);

/// How often unused server connections are looked through: they live seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How long cut connections get to write their log lines.
const CUT_GRACE: Duration = Duration::from_millis(200);

/// The silence after which a client's connection makes room for a new one, where there is none else: longer than the
/// pauses of a client that is at work, so that a crowd of those is not cut off from one another.
const LONG_SILENCE: Duration = Duration::from_secs(1);

/// What a worker is told.
pub enum Command {
    /// Use this snapshot from now on, accept on these sockets too, stop accepting at those.
    Apply {
        /// The snapshot.
        snapshot: Arc<Snapshot>,
        /// Sockets of this worker to accept on, bound and listening.
        open: Vec<(ListenerName, TcpListener)>,
        /// Listeners to stop accepting at. Connections that wait in their sockets are still served.
        close: Vec<ListenerName>,
        /// Answered when traffic sees it.
        done: oneshot::Sender<()>,
    },
    /// Stop accepting. Idle connections close; the others are told to with their answer and finish; tunnels end at
    /// the deadline.
    Drain {
        /// When the rest is cut.
        deadline: Instant,
        /// Answered when no connection is left.
        done: oneshot::Sender<DrainOutcome>,
    },
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainOutcome {
    /// Connections that the deadline cut.
    pub cut: u64,
}

/// What one worker has and remembers.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) free: FreeList,
    /// Bytes that readers of passing pages take.
    pub(crate) page_bytes: Rc<Cell<usize>>,
    pub(crate) batches: Batches,
    pub(crate) idle: IdlePool,
    pub(crate) links: Links,
    pub(crate) sleepers: Sleepers,
    /// Connections in a handshake of TLS.
    pub(crate) handshakes: Sleepers,
    pub(crate) rooms: Rooms,
    /// Who serves streams of HTTP/2.
    pub(crate) hands: Hands,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    /// Woken when idle connections and tunnels must look whether they still may stand.
    pub(crate) turn: Notify,
    /// Woken when another snapshot is in force.
    pub(crate) applied: Notify,
    snapshot: RefCell<Option<Rc<Hold>>>,
    /// A number that no other worker of the process has or had.
    pub(crate) number: u64,
    /// What this worker counts of the process.
    pub(crate) counts: Arc<WorkerCounts>,
    rng: RefCell<Rng>,
    nonce: Cell<([u8; 16], u64)>,
    date: Cell<(u64, [u8; 29])>,
    drain_until: Cell<Option<Instant>>,
    is_cut: Cell<bool>,
    open: Cell<u64>,
    emptied: Notify,
    poked: Notify,
}

/// One worker's whole life, to be run on its own single-threaded runtime inside a `LocalSet`. It returns when it is
/// drained or when nobody can command it any more; what still stands then ends with the `LocalSet`.
pub async fn worker(index: usize, shared: Arc<Shared>, mut commands: mpsc::Receiver<Command>) {
    let worker = Rc::new(Worker::new(index, shared));
    let mut doors: Vec<Door> = Vec::new();
    let mut draining: Option<oneshot::Sender<DrainOutcome>> = None;
    let mut flush_at: Option<Instant> = None;
    let mut sweep_at = Instant::now() + SWEEP_EVERY;
    loop {
        let deadline = worker.drain_until.get();
        let next = [flush_at, deadline].into_iter().flatten().fold(sweep_at, Instant::min);
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                None => break,
                Some(Command::Apply { snapshot, open, close, done }) => {
                    worker.apply(snapshot, open, &close, &mut doors);
                    // Whoever asked may have stopped waiting; the change stands all the same.
                    let _ = done.send(());
                }
                Some(Command::Drain { deadline, done }) => {
                    doors.drain(..).for_each(Door::close);
                    worker.drain_until.set(Some(deadline));
                    worker.turn.notify_waiters();
                    draining = Some(done);
                }
            },
            () = worker.poked.notified() => flush_at = flush_at.or_else(|| Some(Instant::now() + LOG_PATIENCE)),
            () = worker.shared.room_asked_for() => worker.make_room(),
            () = worker.emptied.notified(), if draining.is_some() => {}
            () = tokio::time::sleep_until(next) => {}
        }
        let now = Instant::now();
        if flush_at.is_some_and(|at| at <= now) {
            worker.flush();
            flush_at = None;
        }
        if sweep_at <= now {
            worker.sweep(now);
            sweep_at = now + SWEEP_EVERY;
        }
        if draining.is_some() && (worker.open.get() == 0 || deadline.is_some_and(|at| at <= now)) {
            // Closing doors take whoever waits at them, which needs a few turns.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            if worker.open.get() == 0 || deadline.is_some_and(|at| at <= now) {
                let outcome = worker.cut().await;
                if let Some(done) = draining.take() {
                    let _ = done.send(outcome);
                }
                break;
            }
        }
    }
    worker.flush();
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let [a, b, c, d] = quarters(rng::seed());
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&a.to_le_bytes());
        nonce[8..].copy_from_slice(&b.to_le_bytes());
        let (number, counts) = shared.enrol();
        let free = FreeList::new(shared.buffers());
        Self {
            index,
            number,
            counts,
            shared,
            free,
            page_bytes: Rc::default(),
            batches: Batches::default(),
            idle: IdlePool::default(),
            links: Links::default(),
            sleepers: Sleepers::default(),
            handshakes: Sleepers::default(),
            rooms: Rooms::default(),
            hands: Hands::default(),
            scratch: RefCell::new(vec![0; evenkeel_model::caps::BODY_BUFFER].into_boxed_slice()),
            turn: Notify::new(),
            applied: Notify::new(),
            snapshot: RefCell::new(None),
            rng: RefCell::new(Rng::new(c ^ d)),
            nonce: Cell::new((nonce, 0)),
            date: Cell::new((0, [b' '; 29])),
            drain_until: Cell::new(None),
            is_cut: Cell::new(false),
            open: Cell::new(0),
            emptied: Notify::new(),
            poked: Notify::new(),
        }
    }

    fn apply(
        self: &Rc<Self>,
        snapshot: Arc<Snapshot>,
        open: Vec<(ListenerName, TcpListener)>,
        close: &[ListenerName],
        doors: &mut Vec<Door>,
    ) {
        let is_known = |current: &Rc<Hold>| Arc::ptr_eq(current.snapshot(), &snapshot);
        if open.is_empty() && close.is_empty() && self.snapshot.borrow().as_ref().is_some_and(is_known) {
            // Somebody asked only whether we are alive.
            return;
        }
        let is_same_config =
            self.snapshot.borrow().as_ref().is_some_and(|current| Arc::ptr_eq(current.config(), snapshot.config()));
        self.idle.retain_named(&snapshot);
        self.links.retain_named(&snapshot);
        // Waiters of the queue look again: a server may have come, gone, or got another limit.
        snapshot.pools().iter().for_each(|pool| pool.shared.queue.wake_all());
        let hold = Hold::new(self.number, snapshot, self.snapshot.borrow().as_deref());
        *self.snapshot.borrow_mut() = Some(hold);
        self.applied.notify_waiters();
        for (name, socket) in open {
            match Door::open(self, name.clone(), socket) {
                Ok(door) => doors.push(door),
                Err(error) => tracing::error!(listener = %name, %error, "the socket cannot be accepted on"),
            }
        }
        let (closing, staying) = std::mem::take(doors).into_iter().partition(|door: &Door| close.contains(&door.name));
        *doors = staying;
        closing.into_iter().for_each(Door::close);
        if !is_same_config {
            // Which connections may stay depends on the configuration alone; idle ones are many.
            self.turn.notify_waiters();
        }
    }

    /// Lets go what nobody needs any more.
    fn sweep(&self, now: Instant) {
        self.idle.sweep(now, &self.counts);
        if let Some(snapshot) = self.snapshot() {
            self.links.retain_named(&snapshot);
        }
        self.rooms.trim();
        self.hands.trim();
        if self.free.trim() {
            memory::give_back();
        }
    }

    /// Ends what the drain's deadline found standing.
    async fn cut(&self) -> DrainOutcome {
        let cut = self.open.get();
        if cut > 0 {
            self.is_cut.set(true);
            self.turn.notify_waiters();
            let until = Instant::now() + CUT_GRACE;
            while self.open.get() > 0 && tokio::time::timeout_at(until, self.emptied.notified()).await.is_ok() {}
        }
        DrainOutcome { cut }
    }

    fn flush(&self) {
        self.count_lost_lines(self.batches.flush());
    }

    pub(crate) fn count_lost_lines(&self, lines: u64) {
        if lines > 0 {
            self.counts.log_lines_dropped.add(lines);
        }
    }

    /// Plans a flush of the log batches.
    pub(crate) fn poke(&self) {
        self.poked.notify_one();
    }

    /// The snapshot in force. There is one from the first `Apply` on, and no connection before.
    pub(crate) fn snapshot(&self) -> Option<Rc<Hold>> {
        self.snapshot.borrow().clone()
    }

    /// Whether the worker is to have no connections any more, soon.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain_until.get().is_some()
    }

    /// Whether the drain's deadline has passed.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The pool's turns, at work for the length of one call.
    pub(crate) fn with_picker<T>(&self, pool: &HeldPool, work: impl FnOnce(&mut Picker, &mut Rng) -> T) -> T {
        work(&mut pool.memory().picker.borrow_mut(), &mut self.rng.borrow_mut())
    }

    /// Takes a retry out of the pool's budget, if there is one left.
    pub(crate) fn may_retry(&self, pool: &HeldPool) -> bool {
        pool.memory().budget.borrow_mut().try_spend(clock::now())
    }

    /// A number by chance.
    pub(crate) fn chance(&self) -> u64 {
        self.rng.borrow_mut().next_u64()
    }

    /// A nonce that no token had before: 16 bytes of the system's chance, drawn once, and a count.
    pub(crate) fn nonce(&self) -> [u8; 24] {
        let (random, count) = self.nonce.get();
        self.nonce.set((random, count.wrapping_add(1)));
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&random);
        nonce[16..].copy_from_slice(&count.to_le_bytes());
        nonce
    }

    /// The `Date` of an answer made now.
    pub(crate) fn date(&self, unix: Duration) -> [u8; 29] {
        let (second, text) = self.date.get();
        if second == unix.as_secs() {
            return text;
        }
        let mut text = [b' '; 29];
        format_http_date(unix.as_secs(), &mut text);
        self.date.set((unix.as_secs(), text));
        text
    }

    /// Lets go whoever has been silent for longest, if that was long.
    fn make_room(&self) {
        let before = Instant::now() - LONG_SILENCE;
        self.sleepers.wake_oldest(before);
        self.handshakes.wake_oldest(before);
    }

    /// Lets go whoever of a listener's has been silent for longest, if that was long; whether there was one.
    pub(crate) fn make_room_at(&self, door: DoorId) -> bool {
        self.sleepers.wake_oldest_of(door, Instant::now() - LONG_SILENCE)
    }

    /// The most connections of a listener, by the configuration in force.
    pub(crate) fn most_conns(&self, listener: &ListenerName) -> Option<u32> {
        let snapshot = self.snapshot()?;
        let (config, _) = snapshot.listener(snapshot.listener_place(listener)?)?;
        config.max_conns
    }

    /// Counts a connection in; dropping the guard counts it out.
    pub(crate) fn enter(self: &Rc<Self>) -> Presence {
        self.open.set(self.open.get() + 1);
        Presence { worker: Rc::clone(self) }
    }
}

/// One client connection's presence on a worker.
pub(crate) struct Presence {
    worker: Rc<Worker>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let left = self.worker.open.get().saturating_sub(1);
        self.worker.open.set(left);
        if left == 0 {
            self.worker.emptied.notify_one();
        }
        if std::thread::panicking() {
            // The runtime ends this task alone; the message was written when the panic began.
            self.worker.counts.panics.add(1);
            tracing::error!(worker = self.worker.index, "a connection was lost to a panic");
        }
    }
}

fn quarters(seed: [u8; 32]) -> [u64; 4] {
    let mut numbers = [0; 4];
    for (number, bytes) in numbers.iter_mut().zip(seed.chunks_exact(8)) {
        *number = bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    }
    numbers
}

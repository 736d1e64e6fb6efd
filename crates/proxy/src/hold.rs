//! One worker's hold on a snapshot, with what the worker remembers and counts of each thing in it.
//!
//! Not here: the snapshot itself. Requests share a hold by a count that no other worker writes to: a count shared by
//! all cores would be the one piece of memory that every request of every core fights for. The invariant: a pool's
//! turns and budget, and all counts, go on from one hold to the next.

use std::cell::{OnceCell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use evenkeel_balance::{Picker, RetryBudget, ServerIndex, TokenMemo};

use crate::counts::{ListenerCounts, PoolCounts, ServerCounts};
use crate::snapshot::{PoolPart, Snapshot};

/// One worker's hold on a snapshot.
pub(crate) struct Hold {
    worker: u64,
    snapshot: Arc<Snapshot>,
    pools: Vec<PoolHold>,
    listeners: Vec<OnceCell<Arc<ListenerCounts>>>,
}

/// One worker's hold on a pool.
pub(crate) type PoolHold = Rc<HeldPool>;

/// A pool, with what one worker has to it.
pub(crate) struct HeldPool {
    worker: u64,
    part: Arc<PoolPart>,
    memory: Rc<PoolMemory>,
    counts: OnceCell<Arc<PoolCounts>>,
    servers: Vec<OnceCell<Arc<ServerCounts>>>,
}

/// What one worker remembers of one pool.
pub(crate) struct PoolMemory {
    pub(crate) picker: RefCell<Picker>,
    pub(crate) budget: RefCell<RetryBudget>,
    pub(crate) tokens: RefCell<TokenMemo>,
}

impl Hold {
    /// The worker's hold on a snapshot that follows another.
    pub(crate) fn new(worker: u64, snapshot: Arc<Snapshot>, previous: Option<&Self>) -> Rc<Self> {
        let is_same_config = previous.is_some_and(|previous| Arc::ptr_eq(previous.config(), snapshot.config()));
        let held = |(place, part): (usize, &Arc<PoolPart>)| {
            let before = previous.and_then(|previous| {
                let place = if is_same_config { place } else { previous.pool_place(&part.config.name)? };
                previous.pool(place)
            });
            match before {
                Some(before) if Arc::ptr_eq(&before.part, part) => Rc::clone(before),
                before => Rc::new(HeldPool::new(worker, Arc::clone(part), before.map(|before| &before.memory))),
            }
        };
        let pools = snapshot.pools().iter().enumerate().map(held).collect();
        let listeners = (0..snapshot.listeners().len()).map(|_| OnceCell::new()).collect();
        Rc::new(Self { worker, snapshot, pools, listeners })
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(crate) fn pool(&self, place: usize) -> Option<&PoolHold> {
        self.pools.get(place)
    }

    /// What the worker counts of the listener at that place.
    pub(crate) fn listener_counts(&self, place: usize) -> Option<&ListenerCounts> {
        let (_, part) = self.snapshot.listener(place)?;
        Some(self.listeners.get(place)?.get_or_init(|| part.shared.counts.of(self.worker)))
    }
}

impl Deref for Hold {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl HeldPool {
    /// A hold of nobody's, for looking at a pool beside its traffic.
    pub(crate) fn aside(part: Arc<PoolPart>) -> Self {
        Self::new(0, part, None)
    }

    fn new(worker: u64, part: Arc<PoolPart>, memory: Option<&Rc<PoolMemory>>) -> Self {
        let percent = part.config.retry.budget;
        let memory = match memory {
            Some(memory) => {
                memory.budget.borrow_mut().set_percent(percent);
                Rc::clone(memory)
            }
            None => Rc::new(PoolMemory {
                picker: RefCell::new(Picker::new()),
                budget: RefCell::new(RetryBudget::new(percent)),
                tokens: RefCell::default(),
            }),
        };
        let servers = part.servers.iter().map(|_| OnceCell::new()).collect();
        Self { worker, part, memory, counts: OnceCell::new(), servers }
    }

    /// The pool as all workers see it.
    pub(crate) fn part(&self) -> &PoolPart {
        &self.part
    }

    pub(crate) fn memory(&self) -> &PoolMemory {
        &self.memory
    }

    /// What the worker counts of the pool.
    pub(crate) fn counts(&self) -> &PoolCounts {
        self.counts.get_or_init(|| self.part.shared.counts.of(self.worker))
    }

    /// What the worker counts of a server.
    pub(crate) fn server_counts(&self, index: ServerIndex) -> Option<&ServerCounts> {
        let server = self.part.server(index)?;
        Some(self.servers.get(index.at())?.get_or_init(|| server.shared.counts.of(self.worker)))
    }
}

impl Deref for HeldPool {
    type Target = PoolPart;

    fn deref(&self) -> &PoolPart {
        &self.part
    }
}

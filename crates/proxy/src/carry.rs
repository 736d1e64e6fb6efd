//! Bytes both ways that mean nothing to us: upgraded connections, and those of TCP listeners.
//!
//! Not here: how the two ends were found, and what is said of the end. The invariant: each end gets the bytes of the
//! other in their order and all of them, or learns by a reset that it did not.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_balance::{ServerIndex, ServerUid};
use evenkeel_model::config::OnDown;
use evenkeel_model::{PoolName, State};
use tokio::time::Instant;

use crate::buffer::Charge;
use crate::snapshot::PoolPart;
use crate::timer::Timer;
use crate::wire::{Stream, Wire};
use crate::worker::Worker;

/// What is read at a time while memory for buffers is lent out.
const SPARING: usize = 4 * 1024;

/// The two ends of a connection, and the client's timer.
pub(crate) struct Ends<'a> {
    pub(crate) client: &'a mut Stream,
    pub(crate) server: &'a mut Stream,
    pub(crate) timer: &'a mut Timer,
}

/// How long a connection may be silent, and what else ends it.
pub(crate) struct Terms {
    /// Without a byte either way.
    pub(crate) idle: Duration,
    /// Once one side has ended, without a byte from the other.
    pub(crate) fin: Duration,
    /// The server whose end is the connection's.
    pub(crate) bound: Option<Bound>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides have ended.
    Whole,
    /// Neither said a word for too long.
    Idle,
    /// One side had ended, and the other said nothing for too long.
    HalfIdle,
    /// The client's connection broke.
    ClientBroke,
    /// The server's connection broke.
    ServerBroke,
    /// A drain's deadline passed.
    Cut,
    /// The server is not to have connections any more.
    ServerDown,
}

/// Carries bytes until both sides have ended or something else ends it. `tally` hears how many went up and down, as
/// they go.
pub(crate) async fn carry(
    worker: &Rc<Worker>,
    ends: Ends<'_>,
    [up, down]: [&mut Side; 2],
    mut terms: Terms,
    mut tally: impl FnMut(u64, u64),
) -> Ended {
    let mut turned = pin!(worker.turn.notified());
    let mut applied = pin!(worker.applied.notified());
    let mut progress = Instant::now();
    let (mut counted_up, mut counted_down) = (0, 0);
    poll_fn(|cx| {
        let moved = {
            let mut scratch = worker.scratch.borrow_mut();
            let room = if worker.free.is_full() { SPARING.min(scratch.len()) } else { scratch.len() };
            let scratch = scratch.get_mut(..room).unwrap_or_default();
            let up = up.advance(cx, ends.client, ends.server, scratch);
            let down = down.advance(cx, ends.server, ends.client, scratch);
            match (up, down) {
                (Ok(up), Ok(down)) => Ok(up || down),
                (Err(Broke::Source), _) | (_, Err(Broke::Sink)) => Err(Ended::ClientBroke),
                (Err(Broke::Sink), _) | (_, Err(Broke::Source)) => Err(Ended::ServerBroke),
            }
        };
        if up.moved != counted_up || down.moved != counted_down {
            tally(up.moved - counted_up, down.moved - counted_down);
            (counted_up, counted_down) = (up.moved, down.moved);
        }
        let moved = match moved {
            Ok(moved) => moved,
            Err(ended) => return Poll::Ready(ended),
        };
        if up.is_over && down.is_over {
            return Poll::Ready(Ended::Whole);
        }
        while turned.as_mut().poll(cx).is_ready() {
            turned.set(worker.turn.notified());
        }
        if worker.is_cut() {
            return Poll::Ready(Ended::Cut);
        }
        if let Some(bound) = &mut terms.bound {
            while applied.as_mut().poll(cx).is_ready() {
                applied.set(worker.applied.notified());
                if bound.has_fallen(worker) {
                    return Poll::Ready(Ended::ServerDown);
                }
            }
        }
        if moved {
            progress = Instant::now();
        }
        let is_half = up.is_over || down.is_over;
        let (patience, ended) = if is_half { (terms.fin, Ended::HalfIdle) } else { (terms.idle, Ended::Idle) };
        ends.timer.poll_passed(cx, progress + patience).map(|()| ended)
    })
    .await
}

/// A server that a connection is bound to: it ends with the server's being up.
#[derive(Debug)]
pub(crate) struct Bound {
    pool: PoolName,
    server: ServerUid,
    was_up: bool,
}

impl Bound {
    /// The bond of a connection to that server, where the pool has such.
    pub(crate) fn of(pool: &PoolPart, index: ServerIndex) -> Option<Self> {
        let server = pool.server(index).filter(|_| pool.config.on_down == OnDown::Close)?;
        Some(Self::new(pool.config.name.clone(), server.uid, pool.state(index)))
    }

    /// A bond to a server of which that is held at present.
    fn new(pool: PoolName, server: ServerUid, state: Option<State>) -> Self {
        Self { pool, server, was_up: state.is_some_and(is_serving) }
    }

    /// Whether the server was up and is down, in maintenance or gone. One that was down when the connection was made,
    /// since the pool fails open, has first to come up.
    fn has_fallen(&mut self, worker: &Worker) -> bool {
        let is_up = worker.snapshot().is_some_and(|snapshot| {
            let pool = snapshot.pool_place(&self.pool).and_then(|place| snapshot.pool(place));
            let state = pool.and_then(|pool| pool.state(pool.plan.server(self.server)?));
            state.is_some_and(is_serving)
        });
        let has_fallen = self.was_up && !is_up;
        self.was_up = is_up;
        has_fallen
    }
}

fn is_serving(state: State) -> bool {
    matches!(state, State::Up | State::Unknown | State::Draining)
}

/// Which end of a direction broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broke {
    Source,
    Sink,
}

/// One direction: bytes that the sink did not take at once.
pub(crate) struct Side {
    worker: Rc<Worker>,
    pending: Vec<u8>,
    charge: Charge,
    sent: usize,
    is_source_ended: bool,
    is_over: bool,
    /// Bytes written.
    pub(crate) moved: u64,
}

impl Side {
    /// A direction that begins with bytes in hand.
    pub(crate) fn with(worker: &Rc<Worker>, bytes: Vec<u8>) -> Self {
        let charge = worker.free.hold(bytes.len() as u64);
        Self {
            worker: Rc::clone(worker),
            pending: bytes,
            charge,
            sent: 0,
            is_source_ended: false,
            is_over: false,
            moved: 0,
        }
    }

    /// Moves what can be moved, through `scratch`, which is free again afterwards: a silent connection holds no buffer.
    /// Returns whether a byte moved.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
        scratch: &mut [u8],
    ) -> Result<bool, Broke> {
        let mut moved = false;
        loop {
            while let Some(rest) = self.pending.get(self.sent..).filter(|rest| !rest.is_empty()) {
                let Poll::Ready(written) = sink.poll_write_vectored(cx, &[IoSlice::new(rest)]) else {
                    return Ok(moved);
                };
                let written = wrote(&written)?;
                self.sent += written;
                self.moved += written as u64;
                moved = true;
            }
            self.put_aside(&[]);
            if self.is_over {
                return Ok(moved);
            }
            if self.is_source_ended {
                // Half-close: the other direction may go on.
                let Poll::Ready(ended) = sink.poll_end(cx) else { return Ok(moved) };
                ended.map_err(|_| Broke::Sink)?;
                self.is_over = true;
                return Ok(true);
            }
            let Poll::Ready(read) = source.poll_read(cx, scratch) else { return Ok(moved) };
            let read = read.map_err(|_| Broke::Source)?;
            moved = true;
            if read == 0 {
                self.is_source_ended = true;
                continue;
            }
            let fresh = scratch.get(..read).unwrap_or_default();
            let written = match sink.poll_write_vectored(cx, &[IoSlice::new(fresh)]) {
                Poll::Ready(written) => wrote(&written)?,
                Poll::Pending => 0,
            };
            self.moved += written as u64;
            self.put_aside(fresh.get(written..).unwrap_or_default());
        }
    }

    /// Keeps these bytes, and them alone, for later.
    fn put_aside(&mut self, rest: &[u8]) {
        if self.pending.is_empty() && rest.is_empty() {
            return;
        }
        self.pending = rest.to_vec();
        self.worker.free.charge(&mut self.charge, rest.len() as u64);
        self.sent = 0;
    }
}

fn wrote(written: &io::Result<usize>) -> Result<usize, Broke> {
    match written {
        Ok(0) | Err(_) => Err(Broke::Sink),
        Ok(written) => Ok(*written),
    }
}

//! Connections to servers that nobody uses at the moment, one worker's share.
//!
//! The latest used is the first used again, so that a quiet hour lets the others go. The invariant: a connection on
//! which anything came while nobody asked is never used again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenkeel_http::preface::proxy::Ends;
use evenkeel_model::{ServerId, caps};
use tokio::time::Instant;

use crate::counts::WorkerCounts;
use crate::rounds::Note;
use crate::snapshot::{ServerPart, Snapshot, Way};
use crate::wire::{Stream, Wire};

/// One worker's unused connections, by server. Servers are few, and two names are compared faster than one is hashed.
#[derive(Default)]
pub(crate) struct IdlePool {
    shelves: RefCell<BTreeMap<ServerId, Shelf>>,
}

/// One server's, the latest used last.
struct Shelf {
    way: Way,
    addrs: Arc<[SocketAddr]>,
    keep: Duration,
    connections: Vec<Idle>,
}

struct Idle {
    stream: Box<Stream>,
    note: Option<Box<Note>>,
    /// The client of which the server was told that the connection is his.
    owner: Option<Ends>,
    since: Instant,
}

impl Shelf {
    /// The latest used one of those that the owner may use for what has passed so many listeners of ours.
    fn pop(&mut self, (owner, rounds): (Option<Ends>, u32)) -> Option<Idle> {
        let fits = |idle: &Idle| idle.owner == owner && idle.note.as_ref().is_none_or(|note| note.is_for(rounds));
        let place = self.connections.iter().rposition(fits)?;
        Some(self.connections.remove(place))
    }
}

/// What a look at an unused connection shows.
enum State {
    Silent,
    Closed,
    /// Bytes that belong to no request: the next client must never see them.
    Surplus,
}

impl IdlePool {
    /// The latest used connection that is still good. `must_be_fresh` asks the system, at the price of a call.
    pub(crate) fn take(
        &self,
        id: &ServerId,
        counts: &WorkerCounts,
        must_be_fresh: bool,
        user: (Option<Ends>, u32),
        now: Instant,
    ) -> Option<(Box<Stream>, Option<Box<Note>>)> {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(id)?;
        while let Some(mut idle) = shelf.pop(user) {
            let keep = shelf.keep;
            let is_old = |idle: &Idle| now >= idle.since + keep;
            if is_old(&idle) {
                // Those below it are older still.
                shelf.connections.retain(|idle| !is_old(idle));
                return None;
            }
            match glance(&mut idle.stream) {
                State::Silent if must_be_fresh && idle.stream.is_closed_or_readable() => {}
                State::Silent => return Some((idle.stream, idle.note)),
                State::Closed => {}
                State::Surplus => counts.surplus.add(1),
            }
        }
        None
    }

    /// Keeps a connection, used until now, for later.
    pub(crate) fn put(
        &self,
        server: &ServerPart,
        keep: Duration,
        (stream, note): (Box<Stream>, Option<Box<Note>>),
        owner: Option<Ends>,
        now: Instant,
    ) {
        if keep.is_zero() {
            return;
        }
        let mut shelves = self.shelves.borrow_mut();
        let shelf = match shelves.get_mut(&server.id) {
            Some(shelf) => shelf,
            None => {
                let (way, addrs) = (server.way.clone(), Arc::clone(&server.addrs));
                let shelf = Shelf { way, addrs, keep, connections: Vec::new() };
                shelves.entry(server.id.clone()).or_insert(shelf)
            }
        };
        if owner.is_some() && shelf.connections.len() >= caps::IDLE_OWNED_CONNECTIONS {
            // Its client may be gone, and nobody else can use it.
            shelf.connections.remove(0);
        }
        // The snapshot of the request may be older than the shelf's.
        let is_as_wanted = shelf.way.is_same(&server.way) && shelf.addrs.contains(&stream.peer_addr());
        if shelf.connections.len() < caps::IDLE_SERVER_CONNECTIONS && is_as_wanted {
            shelf.connections.push(Idle { stream, note, owner, since: now });
        }
    }

    /// Lets go what was kept too long, was closed, or spoke unasked.
    pub(crate) fn sweep(&self, now: Instant, counts: &WorkerCounts) {
        for shelf in self.shelves.borrow_mut().values_mut() {
            let keep = shelf.keep;
            shelf.connections.retain_mut(|idle| {
                now.duration_since(idle.since) < keep
                    && match look(&mut idle.stream) {
                        State::Silent => true,
                        State::Closed => false,
                        State::Surplus => {
                            counts.surplus.add(1);
                            false
                        }
                    }
            });
        }
    }

    /// Lets all of them go, so that their descriptors are there for connections that are needed now; whether there were any.
    pub(crate) fn let_go(&self) -> bool {
        let mut shelves = self.shelves.borrow_mut();
        shelves.values_mut().map(|shelf| shelf.connections.drain(..).count()).sum::<usize>() > 0
    }

    /// Follows a snapshot: connections to servers that left or moved close.
    pub(crate) fn retain_named(&self, snapshot: &Snapshot) {
        self.shelves.borrow_mut().retain(|id, shelf| {
            let pool = snapshot.pool_place(&id.pool).and_then(|place| snapshot.pools().get(place));
            let server = pool.and_then(|pool| pool.servers.iter().find(|server| server.id == *id));
            let Some((pool, server)) = pool.zip(server) else { return false };
            if !shelf.way.is_same(&server.way) {
                return false;
            }
            shelf.addrs = Arc::clone(&server.addrs);
            shelf.keep = pool.config.timeouts.keep;
            shelf.connections.retain(|idle| shelf.addrs.contains(&idle.stream.peer_addr()));
            true
        });
    }
}

/// Looks without a system call where the runtime has seen nothing happen.
fn glance(stream: &mut Stream) -> State {
    match stream.try_read(&mut [0; 1]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => State::Silent,
        Ok(0) | Err(_) => State::Closed,
        Ok(_) => State::Surplus,
    }
}

/// The same, and has whoever waited last on the stream forgotten: its task may be over.
fn look(stream: &mut Stream) -> State {
    let mut cx = Context::from_waker(Waker::noop());
    match stream.poll_read(&mut cx, &mut [0; 1]) {
        Poll::Pending => State::Silent,
        Poll::Ready(Ok(0) | Err(_)) => State::Closed,
        Poll::Ready(Ok(_)) => State::Surplus,
    }
}

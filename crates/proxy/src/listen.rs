//! The doors: accepting connections, as many as may stand.
//!
//! Not here: binding (the composition root) and what happens on a connection (`serve`). The invariant: an error of
//! accepting never ends a door, and never makes it spin; a connection that was accepted is counted before it is served.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_net::stream;
use tokio::sync::Notify;

use crate::counts::ListenerCounts;
use crate::serve;
use crate::shared::{Admission, Entry, ListenerShared};
use crate::sleepers::DoorId;
use crate::wire::Stream;
use crate::worker::Worker;

/// How long a door rests when the system has run out of something: long enough that connections end meanwhile.
const REST: Duration = Duration::from_millis(50);

/// Connections that a closing door still takes from its socket's queue: more than any queue holds.
const LAST_CALL: usize = 65_536;

/// A socket that a worker accepts on.
pub(crate) struct Door {
    pub(crate) name: ListenerName,
    stop: Rc<Notify>,
}

impl Door {
    /// Begins to accept.
    pub(crate) fn open(worker: &Rc<Worker>, name: ListenerName, socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let stop = Rc::new(Notify::new());
        let listener = worker.shared.listener(&name);
        let keeper = Keeper {
            worker: Rc::clone(worker),
            counts: listener.counts.of(worker.number),
            listener,
            name: name.clone(),
            socket,
        };
        let stopped = Rc::clone(&stop);
        tokio::task::spawn_local(async move {
            tokio::select! {
                () = stopped.notified() => {}
                () = keeper.accept_for_ever() => {}
            }
            keeper.last_call().await;
        });
        Ok(Self { name, stop })
    }

    /// Stops accepting. What waits in the socket's queue is still served.
    pub(crate) fn close(self) {
        self.stop.notify_one();
    }
}

struct Keeper {
    worker: Rc<Worker>,
    counts: Arc<ListenerCounts>,
    listener: Arc<ListenerShared>,
    name: ListenerName,
    socket: tokio::net::TcpListener,
}

impl Keeper {
    async fn accept_for_ever(&self) {
        let shared = &self.worker.shared;
        let mut is_exhausted = false;
        loop {
            // Connections beyond the ceiling wait in the system's queue, where they cost us nothing.
            shared.room(|| stream::is_called_at(&self.socket)).await;
            self.room_here().await;
            match stream::accept(&self.socket).await {
                Ok(stream) => {
                    is_exhausted = false;
                    self.admit(stream).await;
                }
                Err(error) => {
                    self.worker.counts.accept_errors.add(1);
                    if stream::is_exhaustion(&error) {
                        // Said once for each time of want, not at every rest.
                        if !std::mem::replace(&mut is_exhausted, true) {
                            tracing::warn!(listener = %self.name, %error, "cannot accept for want of descriptors or memory");
                        }
                        // What is kept for later has descriptors that are wanted now.
                        if !self.worker.idle.let_go() {
                            shared.ask_for_room();
                            tokio::time::sleep(REST).await;
                        }
                    }
                }
            }
        }
    }

    /// Another worker may have taken the last place since we looked: then this connection waits for the next one.
    async fn admit(&self, stream: Stream) {
        let shared = &self.worker.shared;
        let admission = loop {
            match shared.try_admit() {
                Some(admission) => break admission,
                None => shared.room(|| true).await,
            }
        };
        let entry = loop {
            match self.listener.try_enter(self.most()) {
                Some(entry) => break entry,
                None => self.listener.freed(self.most(), true, || self.make_room()).await,
            }
        };
        self.serve(stream, (admission, entry));
    }

    /// Waits until the listener may have another connection. Those that come meanwhile wait in the system's queue, too.
    async fn room_here(&self) {
        if self.listener.has_room(self.most()) {
            return;
        }
        let mut is_told = false;
        while !self.listener.has_room(self.most()) {
            let is_called = stream::is_called_at(&self.socket);
            // Counted once for each time of want, and only where somebody has to wait for it.
            if is_called && !std::mem::replace(&mut is_told, true) {
                self.counts.full.add(1);
            }
            self.listener.freed(self.most(), is_called, || self.make_room()).await;
        }
    }

    fn most(&self) -> Option<u32> {
        self.worker.most_conns(&self.name)
    }

    fn make_room(&self) -> bool {
        self.worker.make_room_at(DoorId::of(&self.listener))
    }

    fn serve(&self, stream: Stream, admitted: (Admission, Entry)) {
        self.worker.counts.accepted.add(1);
        let attendance = Attendance::new(&self.counts, admitted);
        let presence = self.worker.enter();
        let held = (attendance, presence);
        let (worker, name) = (Rc::clone(&self.worker), self.name.clone());
        if serve::is_plain(&worker, &name) {
            let connection = serve::connection(worker, name, stream);
            tokio::task::spawn_local(async move {
                let _held = held;
                connection.await;
            });
        } else {
            // A box of its own: an idle client of HTTP shall not pay for what it does not need.
            let connection = Box::pin(serve::announced_or_passed(worker, name, stream));
            tokio::task::spawn_local(async move {
                let _held = held;
                connection.await;
            });
        }
    }

    async fn last_call(&self) {
        // Giving way once lets the runtime ask the system who has come since it last did.
        tokio::task::yield_now().await;
        for _ in 0..LAST_CALL {
            let Some(stream) = self.accept_at_once().await else { return };
            let admitted = self.worker.shared.try_admit().zip(self.listener.try_enter(self.most()));
            let Some(admitted) = admitted else { return };
            self.serve(stream, admitted);
        }
    }
}

impl Keeper {
    /// A connection that waits already; nobody new is waited for.
    async fn accept_at_once(&self) -> Option<Stream> {
        let mut accepting = pin!(stream::accept(&self.socket));
        match poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await {
            Poll::Ready(accepted) => accepted.ok(),
            Poll::Pending => None,
        }
    }
}

/// A connection's place in the counts of its listener and of the process.
struct Attendance {
    counts: Arc<ListenerCounts>,
    _admitted: (Admission, Entry),
}

impl Attendance {
    fn new(counts: &Arc<ListenerCounts>, admitted: (Admission, Entry)) -> Self {
        counts.accepted.add(1);
        Self { counts: Arc::clone(counts), _admitted: admitted }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.counts.closed.add(1);
    }
}

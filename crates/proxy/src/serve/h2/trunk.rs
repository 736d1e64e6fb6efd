//! What the streams of one HTTP/2 connection share: the client, its terms, and the way out.
//!
//! Not here: frames. The invariant: everything is on one thread, and no borrow outlives a call.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use evenkeel_http::http2::{Flood, Sentry};
use evenkeel_model::config::{ClientLimits, ClientTimeouts};
use evenkeel_model::{ListenerName, caps};
use tokio::time::Instant;

use super::gate::Way;
use crate::hold::Hold;
use crate::serve::h1::Client;
use crate::sleepers::Bed;
use crate::timer::Timer;
use crate::worker::Worker;

/// One HTTP/2 connection of a client, as its streams see it.
pub(super) struct Trunk {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: ListenerName,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) timeouts: Cell<ClientTimeouts>,
    pub(super) limits: Cell<ClientLimits>,
    pub(super) bed: Rc<Bed>,
    pub(super) opened: Instant,
    pub(super) way: RefCell<Way>,
    pub(super) sentry: RefCell<Sentry>,
    /// What the client sent too much of, until the connection acts on it.
    pub(super) flood: Cell<Option<Flood>>,
    /// When the client was told that the connection ends.
    pub(super) told: Cell<Option<Instant>>,
    pub(super) timer: RefCell<Option<Timer>>,
    /// The latest snapshot that has the listener.
    hold: RefCell<Option<Rc<Hold>>>,
    requests: Cell<u32>,
    /// Streams that are being served.
    live: Cell<u32>,
    /// Bytes of the larger window that were borrowed.
    window: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Trunk {
    pub(super) fn new(client: Client, early: &[u8]) -> Rc<Self> {
        Rc::new(Self {
            peer: client.stream.peer_addr(),
            local: client.stream.local_addr(),
            timeouts: Cell::new(client.timeouts),
            limits: Cell::new(client.limits),
            bed: Rc::default(),
            opened: client.opened(),
            way: RefCell::new(Way::new(client.stream, early)),
            sentry: RefCell::new(Sentry::of_client()),
            flood: Cell::new(None),
            told: Cell::new(None),
            timer: RefCell::new(Some(client.timer)),
            hold: RefCell::new(None),
            requests: Cell::new(0),
            live: Cell::new(0),
            window: Cell::new(0),
            waker: RefCell::new(None),
            worker: client.worker,
            listener: client.listener,
        })
    }

    /// Bytes that nobody guesses.
    pub(super) fn chance(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&self.worker.chance().to_be_bytes());
        low.copy_from_slice(&self.worker.chance().to_be_bytes());
        bytes
    }

    /// A snapshot that has the listener, with the connection's own terms brought up to it: the one in force, or, once
    /// the listener is gone, the last one that had it.
    pub(super) fn refresh(&self) -> Option<Rc<Hold>> {
        let current = self.worker.snapshot()?;
        let mut hold = self.hold.borrow_mut();
        let is_same = hold.as_ref().is_some_and(|held| Rc::ptr_eq(held, &current));
        if !is_same && let Some(place) = current.listener_place(&self.listener) {
            if let Some((config, _)) = current.listener(place) {
                self.timeouts.set(config.timeouts);
                self.limits.set(config.limits);
            }
            *hold = Some(current);
        }
        hold.clone()
    }

    /// Counts a request; its number on the connection.
    pub(super) fn next_request(&self) -> u32 {
        let number = self.requests.get().saturating_add(1);
        self.requests.set(number);
        number
    }

    /// Whether the connection has carried as many requests as it may.
    pub(super) fn is_worn(&self) -> bool {
        self.requests.get() >= self.limits.get().requests
    }

    /// Whether the connection may carry further requests.
    pub(super) fn may_stay(&self) -> bool {
        !self.worker.is_draining()
            && !self.worker.shared.is_leaving(self.local.ip())
            && !self.is_worn()
            && self.opened.elapsed() < self.timeouts.get().life
            && self.worker.snapshot().is_some_and(|snapshot| snapshot.listener_place(&self.listener).is_some())
    }

    /// Whether as many streams are served as may be at one time. The library lets no more in; but a stream that its
    /// client gave up counts for it no more, and for us until its server's connection is closed.
    pub(super) fn is_full(&self) -> bool {
        self.live.get() >= self.limits.get().streams
    }

    /// Whether no stream is served.
    pub(super) fn is_empty(&self) -> bool {
        self.live.get() == 0
    }

    /// Borrows memory for the larger window, once; whether it did.
    pub(super) fn borrow_window(&self) -> bool {
        if self.window.get() > 0 || self.worker.free.is_full() {
            return false;
        }
        self.window.set(u64::from(caps::HTTP2_UPLOAD_WINDOW));
        self.worker.free.hold(self.window.get());
        true
    }

    /// Remembers the task of the connection, to wake it when a stream ends.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|held| held.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Sends what stands ready.
    pub(super) fn poll_push(&self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.way.borrow_mut().poll_push(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Gives back what a connection without streams does not need.
    pub(super) fn fall_silent(&self) {
        self.way.borrow_mut().shrink();
    }

    /// Since when the client owes the rest of a head.
    pub(super) fn owes_fields_since(&self) -> Option<Instant> {
        self.sentry.borrow().owes_fields_since().map(|since| self.opened + since)
    }

    /// Waits until no stream is served any more.
    pub(super) async fn emptied(&self) {
        poll_fn(|cx| {
            self.listen(cx);
            if self.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Trunk {
    fn drop(&mut self) {
        self.worker.free.release(self.window.get());
    }
}

/// A stream's presence on its connection; dropping it ends it.
pub(super) struct Place {
    trunk: Rc<Trunk>,
}

/// What a stream's two directions may hold.
const HELD: u64 = 2 * caps::HTTP2_STREAM_BUFFER as u64;

impl Place {
    pub(super) fn take(trunk: &Rc<Trunk>) -> Self {
        trunk.live.set(trunk.live.get() + 1);
        trunk.worker.free.hold(HELD);
        Self { trunk: Rc::clone(trunk) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let trunk = &self.trunk;
        trunk.worker.free.release(HELD);
        trunk.live.set(trunk.live.get().saturating_sub(1));
        if std::thread::panicking() {
            // The runtime ends this stream's task alone; the message was written when the panic began.
            trunk.worker.counts.panics.add(1);
            tracing::error!(worker = trunk.worker.index, "a stream was lost to a panic");
        }
        if trunk.is_empty()
            && let Some(waker) = trunk.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

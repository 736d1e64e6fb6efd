//! What the streams of one HTTP/2 connection share: the client, its terms, and the way out.
//!
//! Not here: frames. The invariant: everything is on one thread, and no borrow outlives a call.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use evenkeel_http::http2::Sentry;
use evenkeel_http::http2::downgrade::Body;
use evenkeel_model::config::{ClientLimits, ClientTimeouts};
use evenkeel_model::{ListenerName, caps};
use evenkeel_net::duplex::Half;
use evenkeel_net::stream::Ends;
use evenkeel_net::tls::TlsFacts;
use tokio::time::Instant;

use crate::buffer::Charge;
use crate::hold::Hold;
use crate::http2::STREAM_HELD;
use crate::http2::gate::Wire;
use crate::serve::h1::Client;
use crate::sleepers::Bed;
use crate::timer::Timer;
use crate::wire::Stream;
use crate::worker::Worker;

/// One HTTP/2 connection of a client, as its streams see it.
pub(super) struct Trunk {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: ListenerName,
    peer: SocketAddr,
    /// What is known of the connection's TLS; `None` in the clear.
    tls: Option<Arc<TlsFacts>>,
    /// Whether the client came over TLS, to us or to a proxy that told so.
    is_secure: bool,
    local: SocketAddr,
    /// Those of the connection itself.
    ends: Ends,
    pub(super) timeouts: Cell<ClientTimeouts>,
    pub(super) limits: Cell<ClientLimits>,
    pub(super) bed: Rc<Bed>,
    pub(super) opened: Instant,
    pub(super) wire: Rc<Wire>,
    /// When the client was told that the connection ends.
    pub(super) told: Cell<Option<Instant>>,
    pub(super) timer: RefCell<Option<Timer>>,
    /// The latest snapshot that has the listener.
    hold: RefCell<Option<Rc<Hold>>>,
    requests: Cell<u32>,
    /// Streams that are being served.
    live: Cell<u32>,
    /// Streams whose bodies may fill their windows.
    uploads: Cell<u32>,
    /// What the larger windows count for, while they are borrowed.
    window: RefCell<Option<Charge>>,
    waker: RefCell<Option<Waker>>,
}

impl Trunk {
    pub(super) fn new(client: Client, early: Vec<u8>) -> Rc<Self> {
        Rc::new(Self {
            peer: client.stream.peer_addr(),
            tls: client.stream.tls().map(Arc::clone),
            is_secure: client.stream.is_over_tls(),
            local: client.stream.local_addr(),
            ends: client.stream.ends(),
            timeouts: Cell::new(client.timeouts),
            limits: Cell::new(client.limits),
            opened: client.opened(),
            bed: client.bed,
            wire: Wire::new(client.stream, early, Sentry::of_client()),
            told: Cell::new(None),
            timer: RefCell::new(Some(client.timer)),
            hold: RefCell::new(None),
            requests: Cell::new(0),
            live: Cell::new(0),
            uploads: Cell::new(0),
            window: RefCell::new(None),
            waker: RefCell::new(None),
            worker: client.worker,
            listener: client.listener,
        })
    }

    /// One of its streams, which speaks of the connection's ends and TLS.
    pub(super) fn branch(&self, half: Half) -> Stream {
        let mut stream =
            Stream::in_memory(half, self.peer, self.local).standing_at(self.ends).within_tls(self.tls.clone());
        if self.is_secure {
            stream.announce_tls();
        }
        stream
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
            && !self.worker.shared.is_leaving(self.ends.own.ip())
            && !self.is_worn()
            && self.opened.elapsed() < self.timeouts.get().life
            && self.worker.snapshot().is_some_and(|snapshot| snapshot.keeps(&self.listener, self.tls.as_deref()))
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

    /// Borrows memory for larger windows, where it has none and there is some.
    fn borrow_window(&self) {
        let mut window = self.window.borrow_mut();
        if window.is_none() && !self.worker.free.is_half_full_with(caps::HTTP2_UPLOADS_HELD) {
            *window = Some(self.worker.free.hold(u64::from(caps::HTTP2_UPLOADS_HELD)));
        }
    }

    /// Gives the memory for larger windows back; whether it had any.
    pub(super) fn return_window(&self) -> bool {
        self.window.borrow_mut().take().is_some()
    }

    /// Whether it has borrowed memory for larger windows.
    pub(super) fn has_window(&self) -> bool {
        self.window.borrow().is_some()
    }

    /// The window that each stream is to have now.
    pub(super) fn share(&self) -> u32 {
        if !self.has_window() {
            return caps::HTTP2_STREAM_WINDOW;
        }
        let (mut share, mut bodies) = (caps::HTTP2_UPLOAD_WINDOW, caps::HTTP2_UPLOADS);
        while bodies < self.uploads.get() && share > caps::HTTP2_STREAM_WINDOW {
            bodies = bodies.saturating_mul(2);
            share /= 2;
        }
        share
    }

    /// Remembers the task of the connection, to wake it when a stream ends.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|held| held.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
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

/// A body that comes on a stream and may fill its window, however large that is; dropping it ends it.
pub(super) struct LargeBody {
    trunk: Rc<Trunk>,
}

impl LargeBody {
    /// `None` for one that the small window is enough for. A tunnel, which may rest for hours, borrows no memory for more.
    pub(super) fn begin(trunk: &Rc<Trunk>, body: Body) -> Option<Self> {
        match body {
            Body::None => return None,
            Body::Exactly(length) if length <= u64::from(caps::HTTP2_STREAM_WINDOW) => return None,
            Body::Exactly(_) | Body::Chunks => trunk.borrow_window(),
            Body::Tunnel => {}
        }
        trunk.uploads.set(trunk.uploads.get() + 1);
        Some(Self { trunk: Rc::clone(trunk) })
    }
}

impl Drop for LargeBody {
    fn drop(&mut self) {
        self.trunk.uploads.set(self.trunk.uploads.get().saturating_sub(1));
    }
}

/// A stream's presence on its connection; dropping it ends it.
pub(super) struct Place {
    trunk: Rc<Trunk>,
    charge: Charge,
}

impl Place {
    pub(super) fn take(trunk: &Rc<Trunk>) -> Self {
        trunk.live.set(trunk.live.get() + 1);
        let held = STREAM_HELD + u64::from(caps::HTTP2_STREAM_WINDOW);
        Self { trunk: Rc::clone(trunk), charge: trunk.worker.free.hold(held) }
    }

    /// Gives back what the stream held: what still comes on it is thrown away.
    pub(super) fn rest(&mut self) {
        self.charge.set(0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let trunk = &self.trunk;
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

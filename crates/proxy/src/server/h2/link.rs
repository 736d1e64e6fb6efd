//! One connection to a server over HTTP/2, and the task that moves its frames.
//!
//! The invariant: the task ends when the connection is over, or when nobody used it for the pool's `timeout keep`; its
//! streams learn of the end from the library.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_http::http2::Sentry;
use evenkeel_model::caps;
use h2::client::SendRequest;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::http2::gate::{Gate, Wire};
use crate::timer::Timer;
use crate::wire::Stream;

/// How long a server may have said nothing at all on a connection before a request that was given up there, unanswered,
/// speaks against the connection: longer than a pause between packets, shorter than most answers are waited for.
const DUMB: Duration = Duration::from_secs(1);

/// The largest window that there is (RFC 9113 section 6.9.1). What is held is bounded by the windows of streams.
const MOST_WINDOW: u32 = (1 << 31) - 1;

/// One connection to a server.
pub(super) struct Link {
    pub(super) addr: SocketAddr,
    pub(super) local: SocketAddr,
    /// Whether it is over TLS.
    pub(super) is_secured: bool,
    requests: SendRequest<Bytes>,
    wire: Rc<Wire>,
    streams: Cell<u32>,
    begun: Cell<u64>,
    /// Streams that were given up in the second that began then.
    given_up: Cell<(Instant, u32)>,
    /// Streams that may be given up before an answer.
    credit: Cell<u32>,
    is_over: Cell<bool>,
    /// Who waits for what the server allows.
    greeted: Notify,
    /// Of the task that moves the frames.
    waker: RefCell<Option<Waker>>,
}

impl Link {
    /// Speaks HTTP/2 on a connection. `None` where it ended before it began.
    pub(super) async fn open(stream: Stream, keep: Duration) -> Option<Rc<Self>> {
        let (addr, local, is_secured) = (stream.peer_addr(), stream.local_addr(), stream.tls().is_some());
        let wire = Wire::new(stream, Vec::new(), Sentry::of_server());
        let mut settings = h2::client::Builder::new();
        settings
            .enable_push(false)
            .max_header_list_size(u32::try_from(caps::SERVER_HEAD_BYTES).unwrap_or(u32::MAX))
            .initial_window_size(caps::HTTP2_SERVER_WINDOW)
            .initial_connection_window_size(MOST_WINDOW)
            .data_frame_budget(caps::HTTP2_SMALL_FRAMES)
            .max_send_buffer_size(caps::HTTP2_SEND_BUFFER)
            .initial_max_send_streams(caps::HTTP2_SERVER_STREAMS as usize);
        let (requests, frames) = settings.handshake::<_, Bytes>(Gate::new(&wire)).await.ok()?;
        let link = Rc::new(Self {
            addr,
            local,
            is_secured,
            requests,
            wire,
            streams: Cell::new(0),
            begun: Cell::new(0),
            given_up: Cell::new((Instant::now(), 0)),
            credit: Cell::new(caps::HTTP2_GIVEN_UP_UNANSWERED),
            is_over: Cell::new(false),
            greeted: Notify::new(),
            waker: RefCell::new(None),
        });
        tokio::task::spawn_local(keep_moving(Rc::clone(&link), frames, keep));
        Some(link)
    }

    /// A handle for a new stream.
    pub(super) fn requests(&self) -> SendRequest<Bytes> {
        self.requests.clone()
    }

    /// Whether it gets no further streams.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get() || self.wire.is_leaving()
    }

    /// Gives it no further streams; those on it finish.
    pub(super) fn leave(&self) {
        self.is_over.set(true);
        self.wake();
    }

    /// Streams on it now.
    pub(super) fn streams(&self) -> u32 {
        self.streams.get()
    }

    /// Whether it has as many streams as it may.
    pub(super) fn is_full(&self) -> bool {
        let allowed = u32::try_from(self.requests.current_max_send_streams()).unwrap_or(u32::MAX);
        self.streams.get() >= allowed.min(caps::HTTP2_SERVER_STREAMS)
    }

    /// Waits until the server has said what it allows, or will say nothing more.
    pub(super) async fn greeted(&self) {
        while !self.wire.has_greeted() && !self.is_over() {
            self.greeted.notified().await;
        }
    }

    /// Whether it carried a stream before.
    pub(super) fn was_used(&self) -> bool {
        self.begun.get() > 0
    }

    /// A request was given up that was sent then and got no answer: is nobody there any more?
    pub(super) fn suspect(&self, sent: Instant) {
        if sent.elapsed() >= DUMB && self.wire.heard() <= sent {
            self.leave();
        }
    }

    /// Its client gave a stream up, which resets it. Many in a row are left to other connections: for a server they are a
    /// flood, which it ends with all that is on the connection.
    pub(super) fn gave_up(&self) {
        let now = Instant::now();
        let (since, count) = match self.given_up.get() {
            (since, count) if now.saturating_duration_since(since) < Duration::from_secs(1) => (since, count + 1),
            _ => (now, 1),
        };
        self.given_up.set((since, count));
        self.credit.set(self.credit.get().saturating_sub(1));
        if count >= caps::HTTP2_GIVEN_UP_RATE || self.credit.get() == 0 {
            self.leave();
        }
    }

    /// A stream was answered whole.
    pub(super) fn answered(&self) {
        self.credit.set((self.credit.get() + 1).min(caps::HTTP2_GIVEN_UP_UNANSWERED));
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A stream's presence on its connection; dropping it ends it.
pub(super) struct Seat {
    pub(super) link: Rc<Link>,
}

impl Seat {
    pub(super) fn take(link: &Rc<Link>) -> Self {
        link.streams.set(link.streams.get() + 1);
        link.begun.set(link.begun.get() + 1);
        Self { link: Rc::clone(link) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.streams.set(self.link.streams.get().saturating_sub(1));
        if self.link.streams.get() == 0 {
            self.link.wake();
        }
    }
}

/// Moves a connection's frames until it is over.
async fn keep_moving(link: Rc<Link>, frames: h2::client::Connection<Gate, Bytes>, keep: Duration) {
    let mut frames = pin!(frames);
    let mut timer = Timer::new(Instant::now() + keep);
    let mut idle_since = None;
    poll_fn(|cx| {
        *link.waker.borrow_mut() = Some(cx.waker().clone());
        if frames.as_mut().poll(cx).is_ready() || link.wire.poll_push(cx).is_err() {
            return Poll::Ready(());
        }
        if link.wire.has_greeted() {
            link.greeted.notify_waiters();
        }
        if let Some(offence) = link.wire.offence() {
            tracing::warn!(server = %link.addr, "the server misuses its HTTP/2 connection, which ends: {}", offence.code());
            return Poll::Ready(());
        }
        if link.streams.get() > 0 {
            idle_since = None;
            return Poll::Pending;
        }
        if link.is_over() {
            return Poll::Ready(());
        }
        link.wire.fall_silent();
        let since = *idle_since.get_or_insert_with(Instant::now);
        timer.poll_passed(cx, since + keep)
    })
    .await;
    link.is_over.set(true);
    link.greeted.notify_waiters();
}

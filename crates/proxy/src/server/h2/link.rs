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

use super::allowance::Allowance;
use crate::http2::gate::{Gate, Wire};
use crate::rounds::Note;
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
    /// Those among them that nobody waits for any more.
    forsaken: Cell<u32>,
    allowance: Cell<Allowance>,
    begun: Cell<u64>,
    is_over: Cell<bool>,
    /// Who waits for what the server allows.
    greeted: Notify,
    /// Who waits for a place on a connection to this server.
    room: Rc<Notify>,
    /// Of the task that moves the frames.
    waker: RefCell<Option<Waker>>,
}

impl Link {
    /// Speaks HTTP/2 on a connection. `None` where it ended before it began.
    pub(super) async fn open(
        (stream, note): (Stream, Option<Box<Note>>),
        keep: Duration,
        room: Rc<Notify>,
    ) -> Option<Rc<Self>> {
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
            forsaken: Cell::new(0),
            allowance: Cell::default(),
            begun: Cell::new(0),
            is_over: Cell::new(false),
            greeted: Notify::new(),
            room,
            waker: RefCell::new(None),
        });
        tokio::task::spawn_local(keep_moving(Rc::clone(&link), (frames, note), keep));
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
        // There is room for another connection.
        self.room.notify_one();
        self.wake();
    }

    /// A stream on it was answered.
    pub(super) fn answered(&self) {
        let mut allowance = self.allowance.get();
        allowance.earn();
        self.allowance.set(allowance);
    }

    /// Whether a stream of it may be reset because its client left; an error says when. Where many did, it gets no further
    /// streams, so that those who stay have another connection.
    pub(super) fn give_up(&self, now: Instant) -> Result<(), Instant> {
        let mut allowance = self.allowance.get();
        let taken = allowance.take(now);
        self.allowance.set(allowance);
        if allowance.is_spent(now) && !self.is_over() {
            self.leave();
        }
        taken
    }

    /// Whether nobody waits for anything on it, nor will.
    fn is_forsaken(&self) -> bool {
        self.is_over() && self.forsaken.get() >= self.streams.get()
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

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A stream's presence on its connection; dropping it ends it.
pub(super) struct Seat {
    pub(super) link: Rc<Link>,
    is_forsaken: Cell<bool>,
}

impl Seat {
    pub(super) fn take(link: &Rc<Link>) -> Self {
        link.streams.set(link.streams.get() + 1);
        link.begun.set(link.begun.get() + 1);
        Self { link: Rc::clone(link), is_forsaken: Cell::new(false) }
    }

    /// Nobody waits for the stream any more. A connection that carries only such ones, and gets no others, ends.
    pub(super) fn forsake(&self) {
        if !self.is_forsaken.replace(true) {
            self.link.forsaken.set(self.link.forsaken.get() + 1);
        }
        if self.link.is_forsaken() {
            self.link.wake();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let link = &self.link;
        link.streams.set(link.streams.get().saturating_sub(1));
        if self.is_forsaken.get() {
            link.forsaken.set(link.forsaken.get().saturating_sub(1));
        }
        link.room.notify_one();
        if link.streams.get() == 0 || link.is_forsaken() {
            link.wake();
        }
    }
}

/// Moves a connection's frames until it is over.
async fn keep_moving(
    link: Rc<Link>,
    (frames, _note): (h2::client::Connection<Gate, Bytes>, Option<Box<Note>>),
    keep: Duration,
) {
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
        if link.wire.is_leaving() && !link.is_over.replace(true) {
            // There is room for another connection.
            link.room.notify_one();
        }
        if let Some(offence) = link.wire.offence() {
            tracing::warn!(server = %link.addr, "the server misuses its HTTP/2 connection, which ends: {}", offence.code());
            return Poll::Ready(());
        }
        if link.is_forsaken() {
            return Poll::Ready(());
        }
        if link.streams.get() > 0 {
            idle_since = None;
            return Poll::Pending;
        }
        link.wire.fall_silent();
        let since = *idle_since.get_or_insert_with(Instant::now);
        timer.poll_passed(cx, since + keep)
    })
    .await;
    link.is_over.set(true);
    link.room.notify_one();
    link.greeted.notify_waiters();
}

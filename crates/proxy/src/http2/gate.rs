//! Where an HTTP/2 connection's bytes pass: in under the eye of the sentry, out in few large writes.
//!
//! The library writes each frame for itself and asks for it to be sent; the gate collects what frames one turn of the
//! connection makes, and the connection sends them with one call to the system ([`Wire::poll_push`]). The invariant: no
//! more than `caps::HTTP2_SEND_BUFFER` bytes and a frame wait, and nothing that the sentry refused is let through.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use evenkeel_http::http2::{Offence, Sentry};
use evenkeel_model::caps;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::wire::{Stream, Wire as _};

/// Room that a connection without streams keeps for its next small answer.
const KEPT: usize = 2048;

/// Room that it gets beyond that at one time: what a dozen such answers take.
const STEP: usize = 16 * 1024;

/// The socket with what was read of it before, and what waits to be sent.
struct Way {
    stream: Stream,
    early: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    /// Bytes that went out since the connection began.
    gone: u64,
    /// Whether the last push left bytes behind: here, in the stream, or with the library, which adds none past the cap.
    is_behind: bool,
}

impl Way {
    fn new(stream: Stream, early: Vec<u8>) -> Self {
        Self { stream, early, out: Vec::new(), sent: 0, gone: 0, is_behind: false }
    }

    /// Sends what waits. Ready once nothing does.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write_vectored(cx, &[IoSlice::new(rest)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.sent += written;
                    self.gone += written as u64;
                }
            }
        }
        self.out.clear();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Gives room back where nothing waits.
    fn shrink(&mut self) {
        if self.out.is_empty() && self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
    }

    fn waiting(&self) -> usize {
        self.out.len().saturating_sub(self.sent)
    }

    /// Adds what is to be sent, behind what still waits: what went out before makes room.
    fn put(&mut self, pieces: &[IoSlice<'_>]) -> usize {
        let sent = std::mem::take(&mut self.sent);
        self.out.drain(..sent.min(self.out.len()));
        let before = self.out.len();
        let added = pieces.iter().map(|piece| piece.len()).sum();
        if before.saturating_add(added) > self.out.capacity().max(KEPT) {
            self.out.reserve(STEP.max(added));
        }
        pieces.iter().for_each(|piece| self.out.extend_from_slice(piece));
        self.out.len().saturating_sub(before)
    }

    fn read(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, room);
        }
        let taken = self.early.len().min(room.remaining());
        room.put_slice(self.early.get(..taken).unwrap_or_default());
        self.early.drain(..taken);
        if self.early.is_empty() {
            self.early = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// A connection's socket, as the library and the connection share it.
pub(crate) struct Wire {
    way: RefCell<Way>,
    sentry: RefCell<Sentry>,
    /// What the peer did that ends the connection, until it acts on it.
    offence: Cell<Option<Offence>>,
    begun: Instant,
    /// When bytes came last.
    heard: Cell<Instant>,
    /// Whether the socket was found empty in the turn under way; `None` between turns.
    found_empty: Cell<Option<bool>>,
}

impl Wire {
    /// A socket of which `early` was read already.
    pub(crate) fn new(stream: Stream, early: Vec<u8>, sentry: Sentry) -> Rc<Self> {
        Rc::new(Self {
            way: RefCell::new(Way::new(stream, early)),
            sentry: RefCell::new(sentry),
            offence: Cell::new(None),
            begun: Instant::now(),
            heard: Cell::new(Instant::now()),
            found_empty: Cell::new(None),
        })
    }

    /// Has the library work for one turn of the connection's task, in which the socket is not asked again once it was found
    /// empty: the library asks before each stream that it hands out, and nothing can come before the runtime has its turn.
    pub(crate) fn turn<T>(&self, work: impl FnOnce() -> T) -> T {
        self.found_empty.set(Some(false));
        let done = work();
        self.found_empty.set(None);
        done
    }

    /// Sends what stands ready; what the socket does not take now waits for it.
    pub(crate) fn poll_push(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut way = self.way.borrow_mut();
        let pushed = way.poll_push(cx);
        way.is_behind = pushed.is_pending();
        match pushed {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// A count that goes on as the peer takes what is sent, where more waits for it; `None` where all went out. A socket with
    /// little room takes bytes in large steps, and TLS hands them over in such: what the peer's system acknowledges counts.
    pub(crate) fn behind(&self) -> Option<u64> {
        let way = self.way.borrow();
        way.is_behind.then(|| way.gone.wrapping_sub(way.stream.unacknowledged().into()))
    }

    /// Reads what comes after the end into the scratch, where nobody looks at it; how much, and 0 is the peer's end.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        crate::wire::Wire::poll_read(&mut self.way.borrow_mut().stream, cx, scratch)
    }

    /// How many of the bytes that went out the peer's system has yet to acknowledge.
    pub(crate) fn unacknowledged(&self) -> u32 {
        self.way.borrow().stream.unacknowledged()
    }

    /// Gives back what a connection without streams does not need.
    pub(crate) fn fall_silent(&self) {
        self.way.borrow_mut().shrink();
    }

    /// What the peer did that is to end the connection; told once.
    pub(crate) fn offence(&self) -> Option<Offence> {
        self.offence.take()
    }

    /// Notes that a stream was answered whole.
    pub(crate) fn answered(&self) {
        self.sentry.borrow_mut().answered();
    }

    /// When bytes came last.
    pub(crate) fn heard(&self) -> Instant {
        self.heard.get()
    }

    /// Whether the peer has said what it allows.
    pub(crate) fn has_greeted(&self) -> bool {
        self.sentry.borrow().has_greeted()
    }

    /// Whether the peer said that it takes no further streams.
    pub(crate) fn is_leaving(&self) -> bool {
        self.sentry.borrow().is_leaving()
    }

    /// Since when the peer owes the rest of a head.
    pub(crate) fn owes_fields_since(&self) -> Option<Instant> {
        self.sentry.borrow().owes_fields_since().map(|since| self.begun + since)
    }
}

/// What the library takes for the socket.
pub(crate) struct Gate {
    wire: Rc<Wire>,
    is_shut: bool,
}

impl Gate {
    pub(crate) fn new(wire: &Rc<Wire>) -> Self {
        Self { wire: Rc::clone(wire), is_shut: false }
    }
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let wire = &gate.wire;
        // Nothing more is read of who sends too much; the connection ends it.
        if gate.is_shut || wire.found_empty.get() == Some(true) {
            return Poll::Pending;
        }
        let before = room.filled().len();
        let Poll::Ready(read) = wire.way.borrow_mut().read(cx, room) else {
            wire.found_empty.set(wire.found_empty.get().map(|_| true));
            return Poll::Pending;
        };
        read?;
        let fresh = room.filled().get(before..).unwrap_or_default();
        let now = Instant::now();
        wire.heard.set(now);
        let seen = wire.sentry.borrow_mut().see(fresh, now.saturating_duration_since(wire.begun));
        if let Err(offence) = seen {
            gate.is_shut = true;
            gate.wire.offence.set(Some(offence));
            room.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.wire.way.borrow_mut();
        if way.waiting() >= caps::HTTP2_SEND_BUFFER {
            ready!(way.poll_push(cx))?;
        }
        Poll::Ready(Ok(way.put(pieces)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection sends at the end of its turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.wire.way.borrow_mut();
        ready!(way.poll_push(cx))?;
        Pin::new(&mut way.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::task::Waker;

    use evenkeel_net::duplex;

    use super::*;

    #[test]
    fn a_socket_that_was_found_empty_is_asked_again_in_the_next_turn() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let (near, far) = duplex::pair(1000);
        let wire = Wire::new(Stream::in_memory(far, nowhere, nowhere), Vec::new(), Sentry::of_server());
        let mut gate = Gate::new(&wire);
        let mut cx = Context::from_waker(Waker::noop());
        let mut reads = || {
            let mut room = [0; 1000];
            Pin::new(&mut gate).poll_read(&mut cx, &mut ReadBuf::new(&mut room)).is_ready()
        };
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let send = || assert_eq!(near.try_write_vectored(&[IoSlice::new(&settings)]).unwrap(), settings.len());
        send();
        wire.turn(|| {
            assert!(reads(), "what is there is read");
            assert!(!reads());
            send();
            assert!(!reads(), "nothing can come in a turn, and nobody looks");
        });
        wire.turn(|| assert!(reads() && !reads()));
        send();
        assert!(reads(), "between turns it is always asked");
        assert!(!reads());
        send();
        assert!(reads());
    }

    #[test]
    fn what_waits_is_bounded_however_long_a_peer_takes_a_little_less_than_all() {
        const STEP: usize = 1000;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let (near, far) = duplex::pair(STEP);
        let wire = Wire::new(Stream::in_memory(far, nowhere, nowhere), Vec::new(), Sentry::of_client());
        let mut gate = Gate::new(&wire);
        let mut cx = Context::from_waker(Waker::noop());
        let mut write = |byte: usize| {
            let bytes = vec![byte as u8; STEP];
            Pin::new(&mut gate).poll_write(&mut cx, &bytes).map(|written| assert_eq!(written.unwrap(), STEP)).is_ready()
        };
        assert!(write(0), "the first bytes, which wait from now on");
        let mut taken = 0;
        for round in 1..2000 {
            assert!(write(round));
            let mut cx = Context::from_waker(Waker::noop());
            wire.poll_push(&mut cx).unwrap();
            let Poll::Ready(bytes) = near.poll_take(&cx, usize::MAX) else { panic!("nothing came in round {round}") };
            for byte in bytes.unwrap() {
                assert_eq!(byte, (taken / STEP) as u8, "byte {taken}");
                taken += 1;
            }
            let way = wire.way.borrow();
            assert!(way.waiting() > 0, "the test wants a rest in each round");
            assert!(way.out.len() <= caps::HTTP2_SEND_BUFFER, "{} bytes are held in round {round}", way.out.len());
        }
    }
}

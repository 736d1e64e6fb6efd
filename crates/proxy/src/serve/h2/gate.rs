//! Where an HTTP/2 connection's bytes pass: in under the eye of the sentry, out in few large writes.
//!
//! The library writes each frame for itself and asks for it to be sent; the gate collects what frames one turn of the
//! connection makes, and the connection sends them with one call to the system ([`Way::poll_push`]). The invariant: no
//! more than `caps::HTTP2_SEND_BUFFER` bytes and a frame wait, and nothing that the sentry refused is let through.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use evenkeel_model::caps;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::trunk::Trunk;
use crate::wire::{Stream, Wire};

/// The socket with what was read of it before, and what waits to be sent.
pub(super) struct Way {
    stream: Stream,
    early: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
}

impl Way {
    pub(super) fn new(stream: Stream, early: &[u8]) -> Self {
        Self { stream, early: early.to_vec(), out: Vec::new(), sent: 0 }
    }

    /// Sends what waits. Ready once nothing does.
    pub(super) fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write_vectored(cx, &[IoSlice::new(rest)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.out.clear();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Gives room back where nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    fn waiting(&self) -> usize {
        self.out.len().saturating_sub(self.sent)
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

/// What the library takes for the socket.
pub(super) struct Gate {
    trunk: Rc<Trunk>,
    is_shut: bool,
}

impl Gate {
    pub(super) fn new(trunk: &Rc<Trunk>) -> Self {
        Self { trunk: Rc::clone(trunk), is_shut: false }
    }
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.is_shut {
            // Nothing more is read of who sends too much; the connection ends it.
            return Poll::Pending;
        }
        let before = room.filled().len();
        ready!(gate.trunk.way.borrow_mut().read(cx, room))?;
        let fresh = room.filled().get(before..).unwrap_or_default();
        let seen = gate.trunk.sentry.borrow_mut().see(fresh, gate.trunk.opened.elapsed());
        if let Err(flood) = seen {
            gate.is_shut = true;
            gate.trunk.flood.set(Some(flood));
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
        let mut way = self.trunk.way.borrow_mut();
        if way.waiting() >= caps::HTTP2_SEND_BUFFER {
            ready!(way.poll_push(cx))?;
        }
        let before = way.out.len();
        pieces.iter().for_each(|piece| way.out.extend_from_slice(piece));
        Poll::Ready(Ok(way.out.len().saturating_sub(before)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection sends at the end of its turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.trunk.way.borrow_mut();
        ready!(way.poll_push(cx))?;
        Pin::new(&mut way.stream).poll_shutdown(cx)
    }
}

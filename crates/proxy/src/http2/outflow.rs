//! What goes to a peer on a stream: a body in HTTP/1.1's framing, as DATA frames and trailers.
//!
//! The body is read by the decoder that reads all bodies, so that an end which is none is noticed: the stream is then
//! reset, and never looks whole. The invariant: what the peer has no window for stays here, no more than was in the
//! connection in memory.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use evenkeel_http::http2::upgrade;
use evenkeel_http::{BodyDecoder, Framing, Piece};
use evenkeel_net::duplex::Half;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::{append, join};

/// Steps in which the source sees bytes go on that waited for the peer: a fraction of what the slowest rate asks for in the
/// time that is given, and enough not to be woken for every frame.
const HELD_STEP: usize = 1024;

/// How a direction of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Whole.
    Sent,
    /// We reset the stream: there is no body, or no end of it.
    Reset,
    /// The peer reset the stream, or is gone.
    Gone,
}

/// What goes to a peer on a stream, behind its head.
pub(crate) struct Outflow {
    send: SendStream<Bytes>,
    /// `None`: bytes that mean nothing to us, up to the source's end.
    decoder: Option<BodyDecoder>,
    have: BytesMut,
    /// Bytes that are to be sent next.
    ready: Bytes,
    /// Whether they are the last.
    is_last: bool,
    /// Whether more came than there was at first.
    is_refilled: bool,
    /// Whether the source was told that bytes wait.
    is_held: bool,
    outcome: Option<Outcome>,
}

impl Outflow {
    /// A body of that framing, of which `have` is there already.
    pub(crate) fn body(send: SendStream<Bytes>, framing: Framing, have: BytesMut) -> Self {
        Self { decoder: Some(BodyDecoder::new(framing)), ..Self::tunnel(send, have) }
    }

    /// A tunnel, of which `have` is there already.
    pub(crate) fn tunnel(send: SendStream<Bytes>, have: BytesMut) -> Self {
        Self {
            send,
            decoder: None,
            have,
            ready: Bytes::new(),
            is_last: false,
            is_refilled: false,
            is_held: false,
            outcome: None,
        }
    }

    /// Whether bytes pass as they come.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.decoder.is_none()
    }

    /// Bytes that wait for the peer alone.
    pub(crate) fn waiting(&self) -> usize {
        self.ready.len().saturating_add(self.have.len())
    }

    /// The room of what was there at first, once it is over; `None` where that was not all.
    pub(crate) fn take_room(&mut self) -> Option<BytesMut> {
        (!self.is_refilled).then(|| std::mem::take(&mut self.have))
    }

    /// Gives the stream up, whatever was sent of it.
    pub(crate) fn reset(&mut self, reason: Reason) {
        if self.outcome.is_none() {
            self.send.send_reset(reason);
            self.end(Outcome::Reset);
        }
    }

    /// Moves what can be moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<Outcome> {
        loop {
            if let Some(outcome) = self.outcome {
                return Poll::Ready(outcome);
            }
            if !self.ready.is_empty() {
                let sent = self.poll_send(cx);
                self.tell_held(from);
                ready!(sent);
            } else if !self.next_piece() && self.poll_fill(cx, from).is_pending() {
                // While nothing is to be sent, only this tells that nobody waits any more.
                return self.send.poll_reset(cx).map(|_| self.end(Outcome::Gone));
            }
        }
    }

    /// Takes what came, or the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<()> {
        match ready!(from.poll_take(cx, usize::MAX)) {
            Ok(fresh) if !fresh.is_empty() => {
                self.is_refilled = true;
                join(&mut self.have, fresh);
            }
            Ok(_) if self.is_tunnel() => self.finish(None),
            // It ended amid its body.
            Ok(_) | Err(_) => self.reset(Reason::INTERNAL_ERROR),
        }
        Poll::Ready(())
    }

    /// Lets the source go on as fast as the peer takes what waits for it: who reads slowly is told from who does not read by
    /// nothing else. A peer that has room for everything leaves nothing to be told.
    fn tell_held(&mut self, from: &Half) {
        let waiting = if self.outcome.is_none() { self.waiting() } else { 0 };
        if waiting > 0 || self.is_held {
            self.is_held = waiting > 0;
            from.hold(waiting, HELD_STEP);
        }
    }

    /// Sends as much as the peer has room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.send.reserve_capacity(self.ready.len());
        let mut room = self.send.capacity();
        while room == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(capacity)) => room = capacity,
                Some(Err(_)) | None => {
                    self.end(Outcome::Gone);
                    return Poll::Ready(());
                }
            }
        }
        let part = self.ready.split_to(room.min(self.ready.len()));
        let is_end = self.is_last && self.ready.is_empty();
        match self.send.send_data(part, is_end) {
            Err(_) => self.end(Outcome::Gone),
            Ok(()) if is_end => self.end(Outcome::Sent),
            Ok(()) => Outcome::Sent,
        };
        Poll::Ready(())
    }

    /// Takes the next stretch out of what is there; whether anything came of it.
    fn next_piece(&mut self) -> bool {
        let Some(decoder) = &mut self.decoder else {
            self.ready = self.have.split().freeze();
            return !self.ready.is_empty();
        };
        match decoder.next(&self.have) {
            Ok(Piece::Data(length)) => {
                self.ready = self.have.split_to(length.min(self.have.len())).freeze();
                self.is_last = decoder.is_ended();
            }
            Ok(Piece::Framing(length) | Piece::Dropped(length)) => self.have.advance(length.min(self.have.len())),
            Ok(Piece::More) => return false,
            Ok(Piece::End) => {
                let mut trailers = HeaderMap::new();
                let fields = upgrade::trailer_fields(decoder.trailers());
                fields.for_each(|(name, value)| append(&mut trailers, name, value));
                self.finish((!trailers.is_empty()).then_some(trailers));
            }
            Err(_) => self.reset(Reason::INTERNAL_ERROR),
        }
        true
    }

    /// Ends the stream.
    fn finish(&mut self, trailers: Option<HeaderMap>) {
        let sent = match trailers {
            Some(trailers) => self.send.send_trailers(trailers),
            None => self.send.send_data(Bytes::new(), true),
        };
        self.end(if sent.is_ok() { Outcome::Sent } else { Outcome::Gone });
    }

    fn end(&mut self, outcome: Outcome) -> Outcome {
        self.outcome = Some(outcome);
        self.ready = Bytes::new();
        match self.is_refilled {
            true => self.have = BytesMut::new(),
            false => self.have.clear(),
        }
        outcome
    }
}

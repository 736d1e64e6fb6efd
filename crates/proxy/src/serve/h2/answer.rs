//! A stream's way out: the answer that was written for it as HTTP/1.1, as HEADERS, DATA and trailers.
//!
//! The answer is read as a server's is, by the same parser and decoder, so that an end which is none is noticed: the
//! stream is then reset, and never looks whole. The invariant: what the peer has no window for stays here, no more than
//! was in the connection in memory.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use evenkeel_http::http2::upgrade;
use evenkeel_http::{BodyDecoder, Framing, Limits, Piece, RequestFacts, ResponseHead};
use evenkeel_model::caps;
use evenkeel_net::duplex::Half;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// What an answer of ours may be: what a server may send, and what we add.
const LIMITS: Limits = Limits { head: 2 * caps::SERVER_HEAD_BYTES, fields: 2 * caps::SERVER_FIELDS, target: 0 };

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Whole.
    Sent,
    /// We reset the stream: there is no answer, or no end of it.
    Reset,
    /// The client reset the stream, or is gone.
    Gone,
}

/// Where the answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    Tunnel,
    Over(Outcome),
}

/// A stream's way out.
pub(super) struct Answer {
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    stage: Stage,
    facts: RequestFacts,
    /// The proof that a server has to give for the key of a WebSocket's handshake.
    proof: Option<Vec<u8>>,
    have: BytesMut,
    head: ResponseHead,
    decoder: BodyDecoder,
    /// Bytes of the body that are to be sent next.
    ready: Bytes,
    /// Whether they are the last.
    is_last: bool,
}

impl Answer {
    pub(super) fn new(respond: SendResponse<Bytes>, facts: RequestFacts, proof: Option<Vec<u8>>) -> Self {
        Self {
            respond,
            send: None,
            stage: Stage::Head,
            facts,
            proof,
            have: BytesMut::new(),
            head: ResponseHead::new(),
            decoder: BodyDecoder::new(Framing::None),
            ready: Bytes::new(),
            is_last: false,
        }
    }

    /// Whether the server has agreed to a tunnel.
    pub(super) fn is_switched(&self) -> bool {
        self.stage == Stage::Tunnel
    }

    /// Bytes that wait for the client alone.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len().saturating_add(self.have.len())
    }

    /// Gives the stream up.
    pub(super) fn reset(&mut self, reason: Reason) {
        if !matches!(self.stage, Stage::Over(_)) {
            match &mut self.send {
                Some(send) => send.send_reset(reason),
                None => self.respond.send_reset(reason),
            }
            self.end(Outcome::Reset);
        }
    }

    /// Moves what can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<Outcome> {
        loop {
            if !self.ready.is_empty() {
                ready!(self.poll_send(cx));
                continue;
            }
            let is_moved = match self.stage {
                Stage::Over(outcome) => return Poll::Ready(outcome),
                Stage::Head => self.read_head(),
                Stage::Body => self.read_body(),
                Stage::Tunnel => self.read_tunnel(),
            };
            if !is_moved && self.poll_fill(cx, from).is_pending() {
                return self.poll_gone(cx);
            }
        }
    }

    /// Takes what came, or the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<()> {
        match ready!(from.poll_take(cx, usize::MAX)) {
            Ok(fresh) if !fresh.is_empty() => match self.have.is_empty() {
                true => self.have = fresh,
                false => self.have.unsplit(fresh),
            },
            Ok(_) if self.stage == Stage::Tunnel => self.finish(None),
            // The exchange ended without an answer, or amid its body.
            Ok(_) | Err(_) => self.reset(Reason::INTERNAL_ERROR),
        }
        Poll::Ready(())
    }

    /// While nothing is to be sent, only this tells that nobody waits any more.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let reset = match &mut self.send {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        reset.map(|_| self.end(Outcome::Gone))
    }

    fn end(&mut self, outcome: Outcome) -> Outcome {
        self.stage = Stage::Over(outcome);
        self.ready = Bytes::new();
        self.have = BytesMut::new();
        outcome
    }

    /// Sends as much as the client has room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(send) = &mut self.send else {
            self.end(Outcome::Gone);
            return Poll::Ready(());
        };
        send.reserve_capacity(self.ready.len());
        let mut room = send.capacity();
        while room == 0 {
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(capacity)) => room = capacity,
                Some(Err(_)) | None => {
                    self.end(Outcome::Gone);
                    return Poll::Ready(());
                }
            }
        }
        let part = self.ready.split_to(room.min(self.ready.len()));
        let is_end = self.is_last && self.ready.is_empty();
        if send.send_data(part, is_end).is_err() {
            self.end(Outcome::Gone);
        } else if is_end {
            self.end(Outcome::Sent);
        }
        Poll::Ready(())
    }

    /// Looks for a head in what is there; whether there was one.
    fn read_head(&mut self) -> bool {
        if self.have.is_empty() {
            return false;
        }
        match self.head.parse(&self.have, &LIMITS, &self.facts) {
            Ok(None) => return false,
            Err(_) => self.reset(Reason::INTERNAL_ERROR),
            Ok(Some(length)) => {
                match self.head.is_interim() {
                    true => self.hint(),
                    false => self.begin(),
                }
                self.have.advance(length.min(self.have.len()));
                self.head.clear();
            }
        }
        true
    }

    /// Passes an interim head on. It fails where the client has left, which is found out by what follows.
    fn hint(&mut self) {
        let response = self.response(self.head.status());
        let _ = self.respond.send_informational(response);
    }

    /// A head with the status and the fields of the one that was read.
    fn response(&self, status: u16) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let fields = upgrade::answer_fields(&self.head, &self.have);
        fields.for_each(|(name, value)| append(response.headers_mut(), name, value));
        response
    }

    /// Sends the final head.
    fn begin(&mut self) {
        let is_tunnel = self.head.switches_protocols();
        if self.facts.websocket && !self.is_agreed(is_tunnel) {
            return self.refuse_tunnel();
        }
        let framing = self.head.framing();
        let has_body = is_tunnel || framing.has_body();
        let status = if is_tunnel { 200 } else { self.head.status() };
        let response = self.response(status);
        match self.respond.send_response(response, !has_body) {
            Ok(send) => self.send = Some(send),
            Err(_) => {
                self.end(Outcome::Gone);
                return;
            }
        }
        self.stage = match (is_tunnel, has_body) {
            (true, _) => Stage::Tunnel,
            (false, true) => Stage::Body,
            (false, false) => Stage::Over(Outcome::Sent),
        };
        self.decoder.reset(framing);
    }

    /// Whether the answer to a wish for a WebSocket means what it says over HTTP/2, where each 2xx is a yes.
    fn is_agreed(&self, is_tunnel: bool) -> bool {
        let accept = self.head.fields().find(&self.have, b"sec-websocket-accept");
        match is_tunnel {
            true => accept.is_some() && accept == self.proof.as_deref(),
            false => !matches!(self.head.status(), 200..=299),
        }
    }

    fn refuse_tunnel(&mut self) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let outcome = match self.respond.send_response(response, true) {
            Ok(_) => Outcome::Sent,
            Err(_) => Outcome::Gone,
        };
        self.end(outcome);
    }

    /// Takes the next stretch of the body out of what is there; whether anything came of it.
    fn read_body(&mut self) -> bool {
        match self.decoder.next(&self.have) {
            Ok(Piece::Data(length)) => {
                self.ready = self.have.split_to(length.min(self.have.len())).freeze();
                self.is_last = self.decoder.is_ended();
            }
            Ok(Piece::Framing(length) | Piece::Dropped(length)) => self.have.advance(length.min(self.have.len())),
            Ok(Piece::More) => return false,
            Ok(Piece::End) => {
                let mut trailers = HeaderMap::new();
                upgrade::trailer_fields(self.decoder.trailers())
                    .for_each(|(name, value)| append(&mut trailers, name, value));
                self.finish((!trailers.is_empty()).then_some(trailers));
            }
            Err(_) => self.reset(Reason::INTERNAL_ERROR),
        }
        true
    }

    fn read_tunnel(&mut self) -> bool {
        self.ready = self.have.split().freeze();
        !self.ready.is_empty()
    }

    /// Ends the stream.
    fn finish(&mut self, trailers: Option<HeaderMap>) {
        let sent = match (&mut self.send, trailers) {
            (Some(send), Some(trailers)) => send.send_trailers(trailers).is_ok(),
            (Some(send), None) => send.send_data(Bytes::new(), true).is_ok(),
            (None, _) => false,
        };
        self.end(if sent { Outcome::Sent } else { Outcome::Gone });
    }
}

/// Adds a field. One that no frame could carry cannot be here: every byte was checked when the head was read.
fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

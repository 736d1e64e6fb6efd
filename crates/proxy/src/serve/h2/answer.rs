//! A stream's answer: what was written for it as HTTP/1.1, as HEADERS, and then its body.
//!
//! The head is read as a server's is, by the same parser. The invariant: a stream that gets no answer, or none that is
//! whole, is reset.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use evenkeel_http::http2::upgrade;
use evenkeel_http::{Limits, RequestFacts, ResponseHead};
use evenkeel_model::caps;
use evenkeel_net::duplex::Half;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, Response, StatusCode};

use super::hands::Kit;
use crate::http2::outflow::{Outcome, Outflow};
use crate::http2::{append_shared, join};

/// What an answer of ours may be: what a server may send, and what we add.
const LIMITS: Limits = Limits { head: 2 * caps::SERVER_HEAD_BYTES, fields: 2 * caps::SERVER_FIELDS, target: 0 };

/// What an answer takes whose room the next one has. Most are not larger, and hands that rest are many.
const ROOM: usize = 4096;

/// A stream's answer.
pub(super) struct Answer {
    respond: SendResponse<Bytes>,
    stage: Stage,
    facts: RequestFacts,
    /// The proof that a server has to give for the key of a WebSocket's handshake.
    proof: Option<Vec<u8>>,
    have: BytesMut,
    head: ResponseHead,
    /// Bytes that came so far, up to the head's end.
    came: usize,
}

/// Where the answer stands.
enum Stage {
    /// Its head is awaited.
    Head,
    /// What follows the head goes out.
    Rest(Outflow),
    /// It is over.
    Over(Outcome),
}

impl Answer {
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        facts: RequestFacts,
        proof: Option<Vec<u8>>,
        head: ResponseHead,
    ) -> Self {
        Self { respond, stage: Stage::Head, facts, proof, have: BytesMut::new(), head, came: 0 }
    }

    /// Gives back what the next one may have. Room that a large answer took is let go.
    pub(super) fn leave(&mut self, kit: &mut Kit) {
        self.head.clear();
        kit.head = std::mem::take(&mut self.head);
        let room = match &mut self.stage {
            Stage::Rest(rest) => rest.take_room(),
            Stage::Head | Stage::Over(_) => Some(std::mem::take(&mut self.have)),
        };
        kit.room = room.filter(|_| self.came <= ROOM).unwrap_or_default();
    }

    /// Whether the server has agreed to a tunnel.
    pub(super) fn is_switched(&self) -> bool {
        matches!(&self.stage, Stage::Rest(rest) if rest.is_tunnel())
    }

    /// Whether the client has its head.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self.stage, Stage::Rest(_))
    }

    /// Bytes that wait for the client alone.
    pub(super) fn waiting(&self) -> usize {
        match &self.stage {
            Stage::Rest(rest) => rest.waiting(),
            Stage::Head | Stage::Over(_) => 0,
        }
    }

    /// Gives the stream up.
    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.stage {
            Stage::Head => {
                self.respond.send_reset(reason);
                self.stage = Stage::Over(Outcome::Reset);
            }
            Stage::Rest(rest) => rest.reset(reason),
            Stage::Over(_) => {}
        }
    }

    /// Moves what can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<Outcome> {
        loop {
            match &mut self.stage {
                Stage::Over(outcome) => return Poll::Ready(*outcome),
                Stage::Rest(rest) => return rest.poll(cx, from),
                Stage::Head => {}
            }
            if !self.read_head() && self.poll_fill(cx, from).is_pending() {
                // While there is nothing to send, only this tells that nobody waits any more.
                let _ = ready!(self.respond.poll_reset(cx));
                self.stage = Stage::Over(Outcome::Gone);
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Half) -> Poll<()> {
        match ready!(from.poll_take(cx, usize::MAX)) {
            Ok(fresh) if !fresh.is_empty() => {
                self.came += fresh.len();
                join(&mut self.have, fresh);
            }
            // The exchange ended without an answer.
            Ok(_) | Err(_) => self.reset(Reason::INTERNAL_ERROR),
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
                    true => self.hint(length),
                    false => self.begin(length),
                }
                self.head.clear();
            }
        }
        true
    }

    /// Passes an interim head on. It fails where the client has left, which is found out by what follows.
    fn hint(&mut self, length: usize) {
        let response = self.response(self.head.status(), length);
        let _ = self.respond.send_informational(response);
    }

    /// Sends the final head.
    fn begin(&mut self, length: usize) {
        let is_tunnel = self.head.switches_protocols();
        if self.facts.websocket && !self.is_agreed(is_tunnel) {
            return self.refuse_tunnel();
        }
        let framing = self.head.framing();
        let is_whole = !is_tunnel && !framing.has_body();
        let response = self.response(if is_tunnel { 200 } else { self.head.status() }, length);
        let Ok(send) = self.respond.send_response(response, is_whole) else {
            self.stage = Stage::Over(Outcome::Gone);
            return;
        };
        let mut have = || std::mem::take(&mut self.have);
        self.stage = match (is_whole, is_tunnel) {
            (true, _) => Stage::Over(Outcome::Sent),
            (false, true) => Stage::Rest(Outflow::tunnel(send, have())),
            (false, false) => Stage::Rest(Outflow::body(send, framing, have())),
        };
    }

    /// A head with that status and the fields of the one that was read, which is taken out of what is there: its values stay
    /// where they are.
    fn response(&mut self, status: u16, length: usize) -> Response<()> {
        let text = self.have.split_to(length.min(self.have.len())).freeze();
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() = HeaderMap::with_capacity(self.head.fields().len());
        let fields = upgrade::answer_fields(&self.head, &text);
        fields.for_each(|(name, value)| append_shared(response.headers_mut(), &text, name, value));
        response
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
        // It fails where the client has left meanwhile.
        let _ = self.respond.send_response(response, true);
        // Nobody takes what the server goes on to say: it is let go.
        self.stage = Stage::Over(Outcome::Gone);
    }
}

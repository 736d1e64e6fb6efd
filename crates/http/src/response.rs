//! Answer heads: read as strictly as requests, since a server may be broken or hostile too.
//!
//! Not here: bodies (`body`) and writing (`write`). The invariant: where a head was read, the body's end is known, or
//! lasts until the connection ends and the connection is not used again. An answer that two programs could cut at
//! different places is refused ([`ResponseError`]), and the client gets 502.
//!
//! Decisions where the RFCs leave room:
//! - a missing reason is fine, with or without its blank; a status beyond 100 to 599 is not (RFC 9110 section 15);
//! - a length may not be repeated, not even the same one; a length beside a transfer coding is refused;
//! - an answer that can have no body but claims one (204 and 1xx with a length) closes the connection after it;
//! - 101 is let through only as the agreed end of a wish for a WebSocket.

use crate::error::ResponseError;
use crate::field;
use crate::fields::{Fields, Span};
use crate::head::{Claims, HeadFault, Line, Lines, read_field};
use crate::known::Known;
use crate::message::{Framing, Limits, Method, Version};
use crate::request::RequestFacts;

/// An answer's head, as spans of the caller's buffer. It is made once and used for one answer after the other.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    fields: Fields,
    seen: Seen,
}

/// All that is known of the head beside its fields.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    lines: Lines,
    stage: Stage,
    claims: Claims,
    status: u16,
    reason: Span,
    version: Version,
    framing: Framing,
    keep_alive: bool,
    to_head: bool,
}

/// Where the parse stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was read.
    #[default]
    Start,
    /// Fields or the empty line come.
    Fields,
    /// The head is complete.
    Done,
}

impl ResponseHead {
    /// An empty head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the answer and keeps the room for the next one.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.seen = Seen::default();
    }

    /// Reads on. `buf` begins at the answer's first byte; between two calls it may grow, what was there stays.
    ///
    /// Returns the number of bytes that the head takes, or `None` where more are needed.
    ///
    /// # Errors
    /// The first cause for which the answer is refused. The connection cannot carry another exchange then.
    pub fn parse(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        request: &RequestFacts,
    ) -> Result<Option<usize>, ResponseError> {
        if self.seen.stage == Stage::Done {
            return Ok(Some(self.len()));
        }
        if self.seen.stage == Stage::Start {
            check_begin(buf)?;
        }
        while let Some(line) = self.seen.lines.next(buf, limits.head)? {
            match self.seen.stage {
                Stage::Start => {
                    self.read_line(&line)?;
                    self.seen.stage = Stage::Fields;
                }
                Stage::Fields if line.bytes.is_empty() => {
                    self.finish(buf, request)?;
                    self.seen.stage = Stage::Done;
                    return Ok(Some(self.len()));
                }
                Stage::Fields => {
                    read_field(&mut self.fields, &mut self.seen.claims, &line, limits.fields)?;
                }
                Stage::Done => break,
            }
        }
        Ok(None)
    }

    /// The bytes of the head read so far; of all of it once it is complete.
    pub fn len(&self) -> usize {
        self.seen.lines.consumed()
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The status, 100 to 599; 0 before the first line was read.
    pub fn status(&self) -> u16 {
        self.seen.status
    }

    /// The reason as it came; often empty.
    pub fn reason<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.reason.of(buf)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.seen.version
    }

    /// How the body's end is found.
    pub fn framing(&self) -> Framing {
        self.seen.framing
    }

    /// Whether the connection may carry another exchange after this answer, as far as the server tells.
    pub fn keep_alive(&self) -> bool {
        self.seen.keep_alive
    }

    /// Whether the head is an interim one (1xx but 101): another head follows.
    pub fn is_interim(&self) -> bool {
        matches!(self.seen.status, 100 | 102..=199)
    }

    /// Whether the server switches to the WebSocket that was asked for: from here on bytes mean nothing to us.
    pub fn switches_protocols(&self) -> bool {
        self.seen.status == 101
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether `Connection` names fields that may have to be taken away.
    pub(crate) fn names_fields(&self) -> bool {
        self.seen.claims.names_fields
    }

    /// Whether the length tells what a GET would have got and no body follows (RFC 9110 section 8.6).
    pub(crate) fn describes_length(&self) -> bool {
        self.seen.framing == Framing::None && (self.seen.to_head || self.seen.status == 304)
    }

    fn read_line(&mut self, line: &Line<'_>) -> Result<(), ResponseError> {
        let (version, rest) = line.bytes.split_at_checked(8).ok_or(ResponseError::BadStatusLine)?;
        self.seen.version = version_of(version)?;
        let [b' ', hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', tail @ ..] = rest else {
            return Err(ResponseError::BadStatusLine);
        };
        let reason = match tail {
            [] => tail,
            [b' ', reason @ ..] => reason,
            _ => return Err(ResponseError::BadStatusLine),
        };
        if line.is_odd && !field::is_value(reason) {
            let is_broken = reason.contains(&b'\r');
            return Err(if is_broken { ResponseError::BadLineEnd } else { ResponseError::BadStatusLine });
        }
        let digit = |b: &u8| u16::from(b - b'0');
        self.seen.status = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
        let reason_start = line.start + (line.bytes.len() - reason.len());
        self.seen.reason = Span::of_length(reason_start, reason.len());
        Ok(())
    }

    fn finish(&mut self, buf: &[u8], request: &RequestFacts) -> Result<(), ResponseError> {
        let claims = self.seen.claims;
        if claims.chunked && claims.length.is_some() {
            return Err(ResponseError::ConflictingFraming);
        }
        if claims.chunked && self.seen.version == Version::Http10 {
            return Err(ResponseError::BadTransferEncoding);
        }
        if self.seen.status == 101 && !self.is_agreed_switch(buf, request) {
            return Err(ResponseError::UnaskedSwitch);
        }
        self.seen.to_head = request.method == Method::Head;
        self.seen.framing = self.body_framing();
        // A server that claims a body where none can be will send it, or not: nobody knows (RFC 9112 section 6.3).
        let claims_the_impossible = self.has_no_content() && (claims.chunked || claims.length.is_some_and(|n| n > 0));
        let persists = !claims.close && (self.seen.version == Version::Http11 || claims.keep_alive);
        self.seen.keep_alive = persists && !claims_the_impossible && self.seen.framing != Framing::UntilClose;
        Ok(())
    }

    /// RFC 9112 section 6.3, in its order.
    fn body_framing(&self) -> Framing {
        match self.seen.claims {
            _ if self.seen.to_head || self.has_no_content() || self.seen.status == 304 => Framing::None,
            Claims { chunked: true, .. } => Framing::Chunked,
            Claims { length: Some(length), .. } => Framing::Length(length),
            _ => Framing::UntilClose,
        }
    }

    fn has_no_content(&self) -> bool {
        matches!(self.seen.status, 100..=199 | 204)
    }

    fn is_agreed_switch(&self, buf: &[u8], request: &RequestFacts) -> bool {
        let to_websocket =
            self.fields.first(buf, Known::Upgrade).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
        request.websocket && self.seen.claims.upgrade && to_websocket && self.seen.version == Version::Http11
    }
}

/// What does not begin like an answer is refused at once, so that a server which speaks another protocol, or waits for
/// us to speak it, is found out without waiting for a line's end.
fn check_begin(buf: &[u8]) -> Result<(), ResponseError> {
    let fits = buf.iter().zip(b"HTTP/").all(|(byte, wanted)| byte == wanted);
    if fits { Ok(()) } else { Err(ResponseError::BadStatusLine) }
}

fn version_of(text: &[u8]) -> Result<Version, ResponseError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(ResponseError::UnknownVersion)
        }
        _ => Err(ResponseError::BadStatusLine),
    }
}

impl From<HeadFault> for ResponseError {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::LineEnd => Self::BadLineEnd,
            HeadFault::TooLong => Self::HeadTooLong,
            HeadFault::TooManyFields => Self::TooManyFields,
            HeadFault::FieldName => Self::BadFieldName,
            HeadFault::FieldValue => Self::BadFieldValue,
            HeadFault::Folded => Self::FoldedField,
            HeadFault::ContentLength => Self::BadContentLength,
            HeadFault::RepeatedContentLength => Self::RepeatedContentLength,
            HeadFault::TransferEncoding | HeadFault::UnknownTransferEncoding => Self::BadTransferEncoding,
            HeadFault::Connection => Self::BadConnection,
        }
    }
}

#[cfg(test)]
mod tests;

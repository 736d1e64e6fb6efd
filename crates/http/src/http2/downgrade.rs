//! A request of a stream, written as an HTTP/1.1 request; and an answer that came in one.
//!
//! Not here: what HTTP/1.1 itself refuses. Whatever can be written without ambiguity is written, and the parser that
//! reads it judges it as it judges all (`request`): hosts, targets, lengths, methods. Here is refused what no text can say,
//! and what the text would hide: a length that the stream itself contradicts, fields of the connection, crumbs of
//! cookies beyond the number of fields.
//!
//! The invariant: the text is one request line, lines `name: value` without a control character in them, and one framing
//! that fits the stream; whoever reads it finds the end of the head where the stream's fields ended.

use std::ops::Range;

use crate::encode::CRLF;
use crate::error::StreamError;
use crate::known::Known;
use crate::message::Method;
use crate::{authority, field, grpc};

/// The pseudo-fields of a request (RFC 9113 section 8.3.1), as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamLine<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:scheme`
    pub scheme: Option<&'a [u8]>,
    /// `:authority`
    pub authority: Option<&'a [u8]>,
    /// `:path`
    pub path: Option<&'a [u8]>,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'a [u8]>,
}

/// Whether the stream's head was all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ended with its head: there is no body.
    Here,
    /// Bytes of a body, or of a tunnel, may follow.
    Later,
}

/// How the bytes behind the head are put into the text's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There are none.
    None,
    /// As they come, exactly so many.
    Exactly(u64),
    /// In chunks.
    Chunks,
    /// As they come, once the other side has switched protocols.
    Tunnel,
}

/// What a message says of its length.
#[derive(Debug, Default)]
struct Length {
    value: Option<u64>,
    /// Where the text has it first.
    line: Option<Range<usize>>,
    /// Whether the message is of a call by gRPC, whose end is told in trailers.
    is_call: bool,
}

impl Length {
    /// Notes a field that was written to that stretch of the text.
    fn note(&mut self, name: Known, value: &[u8], line: Range<usize>) {
        match name {
            Known::ContentLength if self.line.is_none() => {
                self.value = field::strict_number(value);
                self.line = Some(line);
            }
            Known::ContentType => self.is_call |= grpc::is_call(Some(value)),
            _ => {}
        }
    }

    /// How a body that may be there goes on. A body in chunks alone has trailers in HTTP/1.1: a call's loses its length, which
    /// nobody there needs; whoever reads the frames has compared the two.
    fn body(&self, out: &mut Vec<u8>) -> Body {
        match (self.value, &self.line) {
            (Some(length), _) if !self.is_call => return Body::Exactly(length),
            (Some(_), Some(line)) => drop(out.drain(line.clone())),
            _ => {}
        }
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        Body::Chunks
    }
}

/// A request whose fields are being written.
#[derive(Debug)]
pub struct Downgrade {
    out: Vec<u8>,
    cookie: Vec<u8>,
    /// Where the text has `:authority`, until a `Host` field was compared with it.
    authority: Range<usize>,
    fields: usize,
    most_fields: usize,
    length: Length,
    is_websocket: bool,
}

impl Downgrade {
    /// Begins with the request line. `most_fields` is how many fields the stream may have, crumbs of cookies counted
    /// each; `key` is what a WebSocket's handshake gets for its key, which HTTP/2 has none of.
    ///
    /// # Errors
    /// Where the pseudo-fields do not make a request.
    pub fn begin(line: &StreamLine<'_>, most_fields: usize, key: &[u8]) -> Result<Self, StreamError> {
        if !field::is_token(line.method) {
            return Err(StreamError::BadMethod);
        }
        let authority = line.authority.unwrap_or_default();
        if !is_plain(authority) {
            return Err(StreamError::BadAuthority);
        }
        let mut out = Vec::with_capacity(512);
        let mut new = Self {
            cookie: Vec::new(),
            authority: 0..0,
            fields: 0,
            most_fields,
            length: Length::default(),
            is_websocket: false,
            out: Vec::new(),
        };
        match (line.method == b"CONNECT", line.protocol) {
            (true, Some(protocol)) if protocol.eq_ignore_ascii_case(b"websocket") => new.is_websocket = true,
            (true, Some(_)) => return Err(StreamError::UnknownProtocol),
            (false, Some(_)) => return Err(StreamError::BadPseudoField),
            // Written as it is meant, and refused like any CONNECT.
            (true, None) if line.path.is_some() || line.scheme.is_some() => return Err(StreamError::BadPseudoField),
            (true, None) | (false, None) => {}
        }
        let method = if new.is_websocket { b"GET" } else { line.method };
        let target = match line.path {
            _ if line.method == b"CONNECT" && !new.is_websocket => authority,
            Some(path) => path,
            None => return Err(StreamError::BadPseudoField),
        };
        let is_known_scheme = |scheme: &[u8]| [&b"http"[..], b"https"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
        if line.path.is_some() && !line.scheme.is_some_and(is_known_scheme) {
            return Err(StreamError::BadScheme);
        }
        if target.is_empty() || !target.iter().all(|byte| matches!(byte, 0x21..=0x7e)) {
            return Err(StreamError::BadPath);
        }
        // RFC 9113 section 8.3.1: a path begins with a slash, or is the asterisk of OPTIONS.
        if line.path.is_some_and(|path| path.first() != Some(&b'/') && path != b"*") {
            return Err(StreamError::BadPath);
        }
        for piece in [method, b" ", target, b" HTTP/1.1\r\n"] {
            out.extend_from_slice(piece);
        }
        if !authority.is_empty() {
            write_field(&mut out, b"Host", authority);
            let end = out.len().saturating_sub(CRLF.len());
            new.authority = end.saturating_sub(authority.len())..end;
        }
        if new.is_websocket {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
            write_field(&mut out, b"Sec-WebSocket-Key", key);
        }
        new.out = out;
        Ok(new)
    }

    fn authority(&self) -> &[u8] {
        self.out.get(self.authority.clone()).unwrap_or_default()
    }

    /// Writes one field.
    ///
    /// # Errors
    /// Where no request may carry it.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), StreamError> {
        self.fields = self.fields.saturating_add(1);
        if self.fields > self.most_fields {
            return Err(StreamError::TooManyFields);
        }
        let known = known(name, value)?;
        match known {
            Known::Te if !value.eq_ignore_ascii_case(b"trailers") => return Err(StreamError::ConnectionField),
            Known::Host if !self.authority.is_empty() && self.authority().eq_ignore_ascii_case(value) => {
                // Said twice is said once; said a third time it stays, and is refused as more than one.
                self.authority = 0..0;
                return Ok(());
            }
            Known::Cookie => {
                // Section 8.2.3: crumbs are one cookie field.
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
                return Ok(());
            }
            // A handshake over a stream has none, so that one cannot be meant.
            _ if self.is_websocket && name == b"sec-websocket-key" => return Ok(()),
            _ => {}
        }
        let begin = self.out.len();
        write_field(&mut self.out, name, value);
        self.length.note(known, value, begin..self.out.len());
        Ok(())
    }

    /// Ends the head: the text, and how the body goes on from there.
    ///
    /// # Errors
    /// Where the stream contradicts what its fields say.
    pub fn finish(mut self, end: End) -> Result<(Vec<u8>, Body), StreamError> {
        if !self.cookie.is_empty() {
            let cookie = std::mem::take(&mut self.cookie);
            write_field(&mut self.out, b"Cookie", &cookie);
        }
        let body = match (self.is_websocket, end, self.length.value) {
            (true, End::Later, None) => Body::Tunnel,
            (true, ..) => return Err(StreamError::BadPseudoField),
            // RFC 9113 section 8.1.1: a length that is not the sum of the DATA frames makes the message malformed.
            (false, End::Here, Some(length)) if length > 0 => return Err(StreamError::LengthMismatch),
            (false, End::Here, _) => Body::None,
            (false, End::Later, _) => self.length.body(&mut self.out),
        };
        self.out.extend_from_slice(CRLF);
        Ok((self.out, body))
    }
}

/// A head that stands for a request which is refused: as much of it as one may say, for logs and for the form of the answer.
/// Also the method that the answer is to, and how a body goes on that may be there.
pub fn gist<'a>(
    line: &StreamLine<'_>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    end: End,
) -> (Vec<u8>, Method, Body) {
    let is_target = |path: &&[u8]| path.first() == Some(&b'/') && path.iter().all(|byte| matches!(byte, 0x21..=0x7e));
    let target = line.path.filter(is_target).unwrap_or(b"/");
    // No server gets it: what stands for a tunnel that was wished for is what its wish would be in HTTP/1.1.
    let is_method = field::is_token(line.method) && !matches!(line.method, b"CONNECT" | b"TRACE");
    let method = if is_method { line.method } else { b"GET" };
    let mut out = Vec::with_capacity(256);
    for piece in [method, b" ", target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(piece);
    }
    let mut has_host = false;
    if let Some(authority) = line.authority.filter(|authority| authority::split(authority).is_some()) {
        write_field(&mut out, b"Host", authority);
        has_host = true;
    }
    for (name, value) in fields.filter(|(name, value)| known(name, value).is_ok()) {
        if Known::of(name) != Known::Host || !has_host {
            write_field(&mut out, name, value);
        }
    }
    if end == End::Later {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(CRLF);
    (out, Method::of(method), if end == End::Later { Body::Chunks } else { Body::None })
}

/// An answer of a server over HTTP/2 whose fields are being written. What HTTP/1.1 itself refuses is refused by the parser
/// of answers (`response`), as for requests.
#[derive(Debug)]
pub struct DowngradeAnswer {
    out: Vec<u8>,
    status: u16,
    length: Length,
}

impl DowngradeAnswer {
    /// Begins with the status line.
    ///
    /// # Errors
    /// Where the status is none that an answer may have. 101 is none over HTTP/2 (RFC 9113 section 8.6).
    pub fn begin(status: u16) -> Result<Self, StreamError> {
        if !matches!(status, 100 | 102..=599) {
            return Err(StreamError::BadStatus);
        }
        let mut out = Vec::with_capacity(512);
        for piece in [b"HTTP/1.1 ", status.to_string().as_bytes(), b" \r\n"] {
            out.extend_from_slice(piece);
        }
        Ok(Self { out, status, length: Length::default() })
    }

    /// Begins with the agreement to a WebSocket that a server gives by answering an extended CONNECT with success.
    pub fn switching(key: &[u8]) -> Self {
        let mut out = b"HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: websocket\r\n".to_vec();
        write_field(&mut out, b"Sec-WebSocket-Accept", &super::websocket::proof(key));
        Self { out, status: 101, length: Length::default() }
    }

    /// Writes one field.
    ///
    /// # Errors
    /// Where no answer may carry it.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), StreamError> {
        let (known, begin) = (known(name, value)?, self.out.len());
        write_field(&mut self.out, name, value);
        self.length.note(known, value, begin..self.out.len());
        Ok(())
    }

    /// Ends the head: the text, and how the body goes on from there. `to_head`: the request was HEAD, whose answers tell
    /// of a body that does not come.
    ///
    /// # Errors
    /// Where the stream contradicts what its fields say.
    pub fn finish(mut self, end: End, to_head: bool) -> Result<(Vec<u8>, Body), StreamError> {
        let body = match (self.status, end, self.length.value) {
            (101, ..) => Body::Tunnel,
            (100..=199 | 204 | 304, ..) => Body::None,
            _ if to_head => Body::None,
            (_, End::Here, Some(length)) if length > 0 => return Err(StreamError::LengthMismatch),
            (_, End::Here, length) => {
                if length.is_none() {
                    write_field(&mut self.out, b"Content-Length", b"0");
                }
                Body::None
            }
            (_, End::Later, _) => self.length.body(&mut self.out),
        };
        self.out.extend_from_slice(CRLF);
        Ok((self.out, body))
    }
}

/// What a field is, if a stream's message may have it.
fn known(name: &[u8], value: &[u8]) -> Result<Known, StreamError> {
    // RFC 9113 section 8.2.1: no upper case, and no colon, which no token has.
    if !field::is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
        return Err(StreamError::BadFieldName);
    }
    if !is_plain(value) {
        return Err(StreamError::BadFieldValue);
    }
    match Known::of(name) {
        // Section 8.2.2: fields of the connection are no part of it.
        Known::Connection | Known::KeepAlive | Known::ProxyConnection | Known::TransferEncoding | Known::Upgrade => {
            Err(StreamError::ConnectionField)
        }
        known => Ok(known),
    }
}

/// Whether a value can stand in a line as it is: no control character, and no blank at an end, which whoever reads the
/// line would take away (RFC 9113 section 8.2.1).
fn is_plain(value: &[u8]) -> bool {
    field::is_value(value) && field::trim(value).len() == value.len()
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for piece in [name, b": ", value, CRLF] {
        out.extend_from_slice(piece);
    }
}

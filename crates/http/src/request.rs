//! Request heads: read strictly, in one pass, resumable at any byte.
//!
//! Not here: bodies (`body`), writing (`write`), and what a request is allowed to reach. The invariant: a head that was
//! read has exactly one meaning. Whatever two programs are known to read in two ways is refused
//! ([`RequestError`]), and the verdict does not depend on how the bytes were cut.
//!
//! Decisions where the RFCs leave room:
//! - one empty line before the request line is skipped (RFC 9112 section 2.2), a second is refused;
//! - a length may not be repeated, not even the same one, and a transfer coding is the one word `chunked`;
//! - `Expect: 100-continue` is answered by us and never passed on, any other expectation is refused;
//! - an upgrade is a WebSocket or nothing: other wishes (`h2c`) are taken for ordinary requests and the fields dropped;
//! - a field that spells a known name with underscores is kept for logs as [`Known::Alias`] and never passed on; one that
//!   spells a framing field so is refused.

use crate::error::RequestError;
use crate::fields::{Fields, Span};
use crate::head::{Claims, HeadFault, Line, Lines, read_field};
use crate::known::Known;
use crate::message::{Framing, Limits, Method, Version};
use crate::{authority, field, uri};

/// What of a request decides how its answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestFacts {
    /// The method.
    pub method: Method,
    /// The version that the client speaks.
    pub version: Version,
    /// Whether a switch to WebSocket was asked for.
    pub websocket: bool,
}

/// A request's head, as spans of the caller's buffer. It is made once and used for one request after the other.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    fields: Fields,
    seen: Seen,
}

/// All that is known of the head beside its fields.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    lines: Lines,
    stage: Stage,
    claims: Claims,
    line: Span,
    method: Method,
    method_text: Span,
    target: Target,
    version: Version,
    host: Option<Span>,
    /// The name of the host that the request is for: routes are looked up by it more than once.
    name: Span,
    expects: bool,
    upgrade: Option<Span>,
    websocket: bool,
}

/// Where the parse stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was read.
    #[default]
    Start,
    /// An empty line was skipped, the request line comes.
    Line,
    /// Fields or the empty line come.
    Fields,
    /// The head is complete.
    Done,
}

/// The request's target, cut (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    whole: Span,
    authority: Option<Span>,
    path: Span,
    query: Option<Span>,
}

impl RequestHead {
    /// An empty head.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the request and keeps the room for the next one.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.seen = Seen::default();
    }

    /// Reads on. `buf` begins at the request's first byte; between two calls it may grow, what was there stays.
    ///
    /// Returns the number of bytes that the head takes, or `None` where more are needed. A complete head answers the
    /// same again until [`clear`](Self::clear).
    ///
    /// # Errors
    /// The first cause for which the request is refused. The connection cannot carry another request then.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, RequestError> {
        if self.seen.stage == Stage::Done {
            return Ok(Some(self.len()));
        }
        if self.seen.stage == Stage::Start {
            check_first_byte(buf)?;
        }
        while let Some(line) = self.seen.lines.next(buf, limits.head).map_err(|fault| self.line_fault(fault))? {
            match self.seen.stage {
                Stage::Start if line.bytes.is_empty() => self.seen.stage = Stage::Line,
                Stage::Start | Stage::Line => {
                    self.read_line(buf, &line, limits)?;
                    self.seen.stage = Stage::Fields;
                }
                Stage::Fields if line.bytes.is_empty() => {
                    self.finish(buf)?;
                    self.seen.stage = Stage::Done;
                    return Ok(Some(self.len()));
                }
                Stage::Fields => self.read_field(buf, &line, limits)?,
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

    /// The method.
    pub fn method(&self) -> Method {
        self.seen.method
    }

    /// The method as it came.
    pub fn method_text<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.method_text.of(buf)
    }

    /// The request line as it came, without its line end.
    pub fn line<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.line.of(buf)
    }

    /// The target as it came.
    pub fn target<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.target.whole.of(buf)
    }

    /// The target's path as it came: `/` for an absolute target without one, `*` for `OPTIONS *`.
    pub fn path<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        match self.seen.target.path.of(buf) {
            // RFC 9112 section 3.2.4: OPTIONS for a host as a whole.
            [] if self.seen.method == Method::Options && self.seen.target.query.is_none() => b"*",
            [] => b"/",
            path => path,
        }
    }

    /// The target's query as it came, without its `?`.
    pub fn query<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.seen.target.query.map(|query| query.of(buf))
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.seen.version
    }

    /// The host and port as they came, from the target or else the `Host` field. Empty for HTTP/1.0 without one.
    pub fn authority<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.target.authority.or(self.seen.host).map_or(&[], |span| span.of(buf))
    }

    /// The host without its port and without a final dot, in the case in which it came.
    pub fn host<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.seen.name.of(buf)
    }

    /// How the body's end is found.
    pub fn framing(&self) -> Framing {
        match self.seen.claims {
            Claims { chunked: true, .. } => Framing::Chunked,
            Claims { length: Some(length), .. } => Framing::Length(length),
            _ => Framing::None,
        }
    }

    /// Whether the client wants the connection kept.
    pub fn keep_alive(&self) -> bool {
        let claims = self.seen.claims;
        !claims.close && (self.seen.version == Version::Http11 || claims.keep_alive)
    }

    /// Whether the client waits for `100 Continue` before it sends its body.
    pub fn expects_continue(&self) -> bool {
        // RFC 9110 section 10.1.1: the expectation of an HTTP/1.0 client is ignored.
        self.seen.expects && self.seen.version == Version::Http11 && self.framing().has_body()
    }

    /// The protocol that the client would switch to, whether we would or not.
    pub fn upgrade<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.seen.upgrade.filter(|_| self.wants_upgrade()).map(|span| span.of(buf))
    }

    /// Whether the client asks for a WebSocket, the only protocol that is switched to.
    pub fn asks_websocket(&self) -> bool {
        self.seen.websocket
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// What decides how the answer is read.
    pub fn facts(&self) -> RequestFacts {
        RequestFacts { method: self.seen.method, version: self.seen.version, websocket: self.seen.websocket }
    }

    /// Whether `Connection` names fields that may have to be taken away.
    pub(crate) fn names_fields(&self) -> bool {
        self.seen.claims.names_fields
    }

    fn wants_upgrade(&self) -> bool {
        self.seen.claims.upgrade && self.seen.version == Version::Http11
    }

    fn line_fault(&self, fault: HeadFault) -> RequestError {
        match (fault, self.seen.stage) {
            (HeadFault::TooLong, Stage::Start | Stage::Line) => RequestError::TargetTooLong,
            (fault, _) => RequestError::from(fault),
        }
    }

    fn read_line(&mut self, buf: &[u8], line: &Line<'_>, limits: &Limits) -> Result<(), RequestError> {
        let parts = LineParts::cut(line)?;
        if parts.target.len() > limits.target {
            return Err(RequestError::TargetTooLong);
        }
        self.seen.line = Span::of_length(line.start, line.bytes.len());
        self.seen.version = version_of(parts.version)?;
        self.seen.method_text = Span::of_length(line.start, parts.method.len());
        self.seen.method = Method::of(parts.method);
        if matches!(self.seen.method, Method::Connect | Method::Trace) {
            return Err(RequestError::MethodRefused);
        }
        self.seen.target = Target::cut(parts.target, line.start + parts.method.len() + 1, self.seen.method)?;
        if let Some(authority) = self.seen.target.authority {
            self.seen.name = host_name(authority, buf).unwrap_or(authority);
        }
        Ok(())
    }

    fn read_field(&mut self, buf: &[u8], line: &Line<'_>, limits: &Limits) -> Result<(), RequestError> {
        let known = read_field(&mut self.fields, &mut self.seen.claims, line, limits.fields)?;
        match known {
            Known::Host => self.note_host(buf),
            Known::Expect => {
                self.seen.expects = self.last_value(buf).eq_ignore_ascii_case(b"100-continue");
                if self.seen.expects { Ok(()) } else { Err(RequestError::UnknownExpectation) }
            }
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, buf: &[u8]) -> Result<(), RequestError> {
        let span = self.fields.last_value().unwrap_or_default();
        if self.seen.host.replace(span).is_some() {
            return Err(RequestError::RepeatedHost);
        }
        let name = host_name(span, buf);
        if self.seen.target.authority.is_none() {
            self.seen.name = name.unwrap_or(span);
        }
        name.map(|_| ()).ok_or(RequestError::BadHost)
    }

    fn last_value<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.fields.last_value().unwrap_or_default().of(buf)
    }

    /// What can only be judged with all fields at hand.
    fn finish(&mut self, buf: &[u8]) -> Result<(), RequestError> {
        let claims = self.seen.claims;
        if claims.chunked && claims.length.is_some() {
            return Err(RequestError::ConflictingFraming);
        }
        // A transfer coding is unknown to HTTP/1.0; somebody behind us may not see it (RFC 9112 section 6.1).
        if claims.chunked && self.seen.version == Version::Http10 {
            return Err(RequestError::BadTransferEncoding);
        }
        match (self.seen.host, self.seen.target.authority) {
            (None, _) if self.seen.version == Version::Http11 => return Err(RequestError::MissingHost),
            (Some(host), Some(authority)) if !host.of(buf).eq_ignore_ascii_case(authority.of(buf)) => {
                return Err(RequestError::HostMismatch);
            }
            _ => {}
        }
        self.note_upgrade(buf);
        Ok(())
    }

    fn note_upgrade(&mut self, buf: &[u8]) {
        let mut wishes = self.fields.spans(Known::Upgrade);
        let wish = wishes.next().filter(|span| field::is_token(span.of(buf)));
        self.seen.upgrade = if wishes.next().is_some() { None } else { wish };
        self.seen.websocket = self.seen.method == Method::Get
            && !self.framing().has_body()
            && self.upgrade(buf).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    }
}

/// Where the host's name lies in an authority, without port and final dot.
fn host_name(authority: Span, buf: &[u8]) -> Option<Span> {
    authority::name(authority.of(buf)).map(|name| authority.front(name.len()))
}

/// What cannot begin a request is refused at its first byte: a TLS greeting, say, would else hold the connection until
/// the head's time is over.
fn check_first_byte(buf: &[u8]) -> Result<(), RequestError> {
    match buf.first() {
        None | Some(b'\r') => Ok(()),
        Some(b'\n') => Err(RequestError::BadLineEnd),
        Some(&byte) if field::is_token_byte(byte) => Ok(()),
        Some(_) => Err(RequestError::BadRequestLine),
    }
}

/// The three parts of a request line.
struct LineParts<'b> {
    method: &'b [u8],
    target: &'b [u8],
    version: &'b [u8],
}

impl<'b> LineParts<'b> {
    fn cut(line: &Line<'b>) -> Result<Self, RequestError> {
        if line.is_odd && line.bytes.contains(&b'\r') {
            return Err(RequestError::BadLineEnd);
        }
        let is_blank = |byte: &u8| *byte == b' ';
        // From both ends, since the target between the blanks may be long.
        let first = line.bytes.iter().position(is_blank).ok_or(RequestError::BadRequestLine)?;
        let second = line.bytes.iter().rposition(is_blank).ok_or(RequestError::BadRequestLine)?;
        let target = line.bytes.get(first + 1..second).filter(|target| !target.contains(&b' '));
        let (Some(method), Some(target), Some(version)) =
            (line.bytes.get(..first), target, line.bytes.get(second + 1..))
        else {
            return Err(RequestError::BadRequestLine);
        };
        if field::is_token(method) { Ok(Self { method, target, version }) } else { Err(RequestError::BadMethod) }
    }
}

fn version_of(text: &[u8]) -> Result<Version, RequestError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(RequestError::UnknownVersion)
        }
        _ => Err(RequestError::BadVersion),
    }
}

impl Target {
    /// Cuts a target that begins at `start`.
    fn cut(bytes: &[u8], start: usize, method: Method) -> Result<Self, RequestError> {
        let whole = Span::of_length(start, bytes.len());
        // RFC 3986 allows less; browsers send more (`|`, `{`). A fragment never belongs in a target.
        if bytes.is_empty() || !bytes.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#') {
            return Err(RequestError::BadTarget);
        }
        if bytes == b"*" && method == Method::Options {
            return Ok(Self { whole, path: whole, ..Self::default() });
        }
        let (authority, rest) = match bytes {
            [b'/', ..] => (None, bytes),
            _ => cut_authority(bytes, start)?,
        };
        let rest_start = start + (bytes.len() - rest.len());
        let question = if rest == b"/" { None } else { memchr::memchr(b'?', rest) };
        let path_length = question.unwrap_or(rest.len());
        if !uri::is_sound_path(rest.get(..path_length).unwrap_or_default()) {
            return Err(RequestError::BadPath);
        }
        let query = question.map(|question| Span::new(rest_start + question + 1, start + bytes.len()));
        Ok(Self { whole, authority, path: Span::of_length(rest_start, path_length), query })
    }
}

/// The authority of an absolute target, and what follows it.
fn cut_authority(target: &[u8], start: usize) -> Result<(Option<Span>, &[u8]), RequestError> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
    let Some(scheme) = scheme else { return Err(RequestError::BadTarget) };
    let rest = target.get(scheme.len()..).unwrap_or_default();
    let (authority, tail) = rest.split_at(memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len()));
    authority::split(authority).ok_or(RequestError::BadHost)?;
    Ok((Some(Span::of_length(start + scheme.len(), authority.len())), tail))
}

impl From<HeadFault> for RequestError {
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
            HeadFault::TransferEncoding => Self::BadTransferEncoding,
            HeadFault::UnknownTransferEncoding => Self::UnknownTransferEncoding,
            HeadFault::Connection => Self::BadConnection,
        }
    }
}

#[cfg(test)]
mod tests;

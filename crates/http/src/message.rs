//! What a message is said to be: method, version, framing and the bounds it is read with.
//!
//! Not here: how any of it is read (`request`, `response`) or written (`write`). Every value is plain and `Copy`.

use evenkeel_model::config::ClientLimits;
use evenkeel_model::{caps, defaults};

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head, the empty line included.
    pub head: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the request's target; of no meaning for answers.
    pub target: usize,
}

impl Limits {
    /// The bounds for heads that servers send.
    pub const SERVER: Self = Self { head: caps::SERVER_HEAD_BYTES, fields: caps::SERVER_FIELDS, target: 0 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&ClientLimits {
            head: defaults::MAX_HEAD,
            fields: defaults::MAX_FIELDS,
            target: defaults::MAX_TARGET,
            ..ClientLimits::default()
        })
    }
}

impl From<&ClientLimits> for Limits {
    fn from(limits: &ClientLimits) -> Self {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self { head: bytes(limits.head), fields: usize::from(limits.fields), target: bytes(limits.target) }
    }
}

/// A request's method. Methods are case-sensitive (RFC 9110 section 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// `CONNECT`, which is refused while the request is read.
    Connect,
    /// `TRACE`, which is refused while the request is read.
    Trace,
    /// Any other token.
    Other,
}

impl Method {
    /// The method of that name.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Whether the method only reads (RFC 9110 section 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether executing it twice is the same as once (RFC 9110 section 9.2.2). Unknown methods are not.
    pub fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

/// A message's version. Others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How a body's end is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body comes in chunks.
    Chunked,
    /// The body lasts until the connection ends. Answers only.
    UntilClose,
}

impl Framing {
    /// Whether bytes of a body may follow.
    pub fn has_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

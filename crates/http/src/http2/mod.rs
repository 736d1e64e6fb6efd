//! What HTTP/2 needs of us beside its frames: the same message in the other form, and an eye on those who abuse it.
//!
//! [`downgrade`] writes a request of a stream as an HTTP/1.1 request, strictly, so that it goes through the one parser and
//! the one framing machine like any other; [`upgrade`] names the fields of an answer that a stream gets, and of a request
//! that goes to a server over HTTP/2; [`sentry`] counts and judges frames; [`websocket`] is the handshake that one side of an
//! extended CONNECT does not know (RFC 8441).
//!
//! Not here: frames, HPACK, flow control and streams, which a library has. The invariant: nothing that a stream carries
//! becomes a byte between two fields of the text.

pub mod downgrade;
pub mod sentry;
pub mod upgrade;
pub mod websocket;

pub use downgrade::{Downgrade, DowngradeAnswer, End, StreamLine};
pub use sentry::{Breach, Flood, Offence, Sentry};

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// An HTTP/2 connection's.
    Http2,
    /// They may become that.
    Perhaps,
    /// Something else.
    Other,
}

/// Whether a connection begins as HTTP/2 does.
pub fn opening(bytes: &[u8]) -> Opening {
    match bytes.len() >= PREFACE.len() {
        true if bytes.starts_with(PREFACE) => Opening::Http2,
        false if PREFACE.starts_with(bytes) => Opening::Perhaps,
        _ => Opening::Other,
    }
}

#[cfg(test)]
mod tests;

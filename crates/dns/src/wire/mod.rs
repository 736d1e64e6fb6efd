//! Messages: queries in, responses out (RFC 1035, 4; EDNS, RFC 6891).
//!
//! Not what to answer (see `answer`). The invariants: no bytes make reading panic or take more than linear time;
//! pointers lead backwards only; nothing written is longer than its limit.

mod message;
mod query;
mod read;
mod response;
mod write;

pub use message::{Message, MessageRecord, write_query};
pub use query::{Cookie, Edns, Incoming, Query, Question, Rejection, read_query};
pub use response::{Encoded, Need, OptExtras, Response, Set, encode, encode_cut, encode_rejection};

pub(crate) use read::Cursor;
pub(crate) use write::Writer;

/// Bytes of a message's header (RFC 1035, 4.1.1).
pub const HEADER_BYTES: usize = 12;

/// The options of OPT that we know (RFC 5001, RFC 7873, RFC 8914).
pub(crate) mod option {
    /// Name server identifier.
    pub(crate) const NSID: u16 = 3;
    /// Cookie.
    pub(crate) const COOKIE: u16 = 10;
    /// Extended error.
    pub(crate) const ERROR: u16 = 15;
}

/// Bits of the header's second word.
pub(crate) mod flag {
    /// It is a response.
    pub(crate) const QR: u16 = 0x8000;
    /// The answer is authoritative.
    pub(crate) const AA: u16 = 0x0400;
    /// The answer is cut.
    pub(crate) const TC: u16 = 0x0200;
    /// Recursion is desired.
    pub(crate) const RD: u16 = 0x0100;
    /// Checking is disabled.
    pub(crate) const CD: u16 = 0x0010;
}

#[cfg(test)]
mod tests;

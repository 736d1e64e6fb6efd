//! Messages signed with a shared secret (TSIG, RFC 8945): requests, responses, and the rows of messages of a transfer.
//!
//! No socket and no clock: messages and the time since 1970 go in. The invariants: a signature is compared in
//! constant time and before the time it was made at; a secret is never shown.

mod key;
mod record;
mod sign;
mod verify;

use std::fmt;
use std::time::Duration;

pub use key::{Algorithm, Key, KeyError};
pub use sign::{Stream, sign_request, sign_response};
pub use verify::{Rejected, Request, verify_request, verify_response};

/// How far two clocks may differ where we sign (RFC 8945, 10).
pub(crate) const FUDGE: u16 = 300;

/// A signature: what the next message of the exchange is bound to.
#[derive(Clone, PartialEq, Eq)]
pub struct Mac(Vec<u8>);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({} bytes)", self.0.len())
    }
}

/// Why a signed message is not believed, or what the other side said of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The signature's record is not one, stands elsewhere than last, or stands twice.
    Malformed,
    /// The key's name, or its algorithm, is not known to the one who was asked.
    BadKey,
    /// The signature is another one: the secrets differ, or the message was changed.
    BadSig,
    /// The clocks are further apart than allowed. The other side's, where it told.
    BadTime(Option<Duration>),
    /// The signature is cut shorter than we take.
    BadTrunc,
    /// The answer to a signed request is not signed.
    Unsigned,
}

impl Fault {
    /// The number in the error field of a signature's record (RFC 8945, 3); none for what is not told.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::BadSig => Some(16),
            Self::BadKey => Some(17),
            Self::BadTime(_) => Some(18),
            Self::BadTrunc => Some(22),
            Self::Malformed | Self::Unsigned => None,
        }
    }

    fn from_code(code: u16, theirs: Option<Duration>) -> Option<Self> {
        match code {
            0 => None,
            17 => Some(Self::BadKey),
            18 => Some(Self::BadTime(theirs)),
            22 => Some(Self::BadTrunc),
            _ => Some(Self::BadSig),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the signature is malformed"),
            Self::BadKey => f.write_str("the key is not known there (BADKEY); compare its name and its algorithm"),
            Self::BadSig => f.write_str("the signature does not fit (BADSIG); compare the key's secret"),
            Self::BadTime(None) => f.write_str("the clocks are too far apart (BADTIME); set them by NTP"),
            Self::BadTime(Some(theirs)) => write!(
                f,
                "the clocks are too far apart (BADTIME), the other one is at {} seconds since 1970; set them by NTP",
                theirs.as_secs()
            ),
            Self::BadTrunc => f.write_str("the signature is cut too short (BADTRUNC)"),
            Self::Unsigned => f.write_str("the answer is not signed"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests;

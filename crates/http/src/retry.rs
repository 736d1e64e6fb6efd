//! Whether a request may be sent once more without the risk of its being executed twice.
//!
//! Not here: whether it should be (the pool's `retry` words, its budget, the servers left to try). The invariant: a
//! non-idempotent request of which a server has seen a byte is never repeated (RFC 9110 section 9.2.2), and no request
//! is repeated once the client has a byte of an answer.

use std::fmt;

use crate::message::Method;

/// How far an attempt got before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The request's method.
    pub method: Method,
    /// What the server may have seen of it.
    pub sent: Sent,
    /// What came back.
    pub answer: Answer,
    /// What we still have of its body.
    pub body: Replay,
}

/// What a server may have seen of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Not a byte: the connection was not established, or nothing was written to it.
    Nothing,
    /// At least a byte.
    Something,
}

/// What came back from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, or bytes that are no answer; the client got none of them.
    None,
    /// A head, such as one with status 503. The client got none of it.
    Held,
    /// The client got a byte of it, be it of an interim answer that tells of the request's fate. `100 Continue` of
    /// our own does not count.
    PassedOn,
}

/// What we still have of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// All that was taken from the client so far, or there is no body.
    Whole,
    /// A part is gone.
    Lost,
}

/// Why a request may not be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The client has a part of the answer.
    Answered,
    /// A part of the body is gone.
    BodyLost,
    /// A server may have executed it, and twice is not the same as once.
    NotIdempotent,
}

impl Refusal {
    /// The refusal in one stable word.
    pub fn code(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::BodyLost => "body-lost",
            Self::NotIdempotent => "not-idempotent",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "the client has a part of the answer",
            Self::BodyLost => "a part of the request's body is gone",
            Self::NotIdempotent => "the server may have executed the request, and its method is not idempotent",
        })
    }
}

/// Whether the request may be sent once more, to the same server or another.
///
/// # Errors
/// With the reason where it may not.
pub fn may_repeat(attempt: &Attempt) -> Result<(), Refusal> {
    match attempt {
        Attempt { answer: Answer::PassedOn, .. } => Err(Refusal::Answered),
        Attempt { body: Replay::Lost, .. } => Err(Refusal::BodyLost),
        Attempt { sent: Sent::Nothing, .. } => Ok(()),
        Attempt { method, .. } if method.is_idempotent() => Ok(()),
        _ => Err(Refusal::NotIdempotent),
    }
}

/// Whether the first request of a client's connection may go over a kept server connection: only if it could be sent
/// again should the server have closed that connection meanwhile.
pub fn survives_reuse(method: Method, body: Replay) -> bool {
    method.is_idempotent() && body == Replay::Whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_executed_twice_is_repeated() {
        let methods = [
            Method::Get,
            Method::Head,
            Method::Put,
            Method::Delete,
            Method::Options,
            Method::Post,
            Method::Patch,
            Method::Other,
        ];
        for method in methods {
            for sent in [Sent::Nothing, Sent::Something] {
                for answer in [Answer::None, Answer::Held, Answer::PassedOn] {
                    for body in [Replay::Whole, Replay::Lost] {
                        let verdict = may_repeat(&Attempt { method, sent, answer, body });
                        let twice_is_once = !matches!(method, Method::Post | Method::Patch | Method::Other);
                        let safe = answer != Answer::PassedOn
                            && body == Replay::Whole
                            && (sent == Sent::Nothing || twice_is_once);
                        assert_eq!(verdict.is_ok(), safe, "{method:?} {sent:?} {answer:?} {body:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_post_never_meets_a_connection_that_may_be_dead() {
        assert!(survives_reuse(Method::Get, Replay::Whole));
        assert!(!survives_reuse(Method::Post, Replay::Whole));
        assert!(!survives_reuse(Method::Put, Replay::Lost));
    }
}

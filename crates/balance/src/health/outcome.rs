//! What probes and live traffic report of a server, and how a report reads.

use evenkeel_model::Reason;

/// How one probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As expected.
    Passed {
        /// The first line of the answer, where the probe reads one.
        answer: Option<String>,
    },
    /// Otherwise, by the server's or the network's fault.
    Failed(Failure),
    /// Not at all, for a reason of our own (no descriptors, no local port). It says nothing about the server.
    Local {
        /// What stood in the way, as the system put it.
        detail: String,
    },
}

/// One failure of a server, found by a probe or by live traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub reason: Reason,
    /// The address that was asked (`10.0.0.11:8080`).
    pub at: String,
    /// What there is to add to the sentence (`503, expected 200 to 399`).
    pub detail: Option<String>,
    /// The first line of the answer, where there was one.
    pub answer: Option<String>,
}

/// A failure of live traffic, as the data plane reports it. What a client does is never reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficFailure {
    /// The cause.
    pub reason: Reason,
    /// The address that was asked (`10.0.0.11:8080`).
    pub at: String,
    /// What there is to add to the sentence (`503`).
    pub detail: Option<String>,
    /// [`ServerLoad::requests`](crate::ServerLoad::requests) at that time, this request included: failures
    /// are weighed against it.
    pub requests: u64,
}

/// What looking up a server's host name gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// An address to use, new or known.
    Found,
    /// No address at all. A lookup that fails while an earlier address is known is not to be reported: a
    /// name service that is down is no reason to stop using servers that work.
    Missing {
        /// What the lookup said, with the name.
        detail: String,
    },
}

/// How many, for the one verb that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    One,
    Many,
}

/// What befell checks or requests at that address, as the rest of a sentence that began with them.
pub(super) fn deed(reason: Reason, at: &str, detail: Option<&str>, number: Number) -> String {
    let deed = match (reason, number) {
        (Reason::ConnectRefused, Number::One) => format!("was refused by {at}"),
        (Reason::ConnectRefused, Number::Many) => format!("were refused by {at}"),
        (Reason::ConnectTimeout, _) => format!("got no connection to {at} in time"),
        (Reason::Unreachable, _) => format!("found no way to {at}"),
        (Reason::ConnectionLost, _) => format!("lost the connection to {at} before the answer was complete"),
        (Reason::TlsFailed, _) => format!("came to no TLS with {at}"),
        (Reason::AnswerTimeout, _) => format!("got no answer from {at} in time"),
        (Reason::AnswerMalformed, _) => format!("got a malformed answer from {at}"),
        (Reason::NotReady, Number::One) => format!("was told by {at} that it does not serve"),
        (Reason::NotReady, Number::Many) => format!("were told by {at} that it does not serve"),
        (Reason::StatusMismatch, _) => format!("got an unexpected status from {at}"),
        (Reason::BodyMismatch, _) => format!("missed the expected text in the answer from {at}"),
        (other, _) => format!("failed at {at} ({other})"),
    };
    match detail {
        Some(detail) => format!("{deed}: {detail}"),
        None => deed,
    }
}

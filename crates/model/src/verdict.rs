//! What we hold a server for, and why.

use std::fmt;
use std::time::Duration;

/// The state of a server in one word. Every view (status, log, metrics, answers of the DNS part) shows this word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Gets traffic.
    Up,
    /// Gets none: checks or live traffic found it failing.
    Down,
    /// Keeps the sessions it has and gets no new ones, by an operator's order.
    Draining,
    /// Gets no traffic at all, by an operator's order.
    Maintenance,
    /// Nothing is known yet. It gets traffic, so that a start without checks serves at once.
    Unknown,
}

impl State {
    /// The state's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a server has its state: a stable code for scripts. The sentence for people is [`Verdict::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No check has ended yet.
    Initial,
    /// Checks pass.
    CheckPassed,
    /// The pool has no checks and live traffic shows no failure.
    Unchecked,
    /// The server's host refused the connection.
    ConnectRefused,
    /// The connection was not established in time.
    ConnectTimeout,
    /// There is no route to the server, or the network said so.
    Unreachable,
    /// The server closed or reset the connection before its answer was complete.
    ConnectionLost,
    /// The server and we could not agree on TLS, or it did not prove who it is.
    TlsFailed,
    /// The connection stood, the answer did not come in time.
    AnswerTimeout,
    /// The answer is none of the protocol.
    AnswerMalformed,
    /// The server said that it does not serve at present.
    NotReady,
    /// The answer's status is none of the expected ones.
    StatusMismatch,
    /// The answer's body lacks the expected text.
    BodyMismatch,
    /// Live traffic failed on it too often.
    TrafficFailing,
    /// The server's host name does not resolve.
    Dns,
    /// An operator ordered it.
    Operator,
    /// The configuration orders it.
    Configured,
    /// We could not probe for a reason of our own (no descriptors, no local port); the state is the one before.
    Local,
}

impl Reason {
    /// Every reason, for catalogues.
    pub const ALL: [Self; 17] = [
        Self::Initial,
        Self::CheckPassed,
        Self::Unchecked,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::TlsFailed,
        Self::AnswerTimeout,
        Self::AnswerMalformed,
        Self::NotReady,
        Self::StatusMismatch,
        Self::BodyMismatch,
        Self::TrafficFailing,
        Self::Dns,
        Self::Operator,
        Self::Configured,
        Self::Local,
    ];

    /// The stable code, as in logs, JSON and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::CheckPassed => "check-passed",
            Self::Unchecked => "unchecked",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection-lost",
            Self::TlsFailed => "tls-failed",
            Self::AnswerTimeout => "answer-timeout",
            Self::AnswerMalformed => "answer-malformed",
            Self::NotReady => "not-ready",
            Self::StatusMismatch => "status-mismatch",
            Self::BodyMismatch => "body-mismatch",
            Self::TrafficFailing => "traffic-failing",
            Self::Dns => "dns",
            Self::Operator => "operator",
            Self::Configured => "configured",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What we hold a server for: the state, why, and the last thing it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state in one word.
    pub state: State,
    /// Why, as a stable code.
    pub reason: Reason,
    /// Why, as one sentence without a full stop: `3 checks in a row were refused by 10.0.0.11:8080`.
    pub text: String,
    /// The first line of the last answer to a check, where there was one (`HTTP/1.1 503 Service Unavailable`).
    pub last_answer: Option<String>,
    /// When the state began, on the process's monotonic clock.
    pub since: Duration,
}

impl Verdict {
    /// The sentence of a server that no check has told about.
    pub const NOT_CHECKED: &str = "no check has ended yet";

    /// The sentence of a server whose last check passed.
    pub const CHECKS_PASS: &str = "checks pass";

    /// The verdict on a server of which nothing is known yet.
    pub fn initial(now: Duration) -> Self {
        Self {
            state: State::Unknown,
            reason: Reason::Initial,
            text: Self::NOT_CHECKED.to_owned(),
            last_answer: None,
            since: now,
        }
    }
}

//! What can go wrong with an exchange, and the one table that says what follows.
//!
//! Not here: where errors are noticed (every phase) and how an answer looks (`respond`). The invariant: an error's
//! consequences are decided by [`reaction`] alone, so that a status, a log word and the fate of a connection never
//! disagree.

use evenkeel_http::preface::hello::HelloError;
use evenkeel_http::preface::proxy::ProxyError as HeaderError;
use evenkeel_http::{BodyError, RequestError, ResponseError, StreamError};
use evenkeel_model::Reason;

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request's head is not one that we pass on.
    Request(RequestError),
    /// What a stream of HTTP/2 asks cannot be said, or may not.
    Stream(StreamError),
    /// The request's head did not come in time.
    HeadTimeout,
    /// The request's body stalled.
    BodyTimeout,
    /// The request's body breaks its framing.
    RequestBody(BodyError),
    /// The request's body is longer than allowed.
    BodyTooLarge,
    /// The client closed or broke its connection before the exchange was over.
    ClientGone,
    /// The client took no byte of its answer for too long.
    SendTimeout,
    /// No site serves the host.
    NoSite,
    /// The request is for a host that its connection does not stand for: the client asked for another one by TLS.
    Misdirected,
    /// The connection was made by other rules of TLS than its listener has now.
    OtherRules,
    /// No route fits the request.
    NoRoute,
    /// No server of the pool may take the request.
    NoServer,
    /// The server of the client's session is down, and no other may serve it.
    SessionDown,
    /// Every server of the pool is in maintenance.
    Maintenance,
    /// The pool's queue is full.
    QueueFull,
    /// No slot came free in time.
    QueueTimeout,
    /// The connection to the server was not established.
    Connect(Reason),
    /// We could not connect for a reason of our own: no descriptor, no local port.
    Local,
    /// The request has come round to listeners of ours too often.
    Loop,
    /// The server's connection broke before its answer.
    ServerLost,
    /// The server gave the request up before its answer, on a connection of HTTP/2 that goes on: no race with the end of a
    /// kept connection.
    StreamReset,
    /// The server refused the request before it did anything with it, as only a stream of HTTP/2 can tell.
    Refused,
    /// The server ends its connection of HTTP/2 and took no further streams, this one among them: it is there, for whoever
    /// connects anew.
    Left,
    /// What was asked cannot be said over HTTP/2, or not to this server, which saw none of it.
    Unsupported,
    /// The server did not answer in time.
    AnswerTimeout,
    /// What the server sent is not an answer.
    Answer(ResponseError),
    /// The server sent more interim answers than anyone needs.
    Interim,
    /// The server's answer has a status that the pool retries.
    Status(u16),
    /// The server broke off, or broke the framing, in the middle of its answer's body.
    AnswerBroken,
    /// The server's answer stalled in the middle.
    AnswerStalled,
    /// The exchange took longer than the pool allows.
    TotalTimeout,
    /// A connection from somebody who is not trusted with a PROXY header, where one is awaited.
    Stranger,
    /// The PROXY header did not come in time.
    HeaderTimeout,
    /// What stands for a PROXY header is none.
    Header(HeaderError),
    /// What began like TLS is no hello.
    Hello(HelloError),
    /// The hello that decides where a connection goes did not come in time.
    HelloTimeout,
    /// The server's end of a connection that is passed on broke.
    PassageBroken,
    /// Neither side of a connection said a word for too long.
    Idle,
    /// One side of a connection had ended, and the other said nothing for too long.
    HalfIdle,
    /// The server of a connection went down, and its pool closes such.
    ServerDown,
    /// A drain's deadline passed while a tunnel stood or an answer was under way.
    Cut,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client's: never counted against a server.
    Client,
    /// The server's: counted against it and reported.
    Server,
    /// Ours.
    Us,
}

/// How much of the client's connection is lost with the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The exchange alone.
    Stream,
    /// The connection: nothing that follows on it can be trusted, or no one is there.
    Connection,
}

/// Whether the request may be tried again, as far as the kind of the failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Never.
    Never,
    /// Nothing was executed: always.
    Always,
    /// As the pool's `retry on` says, and only where executing twice is the same as once.
    IfAsked,
}

/// A failed exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProxyError {
    /// Why.
    pub(crate) kind: Kind,
    /// Whose fault.
    pub(crate) side: Side,
    /// How much is lost.
    pub(crate) scope: Scope,
    /// Whether to try again.
    pub(crate) retry: Again,
}

impl From<Kind> for ProxyError {
    fn from(kind: Kind) -> Self {
        let (side, scope, retry) = match kind {
            Kind::Request(_) | Kind::RequestBody(_) | Kind::HeadTimeout | Kind::BodyTimeout | Kind::ClientGone => {
                (Side::Client, Scope::Connection, Again::Never)
            }
            Kind::Stranger | Kind::HeaderTimeout | Kind::Header(_) | Kind::Hello(_) | Kind::HelloTimeout => {
                (Side::Client, Scope::Connection, Again::Never)
            }
            Kind::Stream(_) | Kind::SendTimeout | Kind::BodyTooLarge => (Side::Client, Scope::Connection, Again::Never),
            Kind::NoSite | Kind::NoRoute | Kind::Misdirected => (Side::Client, Scope::Stream, Again::Never),
            Kind::OtherRules => (Side::Client, Scope::Connection, Again::Never),
            Kind::NoServer | Kind::SessionDown | Kind::Maintenance | Kind::QueueFull | Kind::QueueTimeout => {
                (Side::Us, Scope::Stream, Again::Never)
            }
            Kind::Connect(_) | Kind::Refused | Kind::Left => (Side::Server, Scope::Stream, Again::Always),
            Kind::Local | Kind::Loop | Kind::Unsupported => (Side::Us, Scope::Stream, Again::Never),
            Kind::ServerLost | Kind::StreamReset | Kind::AnswerTimeout | Kind::Answer(_) | Kind::Status(_) => {
                (Side::Server, Scope::Stream, Again::IfAsked)
            }
            Kind::Interim | Kind::TotalTimeout => (Side::Server, Scope::Stream, Again::Never),
            Kind::AnswerBroken | Kind::AnswerStalled => (Side::Server, Scope::Connection, Again::Never),
            Kind::PassageBroken => (Side::Server, Scope::Connection, Again::Never),
            Kind::Cut | Kind::Idle | Kind::HalfIdle | Kind::ServerDown => (Side::Us, Scope::Connection, Again::Never),
        };
        Self { kind, side, scope, retry }
    }
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaction {
    /// The status of our answer, as far as none was begun; also what the log shows then.
    pub(crate) status: u16,
    /// Whether the answer is the maintenance page.
    pub(crate) is_maintenance: bool,
    /// The log's `end` word.
    pub(crate) end: &'static str,
    /// The label of the counter of refused requests.
    pub(crate) code: &'static str,
    /// Whether the client's connection closes.
    pub(crate) close: bool,
}

/// The one table of consequences.
pub(crate) fn reaction(error: &ProxyError) -> Reaction {
    let (status, end, code) = match error.kind {
        Kind::Request(cause) => (cause.status(), "client-error", cause.code()),
        Kind::Stream(cause) => (cause.status(), "client-error", cause.code()),
        // It left in the middle, or ended its sending there and reads on: only the second one reads this.
        Kind::RequestBody(BodyError::Truncated) => (400, "client-abort", BodyError::Truncated.code()),
        Kind::RequestBody(cause) => (cause.status(), "client-error", cause.code()),
        Kind::HeadTimeout => (408, "client-timeout", "head-timeout"),
        Kind::BodyTimeout => (408, "client-timeout", "body-timeout"),
        Kind::BodyTooLarge => (413, "client-error", "body-too-large"),
        // No one reads this status; it is the customary one in logs.
        Kind::ClientGone => (499, "client-abort", "client-abort"),
        Kind::SendTimeout => (499, "client-timeout", "send-timeout"),
        Kind::NoSite => (421, "no-site", "no-site"),
        Kind::Misdirected => (421, "misdirected", "misdirected"),
        Kind::OtherRules => (421, "misdirected", "tls-rules"),
        Kind::NoRoute => (404, "no-route", "no-route"),
        Kind::NoServer => (503, "no-server", "no-server"),
        Kind::SessionDown => (503, "session-down", "session-down"),
        Kind::Maintenance => (503, "maintenance", "maintenance"),
        Kind::QueueFull => (503, "queue-full", "queue-full"),
        Kind::QueueTimeout => (503, "queue-timeout", "queue-timeout"),
        Kind::Connect(Reason::ConnectTimeout) => (504, "connect-timeout", "connect-timeout"),
        Kind::Connect(reason) => (502, "connect-failed", reason.code()),
        Kind::Local => (503, "local", "local"),
        Kind::Loop => (508, "loop", "loop"),
        Kind::ServerLost => (502, "server-lost", "server-lost"),
        Kind::StreamReset => (502, "server-lost", "stream-reset"),
        Kind::Refused => (502, "server-lost", "server-refused"),
        Kind::Left => (502, "server-lost", "server-left"),
        Kind::Unsupported => (501, "unsupported", "http2-unsupported"),
        Kind::AnswerTimeout => (504, "server-timeout", "answer-timeout"),
        Kind::Answer(cause) => (502, "server-malformed", cause.code()),
        Kind::Interim => (502, "server-malformed", "interim-flood"),
        Kind::Status(status) => (status, "server-status", "server-status"),
        Kind::AnswerBroken => (502, "server-abort", "answer-broken"),
        Kind::AnswerStalled => (504, "server-timeout", "answer-stalled"),
        Kind::TotalTimeout => (504, "server-timeout", "total-timeout"),
        Kind::Stranger => (403, "client-error", "proxy-stranger"),
        Kind::HeaderTimeout => (408, "client-timeout", "proxy-timeout"),
        Kind::Header(cause) => (400, "client-error", cause.code()),
        Kind::Hello(cause) => (400, "client-error", cause.code()),
        Kind::HelloTimeout => (408, "client-timeout", "hello-timeout"),
        Kind::PassageBroken => (502, "server-abort", "server-abort"),
        Kind::Idle => (408, "idle-timeout", "idle-timeout"),
        Kind::HalfIdle => (408, "fin-timeout", "fin-timeout"),
        Kind::ServerDown => (503, "server-down", "server-down"),
        Kind::Cut => (503, "cut", "cut"),
    };
    let is_maintenance = error.kind == Kind::Maintenance;
    Reaction { status, is_maintenance, end, code, close: error.scope == Scope::Connection }
}

impl ProxyError {
    /// The reason to report for the server, where the failure is the server's.
    pub(crate) fn server_reason(&self) -> Option<(Reason, Option<u16>)> {
        match self.kind {
            Kind::Connect(reason) => Some((reason, None)),
            Kind::ServerLost | Kind::StreamReset | Kind::AnswerBroken => Some((Reason::ConnectionLost, None)),
            Kind::AnswerTimeout | Kind::AnswerStalled | Kind::TotalTimeout => Some((Reason::AnswerTimeout, None)),
            Kind::Answer(_) | Kind::Interim => Some((Reason::AnswerMalformed, None)),
            Kind::Status(status) => Some((Reason::StatusMismatch, Some(status))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_does_is_never_blamed_on_a_server() {
        let cases = [
            (Kind::Request(RequestError::BadHost), 400, true),
            (Kind::HeadTimeout, 408, true),
            (Kind::BodyTimeout, 408, true),
            (Kind::RequestBody(BodyError::Truncated), 400, true),
            (Kind::BodyTooLarge, 413, true),
            (Kind::ClientGone, 499, true),
            (Kind::SendTimeout, 499, true),
            (Kind::NoSite, 421, false),
            (Kind::Misdirected, 421, false),
            (Kind::OtherRules, 421, true),
            (Kind::NoRoute, 404, false),
            (Kind::NoServer, 503, false),
            (Kind::SessionDown, 503, false),
            (Kind::Maintenance, 503, false),
            (Kind::QueueFull, 503, false),
            (Kind::QueueTimeout, 503, false),
            (Kind::Local, 503, false),
            (Kind::Loop, 508, false),
            (Kind::Unsupported, 501, false),
            (Kind::Cut, 503, true),
        ];
        for (kind, status, close) in cases {
            let error = ProxyError::from(kind);
            assert_eq!(error.server_reason(), None, "{kind:?}");
            assert_ne!(error.side, Side::Server, "{kind:?}");
            let reaction = reaction(&error);
            assert_eq!((reaction.status, reaction.close), (status, close), "{kind:?}");
        }
    }

    #[test]
    fn what_a_server_does_is_reported_and_costs_the_client_no_more_than_its_answer() {
        let cases = [
            (Kind::Connect(Reason::ConnectRefused), 502, Reason::ConnectRefused),
            (Kind::Connect(Reason::ConnectTimeout), 504, Reason::ConnectTimeout),
            (Kind::ServerLost, 502, Reason::ConnectionLost),
            (Kind::StreamReset, 502, Reason::ConnectionLost),
            (Kind::AnswerTimeout, 504, Reason::AnswerTimeout),
            (Kind::Answer(ResponseError::BadStatusLine), 502, Reason::AnswerMalformed),
            (Kind::Interim, 502, Reason::AnswerMalformed),
            (Kind::TotalTimeout, 504, Reason::AnswerTimeout),
            (Kind::Status(500), 500, Reason::StatusMismatch),
        ];
        for (kind, status, reason) in cases {
            let error = ProxyError::from(kind);
            assert_eq!(error.server_reason().map(|(reason, _)| reason), Some(reason), "{kind:?}");
            let reaction = reaction(&error);
            assert_eq!((reaction.status, reaction.close), (status, false), "{kind:?}");
        }
    }
}

//! Whether a failed attempt is followed by another.
//!
//! Three voices must agree: the configuration (how often, after what), safety (`evenkeel_http::retry`: never executed
//! twice, body still there) and the budget (retries never multiply an outage).

use evenkeel_http::retry::{self, Answer, Replay, Sent};
use evenkeel_model::caps;
use evenkeel_model::config::RetryOn;

use crate::buffer::Desk;
use crate::error::{Again, Kind, ProxyError};
use crate::exchange::Exchange;
use crate::forward::Pipe;
use crate::hold::HeldPool;
use crate::serve::h1::Client;

/// Whether the request may and should be sent once more.
pub(crate) fn may_repeat(
    client: &Client,
    desk: &Desk,
    exchange: &Exchange,
    pool: &HeldPool,
    upload: &Pipe,
    error: &ProxyError,
) -> bool {
    let rule = &pool.config.retry;
    if exchange.spent() >= u32::from(rule.attempts) || !is_asked(error, &rule.on, exchange.was_reused) {
        return false;
    }
    let attempt = retry::Attempt {
        method: desk.request.method(),
        sent: if is_unseen(upload, error) { Sent::Nothing } else { Sent::Something },
        answer: match (exchange.is_answered || exchange.is_hinted, error.kind) {
            (true, _) => Answer::PassedOn,
            (false, Kind::Status(_)) => Answer::Held,
            (false, _) => Answer::None,
        },
        body: if upload.is_whole() { Replay::Whole } else { Replay::Lost },
    };
    let allowed =
        retry::may_repeat(&attempt).is_ok() && (is_free(upload, exchange, error) || client.worker.may_retry(pool));
    if allowed {
        client.worker.counts.retries.add(1);
        pool.counts().retries.add(1);
    }
    allowed
}

/// Whether no server did anything with the request: none got a byte of it, or it says so itself (RFC 9113 section 8.7).
fn is_unseen(upload: &Pipe, error: &ProxyError) -> bool {
    upload.sent == 0 || matches!(error.kind, Kind::Refused | Kind::Left)
}

/// Whether the failure is that of a kept connection whose end its server chose, which says nothing of the server: a new
/// connection does, and is tried first.
pub(crate) fn is_stale(exchange: &Exchange, error: &ProxyError) -> bool {
    exchange.was_reused
        && match error.kind {
            Kind::ServerLost => true,
            Kind::Left => exchange.left < caps::HTTP2_SERVER_LEAVES,
            _ => false,
        }
}

/// Whether another attempt adds nothing to what servers carry, and so costs nothing of the budget: no server has the
/// request. Else the death of one of three servers, which a third of the requests meet, would exhaust any budget
/// worth the name before a check could notice.
fn is_free(upload: &Pipe, exchange: &Exchange, error: &ProxyError) -> bool {
    is_unseen(upload, error) || (exchange.was_reused && error.kind == Kind::ServerLost)
}

/// Whether the pool wants another attempt after such a failure.
fn is_asked(error: &ProxyError, on: &[RetryOn], was_reused: bool) -> bool {
    match (error.retry, error.kind) {
        (Again::Never, _) => false,
        (Again::Always, _) => true,
        // A kept connection that the server closed meanwhile says nothing about the server.
        (Again::IfAsked, Kind::ServerLost) => was_reused || on.contains(&RetryOn::Lost),
        (Again::IfAsked, Kind::StreamReset) => on.contains(&RetryOn::Lost),
        (Again::IfAsked, Kind::AnswerTimeout) => on.contains(&RetryOn::Timeout),
        (Again::IfAsked, Kind::Answer(_)) => on.contains(&RetryOn::Malformed),
        (Again::IfAsked, Kind::Status(status)) => on.contains(&RetryOn::Status(status)),
        (Again::IfAsked, _) => false,
    }
}

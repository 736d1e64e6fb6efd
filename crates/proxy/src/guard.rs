//! What a client may not exceed.
//!
//! Not here: limits of heads, which the parser keeps, and of time, which the connection keeps.

use evenkeel_http::{BodyError, Framing, Keep};
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::forward::{Pipe, PipeError, Waits};
use crate::serve::h1::Client;
use crate::snapshot::PoolPart;

/// Refuses a request that announces more than it may send.
pub(crate) fn admit(client: &Client, desk: &Desk) -> Result<(), ProxyError> {
    match (desk.request.framing(), client.limits.body) {
        (Framing::Length(length), Some(most)) if length > most => Err(Kind::BodyTooLarge.into()),
        _ => Ok(()),
    }
}

/// The pipe for the request's body, with what has arrived of it looked at.
pub(crate) fn upload(
    desk: &mut Desk,
    exchange: &Exchange,
    pool: &PoolPart,
    client: &Client,
) -> Result<Pipe, ProxyError> {
    let framing = desk.request.framing();
    let mut pipe =
        Pipe::new(framing, Keep::Chunked, desk.request.len(), Instant::now()).behind_head().limit(client.limits.body);
    pipe = pipe.with_client(Waits::Source, client.timeouts.rate);
    if framing.has_body() {
        if desk.request.method().is_idempotent() && pool.config.retry.attempts > 0 {
            pipe = pipe.replayable(pool.config.retry.replay);
        }
        if desk.request.expects_continue() {
            pipe = pipe.inviting();
        }
        debug_assert!(!exchange.is_answered);
        pipe.begin(&mut desk.input).map_err(client_fault)?;
    }
    Ok(pipe)
}

/// What a failure on the client's side of the upload means.
pub(crate) fn client_fault(error: PipeError) -> ProxyError {
    match error {
        PipeError::Body(cause) => Kind::RequestBody(cause).into(),
        PipeError::TooLong => Kind::BodyTooLarge.into(),
        // It may only have ended its sending, and still be there to be told.
        PipeError::Ended => Kind::RequestBody(BodyError::Truncated).into(),
        PipeError::Source | PipeError::Sink => Kind::ClientGone.into(),
    }
}

//! What a client may not exceed, and whom its connection stands for.
//!
//! Not here: limits of heads, which the parser keeps, and of time, which the connection keeps.

use evenkeel_http::{BodyError, Framing, Keep};
use evenkeel_net::tls::TlsFacts;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::forward::{Pipe, PipeError, Waits};
use crate::serve::h1::Client;
use crate::snapshot::{Entrance, PoolPart};

/// Refuses a request that announces more than it may send.
pub(crate) fn admit(client: &Client, desk: &Desk) -> Result<(), ProxyError> {
    match (desk.request.framing(), client.limits.body) {
        (Framing::Length(length), Some(most)) if length > most => Err(Kind::BodyTooLarge.into()),
        _ => Ok(()),
    }
}

/// Refuses a request on a connection that does not stand for it (RFC 9110 sections 7.4 and 15.5.20): the listener asks its
/// clients for more than it did when this one connected, or the client named another host by TLS, and was shown a certificate
/// that is not for this one. Proxies of ours may bring requests for any host on one connection.
pub(crate) fn stand_for(door: &Entrance, exchange: &Exchange, host: &[u8]) -> Result<(), ProxyError> {
    let Entrance::Tls(acceptor) = door else { return Ok(()) };
    if !are_rules_met(door, exchange.tls.as_deref()) {
        return Err(Kind::OtherRules.into());
    }
    let name = exchange.tls.as_ref().and_then(|tls| tls.server_name.as_deref()).filter(|_| !exchange.is_trusted);
    let Some(name) = name.filter(|name| !name.as_bytes().eq_ignore_ascii_case(host)) else { return Ok(()) };
    match acceptor.stands_apart(name, &String::from_utf8_lossy(host).to_ascii_lowercase()) {
        true => Err(Kind::Misdirected.into()),
        false => Ok(()),
    }
}

/// Whether a connection was made by what its listener asks of clients now.
pub(crate) fn are_rules_met(door: &Entrance, tls: Option<&TlsFacts>) -> bool {
    let Entrance::Tls(acceptor) = door else { return true };
    tls.and_then(|tls| tls.rules).is_some_and(|made| acceptor.rules().are_met_by(made))
}

/// The pipe for the request's body, with what has arrived of it looked at.
pub(crate) fn upload(
    desk: &mut Desk,
    exchange: &Exchange,
    pool: &PoolPart,
    client: &Client,
) -> Result<Pipe, ProxyError> {
    let framing = desk.request.framing();
    let mut pipe = Pipe::new(framing, Keep::Chunked, desk.request.len(), exchange.times.now)
        .behind_head()
        .limit(client.limits.body);
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

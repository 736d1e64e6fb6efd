//! After `101 Switching Protocols`: bytes both ways that mean nothing to us.
//!
//! The invariant: not a byte that the client sent behind its request reaches the server before the server switched.

use std::rc::Rc;

use evenkeel_http::{ConnectionField, Framing};

use crate::buffer::Desk;
use crate::carry::{self, Bound, Ended, Ends, Side, Terms};
use crate::error::{Kind, ProxyError};
use crate::exchange::{Exchange, Next};
use crate::forward::Pipe;
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::wire::{Stream, write_all};
use crate::{record, respond};

/// Tells the client that the server switched, and carries bytes until both have ended.
pub(crate) async fn run(
    client: &mut Client,
    mut server: Box<Stream>,
    desk: &mut Desk,
    exchange: &mut Exchange,
    (upload, attempt): (&Pipe, &Attempt<'_>),
) -> Result<Next, ProxyError> {
    exchange.keep = false;
    super::write_head(client, desk, exchange, attempt, (Framing::None, ConnectionField::Upgrade));
    exchange.is_answered = true;
    exchange.sent += desk.reply.len() as u64;
    record::status(client, exchange, attempt.pool, 101);
    let patience = client.timeouts.send;
    let worker = Rc::clone(&client.worker);
    let early = desk.answer.filled().get(desk.response.len()..).unwrap_or_default();
    let mut down = Side::with(&worker, early.to_vec());
    let mut up = Side::with(&worker, upload.surplus(&desk.input).to_vec());
    write_all(&mut client.stream, &mut client.timer, [&desk.reply, b""], patience)
        .await
        .map_err(respond::write_fault)?;
    desk.shrink(&worker.free);
    worker.counts.tunnels.add(1);
    let idle = client.timeouts.tunnel;
    let ends = Ends { client: &mut client.stream, server: &mut server, timer: &mut client.timer };
    let bound = exchange.pool.as_ref().zip(exchange.server).and_then(|(pool, index)| Bound::of(pool, index));
    let terms = Terms { idle, fin: idle, bound };
    let ended = carry::carry(&worker, ends, [&mut up, &mut down], terms, |_, _| {}).await;
    exchange.received += up.moved;
    exchange.sent += down.moved;
    exchange.body_sent += down.moved;
    match ended {
        // A silent tunnel is an end like any other.
        Ended::Whole | Ended::Idle | Ended::HalfIdle => Ok(Next::Close),
        // Whichever side broke, the other learns it by our closing.
        Ended::ClientBroke => Err(Kind::ClientGone.into()),
        Ended::ServerBroke => Err(Kind::PassageBroken.into()),
        Ended::Cut => Err(Kind::Cut.into()),
        Ended::ServerDown => Err(Kind::ServerDown.into()),
    }
}

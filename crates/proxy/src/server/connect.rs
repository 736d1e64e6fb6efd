//! A connection to a server: a kept one where that is allowed, a new one else.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use evenkeel_http::preface::proxy::{Ends, Facts, write_v1, write_v2};
use evenkeel_http::retry::{Replay, survives_reuse};
use evenkeel_model::config::{ProxyVersion, Reuse, ServerProtocol};
use evenkeel_net::stream::{self, ConnectError};
use evenkeel_net::tls::{self, Opening};
use tokio::time::Instant;

use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::serve::h1::Client;
use crate::serve::tcp::own_tls;
use crate::server::{Attempt, h2};
use crate::snapshot::{ServerPart, Way};
use crate::wire::Stream;
use crate::worker::Worker;
use crate::{record, rounds};

/// A connection to the attempt's server, in the box that it is handed on in until it is closed.
pub(crate) async fn obtain(
    client: &mut Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    method: evenkeel_http::Method,
    body: Replay,
) -> Result<Box<Stream>, ProxyError> {
    let Some(server) = attempt.pool.server(attempt.index) else { return Err(Kind::NoServer.into()) };
    rounds::admit(&exchange.snapshot, exchange.rounds, server)?;
    if attempt.pool.config.protocol == ServerProtocol::Http2 {
        return Box::pin(h2::obtain(client, exchange, attempt)).await.map(Box::new);
    }
    let survives = survives_reuse(method, body);
    let may_reuse = match attempt.pool.config.reuse {
        Reuse::Never => false,
        Reuse::Safe => client.requests > 1 || survives,
        Reuse::Always => true,
    };
    // After a failure a new connection tells whether it was the server or only the kept connection.
    if may_reuse && attempt.is_first {
        let worker = &client.worker;
        let user = (owner(server, &client.stream), exchange.rounds);
        let kept = worker.idle.take(&server.id, &worker.counts, !survives, user, exchange.times.now);
        if let Some((kept, note)) = kept {
            record::reuse(attempt);
            exchange.note = note;
            exchange.was_reused = true;
            exchange.times.connect = Some(Duration::ZERO);
            exchange.server_addr = Some(kept.peer_addr());
            return Ok(kept);
        }
    }
    exchange.was_reused = false;
    let begun = Instant::now();
    let within = attempt.pool.config.timeouts.connect;
    let facts = if server.proxy == Some(ProxyVersion::V2) { facts(&client.stream) } else { Facts::default() };
    let connected =
        Box::pin(unless_broken(&client.stream, dial(&client.worker, server, within, (&client.stream, &facts), None)))
            .await;
    exchange.times.now = Instant::now();
    exchange.times.connect = Some(exchange.times.now - begun);
    let Some(connected) = connected else { return Err(Kind::ClientGone.into()) };
    record::connect((attempt.pool, attempt.index), connected.is_ok());
    match connected {
        Ok(stream) => {
            exchange.server_addr = Some(stream.peer_addr());
            exchange.note = rounds::note(&client.worker.shared.rounds, &exchange.snapshot, exchange.rounds, &stream);
            Ok(Box::new(stream))
        }
        Err(error) => {
            if error.reason == evenkeel_model::Reason::TlsFailed {
                // The verdict says that it fails, and this alone why.
                tracing::debug!(server = %server.id, "{error}");
            }
            exchange.server_addr = server.addrs.first().copied();
            Err(fault(server, &error).into())
        }
    }
}

/// What a server is told beside the ends.
fn facts(client: &Stream) -> Facts {
    let name = client.tls().and_then(|tls| tls.server_name.clone());
    Facts {
        authority: name,
        is_over_tls: client.is_over_tls(),
        own_tls: client.tls().map(|tls| Box::new(own_tls(tls))),
        ..Facts::default()
    }
}

/// What a connection that was not made means.
pub(crate) fn fault(server: &ServerPart, error: &ConnectError) -> Kind {
    if error.local {
        // The counter `local` tells how often; a line for each would make a shortage worse.
        tracing::debug!(server = %server.id, %error, "cannot connect");
        return Kind::Local;
    }
    Kind::Connect(error.reason)
}

/// What the work comes to, or `None` where the client's connection breaks before: a slot is not held for nobody.
pub(crate) async fn unless_broken<T>(client: &Stream, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => client.poll_broken(cx).map(|()| None),
    })
    .await
}

/// Whose a kept connection is, where the server was told.
pub(crate) fn owner(server: &ServerPart, client: &Stream) -> Option<Ends> {
    server.proxy.map(|_| ends(client))
}

fn ends(client: &Stream) -> Ends {
    Ends { source: client.peer_addr(), destination: client.local_addr() }
}

/// A connection on which the server knows whose it is, where it is to know, and is offered the protocol inside of TLS that
/// was agreed on with the client.
pub(crate) async fn dial(
    worker: &Worker,
    server: &ServerPart,
    within: Duration,
    (client, facts): (&Stream, &Facts),
    protocol: Option<&[u8]>,
) -> Result<Stream, ConnectError> {
    let mut header = Vec::new();
    match server.proxy {
        None => {}
        Some(ProxyVersion::V1) => write_v1(&mut header, Some(&ends(client))),
        Some(ProxyVersion::V2) => write_v2(&mut header, Some(&ends(client)), facts),
    }
    connect(worker, server, within, Opening { words: &header, protocol }).await
}

/// Tries the server's addresses one after the other, beginning at one by chance so that all carry traffic.
pub(super) async fn connect(
    worker: &Worker,
    server: &ServerPart,
    within: Duration,
    opening: Opening<'_>,
) -> Result<Stream, ConnectError> {
    let count = server.addrs.len().max(1);
    let first = usize::try_from(worker.chance() >> 33).unwrap_or(0) % count;
    let turned = server.addrs.iter().cycle().skip(first).take(server.addrs.len());
    let mut failed =
        ConnectError { reason: evenkeel_model::Reason::Dns, source: std::io::ErrorKind::NotFound.into(), local: false };
    for addr in turned.copied().collect::<Vec<SocketAddr>>() {
        let mut connected = connect_to(server, addr, within, opening).await;
        // What is kept for later has descriptors that are wanted now.
        if let Err(error) = &connected
            && stream::is_exhaustion(&error.source)
            && worker.idle.let_go()
        {
            connected = connect_to(server, addr, within, opening).await;
        }
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Connects, says these first bytes, and agrees on TLS where the pool speaks it, all within the time.
async fn connect_to(
    server: &ServerPart,
    addr: SocketAddr,
    within: Duration,
    opening: Opening<'_>,
) -> Result<Stream, ConnectError> {
    match &server.way {
        Way::Plain => stream::connect_saying(addr, opening.words, within).await,
        Way::Tls(connector, name) => tls::connect_to(addr, connector, name, opening, within).await,
        Way::Closed => Err(ConnectError {
            reason: evenkeel_model::Reason::TlsFailed,
            source: std::io::Error::other("TLS with this server cannot be had"),
            local: true,
        }),
    }
}

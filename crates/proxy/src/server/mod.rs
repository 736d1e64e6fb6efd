//! One attempt to have a request answered by one server.
//!
//! Not here: which server (`pick`), and whether there is another attempt (`retry`). The invariant: a connection to a
//! server is kept only if request and answer both went through whole, and nothing came behind them.

pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod pool;

use std::future::poll_fn;
use std::task::Poll;

use evenkeel_balance::ServerIndex;
use evenkeel_http::retry::Replay;
use evenkeel_http::{ConnectionField, Framing, Keep, Version};
use evenkeel_model::config::{RetryOn, Reuse};
use tokio::time::Instant;

use crate::buffer::{Desk, Kept};
use crate::error::{Kind, ProxyError};
use crate::exchange::{Exchange, Next};
use crate::forward::{Lane, Pipe, PipeError, Waits};
use crate::hold::PoolHold;
use crate::learn::Page;
use crate::rounds::Note;
use crate::serve::h1::Client;
use crate::snapshot::PoolPart;
use crate::wire::Stream;
use crate::{guard, record, respond};

mod tunnel;

/// Which server is tried.
pub(crate) struct Attempt<'a> {
    pub(crate) pool: &'a PoolHold,
    pub(crate) index: ServerIndex,
    /// Whether no attempt went before.
    pub(crate) is_first: bool,
}

/// Sends the request to the server and its answer to the client.
pub(crate) async fn attempt(
    client: &mut Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &mut Pipe,
    attempt: Attempt<'_>,
) -> Result<Next, ProxyError> {
    exchange.times.now = Instant::now();
    let body = if upload.survives() { Replay::Whole } else { Replay::Lost };
    let method = desk.request.method();
    let mut server = connect::obtain(client, exchange, &attempt, method, body).await?;
    h1::write_request(desk, exchange, &attempt);
    exchange.times.despatched = Some(exchange.times.now);
    exchange.times.first = None;
    upload.progress = exchange.times.now;
    desk.answer.clear();
    desk.response.clear();
    record::despatch(&attempt);
    h1::await_answer(client, &mut server, desk, exchange, upload, attempt.pool).await?;
    record::answer(exchange, &attempt, desk.response.status());
    if desk.response.switches_protocols() {
        return Box::pin(tunnel::run(client, server, desk, exchange, (upload, &attempt))).await;
    }
    refuse_status(desk, exchange, upload, &attempt)?;
    deliver(client, server, desk, exchange, upload, &attempt).await
}

/// An answer that the pool rather has from another server counts as a failure, as long as another may be asked.
fn refuse_status(desk: &Desk, exchange: &Exchange, upload: &Pipe, attempt: &Attempt<'_>) -> Result<(), ProxyError> {
    let status = desk.response.status();
    let rule = &attempt.pool.config.retry;
    let is_worth_it = exchange.spent() < u32::from(rule.attempts)
        && rule.on.contains(&RetryOn::Status(status))
        && desk.request.method().is_idempotent()
        && upload.is_whole()
        && !exchange.is_hinted
        && attempt.pool.plan.eligible().count() > 1;
    if is_worth_it { Err(Kind::Status(status).into()) } else { Ok(()) }
}

/// Passes the answer on, and keeps or drops the server's connection.
async fn deliver(
    client: &mut Client,
    mut server: Box<Stream>,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &mut Pipe,
    attempt: &Attempt<'_>,
) -> Result<Next, ProxyError> {
    let comes = desk.response.framing();
    let (goes, keep) = match (comes, desk.request.version()) {
        (Framing::Chunked, Version::Http11) => (Framing::Chunked, Keep::Chunked),
        // An HTTP/1.0 client knows no chunks: the connection's end is the body's.
        (Framing::Chunked, Version::Http10) => (Framing::UntilClose, Keep::Data),
        // A server that ends its answer by closing need not cost the client its connection.
        (Framing::UntilClose, Version::Http11) => (Framing::Chunked, Keep::Data),
        (comes, _) => (comes, Keep::Data),
    };
    exchange.ends_by_close = goes == Framing::UntilClose;
    let is_reusable = desk.response.keep_alive() && comes != Framing::UntilClose;
    exchange.keep =
        exchange.keep && goes != Framing::UntilClose && upload.is_read() && client.may_stay(exchange.times.now);
    let page = Page::begin(&client.worker.page_bytes, desk, exchange, attempt.pool, attempt.index);
    let connection = respond::connection_field(exchange.keep, desk.request.version());
    write_head(client, desk, exchange, attempt, (goes, connection));
    let mut download = Pipe::new(comes, keep, desk.response.len(), exchange.times.now)
        .with_client(Waits::Sink, client.timeouts.rate)
        .in_chunks(comes == Framing::UntilClose && goes == Framing::Chunked)
        .read_by(page);
    download.begin(&mut desk.answer).map_err(|_| Kind::AnswerBroken)?;
    record::status(client, exchange, attempt.pool, desk.response.status());
    let head = desk.reply.len() as u64;
    download.fold(&mut desk.reply, &desk.answer);
    let ended = exchange_bodies(client, &mut server, desk, exchange, upload, &mut download, attempt.pool).await;
    let now = Instant::now();
    exchange.times.ended = Some(now);
    exchange.sent += download.sent;
    exchange.body_sent = download.sent.saturating_sub(head);
    let is_clean = download.surplus(&desk.answer).is_empty();
    download.release(&client.worker.free);
    ended?;
    if !is_clean {
        client.worker.counts.surplus.add(1);
    } else if is_reusable && upload.is_done() && attempt.pool.config.reuse != Reuse::Never {
        keep_connection(client, (server, exchange.note.take()), attempt, now);
    }
    Ok(after(desk, exchange, upload))
}

/// Writes the head of the answer for the client, and notes what it tells of sessions before the first byte goes out: whoever
/// follows a link at once must find the session known.
fn write_head(
    client: &Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    how: (Framing, ConnectionField),
) {
    if let (Some(learning), Some(server)) = (&attempt.pool.learning, attempt.pool.server(attempt.index)) {
        learning.note_head(desk, exchange, server.uid, exchange.stuck.recalled());
    }
    respond::write_head(client, desk, exchange, attempt, how);
}

fn keep_connection(
    client: &Client,
    (server, note): (Box<Stream>, Option<Box<Note>>),
    attempt: &Attempt<'_>,
    now: Instant,
) {
    // A stream ends with its one exchange; the connection that carries it is kept elsewhere.
    if let Some(part) = attempt.pool.server(attempt.index)
        && !server.is_in_memory()
        && !client.worker.is_draining()
    {
        let owner = connect::owner(part, &client.stream);
        client.worker.idle.put(part, attempt.pool.config.timeouts.keep, (server, note), owner, now);
    }
}

/// What becomes of the client's connection after an answer went through.
fn after(desk: &Desk, exchange: &Exchange, upload: &Pipe) -> Next {
    match exchange.keep {
        true => Next::Keep,
        // The client asked for the end itself and has nothing under way.
        false if upload.is_read() && !desk.request.keep_alive() => Next::Close,
        false => Next::Linger,
    }
}

/// Moves the answer's body to the client, and what is left of the request's to the server.
async fn exchange_bodies(
    client: &mut Client,
    server: &mut Stream,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &mut Pipe,
    download: &mut Pipe,
    pool: &PoolPart,
) -> Result<(), ProxyError> {
    let mut unkept = Kept::default();
    exchange.is_answered = true;
    let mut fresh = Some(exchange.times.now);
    poll_fn(|cx| {
        let now = fresh.take().unwrap_or_else(Instant::now);
        if !upload.is_over() {
            let lane = Lane {
                source: &mut client.stream,
                sink: server,
                head: &desk.out,
                buffer: &mut desk.input,
                kept: &mut desk.kept,
                free: &client.worker.free,
                now,
            };
            match upload.poll(cx, lane) {
                Poll::Ready(Err(PipeError::Sink)) => upload.break_off(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(guard::client_fault(error))),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        let lane = Lane {
            source: server,
            sink: &mut client.stream,
            head: &desk.reply,
            buffer: &mut desk.answer,
            kept: &mut unkept,
            free: &client.worker.free,
            now,
        };
        match download.poll(cx, lane) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(download_fault(&error))),
            Poll::Pending => {}
        }
        let is_unread = upload.is_over() || upload.waits == Waits::Sink;
        if is_unread && download.waits == Waits::Source && client.stream.poll_broken(cx).is_ready() {
            return Poll::Ready(Err(Kind::ClientGone.into()));
        }
        let (deadline, kind) = patience(client, upload, download, pool, exchange);
        client.timer.poll_passed(cx, deadline).map(|()| Err(kind.into()))
    })
    .await
}

fn download_fault(error: &PipeError) -> ProxyError {
    match error {
        PipeError::Sink => Kind::ClientGone.into(),
        PipeError::Source | PipeError::Ended | PipeError::Body(_) | PipeError::TooLong => Kind::AnswerBroken.into(),
    }
}

/// Until when whoever is waited for may take, and what it means if it takes longer.
fn patience(client: &Client, upload: &Pipe, download: &Pipe, pool: &PoolPart, exchange: &Exchange) -> (Instant, Kind) {
    let timeouts = &pool.config.timeouts;
    let step = match (download.waits, upload.is_over(), upload.waits) {
        (Waits::Sink, ..) => (download.deadline(client.timeouts.send), Kind::SendTimeout),
        // A server may well wait for the rest of the request before it goes on with its answer.
        (Waits::Source, false, Waits::Source) => {
            let body = client.timeouts.body;
            (upload.deadline(body).max(download.progress + body), Kind::BodyTimeout)
        }
        (Waits::Source, ..) => {
            let idle = if exchange.may_rest(pool) { timeouts.idle.max(client.timeouts.tunnel) } else { timeouts.idle };
            (download.progress.max(upload.progress) + idle, Kind::AnswerStalled)
        }
    };
    let total = timeouts.total.zip(exchange.times.despatched).map(|(total, despatched)| despatched + total);
    match total {
        Some(total) if total < step.0 => (total, Kind::TotalTimeout),
        _ => step,
    }
}

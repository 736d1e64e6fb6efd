//! Speaking HTTP/1.1 to a server: the request's head out, the answer's head in.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrayvec::ArrayVec;
use evenkeel_http::forwarded::{self, Scheme};
use evenkeel_http::http2;
use evenkeel_http::{
    ConnectionField, Edit, Limits, RequestFacts, RequestOut, ResponseError, ResponseOut, Version, uri,
};
use evenkeel_http::{write_request as serialise_request, write_response};
use evenkeel_model::caps;
use evenkeel_model::config::Reuse;
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::forward::{Lane, Pipe, PipeError, Waits};
use crate::learn::{self, Learning};
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::snapshot::PoolPart;
use crate::stick::MethodPart;
use crate::wire::{Stream, write_all};
use crate::{guard, respond, route};

/// What a server's head may be.
const ANSWER_LIMITS: Limits = Limits { head: caps::SERVER_HEAD_BYTES, fields: caps::SERVER_FIELDS, target: 0 };

/// How long a client may be gone, with bytes unread, before it is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// Writes the request's head for the attempt's server into `out`.
pub(crate) fn write_request(desk: &mut Desk, exchange: &Exchange, attempt: &Attempt<'_>) {
    let place = exchange.place;
    let Some((site, _)) = place.site.and_then(|site| exchange.snapshot.site(place.listener, site)) else { return };
    let Some(way) = place.route.and_then(|route| site.routes.get(route)) else { return };
    let Some(server) = attempt.pool.server(attempt.index) else { return };
    respond::render_edits(desk, exchange, &site.request_edits, &way.request_edits);
    let path_from = desk.text.len();
    let mut text = std::mem::take(&mut desk.text);
    let is_rewritten = way.rewrite.strip.is_some() || way.rewrite.add.is_some();
    if is_rewritten {
        let raw = desk.request.path(desk.input.written());
        uri::rewrite_path(&mut text, raw, route::normal_path(desk), &way.rewrite);
    }
    let accepted_from = text.len();
    let reads_pages = attempt.pool.learning.as_deref().is_some_and(Learning::reads_pages);
    let limits_codings = reads_pages && learn::write_accepted(desk, &mut text);
    desk.text = text;
    desk.out.clear();
    let Desk { input, request, out, text, ends, .. } = desk;
    let buf = input.written();
    let id = site_id_field(exchange).map(|name| Edit::set(name.as_bytes(), exchange.id.as_bytes()));
    let rules = attempt.pool.sticky.iter().flat_map(MethodPart::cookie_rules);
    let mut cookies = ArrayVec::<_, { 2 * caps::STICKY_METHODS }>::new();
    cookies.extend(rules.take(2 * caps::STICKY_METHODS));
    // What a vendor said of another trace means nothing in this one (section 3.3 of Trace Context).
    let trace = exchange.trace.as_ref().into_iter();
    let trace = trace.flat_map(|it| [Edit::set(route::TRACE_PARENT, it.as_bytes()), Edit::remove(b"tracestate")]);
    let codings = limits_codings.then(|| Edit::set(b"Accept-Encoding", text.get(accepted_from..).unwrap_or_default()));
    let ours = id.into_iter().chain(trace).chain(codings);
    respond::with_edits(ours, &site.request_edits, &way.request_edits, text, ends, |edits| {
        let how = RequestOut {
            path: is_rewritten.then(|| text.get(path_from..accepted_from).unwrap_or_default()),
            fallback_host: server.authority.as_bytes(),
            framing: request.framing(),
            connection: match (request.asks_websocket(), attempt.pool.config.reuse) {
                (true, _) => ConnectionField::Upgrade,
                (false, Reuse::Never) => ConnectionField::Close,
                (false, _) => ConnectionField::Silent,
            },
            // Over HTTP/1.1 the field ends here (RFC 9110 section 7.6.1); a stream's client asks end to end, as gRPC does.
            takes_trailers: exchange.is_stream && http2::upgrade::takes_trailers(request.fields(), buf),
            edits,
            cookies: &cookies,
            client: Some(forwarded::Client {
                fields: &site.forwarded.fields,
                trusted: exchange.is_trusted,
                peer: exchange.peer.ip(),
                client: exchange.client,
                scheme: if exchange.is_secure { Scheme::Https } else { Scheme::Http },
                host: request.authority(buf),
            }),
        };
        serialise_request(out, request, buf, &how);
    });
}

/// The field that carries the request's id, where there is one.
pub(crate) fn site_id_field(exchange: &Exchange) -> Option<&str> {
    let place = exchange.place;
    exchange.snapshot.site(place.listener, place.site?)?.1.id_field.as_deref()
}

/// Sends the request and reads the head of its final answer; interim ones are passed on.
pub(crate) async fn await_answer(
    client: &mut Client,
    server: &mut Stream,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &mut Pipe,
    pool: &PoolPart,
) -> Result<(), ProxyError> {
    for count in 0_u32.. {
        read_head(client, server, desk, exchange, upload, pool).await?;
        if !desk.response.is_interim() {
            return Ok(());
        }
        if count >= caps::INTERIM_RESPONSES {
            break;
        }
        pass_interim(client, desk, exchange).await?;
        exchange.times.now = Instant::now();
        desk.answer.drop_front(desk.response.len());
        desk.response.clear();
    }
    Err(Kind::Interim.into())
}

/// Passes an interim answer on, but for `100 Continue`, which we gave ourselves, and not to HTTP/1.0, which has none.
async fn pass_interim(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange) -> Result<(), ProxyError> {
    if desk.response.status() == 100 || desk.request.version() == Version::Http10 {
        return Ok(());
    }
    desk.reply.clear();
    write_response(&mut desk.reply, &desk.response, desk.answer.filled(), &ResponseOut::default());
    let patience = client.timeouts.send;
    exchange.is_hinted = true;
    exchange.sent += desk.reply.len() as u64;
    write_all(&mut client.stream, &mut client.timer, [&desk.reply, b""], patience)
        .await
        .map_err(|failed| respond::write_fault(failed).into())
}

/// Moves the request on and reads one head.
async fn read_head(
    client: &mut Client,
    server: &mut Stream,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &mut Pipe,
    pool: &PoolPart,
) -> Result<(), ProxyError> {
    let facts = desk.request.facts();
    let mut last = exchange.times.now;
    let mut fresh = Some(last);
    poll_fn(|cx| {
        let now = fresh.take().unwrap_or_else(Instant::now);
        exchange.times.now = now;
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
                // The server may have answered before it closed; only its own end tells.
                Poll::Ready(Err(PipeError::Sink)) => upload.break_off(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(guard::client_fault(error))),
                Poll::Ready(Ok(())) => last = now,
                Poll::Pending => {}
            }
        }
        let head = poll_head(cx, client, server, desk, &facts);
        if !desk.answer.filled().is_empty() {
            exchange.times.first.get_or_insert(now);
        }
        if head.is_ready() {
            return head;
        }
        // While it is not read from, nothing else would tell that it is gone.
        let is_unread = upload.is_over() || upload.waits == Waits::Sink;
        if is_unread && client.stream.poll_broken(cx).is_ready() {
            // Nobody waits for the answer any more: the server's slot is for somebody else.
            return Poll::Ready(Err(Kind::ClientGone.into()));
        }
        let (deadline, kind) = patience(client, upload, pool, exchange, last);
        // With bytes unread in its socket the client's end wakes nobody.
        let is_looked_after = !upload.is_over() && upload.waits == Waits::Sink;
        let until = if is_looked_after { deadline.min(now + LOOK) } else { deadline };
        ready!(client.timer.poll_passed(cx, until));
        if until < deadline {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Err(kind.into()))
    })
    .await
}

/// Reads what of the head is there.
fn poll_head(
    cx: &mut Context<'_>,
    client: &Client,
    server: &mut Stream,
    desk: &mut Desk,
    facts: &RequestFacts,
) -> Poll<Result<(), ProxyError>> {
    loop {
        if !desk.answer.filled().is_empty() {
            match desk.response.parse(desk.answer.filled(), &ANSWER_LIMITS, facts) {
                Ok(Some(_)) => return Poll::Ready(Ok(())),
                // Few heads are so large; the room is given back with the desk.
                Ok(None) if desk.answer.free() == 0 => client.worker.free.widen_answer(&mut desk.answer),
                Ok(None) => {}
                Err(cause) => return Poll::Ready(Err(Kind::Answer(cause).into())),
            }
        }
        // Room is lent when bytes are there: many connections wait, few read in the same moment, and the same few
        // buffers, warm in the cache, do for all.
        if server.poll_read_ready(cx).is_pending() {
            return Poll::Pending;
        }
        client.worker.free.lend_answer(&mut desk.answer);
        match server.try_read(desk.answer.room(usize::MAX)) {
            Ok(0) => return Poll::Ready(Err(Kind::ServerLost.into())),
            Ok(count) => desk.answer.grow(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if desk.answer.filled().is_empty() {
                    client.worker.free.return_answer(&mut desk.answer);
                }
            }
            Err(error) => return Poll::Ready(Err(fault(&error).into())),
        }
    }
}

/// What an error of reading an answer's head means. Only a stream of HTTP/2 tells more than that it broke.
fn fault(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Kind::Refused,
        io::ErrorKind::NotConnected => Kind::Left,
        io::ErrorKind::ConnectionAborted => Kind::StreamReset,
        io::ErrorKind::Unsupported => Kind::Unsupported,
        io::ErrorKind::InvalidData => Kind::Answer(ResponseError::BadStatusLine),
        _ => Kind::ServerLost,
    }
}

/// Until when whoever is waited for may take, and what it means if it takes longer.
fn patience(client: &Client, upload: &Pipe, pool: &PoolPart, exchange: &Exchange, last: Instant) -> (Instant, Kind) {
    let timeouts = &pool.config.timeouts;
    let step = match (upload.is_over(), upload.waits) {
        (true, _) => (last.max(upload.progress) + timeouts.answer, Kind::AnswerTimeout),
        (false, Waits::Sink) => (upload.progress + timeouts.idle, Kind::AnswerTimeout),
        (false, Waits::Source) => (upload.deadline(client.timeouts.body), Kind::BodyTimeout),
    };
    let total = timeouts.total.zip(exchange.times.despatched).map(|(total, despatched)| despatched + total);
    match total {
        Some(total) if total < step.0 => (total, Kind::TotalTimeout),
        _ => step,
    }
}

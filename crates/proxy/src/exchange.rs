//! The life of one request, as a list of phases.
//!
//! Not here: the phases themselves; each has its module. The invariant: every exchange ends in exactly one record,
//! with the status that the client saw, or would have seen had it stayed.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::sticky::Bond;
use evenkeel_balance::{ServerIndex, ServerSet};
use evenkeel_http::{Known, forwarded, grpc, hops_left};
use evenkeel_model::config::ServerProtocol;
use evenkeel_net::tls::TlsFacts;
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError, reaction};
use crate::forward::Pipe;
use crate::hold::{Hold, PoolHold};
use crate::rounds::Note;
use crate::serve::h1::Client;
use crate::server::{self, Attempt};
use crate::snapshot::PoolPart;
use crate::stick::Stuck;
use crate::trace::TraceParent;
use crate::{guard, pick, record, respond, retry, route, stick};

/// What a phase decides.
pub(crate) enum Flow {
    /// On to the next phase.
    Next,
    /// We answer ourselves, as the route says.
    Respond,
    /// The request fails.
    Fail(ProxyError),
}

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It carries the next request.
    Keep,
    /// It closes.
    Close,
    /// It closes, once the client had time to take the answer.
    Linger,
    /// It is reset: an end would make the answer look whole.
    Reset,
    /// It carries HTTP/2: its first bytes, still on the desk, say so.
    Http2,
}

/// Where in the desk's input the next request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// At this offset.
    At(usize),
    /// It was put aside in `kept`.
    Kept,
}

/// Where a request is in the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) listener: usize,
    pub(crate) site: Option<usize>,
    pub(crate) route: Option<usize>,
}

/// What is known of one request, and in the end of its answer.
pub(crate) struct Exchange {
    pub(crate) snapshot: Rc<Hold>,
    pub(crate) place: Place,
    pub(crate) pool: Option<PoolHold>,
    pub(crate) peer: SocketAddr,
    /// The client: the peer, or whom a trusted proxy names.
    pub(crate) client: IpAddr,
    pub(crate) is_trusted: bool,
    /// Whether it came in a stream of HTTP/2.
    pub(crate) is_stream: bool,
    /// Whether it is a call by gRPC, whose errors have words of their own.
    pub(crate) is_grpc: bool,
    /// What is known of the client's TLS; `None` in the clear.
    pub(crate) tls: Option<Arc<TlsFacts>>,
    /// Whether the client came over TLS: to us, or to a proxy that told so in its PROXY header.
    pub(crate) is_secure: bool,
    pub(crate) id: RequestIdText,
    /// The trace that began with this request.
    pub(crate) trace: Option<TraceParent>,
    pub(crate) stuck: Stuck,
    pub(crate) server: Option<ServerIndex>,
    pub(crate) server_addr: Option<SocketAddr>,
    pub(crate) retries: u32,
    /// Whether the client's connection may carry another request.
    pub(crate) keep: bool,
    /// Whether a byte of the final answer may have reached the client.
    pub(crate) is_answered: bool,
    /// Whether the answer's end is the connection's, so that the client knows no other.
    pub(crate) ends_by_close: bool,
    /// Whether an interim answer of the server was passed on.
    pub(crate) is_hinted: bool,
    /// Listeners of ours that the request passed before it came to this one.
    pub(crate) rounds: u32,
    /// The note of the server's connection, where that leads to a listener of ours.
    pub(crate) note: Option<Box<Note>>,
    /// Whether the server's connection was used before.
    pub(crate) was_reused: bool,
    /// Whether an attempt ended at a kept connection that its server had closed meanwhile.
    pub(crate) was_stale: bool,
    /// Attempts that met a connection of HTTP/2 whose server took no further streams on it.
    pub(crate) left: u32,
    /// Whether `rest` is true: nothing of the request's body is left to read.
    pub(crate) is_read: bool,
    pub(crate) rest: Rest,
    pub(crate) status: u16,
    pub(crate) end: &'static str,
    pub(crate) sent: u64,
    pub(crate) body_sent: u64,
    pub(crate) received: u64,
    pub(crate) conn_requests: u32,
    pub(crate) times: Times,
    /// The answer's fields that logs speak of, as sent.
    pub(crate) answer_fields: Vec<(String, Vec<u8>)>,
}

/// When things happened. The clock is asked where time may have passed; who comes after that in the same turn goes by `now`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now: Instant,
    pub(crate) started: Instant,
    pub(crate) head: Instant,
    pub(crate) queue: Duration,
    pub(crate) connect: Option<Duration>,
    pub(crate) despatched: Option<Instant>,
    pub(crate) first: Option<Instant>,
    /// When a server's answer had gone out to its last byte.
    pub(crate) ended: Option<Instant>,
}

/// A request's id: a client's that was trusted, or ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestIdText {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl RequestIdText {
    /// The longest id that is taken over from a trusted proxy; a UUID has 36 bytes.
    const MOST: usize = 64;

    /// No id.
    pub(crate) fn none() -> Self {
        Self { bytes: [0; Self::MOST], length: 0 }
    }

    /// An id made of two numbers.
    pub(crate) fn made(high: u64, low: u64) -> Self {
        let mut id = Self::none();
        let digits = [high, low].into_iter().flat_map(|number| (0..16).rev().map(move |place| number >> (4 * place)));
        for (byte, digit) in id.bytes.iter_mut().zip(digits) {
            *byte = b"0123456789abcdef".get((digit & 15) as usize).copied().unwrap_or(b'0');
        }
        id.length = 32;
        id
    }

    /// A given id, if it is one that does no harm anywhere.
    pub(crate) fn given(text: &[u8]) -> Option<Self> {
        let is_plain =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'=' | b'/' | b'+');
        if text.is_empty() || text.len() > Self::MOST || !text.iter().all(is_plain) {
            return None;
        }
        let mut id = Self::none();
        id.bytes.get_mut(..text.len())?.copy_from_slice(text);
        id.length = text.len();
        Some(id)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Rest {
    /// Brings the next request to the front of the input.
    pub(crate) fn settle(self, desk: &mut Desk) {
        match self {
            Self::At(offset) => desk.input.drop_front(offset),
            Self::Kept => desk.input.refill(&desk.kept),
        }
    }
}

impl Exchange {
    /// An exchange whose head was read, or was refused.
    pub(crate) fn begin(client: &Client, desk: &Desk, snapshot: Rc<Hold>, (started, head): (Instant, Instant)) -> Self {
        let place = Place { listener: client.place(), site: None, route: None };
        let buf = desk.input.filled();
        let trusted =
            snapshot.listener(place.listener).map(|(config, _)| config.trusted.as_slice()).unwrap_or_default();
        let is_trusted = !trusted.is_empty() && forwarded::is_trusted(client.peer, trusted);
        let address = match is_trusted {
            true => forwarded::client_address(desk.request.fields(), buf, client.peer, trusted),
            false => client.peer,
        };
        Self {
            place,
            pool: None,
            peer: client.stream.peer_addr(),
            client: address,
            is_trusted,
            is_stream: client.is_stream,
            is_grpc: client.is_stream && grpc::is_call(desk.request.fields().first(buf, Known::ContentType)),
            tls: client.stream.tls().map(Arc::clone),
            is_secure: client.stream.is_over_tls(),
            id: RequestIdText::none(),
            trace: None,
            stuck: Stuck::NOTHING,
            server: None,
            server_addr: None,
            retries: 0,
            keep: desk.request.keep_alive() && client.may_stay(head),
            is_answered: false,
            ends_by_close: false,
            is_hinted: false,
            rounds: client.worker.shared.rounds.before(&client.stream),
            note: None,
            was_reused: false,
            was_stale: false,
            left: 0,
            is_read: !desk.request.framing().has_body(),
            rest: Rest::At(desk.request.len()),
            status: 0,
            end: "ok",
            sent: 0,
            body_sent: 0,
            received: desk.request.len() as u64,
            conn_requests: client.requests,
            times: Times {
                now: head,
                started,
                head,
                queue: Duration::ZERO,
                connect: None,
                despatched: None,
                first: None,
                ended: None,
            },
            answer_fields: Vec::new(),
            snapshot,
        }
    }

    /// Whether the client came over TLS, to us or to a trusted proxy in front of us.
    pub(crate) fn is_over_tls(&self, desk: &Desk) -> bool {
        self.is_secure || (self.is_trusted && forwarded::says_tls(desk.request.fields(), desk.input.written()))
    }

    /// Whether both sides may rest between two messages as those of a tunnel do: in a call by gRPC, and only where the servers
    /// speak what calls need. A mere field in a request gives nobody so much time.
    pub(crate) fn may_rest(&self, pool: &PoolPart) -> bool {
        self.is_grpc && pool.config.protocol == ServerProtocol::Http2
    }

    /// Attempts that count against those that the pool allows: the look at a kept connection is none, nor is a stream that
    /// its server says it never took.
    pub(crate) fn spent(&self) -> u32 {
        self.retries.saturating_sub(u32::from(self.was_stale)).saturating_sub(self.left)
    }

    /// The server that is being asked.
    pub(crate) fn server_part(&self) -> Option<&crate::snapshot::ServerPart> {
        self.pool.as_ref()?.server(self.server?)
    }
}

/// From a request's head to its record.
pub(crate) async fn run(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange) -> Next {
    let mut flow = route::choose(client, desk, exchange);
    // An authority that looks whether the host is ours knows of no route, and follows no rule of ours.
    if let Some(proof) = respond::proof(client, desk) {
        let next = Box::pin(respond::with_proof(client, desk, exchange, &proof)).await;
        record::exchange(client, desk, exchange);
        return next;
    }
    if !matches!(flow, Flow::Fail(_))
        && let Err(error) = guard::admit(client, desk)
    {
        flow = Flow::Fail(error);
    }
    let ended = match flow {
        Flow::Next if hops_left(&desk.request, desk.input.written()) == Some(0) => {
            Ok(Box::pin(respond::with_options(client, desk, exchange)).await)
        }
        Flow::Next => proxy(client, desk, exchange).await,
        Flow::Respond => Box::pin(respond::by_route(client, desk, exchange)).await,
        Flow::Fail(error) => Err(error),
    };
    match ended {
        Ok(next) => {
            record::exchange(client, desk, exchange);
            next
        }
        Err(error) => Box::pin(refuse(client, desk, exchange, error)).await,
    }
}

/// From a failure to its record.
pub(crate) async fn refuse(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange, error: ProxyError) -> Next {
    let reaction = reaction(&error);
    client.worker.shared.reject(reaction.code);
    exchange.end = reaction.end;
    let next = match exchange.is_answered {
        // The answer is under way: cutting it off is the only thing left to say.
        true if exchange.ends_by_close => Next::Reset,
        true => Next::Close,
        false => respond::with_error(client, desk, exchange, &reaction).await,
    };
    record::exchange(client, desk, exchange);
    next
}

/// To a server and back, again where that is safe.
async fn proxy(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange) -> Result<Next, ProxyError> {
    let Some(pool) = exchange.pool.clone() else { return Err(Kind::NoRoute.into()) };
    record::arrival(&pool);
    stick::recognise(desk, exchange, &pool);
    let pool = match exchange.stuck.seen.bond {
        Bond::Lost(Some(_)) => {
            let pool = Box::pin(stick::stand_by(client, exchange, pool)).await?;
            exchange.pool = Some(Rc::clone(&pool));
            pool
        }
        _ => pool,
    };
    if exchange.may_rest(&pool) {
        client.timeouts.body = client.timeouts.body.max(client.timeouts.tunnel);
        client.timeouts.rate = None;
    }
    let mut upload = guard::upload(desk, exchange, &pool, client)?;
    let mut tried = ServerSet::new();
    let mut failed: Option<ProxyError> = None;
    let ended = loop {
        let seat = match pick::seat(client, desk, exchange, &pool, &tried).await {
            Ok(seat) => seat,
            // Nobody is left to ask: what went wrong first tells more than that.
            Err(error) => break Err(failed.unwrap_or(error)),
        };
        if failed.is_some() && exchange.server != Some(seat.index) {
            pool.counts().redispatches.add(1);
        }
        exchange.server = Some(seat.index);
        let attempt = Attempt { pool: &pool, index: seat.index, is_first: failed.is_none() };
        let error = match server::attempt(client, desk, exchange, &mut upload, attempt).await {
            Ok(next) => break Ok(next),
            Err(error) => error,
        };
        record::failure(client, exchange, &pool, &error);
        if !retry::may_repeat(client, desk, exchange, &pool, &upload, &error) {
            break Err(error);
        }
        drop(seat);
        let is_stale = retry::is_stale(exchange, &error);
        if let Some(failed) = exchange.server.filter(|_| pool.config.retry.elsewhere && !is_stale) {
            tried.insert(failed);
        }
        match error.kind {
            Kind::Left if is_stale => exchange.left += 1,
            _ => exchange.was_stale |= is_stale,
        }
        failed = Some(error);
        exchange.retries += 1;
        upload.rewind(Instant::now());
    };
    settle(client, desk, exchange, &mut upload);
    ended
}

/// Notes where the next request begins, and what the client sent.
fn settle(client: &Client, desk: &mut Desk, exchange: &mut Exchange, upload: &mut Pipe) {
    exchange.received += upload.passed;
    match upload.end() {
        Some(offset) => exchange.rest = Rest::At(offset),
        None => {
            desk.kept.replace(upload.surplus(&desk.input));
            exchange.rest = Rest::Kept;
        }
    }
    exchange.is_read = upload.is_read();
    exchange.keep &= exchange.is_read;
    upload.release(&client.worker.free);
}

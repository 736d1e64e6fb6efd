//! A connection of a TCP listener: a server is found, and bytes are carried both ways until both sides have ended.
//!
//! Not here: the carrying (`carry`), and the choice of a server (`pick`). The invariant: another server is tried only
//! while no byte of the client has gone to one; a connection that fails after that ends with a reset, so that nobody
//! takes what came for the whole.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::{HashKeyValue, ServerIndex, ServerSet, hash_key};
use evenkeel_http::matching;
use evenkeel_http::preface::hello::{self, Seen};
use evenkeel_http::preface::proxy::{Facts, OwnTls};
use evenkeel_model::config::{Balance, HashKey, StickyMethod, Tcp, TcpRoute};
use evenkeel_model::{ListenerName, defaults};
use evenkeel_net::tls::TlsFacts;
use tokio::time::Instant;

use crate::carry::{Bound, Ended, Ends, Side, Terms, carry};
use crate::counts::{ListenerCounts, PoolCounts, ServerCounts};
use crate::error::{Kind, ProxyError, reaction};
use crate::hold::{HeldPool, Hold, PoolHold};
use crate::log::passage;
use crate::pick::{self, Asker, Seat, Seeker};
use crate::rounds::Note;
use crate::server::connect::{dial, fault, unless_broken};
use crate::timer::Timer;
use crate::wire::{Stream, Wire};
use crate::worker::Worker;
use crate::{record, rounds, serve};

/// Bytes that are read at a time of a TLS hello: most are one piece.
const HEARING: usize = 2048;

/// The longest name of a protocol inside of TLS (RFC 7301 section 3.1).
const ALPN_BYTES: usize = 255;

/// How long a connection whose other end broke still stands, so that what was written on it leaves before the reset.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// One connection on its way to a server, and what is known of it.
pub(crate) struct Passage {
    worker: Rc<Worker>,
    pub(crate) snapshot: Rc<Hold>,
    /// Where the listener stands in the snapshot.
    pub(crate) listener: usize,
    timer: Timer,
    pub(crate) peer: SocketAddr,
    /// What servers are told of the client, its name among them.
    pub(crate) facts: Facts,
    /// What is known of the client's TLS, where it ends here.
    pub(crate) tls: Option<Arc<TlsFacts>>,
    /// The protocol inside of TLS that was agreed on with the client (ALPN), here or in front of us.
    agreed: Option<Vec<u8>>,
    pub(crate) route: Option<usize>,
    pub(crate) pool: Option<PoolHold>,
    pub(crate) server: Option<ServerIndex>,
    pub(crate) server_addr: Option<SocketAddr>,
    /// The note of the server's connection, where that leads to a listener of ours.
    note: Option<Box<Note>>,
    pub(crate) retries: u32,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) end: &'static str,
    pub(crate) times: Times,
}

/// When things happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) started: Instant,
    pub(crate) queue: Duration,
    pub(crate) connect: Option<Duration>,
    /// The server's first byte.
    pub(crate) first: Option<Instant>,
}

/// Serves a connection from its first byte to its end.
pub(crate) async fn connection(worker: Rc<Worker>, listener: ListenerName, mut stream: Stream, facts: Facts) {
    let Some(mut passage) = Passage::begin(worker, &listener, &stream, facts) else { return };
    let ended = passage.run(&mut stream).await;
    if let Err(error) = &ended {
        let reaction = reaction(error);
        passage.end = reaction.end;
        passage.worker.shared.reject(reaction.code);
    }
    passage.record();
    if ended.is_err() {
        // A mere end would make what came look whole.
        stream.reset();
    }
}

impl Passage {
    fn begin(worker: Rc<Worker>, listener: &ListenerName, stream: &Stream, mut facts: Facts) -> Option<Self> {
        let snapshot = worker.snapshot()?;
        let place = snapshot.listener_place(listener)?;
        let now = Instant::now();
        let tls = stream.tls().map(Arc::clone);
        if let Some(tls) = &tls {
            // What the client told us counts, and not what it told somebody on the way.
            facts.authority = tls.server_name.clone().or(facts.authority);
            facts.alpn = tls.application.as_ref().map(|name| name.as_bytes().to_vec());
            facts.own_tls = Some(Box::new(own_tls(tls)));
            facts.is_over_tls = true;
        }
        let head = snapshot.listener(place)?.0.tcp.as_ref()?.timeouts.head;
        Some(Self {
            timer: Timer::new(now + head),
            peer: stream.peer_addr(),
            // What a client merely offers inside of TLS that passes is between it and the server.
            agreed: facts.alpn.clone().filter(|name| name.len() <= ALPN_BYTES),
            facts,
            tls,
            worker,
            snapshot,
            listener: place,
            route: None,
            pool: None,
            server: None,
            server_addr: None,
            note: None,
            retries: 0,
            received: 0,
            sent: 0,
            end: "ok",
            times: Times { started: now, queue: Duration::ZERO, connect: None, first: None },
        })
    }

    async fn run(&mut self, client: &mut Stream) -> Result<(), ProxyError> {
        let snapshot = Rc::clone(&self.snapshot);
        let counts = snapshot.listener_counts(self.listener);
        counts.into_iter().for_each(|counts| counts.traffic.requests.add(1));
        let Some(tcp) = snapshot.listener(self.listener).and_then(|(config, _)| config.tcp.as_ref()) else {
            return Err(Kind::NoRoute.into());
        };
        let mut early = Vec::new();
        if tcp.goes_by_name() && self.facts.authority.is_none() && self.tls.is_none() {
            Box::pin(self.hear_name(client, &mut early, tcp.timeouts.head)).await?;
        }
        let pool = self.choose(tcp)?;
        record::arrival(&pool);
        let (seat, mut server) = Box::pin(self.reach(client, &pool)).await?;
        // A silent connection may stand for hours: an end that vanished must not.
        client.watch_peer(defaults::TCP_WATCH);
        server.watch_peer(defaults::TCP_WATCH);
        let ended = self.carry(client, &mut server, early, (&pool, tcp)).await;
        if ended.is_err() {
            // As for the client: a mere end would make what the server has look whole.
            server.reset();
        }
        drop(seat);
        ended
    }

    /// Listens for the name that a TLS client asks for. What was heard goes on to the server as it came.
    async fn hear_name(
        &mut self,
        client: &mut Stream,
        early: &mut Vec<u8>,
        patience: Duration,
    ) -> Result<(), ProxyError> {
        let mut reading = hello::Reading::default();
        let worker = Rc::clone(&self.worker);
        let listening = async {
            let mut room = [0; HEARING];
            loop {
                let read = poll_fn(|cx| client.poll_read(cx, &mut room)).await;
                let Some(count) = read.ok().filter(|count| *count > 0) else { return Err(Kind::ClientGone) };
                early.extend_from_slice(room.get(..count).unwrap_or_default());
                if let Some(seen) = reading.look(early).map_err(Kind::Hello)? {
                    return Ok(seen);
                }
            }
        };
        let heard = serve::within(&worker, self.times.started + patience, listening).await;
        if let Seen::Hello(hello) = heard.unwrap_or(Err(Kind::HelloTimeout))? {
            self.facts.authority = hello.name;
            self.facts.alpn = hello.alpn;
        }
        Ok(())
    }

    /// The pool of the first route that fits.
    fn choose(&mut self, tcp: &Tcp) -> Result<PoolHold, ProxyError> {
        let name = self.facts.authority.as_deref();
        let fits = |route: &TcpRoute| {
            route.names.is_empty() || name.is_some_and(|name| matching::hosts_fit(&route.names, name.as_bytes()))
        };
        let found = tcp.routes.iter().position(fits);
        self.route = found;
        let route = found.and_then(|at| tcp.routes.get(at)).ok_or(Kind::NoRoute)?;
        let place = self.snapshot.pool_place(&route.to);
        let pool = place.and_then(|place| self.snapshot.pool(place)).ok_or(Kind::NoRoute)?;
        self.pool = Some(Rc::clone(pool));
        Ok(Rc::clone(pool))
    }

    /// A slot of a server and a connection to it; another server where one does not accept.
    async fn reach(&mut self, client: &Stream, pool: &PoolHold) -> Result<(Seat, Stream), ProxyError> {
        let mut tried = ServerSet::new();
        let mut failed: Option<ProxyError> = None;
        let by_client = is_by_client(pool);
        loop {
            let key = key(pool, self.peer.ip());
            let seeker = Seeker { pool, tried: &tried, bound: None, spared: None, by_client, key };
            let asker = Asker { worker: &self.worker, timer: &mut self.timer, stream: client };
            let seat = match pick::find(asker, &mut self.times.queue, &seeker).await {
                Ok(seat) => seat,
                // Nobody is left to ask: what went wrong first tells more than that.
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            if failed.is_some() && self.server != Some(seat.index) {
                pool.counts().redispatches.add(1);
            }
            self.server = Some(seat.index);
            let error = match self.connect(client, pool, seat.index).await {
                Ok(server) => return Ok((seat, server)),
                Err(error) => error,
            };
            if !self.may_repeat(pool, &error) {
                return Err(error);
            }
            if pool.config.retry.elsewhere {
                tried.insert(seat.index);
            }
            failed = Some(error);
            self.retries += 1;
        }
    }

    async fn connect(&mut self, client: &Stream, pool: &PoolHold, index: ServerIndex) -> Result<Stream, ProxyError> {
        let server = pool.server(index).ok_or(Kind::NoServer)?;
        rounds::admit(&self.snapshot, self.worker.shared.rounds.before(client), server)?;
        let begun = Instant::now();
        let within = pool.config.timeouts.connect;
        let dialling = dial(&self.worker, server, within, (client, &self.facts), self.agreed.as_deref());
        let dialled = unless_broken(client, dialling).await;
        let took = begun.elapsed();
        self.times.connect = Some(took);
        let Some(dialled) = dialled else { return Err(Kind::ClientGone.into()) };
        record::connect((pool, index), dialled.is_ok());
        match dialled {
            Ok(stream) => {
                self.server_addr = Some(stream.peer_addr());
                // Asked for once more: whoever called us notes it when it hears that it is connected, which may be later than
                // we hear of it.
                let rounds = &self.worker.shared.rounds;
                self.note = rounds::note(rounds, &self.snapshot, rounds.before(client), &stream);
                if let Some(counts) = pool.server_counts(index) {
                    counts.traffic.requests.add(1);
                    counts.traffic.times.add(took);
                }
                Ok(stream)
            }
            Err(error) => {
                self.server_addr = server.addrs.first().copied();
                let kind = fault(server, &error);
                if let Kind::Connect(reason) = kind {
                    record::report(&self.worker, (pool, index), reason, None);
                }
                Err(kind.into())
            }
        }
    }

    /// Whether another attempt may be made. No server has a byte, so that it costs nothing of the budget.
    fn may_repeat(&self, pool: &HeldPool, error: &ProxyError) -> bool {
        let may = matches!(error.kind, Kind::Connect(_)) && self.retries < u32::from(pool.config.retry.attempts);
        if may {
            self.worker.counts.retries.add(1);
            pool.counts().retries.add(1);
        }
        may
    }

    async fn carry(
        &mut self,
        client: &mut Stream,
        server: &mut Stream,
        early: Vec<u8>,
        (pool, tcp): (&PoolHold, &Tcp),
    ) -> Result<(), ProxyError> {
        let worker = Rc::clone(&self.worker);
        let snapshot = Rc::clone(&self.snapshot);
        let tally = Tally {
            worker: &worker,
            listener: snapshot.listener_counts(self.listener),
            pool: pool.counts(),
            server: self.server.and_then(|index| pool.server_counts(index)),
        };
        let (mut up, mut down) = (Side::with(&worker, early), Side::with(&worker, Vec::new()));
        let bound = self.server.and_then(|index| Bound::of(pool, index));
        let terms = Terms { idle: tcp.timeouts.idle, fin: tcp.timeouts.fin, bound };
        let Self { timer, times, .. } = self;
        let ends = Ends { client, server, timer };
        let ended = carry(&worker, ends, [&mut up, &mut down], terms, |up, down| {
            if down > 0 && times.first.is_none() {
                times.first = Some(Instant::now());
            }
            tally.add(up, down);
        })
        .await;
        self.received = up.moved;
        self.sent = down.moved;
        let kind = match ended {
            Ended::Whole => return Ok(()),
            Ended::Idle => Kind::Idle,
            Ended::HalfIdle => Kind::HalfIdle,
            Ended::ClientBroke => Kind::ClientGone,
            Ended::ServerBroke => Kind::PassageBroken,
            Ended::Cut => Kind::Cut,
            Ended::ServerDown => Kind::ServerDown,
        };
        if matches!(ended, Ended::ServerBroke | Ended::ClientBroke) {
            // Many a server says why before it resets, and many a client says its last and leaves without an end.
            tokio::time::sleep(LAST_WORDS).await;
        }
        Err(kind.into())
    }

    /// Writes the lines of the logs.
    fn record(&self) {
        let Some((_, part)) = self.snapshot.listener(self.listener) else { return };
        for log in &part.logs {
            let written = self.worker.batches.append(&log.sink, |out| passage::write(&log.config.format, self, out));
            self.worker.count_lost_lines(written.lost);
            if written.is_first {
                self.worker.poke();
            }
        }
    }
}

/// What servers are told of TLS that ended here.
pub(crate) fn own_tls(tls: &TlsFacts) -> OwnTls {
    OwnTls {
        version: tls.protocol,
        cipher: tls.cipher,
        has_certificate: tls.client.is_some(),
        common_name: tls.client.as_ref().and_then(|client| client.common_name.clone()),
    }
}

/// What counts the bytes of a connection while they go.
struct Tally<'a> {
    worker: &'a Worker,
    listener: Option<&'a ListenerCounts>,
    pool: &'a PoolCounts,
    server: Option<&'a ServerCounts>,
}

impl Tally<'_> {
    fn add(&self, up: u64, down: u64) {
        self.worker.counts.bytes_in.add(up);
        self.worker.counts.bytes_out.add(down);
        self.pool.traffic.add_bytes(up, down);
        self.listener.into_iter().for_each(|counts| counts.traffic.add_bytes(up, down));
        self.server.into_iter().for_each(|counts| counts.traffic.add_bytes(up, down));
    }
}

/// Whether the pool keeps clients by their address.
fn is_by_client(pool: &HeldPool) -> bool {
    pool.config.sticky.iter().any(|sticky| sticky.method == StickyMethod::Client)
}

/// What the pool hashes of a connection: the client's address, or nothing.
fn key(pool: &HeldPool, client: IpAddr) -> Option<u64> {
    let by_hash = matches!(&pool.config.balance, Balance::Hash { key: HashKey::Client, .. });
    (by_hash || is_by_client(pool)).then(|| hash_key(&pool.hash_seed, HashKeyValue::Client(client)))
}

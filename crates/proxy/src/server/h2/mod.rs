//! Connections to servers over HTTP/2: few, shared by requests, each of which gets a stream.
//!
//! A request is written as for any server, into a connection in memory; on its other end `carrier` makes a stream of it
//! and writes the answer back as HTTP/1.1. So all that is known of servers (timeouts, retries, strict answers, learning)
//! holds for these, too.
//!
//! Not here: which server, and what its answer means. The invariants: a connection that refused a stream, broke or fell
//! dumb gets no further ones; of several requests that find none, one connects and the others wait for it; none is sent that
//! the server has no room for: it waits here, first come first served; and requests share connections, and waiting for them,
//! with those alone that know their server as they do.

mod allowance;
mod carrier;
mod link;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::config::ServerProtocol;
use evenkeel_model::{Reason, ServerId, caps};
use evenkeel_net::duplex;
use evenkeel_net::tls::Opening;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::link::Link;
use super::connect::{connect, fault, unless_broken};
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::queue::Aside;
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::snapshot::{ServerPart, Snapshot, Way};
use crate::wire::Stream;
use crate::{record, rounds};

/// One worker's connections, by server.
#[derive(Default)]
pub(crate) struct Links {
    shelves: RefCell<HashMap<ServerId, Vec<Rc<Shelf>>>>,
}

/// A server's connections for requests that know it alike, and have passed as many listeners of ours. Those from before a
/// reload that changed the server have a shelf to themselves for as long as one of them waits or connects.
struct Shelf {
    rounds: u32,
    way: Way,
    addrs: Arc<[SocketAddr]>,
    links: RefCell<Vec<Rc<Link>>>,
    /// Whether somebody connects, and how those who wait learn of the end of it.
    is_connecting: Cell<bool>,
    news: Notify,
    /// How those learn of room who found as many connections as may be, all of them full; and how many they are.
    room: Rc<Notify>,
    waiting: Cell<u32>,
}

/// A place in the line before full connections.
struct Line {
    shelf: Rc<Shelf>,
    _aside: Aside,
}

impl Shelf {
    fn new(server: &ServerPart, rounds: u32) -> Self {
        Self {
            rounds,
            way: server.way.clone(),
            addrs: Arc::clone(&server.addrs),
            links: RefCell::default(),
            is_connecting: Cell::default(),
            news: Notify::new(),
            room: Rc::default(),
            waiting: Cell::default(),
        }
    }

    /// Goes on for the server at its addresses of now, where it is spoken to as it was.
    fn follow(&mut self, server: &ServerPart) -> bool {
        if !self.way.is_same(&server.way) {
            return false;
        }
        self.addrs = Arc::clone(&server.addrs);
        let (stay, gone) = self.links.take().into_iter().partition(|link| self.addrs.contains(&link.addr));
        self.links = RefCell::new(stay);
        gone.iter().for_each(|link: &Rc<Link>| link.leave());
        true
    }

    /// A connection, or what a request is to do about there being none.
    fn find(self: &Rc<Self>, claim: Claim) -> Found {
        self.sweep();
        let links = self.links.borrow();
        let count = links.len();
        let least = links.iter().filter(|link| !link.is_full()).min_by_key(|link| link.streams());
        let is_vain = matches!(claim, Claim::Failed(before) if count >= before);
        match least {
            Some(link) if claim != Claim::Fresh || self.waiting.get() == 0 => Found::Link(Rc::clone(link)),
            Some(_) => Found::Full,
            None if count >= caps::HTTP2_SERVER_CONNECTIONS => Found::Full,
            _ if self.is_connecting.get() || is_vain => {
                Found::Wait(if count > 0 { Stands::Some } else { Stands::None })
            }
            _ => {
                self.is_connecting.set(true);
                Found::Turn(Turn { shelf: Rc::clone(self) })
            }
        }
    }

    /// Lets connections go that are over. Their sockets are open as long as somebody has them.
    fn sweep(&self) {
        self.links.borrow_mut().retain(|link| !link.is_over());
    }

    /// Whether it is for requests that know the server like this.
    fn is_to(&self, server: &ServerPart) -> bool {
        self.way.is_same(&server.way) && self.addrs == server.addrs
    }

    /// How many connections stand.
    fn count(&self) -> usize {
        self.links.borrow().iter().filter(|link| !link.is_over()).count()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Nobody finds them any more.
        self.links.get_mut().iter().for_each(|link| link.leave());
    }
}

impl Line {
    fn join(shelf: &Rc<Shelf>, aside: Aside) -> Self {
        shelf.waiting.set(shelf.waiting.get() + 1);
        Self { shelf: Rc::clone(shelf), _aside: aside }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shelf.waiting.set(self.shelf.waiting.get().saturating_sub(1));
        // Whoever leaves, served or not, may hold a call that the next one needs.
        self.shelf.room.notify_one();
    }
}

/// What a request finds.
enum Found {
    Link(Rc<Link>),
    /// Nothing; it is to connect itself.
    Turn(Turn),
    /// Nothing, and somebody connects, or the server takes no further connections.
    Wait(Stands),
    /// All connections that may be, each with as many streams as it may have; or others who wait for one of those.
    Full,
}

/// Whether connections stand on which there may be room sooner than on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    None,
    Some,
}

/// What a request has done so far to get a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It came just now: those in line come first.
    Fresh,
    /// It has waited.
    Called,
    /// It has tried to make one in vain while there were so many, and does not before there are fewer.
    Failed(usize),
}

impl Claim {
    fn once_called(self) -> Self {
        if self == Self::Fresh { Self::Called } else { self }
    }
}

/// The right to connect; dropping it passes it on.
struct Turn {
    shelf: Rc<Shelf>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shelf.is_connecting.set(false);
        self.shelf.news.notify_waiters();
    }
}

/// A stream to the attempt's server.
pub(super) async fn obtain(
    client: &mut Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
) -> Result<Stream, ProxyError> {
    let Some(server) = attempt.pool.server(attempt.index) else { return Err(Kind::NoServer.into()) };
    let worker = Rc::clone(&client.worker);
    let seeker = Seeker {
        shelf: worker.links.shelf(server, exchange.rounds),
        client,
        exchange: &mut *exchange,
        attempt,
        server,
        claim: Claim::Fresh,
        line: None,
        connecting: Duration::ZERO,
        failed: None,
    };
    let link = seeker.reach().await?;
    exchange.times.now = Instant::now();
    exchange.server_addr = Some(link.addr);
    exchange.was_reused = link.was_used();
    if exchange.was_reused {
        record::reuse(attempt);
    }
    let (near, far) = duplex::pair(caps::HTTP2_STREAM_BUFFER);
    carrier::begin(&worker, &link, near);
    Ok(Stream::in_memory(far, link.addr, link.local))
}

/// A request that looks for a connection: one that has room, or that somebody else makes, or an own one. In line it keeps its
/// place until there is one, and the time that each kind of waiting may take is that of all its waits together.
struct Seeker<'a> {
    client: &'a Client,
    exchange: &'a mut Exchange,
    attempt: &'a Attempt<'a>,
    server: &'a ServerPart,
    shelf: Rc<Shelf>,
    claim: Claim,
    line: Option<Line>,
    /// How long it waited for connections that were being made.
    connecting: Duration,
    /// Why it has none of its own.
    failed: Option<ProxyError>,
}

impl Seeker<'_> {
    async fn reach(mut self) -> Result<Rc<Link>, ProxyError> {
        let mut found = self.find();
        let link = loop {
            found = match found {
                Found::Link(link) => break link,
                Found::Turn(turn) => self.connect(turn).await?,
                Found::Wait(stands) => self.wait(stands).await?,
                Found::Full => Box::pin(self.stand()).await?,
            };
        };
        self.exchange.times.connect.get_or_insert(self.connecting);
        Ok(link)
    }

    fn find(&self) -> Found {
        self.shelf.find(self.claim)
    }

    /// Until when connections that are being made may be waited for.
    fn deadline(&self) -> Instant {
        Instant::now() + self.attempt.pool.config.timeouts.connect.saturating_sub(self.connecting)
    }

    /// Makes a connection. A server that takes no further one may have room on those that it took.
    async fn connect(&mut self, turn: Turn) -> Result<Found, ProxyError> {
        let (begun, deadline) = (Instant::now(), self.deadline());
        self.exchange.was_reused = false;
        let opened = open(self.client, self.exchange, self.attempt, self.server, &self.shelf.room).await;
        self.connecting += begun.elapsed();
        self.exchange.times.connect = Some(self.connecting);
        let error = match opened {
            Ok(link) => {
                tokio::task::spawn_local(share(turn, Rc::clone(&link), deadline));
                return Ok(Found::Link(link));
            }
            Err(error) => error,
        };
        let stand = self.shelf.count();
        if stand == 0 || error.kind == Kind::ClientGone {
            return Err(error);
        }
        (self.failed, self.claim) = (Some(error), Claim::Failed(stand));
        drop(turn);
        Ok(self.find())
    }

    /// Waits for a connection that somebody makes and, where others stand, for room on those.
    async fn wait(&mut self, stands: Stands) -> Result<Found, ProxyError> {
        let (begun, deadline) = (Instant::now(), self.deadline());
        if stands == Stands::Some && self.line.is_none() {
            // Without a place it waits for the new one alone.
            self.line = self.join();
        }
        self.claim = self.claim.once_called();
        let called = async {
            // Who is called in vain keeps the turn among those who wait for the new one.
            let mut made = pin!(self.shelf.news.notified());
            loop {
                tokio::select! {
                    () = made.as_mut() => return self.find(),
                    () = called(self.line.as_ref()) => {}
                }
                match self.find() {
                    Found::Wait(..) => {}
                    found => return found,
                }
            }
        };
        let waited = tokio::time::timeout_at(deadline, unless_broken(&self.client.stream, called)).await;
        self.connecting += begun.elapsed();
        match waited {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Kind::ClientGone.into()),
            Err(_) => match self.find() {
                found @ Found::Link(_) => Ok(found),
                _ => Err(self.failed.take().unwrap_or(Kind::Connect(Reason::ConnectTimeout).into())),
            },
        }
    }

    /// A place in line, unless as many wait for the pool as may.
    fn join(&self) -> Option<Line> {
        let pool = self.attempt.pool;
        let aside = pool.shared.queue.stand_aside(pool.config.queue.max)?;
        Some(Line::join(&self.shelf, aside))
    }

    /// Waits in line until there is room on a connection, or for another one.
    async fn stand(&mut self) -> Result<Found, ProxyError> {
        let pool = self.attempt.pool;
        let Some(line) = self.line.take().or_else(|| self.join()) else {
            pool.counts().queue_full.add(1);
            return Err(Kind::QueueFull.into());
        };
        self.line = Some(line);
        self.claim = self.claim.once_called();
        let begun = Instant::now();
        let left = pool.config.queue.timeout.saturating_sub(self.exchange.times.queue);
        let called = async {
            loop {
                self.shelf.room.notified().await;
                match self.find() {
                    Found::Full => {}
                    found => return found,
                }
            }
        };
        let stood = tokio::time::timeout_at(begun + left, unless_broken(&self.client.stream, called)).await;
        let waited = begun.elapsed();
        self.exchange.times.queue += waited;
        pool.counts().waits.add(waited);
        match stood {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Kind::ClientGone.into()),
            Err(_) => {
                pool.counts().queue_timeouts.add(1);
                Err(Kind::QueueTimeout.into())
            }
        }
    }
}

/// Waits for the call of who is next in line; without a place there is none.
async fn called(line: Option<&Line>) {
    match line {
        Some(line) => line.shelf.room.notified().await,
        None => std::future::pending().await,
    }
}

/// Lets others have a connection, once its server has said how many streams it takes: before, it takes the one that it was
/// made for.
async fn share(turn: Turn, link: Rc<Link>, deadline: Instant) {
    // Whoever never says so takes as many as we like.
    let _ = tokio::time::timeout_at(deadline, link.greeted()).await;
    turn.shelf.links.borrow_mut().push(link);
}

/// The server of that name, if it is spoken to over HTTP/2.
fn named<'s>(snapshot: &'s Snapshot, id: &ServerId) -> Option<&'s ServerPart> {
    let pool = snapshot.pools().get(snapshot.pool_place(&id.pool)?)?;
    let is_spoken = pool.config.protocol == ServerProtocol::Http2;
    pool.servers.iter().find(|server| server.id == *id).filter(|_| is_spoken)
}

async fn open(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
    room: &Rc<Notify>,
) -> Result<Rc<Link>, ProxyError> {
    let timeouts = &attempt.pool.config.timeouts;
    let connected =
        unless_broken(&client.stream, connect(&client.worker, server, timeouts.connect, Opening::default())).await;
    let Some(connected) = connected else { return Err(Kind::ClientGone.into()) };
    record::connect((attempt.pool, attempt.index), connected.is_ok());
    match connected {
        Ok(stream) => {
            let note = rounds::note(&client.worker.shared.rounds, &exchange.snapshot, exchange.rounds, &stream);
            let link = Link::open((stream, note), timeouts.keep, Rc::clone(room)).await;
            link.ok_or(Kind::ServerLost.into())
        }
        Err(error) => {
            exchange.server_addr = server.addrs.first().copied();
            Err(fault(server, &error).into())
        }
    }
}

impl Links {
    /// Where requests look that know the server like this, and have passed so many listeners of ours.
    fn shelf(&self, server: &ServerPart, rounds: u32) -> Rc<Shelf> {
        // More than those go no further.
        let rounds = rounds.min(caps::OWN_ROUNDS);
        let mut shelves = self.shelves.borrow_mut();
        let of_server = shelves.get(&server.id).map_or(&[][..], Vec::as_slice);
        if let Some(shelf) = of_server.iter().find(|shelf| shelf.rounds == rounds && shelf.is_to(server)) {
            return Rc::clone(shelf);
        }
        let shelf = Rc::new(Shelf::new(server, rounds));
        shelves.entry(server.id.clone()).or_default().push(Rc::clone(&shelf));
        shelf
    }

    /// Follows the snapshot in force: connections to servers that left, moved, or are spoken to otherwise get no further
    /// requests, once none from before waits for them.
    pub(crate) fn retain_named(&self, snapshot: &Snapshot) {
        self.shelves.borrow_mut().retain(|id, shelves| {
            let server = named(snapshot, id);
            let is_current = |shelf: &Rc<Shelf>| server.is_some_and(|server| shelf.is_to(server));
            let mut current: Vec<u32> = shelves.iter().filter(|it| is_current(it)).map(|it| it.rounds).collect();
            shelves.retain_mut(|shelf| {
                shelf.sweep();
                if is_current(shelf) {
                    return true;
                }
                // Whoever waits there, or connects, knows the server as it was.
                let Some(unused) = Rc::get_mut(shelf) else { return true };
                // One shelf is enough for those who know it as it is.
                let follows = !current.contains(&unused.rounds) && server.is_some_and(|server| unused.follow(server));
                if follows {
                    current.push(unused.rounds);
                }
                follows
            });
            !shelves.is_empty()
        });
    }
}

//! Connections to servers over HTTP/2: few, shared by requests, each of which gets a stream.
//!
//! A request is written as for any server, into a connection in memory; on its other end `carrier` makes a stream of it
//! and writes the answer back as HTTP/1.1. So all that is known of servers (timeouts, retries, strict answers, learning)
//! holds for these, too.
//!
//! Not here: which server, and what its answer means. The invariants: a connection that refused a stream, broke or fell
//! dumb gets no further ones; of several requests that find none, one connects and the others wait for it; and none is sent
//! that the server has no room for: it waits here, first come first served.

mod allowance;
mod carrier;
mod link;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
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
use crate::snapshot::{ServerPart, Snapshot};
use crate::wire::Stream;
use crate::{record, rounds};

/// One worker's connections, by server, and by how many listeners of ours was passed what goes over them.
#[derive(Default)]
pub(crate) struct Links {
    shelves: RefCell<HashMap<ServerId, Vec<Shelf>>>,
}

#[derive(Default)]
struct Shelf {
    links: Vec<Rc<Link>>,
    /// Whether somebody connects, and how those who wait learn of the end of it.
    is_connecting: bool,
    news: Rc<Notify>,
    /// How those learn of room who found as many connections as may be, all of them full; and how many they are.
    room: Rc<Notify>,
    waiting: Rc<Cell<u32>>,
}

/// A place in the line before full connections.
struct Line {
    room: Rc<Notify>,
    waiting: Rc<Cell<u32>>,
    _aside: Aside,
}

impl Line {
    fn join(shelf: &Shelf, aside: Aside) -> Self {
        shelf.waiting.set(shelf.waiting.get() + 1);
        Self { room: Rc::clone(&shelf.room), waiting: Rc::clone(&shelf.waiting), _aside: aside }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        // Whoever leaves, served or not, may hold a call that the next one needs.
        self.room.notify_one();
    }
}

/// What a request finds.
enum Found {
    Link(Rc<Link>),
    /// Nothing; it is to connect itself.
    Turn(Turn),
    /// Nothing, and somebody connects.
    Wait(Rc<Notify>),
    /// All connections that may be, each with as many streams as it may have; or others who wait for one of those.
    Full,
}

/// The right to connect; dropping it passes it on.
struct Turn {
    worker: Rc<crate::worker::Worker>,
    id: ServerId,
    rounds: u32,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.worker.links.at(&self.id, self.rounds, |shelf| {
            shelf.is_connecting = false;
            shelf.news.notify_waiters();
        });
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
    let link = reach(client, exchange, attempt, server).await?;
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

/// Gets hold of a connection: one that has room, or that somebody else makes, or an own one. Who stands in line keeps the
/// place until there is one, and the time that each kind of waiting may take is that of all its waits together.
async fn reach(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
) -> Result<Rc<Link>, ProxyError> {
    let patience = attempt.pool.config.timeouts.connect;
    let (mut line, mut connecting) = (None, Duration::ZERO);
    let mut found = find(&client.worker, server, exchange.rounds, false);
    let link = loop {
        let begun = Instant::now();
        let deadline = begun + patience.saturating_sub(connecting);
        match found {
            Found::Link(link) => break link,
            Found::Turn(turn) => {
                exchange.was_reused = false;
                let link = open(client, exchange, attempt, server).await;
                exchange.times.connect = Some(connecting + begun.elapsed());
                let link = link?;
                tokio::task::spawn_local(share(turn, Rc::clone(&link), deadline));
                break link;
            }
            Found::Wait(news) => {
                let waited = unless_broken(&client.stream, news.notified());
                match tokio::time::timeout_at(deadline, waited).await {
                    Ok(Some(())) => {}
                    Ok(None) => return Err(Kind::ClientGone.into()),
                    Err(_) => return Err(Kind::Connect(Reason::ConnectTimeout).into()),
                }
                connecting += begun.elapsed();
                found = find(&client.worker, server, exchange.rounds, line.is_some());
            }
            Found::Full => {
                let place = match line.take() {
                    Some(place) => place,
                    None => join(client, exchange, attempt, server)?,
                };
                found = Box::pin(stand(client, exchange, attempt, server, &place)).await?;
                line = Some(place);
            }
        }
    };
    exchange.times.connect.get_or_insert(connecting);
    Ok(link)
}

/// A place in line, unless as many wait for the pool as may.
fn join(client: &Client, exchange: &Exchange, attempt: &Attempt<'_>, server: &ServerPart) -> Result<Line, ProxyError> {
    let pool = attempt.pool;
    let aside = pool.shared.queue.stand_aside(pool.config.queue.max);
    let line =
        aside.and_then(|aside| client.worker.links.at(&server.id, exchange.rounds, |shelf| Line::join(shelf, aside)));
    line.ok_or_else(|| {
        pool.counts().queue_full.add(1);
        Kind::QueueFull.into()
    })
}

/// Waits in line until there is room on a connection, or for another one.
async fn stand(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
    line: &Line,
) -> Result<Found, ProxyError> {
    let begun = Instant::now();
    let left = attempt.pool.config.queue.timeout.saturating_sub(exchange.times.queue);
    let rounds = exchange.rounds;
    let called = async {
        loop {
            line.room.notified().await;
            match find(&client.worker, server, rounds, true) {
                Found::Full => {}
                found => return found,
            }
        }
    };
    let stood = tokio::time::timeout_at(begun + left, unless_broken(&client.stream, called)).await;
    let waited = begun.elapsed();
    exchange.times.queue += waited;
    attempt.pool.counts().waits.add(waited);
    match stood {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Kind::ClientGone.into()),
        Err(_) => {
            attempt.pool.counts().queue_timeouts.add(1);
            Err(Kind::QueueTimeout.into())
        }
    }
}

/// Lets others have a connection, once its server has said how many streams it takes: before, it takes the one that it was
/// made for. One to a server as it was before a reload takes no other.
async fn share(turn: Turn, link: Rc<Link>, deadline: Instant) {
    // Whoever never says so takes as many as we like.
    let _ = tokio::time::timeout_at(deadline, link.greeted()).await;
    let snapshot = turn.worker.snapshot();
    if snapshot.is_none_or(|snapshot| named(&snapshot, &turn.id).is_none_or(|server| !link.is_to(server))) {
        return link.leave();
    }
    turn.worker.links.at(&turn.id, turn.rounds, |shelf| shelf.links.push(link));
}

/// The server of that name, if it is spoken to over HTTP/2.
fn named<'s>(snapshot: &'s Snapshot, id: &ServerId) -> Option<&'s ServerPart> {
    let pool = snapshot.pools().get(snapshot.pool_place(&id.pool)?)?;
    let is_spoken = pool.config.protocol == ServerProtocol::Http2;
    pool.servers.iter().find(|server| server.id == *id).filter(|_| is_spoken)
}

/// A connection for what has passed so many listeners of ours, or what it is to do about there being none. `is_called`: it
/// stood in line, and comes next.
fn find(worker: &Rc<crate::worker::Worker>, server: &ServerPart, rounds: u32, is_called: bool) -> Found {
    let mut shelves = worker.links.shelves.borrow_mut();
    if !shelves.contains_key(&server.id) {
        shelves.insert(server.id.clone(), Vec::new());
    }
    let shelf = shelves.get_mut(&server.id).and_then(|of_server| shelf_of(of_server, rounds));
    let Some(shelf) = shelf else { return Found::Wait(Rc::default()) };
    shelf.links.retain(|link| !link.is_over());
    if !is_called && shelf.waiting.get() > 0 {
        return Found::Full;
    }
    // The request may know its server as it was before a reload: what it has no use for is there for others.
    let links = || shelf.links.iter().filter(|link| link.is_to(server));
    let least = links().filter(|link| !link.is_full()).min_by_key(|link| link.streams());
    match least {
        Some(link) => Found::Link(Rc::clone(link)),
        None if links().count() >= caps::HTTP2_SERVER_CONNECTIONS => Found::Full,
        _ if shelf.is_connecting => Found::Wait(Rc::clone(&shelf.news)),
        _ => {
            shelf.is_connecting = true;
            Found::Turn(Turn { worker: Rc::clone(worker), id: server.id.clone(), rounds })
        }
    }
}

async fn open(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
) -> Result<Rc<Link>, ProxyError> {
    let timeouts = &attempt.pool.config.timeouts;
    let connected =
        unless_broken(&client.stream, connect(&client.worker, server, timeouts.connect, Opening::default())).await;
    let Some(connected) = connected else { return Err(Kind::ClientGone.into()) };
    record::connect((attempt.pool, attempt.index), connected.is_ok());
    match connected {
        Ok(stream) => {
            let note = rounds::note(&client.worker.shared.rounds, &exchange.snapshot, exchange.rounds, &stream);
            let room = client.worker.links.at(&server.id, exchange.rounds, |shelf| Rc::clone(&shelf.room));
            let link = Link::open((stream, note), &server.way, timeouts.keep, room.unwrap_or_default()).await;
            link.ok_or(Kind::ServerLost.into())
        }
        Err(error) => {
            exchange.server_addr = server.addrs.first().copied();
            Err(fault(server, &error).into())
        }
    }
}

impl Links {
    /// Does something with what there is for a server, as long as that is there.
    fn at<T>(&self, id: &ServerId, rounds: u32, work: impl FnOnce(&mut Shelf) -> T) -> Option<T> {
        Some(work(shelf_of(self.shelves.borrow_mut().get_mut(id)?, rounds)?))
    }

    /// Lets connections go that are over. Their sockets are open as long as somebody has them.
    pub(crate) fn sweep(&self) {
        let mut shelves = self.shelves.borrow_mut();
        shelves.values_mut().flatten().for_each(|shelf| shelf.links.retain(|link| !link.is_over()));
    }

    /// Follows a snapshot: connections to servers that left, moved, or are spoken to otherwise get no further requests.
    pub(crate) fn retain_named(&self, snapshot: &Snapshot) {
        self.shelves.borrow_mut().retain(|id, shelves| {
            let server = named(snapshot, id);
            for shelf in shelves.iter_mut() {
                shelf.links.retain(|link| {
                    let stays = server.is_some_and(|server| link.is_to(server));
                    if !stays {
                        link.leave();
                    }
                    stays
                });
            }
            server.is_some() || shelves.iter().any(|shelf| shelf.is_connecting)
        });
    }
}

/// A server's connections for what has passed so many listeners of ours: few, for more than those go no further.
fn shelf_of(shelves: &mut Vec<Shelf>, rounds: u32) -> Option<&mut Shelf> {
    let place = usize::try_from(rounds.min(caps::OWN_ROUNDS)).ok()?;
    if shelves.len() <= place {
        shelves.resize_with(place + 1, Shelf::default);
    }
    shelves.get_mut(place)
}

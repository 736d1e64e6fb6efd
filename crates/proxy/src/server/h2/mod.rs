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
use crate::record;
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::snapshot::{ServerPart, Snapshot};
use crate::wire::Stream;

/// One worker's connections, by server.
#[derive(Default)]
pub(crate) struct Links {
    shelves: RefCell<HashMap<ServerId, Shelf>>,
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
}

impl Line {
    fn join(shelf: &Shelf) -> Self {
        shelf.waiting.set(shelf.waiting.get() + 1);
        Self { room: Rc::clone(&shelf.room), waiting: Rc::clone(&shelf.waiting) }
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
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut shelves = self.worker.links.shelves.borrow_mut();
        if let Some(shelf) = shelves.get_mut(&self.id) {
            shelf.is_connecting = false;
            shelf.news.notify_waiters();
        }
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

/// Gets hold of a connection: one that has room, or that somebody else makes, or an own one.
async fn reach(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
) -> Result<Rc<Link>, ProxyError> {
    let patience = attempt.pool.config.timeouts.connect;
    let mut begun = Instant::now();
    let mut found = find(&client.worker, server, false);
    let link = loop {
        match found {
            Found::Link(link) => break link,
            Found::Turn(turn) => {
                exchange.was_reused = false;
                let link = open(client, exchange, attempt, server).await;
                exchange.times.connect = Some(begun.elapsed());
                let link = link?;
                tokio::task::spawn_local(share(turn, Rc::clone(&link), begun + patience));
                break link;
            }
            Found::Wait(news) => {
                let waited = unless_broken(&client.stream, news.notified());
                found = match tokio::time::timeout_at(begun + patience, waited).await {
                    Ok(Some(())) => find(&client.worker, server, false),
                    Ok(None) => return Err(Kind::ClientGone.into()),
                    Err(_) => return Err(Kind::Connect(Reason::ConnectTimeout).into()),
                };
            }
            Found::Full => {
                found = Box::pin(stand(client, exchange, attempt, server)).await?;
                begun = Instant::now();
            }
        }
    };
    exchange.times.connect.get_or_insert(begun.elapsed());
    Ok(link)
}

/// Waits in line until there is room on a connection, or for another one.
async fn stand(
    client: &Client,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    server: &ServerPart,
) -> Result<Found, ProxyError> {
    let rule = &attempt.pool.config.queue;
    let Some(line) = client.worker.links.line(&server.id, rule.max) else {
        attempt.pool.counts().queue_full.add(1);
        return Err(Kind::QueueFull.into());
    };
    let begun = Instant::now();
    let called = async {
        loop {
            line.room.notified().await;
            match find(&client.worker, server, true) {
                Found::Full => {}
                found => return found,
            }
        }
    };
    let stood = tokio::time::timeout_at(begun + rule.timeout, unless_broken(&client.stream, called)).await;
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
/// made for.
async fn share(turn: Turn, link: Rc<Link>, deadline: Instant) {
    // Whoever never says so takes as many as we like.
    let _ = tokio::time::timeout_at(deadline, link.greeted()).await;
    turn.worker.links.put(&turn.id, &link);
}

/// A connection for the request, or what it is to do about there being none. `is_called`: it stood in line, and comes next.
fn find(worker: &Rc<crate::worker::Worker>, server: &ServerPart, is_called: bool) -> Found {
    let mut shelves = worker.links.shelves.borrow_mut();
    if !shelves.contains_key(&server.id) {
        shelves.insert(server.id.clone(), Shelf::default());
    }
    let Some(shelf) = shelves.get_mut(&server.id) else { return Found::Wait(Rc::default()) };
    shelf.links.retain(|link| !link.is_over() && server.addrs.contains(&link.addr));
    if !is_called && shelf.waiting.get() > 0 {
        return Found::Full;
    }
    let least = shelf.links.iter().filter(|link| !link.is_full()).min_by_key(|link| link.streams());
    match least {
        Some(link) => Found::Link(Rc::clone(link)),
        None if shelf.links.len() >= caps::HTTP2_SERVER_CONNECTIONS => Found::Full,
        _ if shelf.is_connecting => Found::Wait(Rc::clone(&shelf.news)),
        _ => {
            shelf.is_connecting = true;
            Found::Turn(Turn { worker: Rc::clone(worker), id: server.id.clone() })
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
            let room = client.worker.links.room(&server.id);
            Link::open(stream, timeouts.keep, room).await.ok_or(Kind::ServerLost.into())
        }
        Err(error) => {
            exchange.server_addr = server.addrs.first().copied();
            Err(fault(server, &error).into())
        }
    }
}

impl Links {
    /// A place in the line for a server, unless so many stand there.
    fn line(&self, id: &ServerId, max: u32) -> Option<Line> {
        let shelves = self.shelves.borrow();
        shelves.get(id).filter(|shelf| shelf.waiting.get() < max).map(Line::join)
    }

    /// How those learn of room who wait for it.
    fn room(&self, id: &ServerId) -> Rc<Notify> {
        self.shelves.borrow().get(id).map(|shelf| Rc::clone(&shelf.room)).unwrap_or_default()
    }

    fn put(&self, id: &ServerId, link: &Rc<Link>) {
        if let Some(shelf) = self.shelves.borrow_mut().get_mut(id) {
            shelf.links.push(Rc::clone(link));
        }
    }

    /// Follows a snapshot: connections to servers that left, moved, or are spoken to otherwise get no further requests.
    pub(crate) fn retain_named(&self, snapshot: &Snapshot) {
        self.shelves.borrow_mut().retain(|id, shelf| {
            let pool = snapshot.pool_place(&id.pool).and_then(|place| snapshot.pools().get(place));
            let pool = pool.filter(|pool| pool.config.protocol == ServerProtocol::Http2);
            let server = pool.and_then(|pool| pool.servers.iter().find(|server| server.id == *id));
            shelf.links.retain(|link| {
                let stays = server.is_some_and(|server| server.addrs.contains(&link.addr));
                if !stays {
                    link.leave();
                }
                stays
            });
            server.is_some() || shelf.is_connecting
        });
    }
}

//! Connections to servers over HTTP/2: few, shared by requests, each of which gets a stream.
//!
//! A request is written as for any server, into a connection in memory; on its other end `carrier` makes a stream of it
//! and writes the answer back as HTTP/1.1. So all that is known of servers (timeouts, retries, strict answers, learning)
//! holds for these, too.
//!
//! Not here: which server, and what its answer means. The invariants: a connection that refused a stream, broke or fell
//! dumb gets no further ones; and of several requests that find none, one connects and the others wait for it.

mod carrier;
mod link;

use std::cell::RefCell;
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
}

/// What a request finds.
enum Found {
    Link(Rc<Link>),
    /// Nothing; it is to connect itself.
    Turn(Turn),
    /// Nothing, and somebody connects.
    Wait(Rc<Notify>),
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
    let begun = Instant::now();
    let deadline = begun + attempt.pool.config.timeouts.connect;
    let worker = Rc::clone(&client.worker);
    let link = loop {
        match find(&worker, server) {
            Found::Link(link) => break link,
            Found::Turn(turn) => {
                exchange.was_reused = false;
                let link = open(client, exchange, attempt, server).await;
                exchange.times.connect = Some(begun.elapsed());
                let link = link?;
                worker.links.put(&server.id, &link);
                drop(turn);
                break link;
            }
            Found::Wait(news) => {
                let waited = tokio::time::timeout_at(deadline, unless_broken(&client.stream, news.notified())).await;
                match waited {
                    Ok(Some(())) => {}
                    Ok(None) => return Err(Kind::ClientGone.into()),
                    Err(_) => return Err(Kind::Connect(Reason::ConnectTimeout).into()),
                }
            }
        }
    };
    exchange.times.connect.get_or_insert(begun.elapsed());
    exchange.server_addr = Some(link.addr);
    exchange.was_reused = link.was_used();
    if exchange.was_reused {
        record::reuse(attempt);
    }
    let (near, far) = duplex::pair(caps::HTTP2_STREAM_BUFFER);
    carrier::begin(&worker, &link, near);
    Ok(Stream::in_memory(far, link.addr, link.local))
}

/// A connection for the request, or what it is to do about there being none.
fn find(worker: &Rc<crate::worker::Worker>, server: &ServerPart) -> Found {
    let mut shelves = worker.links.shelves.borrow_mut();
    if !shelves.contains_key(&server.id) {
        shelves.insert(server.id.clone(), Shelf::default());
    }
    let Some(shelf) = shelves.get_mut(&server.id) else { return Found::Wait(Rc::default()) };
    shelf.links.retain(|link| !link.is_over() && server.addrs.contains(&link.addr));
    let least = shelf.links.iter().min_by_key(|link| link.streams());
    match least {
        Some(link) if !link.is_full() || shelf.links.len() >= caps::HTTP2_SERVER_CONNECTIONS => {
            Found::Link(Rc::clone(link))
        }
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
        Ok(stream) => Link::open(stream, timeouts.keep).await.ok_or(Kind::ServerLost.into()),
        Err(error) => {
            exchange.server_addr = server.addrs.first().copied();
            Err(fault(server, &error).into())
        }
    }
}

impl Links {
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

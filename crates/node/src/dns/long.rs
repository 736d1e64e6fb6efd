//! The way of what is not common: signed messages, transfers, and everything that has no answer ready.
//!
//! The invariant: a request that is signed and not believed is answered with its refusal and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::answer::{
    Asked, CookieJar, Cookies, Reply, Served, Server, Transfer, Transport, client_serial, cut, is_current, respond,
    transferred,
};
use evenkeel_dns::tsig::{Key, Stream, sign_response, verify_request};
use evenkeel_dns::wire::{Incoming, OptExtras, Query, Response, encode, read_query};
use evenkeel_dns::{Class, ExtendedError, Name, Rcode, Type};
use evenkeel_net::clock;

use super::load::Block;
use super::view::Answers;

/// What goes back.
pub(super) enum Outcome<'a> {
    /// Nothing.
    Silence,
    /// One message.
    One(Reply),
    /// A transfer, message by message, signed where the request was.
    Many(Transfer<'a>, Option<Stream>),
}

/// Answers a message.
pub(super) fn answer<'a>(
    answers: &'a Answers,
    bytes: &[u8],
    from: SocketAddr,
    arrived_at: Option<IpAddr>,
    over: Transport,
    luck: u64,
) -> Outcome<'a> {
    let Some(block) = answers.block() else { return Outcome::Silence };
    let now = clock::unix_now();
    let jar = block.cookies.map(|secret| CookieJar::new(secret, unix(now)));
    let health = answers.health.borrow();
    let cookies = jar.as_ref().map(|jar| jar as &dyn Cookies);
    let server = Server { zones: &block.zones, health: &health, policy: &block.policy, cookies };
    let request = match verify_request(bytes, &block.keys, now) {
        Ok(request) => request,
        Err(rejected) => {
            let Incoming::Query(query) = read_query(bytes) else { return Outcome::Silence };
            let mut reply = refusal(&query, rejected.rcode(), None);
            rejected.finish(&mut reply.bytes, now);
            return Outcome::One(reply);
        }
    };
    let key = request.as_ref().map(|request| request.key);
    let asked = Asked { bytes, from, arrived_at, over, luck, reserve: key.map_or(0, Key::signature_bytes) };
    let mut reply = match transfer(answers, block, asked, key) {
        Some(Ok(transfer)) => {
            let signing = request.as_ref().map(|request| Stream::new(request.key, &request.mac));
            return Outcome::Many(transfer, signing);
        }
        Some(Err(reply)) => reply,
        None => match respond(server, asked) {
            Some(reply) => reply,
            None => return Outcome::Silence,
        },
    };
    if let Some(request) = &request {
        sign_response(&mut reply.bytes, request.key, &request.mac, now);
        // Whoever holds a key is who it says.
        reply.cookie_is_good = true;
    }
    Outcome::One(reply)
}

pub(super) fn unix(now: Duration) -> u32 {
    u32::try_from(now.as_secs() & u64::from(u32::MAX)).unwrap_or(0)
}

fn refusal(query: &Query, rcode: Rcode, error: Option<ExtendedError>) -> Reply {
    let response = Response::bare(rcode, error);
    let bytes = encode(query, &response, &OptExtras::default(), 512).bytes;
    Reply { bytes, rcode, truncated: false, cookie_is_good: false, question: Some(query.question.clone()) }
}

/// A transfer, or the one message that is said instead of it. `None` where none was asked for.
fn transfer<'a>(
    answers: &'a Answers,
    block: &'a Block,
    asked: Asked<'_>,
    key: Option<&Key>,
) -> Option<Result<Transfer<'a>, Reply>> {
    let Incoming::Query(query) = read_query(asked.bytes) else { return None };
    let (kind, client) = (query.question.kind, asked.from.ip());
    if query.question.class != Class::IN || !matches!(kind, Type::AXFR | Type::IXFR) {
        return None;
    }
    let name: &Name = &query.question.name;
    let Some(served) = transferred(&block.zones, &query) else {
        return Some(Err(refusal(&query, Rcode::NotAuth, Some(ExtendedError::NotAuthoritative))));
    };
    if !block.may_transfer(name, client, key.map(Key::name)) {
        return Some(Err(refusal(&query, Rcode::Refused, Some(ExtendedError::Prohibited))));
    }
    let serial = served.zone().soa().serial;
    let has_it = kind == Type::IXFR && client_serial(asked.bytes).is_some_and(|theirs| is_current(serial, theirs));
    Some(match (asked.over, kind) {
        (Transport::Udp, Type::AXFR) => Err(refusal(&query, Rcode::FormErr, None)),
        // RFC 1995, 2: the SOA alone tells to come over TCP.
        (Transport::Udp, _) => Err(alone(served, query)),
        (Transport::Tcp, _) if has_it => Ok(Transfer::current(served, query)),
        (Transport::Tcp, _) => {
            tracing::info!("`{name}`, serial {serial}, is transferred to {client}");
            Ok(Transfer::whole(served, &answers.health.borrow(), query))
        }
    })
}

/// The SOA in a datagram. One that is longer than the smallest datagram has names that no zone in use has.
fn alone(served: &Served, query: Query) -> Reply {
    let question = Some(query.question.clone());
    let bytes = Transfer::current(served, query).next_message().unwrap_or_default();
    Reply { bytes, rcode: Rcode::NoError, truncated: false, cookie_is_good: false, question }
}

/// Whether the answer refuses a transfer.
pub(super) fn refuses_transfer(reply: &Reply) -> bool {
    let is_transfer = |kind| matches!(kind, Type::AXFR | Type::IXFR);
    reply.rcode == Rcode::Refused && reply.question.as_ref().is_some_and(|question| is_transfer(question.kind))
}

/// Writes the cut form of an answer, for a client past its allowance.
pub(super) fn slip(answers: &Answers, datagram: &evenkeel_net::udp::Datagram<'_>, out: &mut [u8]) -> Option<usize> {
    let block = answers.block()?;
    let health = answers.health.borrow();
    let jar = block.cookies.map(|secret| CookieJar::new(secret, unix(clock::unix_now())));
    let cookies = jar.as_ref().map(|jar| jar as &dyn Cookies);
    let server = Server { zones: &block.zones, health: &health, policy: &block.policy, cookies };
    let (bytes, from, arrived_at) = (datagram.bytes, datagram.from, datagram.arrived_at);
    let reply = cut(server, Asked { bytes, from, arrived_at, over: Transport::Udp, luck: 0, reserve: 0 })?;
    out.get_mut(..reply.bytes.len())?.copy_from_slice(&reply.bytes);
    Some(reply.bytes.len())
}

/// What a message asks for, for the log.
pub(super) fn shown(bytes: &[u8]) -> String {
    match read_query(bytes) {
        Incoming::Query(query) => format!("{} {}", query.question.name, query.question.kind),
        Incoming::Reject(_) | Incoming::Drop => "- -".to_owned(),
    }
}

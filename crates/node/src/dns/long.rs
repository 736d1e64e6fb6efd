//! The way of what is not common: signed messages, transfers, and everything that has no answer ready.
//!
//! The invariant: a request that is signed and not believed is answered with its refusal and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::answer::{
    Asked, Asker, CookieJar, Cookies, Reply, Served, Server, Transfer, Transport, client_serial, cut, is_current,
    respond_beside, transferred,
};
use evenkeel_dns::tsig::{Fault, Key, Rejected, Stream, sign_response, verify_request};
use evenkeel_dns::wire::{Incoming, OptExtras, Query, Rejection, Response, encode, encode_rejection, read_query};
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
    Many(Box<Transfer<'a>>, Option<Stream>),
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
        Err(rejected) => return not_believed(&rejected, bytes, now).map_or(Outcome::Silence, Outcome::One),
    };
    let key = request.as_ref().map(|request| request.key);
    let asked = Asked { bytes, from, arrived_at, over, luck, reserve: key.map_or(0, Key::signature_bytes) };
    let mut reply = match transfer(answers, block, asked, key) {
        Some(Ok(transfer)) => {
            let signing = request.as_ref().map(|request| Stream::new(request.key, &request.mac));
            return Outcome::Many(Box::new(transfer), signing);
        }
        Some(Err(reply)) => reply,
        None => match respond_beside(server, &answers.texts, asked) {
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

/// What a message is answered with whose signature is not believed, or that holds none because it cannot be read.
fn not_believed(rejected: &Rejected, bytes: &[u8], now: Duration) -> Option<Reply> {
    let mut reply = match read_query(bytes) {
        Incoming::Drop => return None,
        Incoming::Query(query) => refusal(&query, rejected.rcode(), None),
        Incoming::Reject(rejection) | Incoming::Cookie(rejection) => {
            // A doubt about the signature comes before what is wrong with the rest (RFC 8945, 5.2).
            let rcode = if rejected.fault == Fault::Malformed { rejection.rcode } else { rejected.rcode() };
            let bytes = encode_rejection(&Rejection { rcode, ..rejection }, &OptExtras::default());
            Reply { bytes, rcode, truncated: false, cookie_is_good: false, question: None }
        }
    };
    rejected.finish(&mut reply.bytes, now);
    Some(reply)
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
            let asker = Asker { client, arrived_at: asked.arrived_at, luck: asked.luck };
            let Some(transfer) = Transfer::whole(served, &answers.health.borrow(), &asker, query.clone()) else {
                return Some(Err(refusal(&query, Rcode::ServFail, Some(ExtendedError::NotReady))));
            };
            tracing::info!("`{name}`, serial {serial}, is transferred to {client}");
            Ok(transfer)
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
        Incoming::Reject(_) | Incoming::Cookie(_) | Incoming::Drop => "- -".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use evenkeel_config::{MemorySource, Options, load_text};
    use evenkeel_dns::tsig::{Algorithm, sign_request};
    use evenkeel_dns::wire::{Message, Question, write_query};

    use super::super::load::load;
    use super::super::view::{HealthView, View};
    use super::*;

    fn answers() -> Arc<Answers> {
        let text = "http 127.0.0.1:8080 {\n    to 127.0.0.1:1\n}\n\
                    dns 127.0.0.1:5300 {\n    zone a.example {\n        ns lb1.example.com\n    }\n}\n";
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let blocks = load(loaded.config.as_ref().expect("it is sound"), b"", &loaded, &[]).expect("it can be used");
        let (blocks, health) = (Arc::new(blocks), Arc::new(HealthView::default()));
        let view = View::build(&View::default(), &blocks, &health, &Arc::default(), &HashMap::new());
        Arc::clone(view.by_listener.values().next().expect("one address"))
    }

    fn ask(bytes: &[u8]) -> Option<Vec<u8>> {
        let from = SocketAddr::from(([192, 0, 2, 1], 5300));
        match answer(&answers(), bytes, from, None, Transport::Udp, 0) {
            Outcome::One(reply) => Some(reply.bytes),
            Outcome::Silence => None,
            Outcome::Many(..) => panic!("nobody asked for a transfer"),
        }
    }

    /// A query by a key that we do not have.
    fn signed() -> Vec<u8> {
        let key = Key::new("stranger.".parse().unwrap(), Algorithm::Sha256, vec![7; 32]).unwrap();
        let question = Question { name: "a.example.".parse().unwrap(), kind: Type::SOA, class: Class::IN };
        let mut message = write_query(9, &question, false, None);
        sign_request(&mut message, &key, clock::unix_now());
        message
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_malformed() {
        let header = |flags: u8, counts: [u8; 8]| [&[0x12, 0x34, flags, 0][..], &counts].concat();
        let one = [0, 1, 0, 0, 0, 0, 0, 0];
        for (what, rest, rcode) in [
            ("no question", &[][..], Rcode::FormErr),
            ("a cut question", b"\x01a", Rcode::FormErr),
            ("a pointer to itself", b"\xc0\x0c\0\x01\0\x01", Rcode::FormErr),
            ("a reserved label", b"\x40a\0\0\x01\0\x01", Rcode::FormErr),
        ] {
            let reply = ask(&[header(0, one), rest.to_vec()].concat()).unwrap_or_else(|| panic!("{what}: silence"));
            assert_eq!(
                reply,
                [&[0x12, 0x34, 0x80, u8::try_from(rcode.code()).unwrap()][..], &[0; 8]].concat(),
                "{what}"
            );
        }
        let missing = [header(0, [0, 1, 0, 0, 0, 0, 0, 1]), b"\x01a\0\0\x01\0\x01".to_vec()].concat();
        assert_eq!(ask(&missing).map(|reply| reply[3]), Some(1), "an additional record that is not there");
        let other = header(0x30, [0, 9, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ask(&other).map(|reply| reply[3]), Some(4), "an opcode that nobody knows");
        assert_eq!(ask(&header(0x80, one)), None, "responses are dropped");
    }

    #[test]
    fn a_stranger_is_told_that_we_do_not_have_the_key() {
        for (opcode, what) in [(0x00, "a query"), (0x20, "NOTIFY"), (0x28, "UPDATE")] {
            let mut message = signed();
            message[2] |= opcode;
            let reply = ask(&message).unwrap_or_else(|| panic!("{what}: silence"));
            let reply = Message::read(&reply).unwrap();
            assert_eq!(reply.rcode(), Rcode::NotAuth.code(), "{what}");
            let signature = reply.additional.last().unwrap();
            assert_eq!((signature.kind, signature.owner.to_string().as_str()), (Type::TSIG, "stranger."), "{what}");
            // BADKEY, and nothing more to say.
            assert!(signature.data.as_wire().ends_with(&[0, 17, 0, 0]), "{what}");
        }
    }
}

//! The way of a packet: read, judge, look up, write.
//!
//! The invariants: every answer fits what the client takes; a datagram to a client that gave no good cookie is
//! never larger than [`caps::DNS_UDP_BYTES`]; answers of refusal are at most 12 bytes larger than their query.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use evenkeel_model::caps;

use super::balanced::Health;
use super::{Texts, Zones, lookup};
use crate::kind::{Class, ExtendedError, Rcode, Type};
use crate::rdata::Rdata;
use crate::wire::{
    Cookie, Edns, Incoming, Need, OptExtras, Query, Question, Rejection, Response, Set, encode, encode_cut,
    encode_rejection, read_query,
};

/// What a server tells of itself, and how large its datagrams are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The identifier for NSID and `id.server`; `None` keeps it secret.
    pub identifier: Option<String>,
    /// The text for `version.bind`; `None` keeps it secret.
    pub version: Option<String>,
    /// Largest datagram sent, whatever the client offers; at most [`caps::DNS_UDP_BYTES`].
    pub udp_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { identifier: None, version: None, udp_bytes: caps::DNS_UDP_BYTES }
    }
}

/// Makes and judges server cookies (RFC 7873; RFC 9018 says how, so that all nodes agree). Holds the secret and
/// the time.
pub trait Cookies {
    /// Whether the server's part of a cookie is ours, for this client, and fresh.
    fn is_good(&self, client: IpAddr, cookie: &Cookie) -> bool;

    /// The server's part for this client now: 8 to 32 bytes.
    fn make(&self, client: IpAddr, client_part: [u8; 8]) -> Vec<u8>;

    /// Whether a datagram without a good cookie gets BADCOOKIE instead of an answer: under attack.
    fn is_demanded(&self) -> bool;
}

/// What answers.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    /// The zones.
    pub zones: &'a Zones,
    /// What is healthy.
    pub health: &'a Health<'a>,
    /// What it tells of itself.
    pub policy: &'a Policy,
    /// Cookies, where they are used.
    pub cookies: Option<&'a dyn Cookies>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// As a datagram.
    Udp,
    /// In a stream, its length before it.
    Tcp,
}

/// A message and how it came.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// The address that it arrived at, where that is known.
    pub arrived_at: Option<IpAddr>,
    /// How it came.
    pub over: Transport,
    /// A number drawn for this query.
    pub luck: u64,
    /// Bytes of the answer to be left free, for what is put on it afterwards: a signature.
    pub reserve: usize,
}

/// Who asks, as far as the choice of addresses goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The client's address.
    pub client: IpAddr,
    /// The address that the query arrived at.
    pub arrived_at: Option<IpAddr>,
    /// A number drawn for this query.
    pub luck: u64,
}

/// What to send back, and what the log and the rate limit want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub bytes: Vec<u8>,
    /// The outcome.
    pub rcode: Rcode,
    /// Whether the answer was cut.
    pub truncated: bool,
    /// Whether the client showed a good cookie: it is who it says, so no rate limit is needed.
    pub cookie_is_good: bool,
    /// What was asked, where it could be read.
    pub question: Option<Question>,
}

/// Source ports that belong to services which answer anything: an answer to them would start an endless talk.
fn is_reflector(port: u16) -> bool {
    matches!(port, 0 | 7 | 19)
}

/// Answers a message; `None` where nothing is sent back.
pub fn respond(server: Server<'_>, asked: Asked<'_>) -> Option<Reply> {
    respond_beside(server, &Texts::default(), asked)
}

/// As [`respond`], with texts that are in no zone.
pub fn respond_beside(server: Server<'_>, texts: &Texts, asked: Asked<'_>) -> Option<Reply> {
    if is_reflector(asked.from.port()) {
        return None;
    }
    let query = match read_query(asked.bytes) {
        Incoming::Drop => return None,
        Incoming::Reject(rejection) => return Some(rejected(&rejection, &OptExtras::default())),
        Incoming::Cookie(rejection) => return Some(cookie_alone(server, asked.from.ip(), rejection)),
        Incoming::Query(query) => query,
    };
    let client = asked.from.ip();
    let cookie = query.edns.as_ref().and_then(|edns| edns.cookie.as_ref());
    let cookie_is_good = server.cookies.zip(cookie).is_some_and(|(judge, cookie)| judge.is_good(client, cookie));
    let response = judge(server, texts, asked, &query, cookie_is_good);
    let extras = extras(server, client, query.edns.as_ref());
    let limit = limit(server.policy, asked.over, &query).saturating_sub(asked.reserve);
    let encoded = encode(&query, &response, &extras, limit);
    Some(Reply {
        bytes: encoded.bytes,
        rcode: response.rcode,
        truncated: encoded.truncated,
        cookie_is_good,
        question: Some(query.question),
    })
}

/// The answer to a message that asks nothing that a zone could answer.
fn rejected(rejection: &Rejection, extras: &OptExtras) -> Reply {
    let (bytes, rcode) = (encode_rejection(rejection, extras), rejection.rcode);
    Reply { bytes, rcode, truncated: false, cookie_is_good: false, question: None }
}

/// RFC 7873, 5.4: a cookie is made for who has none, and one that is shown is judged.
fn cookie_alone(server: Server<'_>, client: IpAddr, rejection: Rejection) -> Reply {
    let Some((jar, cookie)) = server.cookies.zip(rejection.edns.as_ref().and_then(|edns| edns.cookie.as_ref())) else {
        return rejected(&rejection, &OptExtras::default());
    };
    let cookie_is_good = jar.is_good(client, cookie);
    let is_fresh = cookie.server.is_empty() || cookie_is_good;
    let rcode = if is_fresh { Rcode::NoError } else { Rcode::BadCookie };
    let extras = extras(server, client, rejection.edns.as_ref());
    Reply { cookie_is_good, ..rejected(&Rejection { rcode, ..rejection }, &extras) }
}

/// The cut form of an answer, made without looking anything up: for a client past its allowance (see
/// [`super::RateLimit`]). `None` where the message is no query.
pub fn cut(server: Server<'_>, asked: Asked<'_>) -> Option<Reply> {
    let Incoming::Query(query) = read_query(asked.bytes) else { return None };
    let response = Response::bare(Rcode::NoError, None);
    let encoded = encode_cut(&query, &response, &extras(server, asked.from.ip(), query.edns.as_ref()));
    Some(Reply {
        bytes: encoded.bytes,
        rcode: response.rcode,
        truncated: true,
        cookie_is_good: false,
        question: Some(query.question),
    })
}

/// RFC 6891, 6.2.3-5: 512 bytes without EDNS; with it what the client takes, at least 512, at most our own bound.
fn limit(policy: &Policy, over: Transport, query: &Query) -> usize {
    let offered = query.edns.as_ref().map_or(512, |edns| usize::from(edns.udp_bytes).max(512));
    match over {
        Transport::Udp => offered.min(policy.udp_bytes.clamp(512, caps::DNS_UDP_BYTES)),
        Transport::Tcp => usize::from(u16::MAX),
    }
}

fn extras(server: Server<'_>, client: IpAddr, edns: Option<&Edns>) -> OptExtras {
    let Some(edns) = edns.filter(|edns| edns.version == 0) else { return OptExtras::default() };
    let nsid = server.policy.identifier.as_ref().filter(|_| edns.nsid).map(|text| text.clone().into_bytes());
    let cookie = server.cookies.zip(edns.cookie.as_ref()).map(|(jar, cookie)| {
        let mut whole = cookie.client.to_vec();
        whole.extend(jar.make(client, cookie.client));
        whole
    });
    OptExtras { nsid, cookie }
}

fn judge<'a>(server: Server<'a>, texts: &Texts, asked: Asked<'_>, query: &Query, cookie_is_good: bool) -> Response<'a> {
    let question = &query.question;
    if query.edns.as_ref().is_some_and(|edns| edns.version != 0) {
        return Response::bare(Rcode::BadVers, None);
    }
    let sent_cookie = query.edns.as_ref().is_some_and(|edns| edns.cookie.is_some());
    let demands = server.cookies.is_some_and(Cookies::is_demanded);
    if demands && sent_cookie && !cookie_is_good && asked.over == Transport::Udp {
        return Response::bare(Rcode::BadCookie, None);
    }
    match (question.class, question.kind) {
        (Class::IN, Type::AXFR | Type::IXFR) => Response::bare(Rcode::Refused, Some(ExtendedError::Prohibited)),
        (Class::IN, Type::TKEY | Type::TSIG | Type::MAILA | Type::MAILB) => {
            Response::bare(Rcode::NotImp, Some(ExtendedError::NotSupported))
        }
        (Class::IN, _) => {
            let asker = Asker { client: asked.from.ip(), arrived_at: asked.arrived_at, luck: asked.luck };
            let dnssec_ok = query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
            let found = lookup::answer(question, dnssec_ok, server.zones, server.health, &asker);
            texts.amend(question, server.zones, found)
        }
        (Class::CH, Type::TXT) => chaos(server.policy, question),
        _ => Response::bare(Rcode::Refused, Some(ExtendedError::NotSupported)),
    }
}

/// The server's own texts (RFC 4892), where the policy tells them.
fn chaos<'z>(policy: &Policy, question: &Question) -> Response<'z> {
    let labels: Vec<String> =
        question.name.labels().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let text = match labels.as_slice() {
        ["version", "bind" | "server"] => policy.version.as_ref(),
        ["id", "server"] | ["hostname", "bind"] => policy.identifier.as_ref(),
        _ => None,
    };
    let Some(text) = text else { return Response::bare(Rcode::Refused, Some(ExtendedError::Prohibited)) };
    let set = Set {
        owner: Cow::Owned(question.name.clone()),
        kind: Type::TXT,
        ttl: 0,
        data: Cow::Owned(vec![Rdata::txt(text.as_bytes())]),
        need: Need::Must,
    };
    Response { authoritative: true, answer: vec![set], ..Response::bare(Rcode::NoError, None) }
}

//! Queries as they come in: what to drop, what to reject, what to answer.
//!
//! The invariant: a message that is a response is dropped, whatever else is wrong with it, so that two servers
//! can never talk to each other for ever (RUSTSEC-2023-0041).

use evenkeel_model::caps;

use super::read::Cursor;
use super::{HEADER_BYTES, flag, option};
use crate::kind::{Class, Rcode, Type};
use crate::name::Name;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name, in the case it was asked in.
    pub name: Name,
    /// The type.
    pub kind: Type,
    /// The class.
    pub class: Class,
}

/// A cookie as the client sent it (RFC 7873, 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// The client's part.
    pub client: [u8; 8],
    /// The server's part, 8 to 32 bytes; empty where the client has none yet.
    pub server: Vec<u8>,
}

/// What the client said by EDNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram that it takes.
    pub udp_bytes: u16,
    /// The version that it speaks.
    pub version: u8,
    /// Whether it wants signatures.
    pub dnssec_ok: bool,
    /// Whether it asks for the server's identifier.
    pub nsid: bool,
    /// Its cookie.
    pub cookie: Option<Cookie>,
}

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The message's id.
    pub id: u16,
    /// Whether recursion is desired; copied into the response.
    pub recursion_desired: bool,
    /// Whether checking is disabled; copied into the response.
    pub checking_disabled: bool,
    /// What is asked.
    pub question: Question,
    /// EDNS, where the client speaks it.
    pub edns: Option<Edns>,
}

/// A message that gets a response without a look at the zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The message's id.
    pub id: u16,
    /// The bits of the header that the response repeats: opcode, RD, CD.
    pub flags: u16,
    /// Why.
    pub rcode: Rcode,
    /// What is asked, where that could be read and the response repeats it.
    pub question: Option<Question>,
    /// EDNS, where the client speaks it: it is answered by EDNS then, whatever else is wrong (RFC 6891, 6.1.1).
    pub edns: Option<Edns>,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Nothing is sent back: too short to be a message, or a response.
    Drop,
    /// A header with a response code is sent back.
    Reject(Rejection),
    /// Nothing is asked but a cookie (RFC 7873, 5.4); where there are none, it is rejected like this.
    Cookie(Rejection),
    /// A query.
    Query(Query),
}

/// The bits of the header that tell what kind of message it is; a query has none of them.
const OPCODE: u16 = 0x7800;

/// The kind of message that tells of a change (RFC 1996). Like a query it has a question, which its answer repeats.
const NOTIFY: u16 = 4 << 11;

/// Reads a message that a client sent.
pub fn read_query(bytes: &[u8]) -> Incoming {
    let mut cursor = Cursor::new(bytes, 0);
    let header = (cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16());
    let (Some(id), Some(flags), Some(questions), Some(answers), Some(authorities), Some(additional)) = header else {
        return Incoming::Drop;
    };
    if flags & flag::QR != 0 {
        return Incoming::Drop;
    }
    let mut body = Body::default();
    let is_sound = body.read(&mut cursor, [questions, answers, authorities, additional]).is_some();
    let Body { question, edns } = body;
    let kept = flags & (OPCODE | flag::RD | flag::CD);
    let reject = |rcode, question: Option<Question>, edns| {
        let question = question.filter(|_| matches!(flags & OPCODE, 0 | NOTIFY));
        Rejection { id, flags: kept, rcode, question, edns }
    };
    if flags & OPCODE != 0 {
        return Incoming::Reject(reject(Rcode::NotImp, question, edns));
    }
    match question {
        Some(question) if is_sound && is_query(&question, answers, authorities) => Incoming::Query(Query {
            id,
            recursion_desired: flags & flag::RD != 0,
            checking_disabled: flags & flag::CD != 0,
            question,
            edns,
        }),
        None if is_sound && [questions, answers, authorities] == [0; 3] && asks_cookie(edns.as_ref()) => {
            Incoming::Cookie(reject(Rcode::FormErr, None, edns))
        }
        question => Incoming::Reject(reject(Rcode::FormErr, question, edns)),
    }
}

/// Only an incremental transfer carries a record before the additional section: the client's SOA (RFC 1995, 3).
fn is_query(question: &Question, answers: u16, authorities: u16) -> bool {
    answers == 0 && authorities <= u16::from(question.kind == Type::IXFR) && question.kind != Type::OPT
}

fn asks_cookie(edns: Option<&Edns>) -> bool {
    edns.is_some_and(|edns| edns.cookie.is_some() && edns.version == 0)
}

/// What stands behind a header, as far as it can be read.
#[derive(Default)]
struct Body {
    /// The question, where there is one only.
    question: Option<Question>,
    edns: Option<Edns>,
}

impl Body {
    /// Reads all of it; `None` where something is malformed. What was read before that stays.
    fn read(&mut self, cursor: &mut Cursor<'_>, [questions, answers, authorities, additional]: [u16; 4]) -> Option<()> {
        debug_assert_eq!(cursor.at(), HEADER_BYTES, "the header is read");
        for _ in 0..questions {
            let question = Question { name: cursor.name()?, kind: Type(cursor.u16()?), class: Class(cursor.u16()?) };
            self.question = Some(question).filter(|_| questions == 1);
        }
        let before = u32::from(answers).saturating_add(u32::from(authorities));
        for at in 0..before.saturating_add(u32::from(additional)) {
            let owner = cursor.name()?;
            let kind = Type(cursor.u16()?);
            let class = cursor.u16()?;
            let ttl = cursor.u32()?;
            let length = cursor.u16()?;
            let data = cursor.take(usize::from(length))?;
            if kind == Type::OPT {
                // RFC 6891, 6.1.1: at most one, at the root, in the additional section.
                if self.edns.is_some() || !owner.is_root() || at < before {
                    return None;
                }
                self.edns.insert(Edns::of(class, ttl)).read_options(data)?;
            }
        }
        cursor.is_at_end().then_some(())
    }
}

impl Edns {
    fn of(class: u16, ttl: u32) -> Self {
        let [_, version, high, _] = ttl.to_be_bytes();
        Self { udp_bytes: class, version, dnssec_ok: high & 0x80 != 0, nsid: false, cookie: None }
    }

    fn read_options(&mut self, data: &[u8]) -> Option<()> {
        if self.version != 0 {
            // The options of a version that we do not know may look otherwise.
            return Some(());
        }
        let mut cursor = Cursor::new(data, 0);
        let mut count = 0_usize;
        while !cursor.is_at_end() {
            let code = cursor.u16()?;
            let length = cursor.u16()?;
            let value = cursor.take(usize::from(length))?;
            count = count.checked_add(1).filter(|count| *count <= caps::DNS_EDNS_OPTIONS)?;
            match code {
                option::NSID => self.nsid = true,
                option::COOKIE if self.cookie.is_none() => self.cookie = Some(read_cookie(value)?),
                // RFC 6891, 6.1.2: unknown options are ignored. Of two cookies the first counts (RFC 7873, 5.2).
                _ => {}
            }
        }
        Some(())
    }
}

/// RFC 7873, 5.2.2: other lengths than 8 and 16 to 40 bytes are malformed.
fn read_cookie(value: &[u8]) -> Option<Cookie> {
    let (client, server) = value.split_first_chunk::<8>()?;
    (server.is_empty() || (8..=32).contains(&server.len())).then(|| Cookie { client: *client, server: server.to_vec() })
}

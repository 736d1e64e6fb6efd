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
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Nothing is sent back: too short to be a message, or a response.
    Drop,
    /// A header with a response code is sent back.
    Reject(Rejection),
    /// A query.
    Query(Query),
}

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
    let kept = flags & (0x7800 | flag::RD | flag::CD);
    let reject = |rcode| Incoming::Reject(Rejection { id, flags: kept, rcode });
    if flags & 0x7800 != 0 {
        return reject(Rcode::NotImp);
    }
    if questions != 1 || answers != 0 {
        return reject(Rcode::FormErr);
    }
    let Some((question, edns)) = read_body(&mut cursor, authorities, additional) else { return reject(Rcode::FormErr) };
    Incoming::Query(Query {
        id,
        recursion_desired: flags & flag::RD != 0,
        checking_disabled: flags & flag::CD != 0,
        question,
        edns,
    })
}

fn read_body(cursor: &mut Cursor<'_>, authorities: u16, additional: u16) -> Option<(Question, Option<Edns>)> {
    debug_assert_eq!(cursor.at(), HEADER_BYTES, "the header is read");
    let name = cursor.name()?;
    let question = Question { name, kind: Type(cursor.u16()?), class: Class(cursor.u16()?) };
    // Only an incremental transfer carries a record in this section: the client's SOA (RFC 1995, 3).
    if authorities > u16::from(question.kind == Type::IXFR) || question.kind == Type::OPT {
        return None;
    }
    let mut edns = None;
    for at in 0..authorities.checked_add(additional)? {
        let owner = cursor.name()?;
        let kind = Type(cursor.u16()?);
        let class = cursor.u16()?;
        let ttl = cursor.u32()?;
        let length = cursor.u16()?;
        let data = cursor.take(usize::from(length))?;
        if kind == Type::OPT {
            // RFC 6891, 6.1.1: at most one, at the root, in the additional section.
            if edns.is_some() || !owner.is_root() || at < authorities {
                return None;
            }
            edns = Some(read_edns(class, ttl, data)?);
        }
    }
    cursor.is_at_end().then_some((question, edns))
}

fn read_edns(class: u16, ttl: u32, data: &[u8]) -> Option<Edns> {
    let [_, version, high, _] = ttl.to_be_bytes();
    let mut edns = Edns { udp_bytes: class, version, dnssec_ok: high & 0x80 != 0, nsid: false, cookie: None };
    if version != 0 {
        // The options of a version that we do not know may look otherwise.
        return Some(edns);
    }
    let mut cursor = Cursor::new(data, 0);
    let mut count = 0_usize;
    while !cursor.is_at_end() {
        let code = cursor.u16()?;
        let length = cursor.u16()?;
        let value = cursor.take(usize::from(length))?;
        count = count.checked_add(1).filter(|count| *count <= caps::DNS_EDNS_OPTIONS)?;
        match code {
            option::NSID => edns.nsid = true,
            option::COOKIE if edns.cookie.is_none() => edns.cookie = Some(read_cookie(value)?),
            // RFC 6891, 6.1.2: unknown options are ignored. Of two cookies the first counts (RFC 7873, 5.2).
            _ => {}
        }
    }
    Some(edns)
}

/// RFC 7873, 5.2.2: other lengths than 8 and 16 to 40 bytes are malformed.
fn read_cookie(value: &[u8]) -> Option<Cookie> {
    let (client, server) = value.split_first_chunk::<8>()?;
    (server.is_empty() || (8..=32).contains(&server.len())).then(|| Cookie { client: *client, server: server.to_vec() })
}

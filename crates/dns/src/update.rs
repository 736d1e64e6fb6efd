//! Dynamic updates (RFC 2136): one balanced set of a live server brought in step.
//!
//! Not the sending of them. The invariant: an update names the whole set that it expects to find, so that it changes
//! nothing if somebody else was faster, and it never takes away a record that it was not asked about.

use std::net::IpAddr;

use crate::kind::{Class, Type};
use crate::name::Name;
use crate::rdata::Rdata;
use crate::wire::{Message, Writer};

/// The opcode of updates in a header's second word (RFC 2136, 2.2).
const UPDATE: u16 = 5 << 11;

/// The class of what must not be there, or goes (RFC 2136, 2.4 and 2.5).
const NONE: Class = Class(254);

/// Addresses of one owner on a live server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveSet {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Their TTL; `None` where there are none.
    pub ttl: Option<u32>,
}

/// A change of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUpdate {
    /// The owner.
    pub owner: Name,
    /// A or AAAA.
    pub kind: Type,
    /// What is there now.
    pub expected: LiveSet,
    /// What is to be there too.
    pub add: Vec<IpAddr>,
    /// What is to go.
    pub remove: Vec<IpAddr>,
    /// The TTL of new records where none are there now.
    pub ttl: u32,
}

impl SetUpdate {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Whether addresses would be left.
    pub fn leaves_some(&self) -> bool {
        !self.add.is_empty() || self.expected.addresses.iter().any(|address| !self.remove.contains(address))
    }

    /// The message, unsigned.
    pub fn write(&self, id: u16, zone: &Name) -> Vec<u8> {
        let mut writer = Writer::new(usize::from(u16::MAX));
        let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let prerequisites = count(self.expected.addresses.len().max(1));
        for value in [id, UPDATE, 1, prerequisites, count(self.add.len().saturating_add(self.remove.len())), 0] {
            writer.u16(value);
        }
        writer.name(zone.as_wire());
        writer.u16(Type::SOA.0);
        writer.u16(Class::IN.0);
        let owner = self.owner.as_wire();
        // RFC 2136, 2.4.2: the set is exactly this one; 2.4.3: there is none.
        for address in &self.expected.addresses {
            writer.record(owner, self.kind, Class::IN, 0, &data(*address));
        }
        if self.expected.addresses.is_empty() {
            writer.name(owner);
            for value in [self.kind.0, NONE.0, 0, 0, 0] {
                writer.u16(value);
            }
        }
        // Added first: at no moment is the set empty.
        let ttl = self.expected.ttl.unwrap_or(self.ttl);
        for address in &self.add {
            writer.record(owner, self.kind, Class::IN, ttl, &data(*address));
        }
        for address in &self.remove {
            writer.record(owner, self.kind, NONE, 0, &data(*address));
        }
        writer.into_bytes()
    }
}

fn data(address: IpAddr) -> Rdata {
    match address {
        IpAddr::V4(address) => Rdata::a(address),
        IpAddr::V6(address) => Rdata::aaaa(address),
    }
}

/// What became of an update, by the server's response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// The set is another one by now: ask for it anew.
    Outdated,
    /// It was refused, with this response code.
    Refused(u16),
}

/// Judges the response to an update.
pub fn verdict(response: &Message) -> Verdict {
    match response.rcode() {
        0 => Verdict::Done,
        // YXDOMAIN, YXRRSET and NXRRSET: a prerequisite does not hold (RFC 2136, 2.2).
        6..=8 => Verdict::Outdated,
        other => Verdict::Refused(other),
    }
}

/// Why a server refuses, with the next step.
pub fn refusal_text(rcode: u16) -> String {
    match rcode {
        1 => "the server could not read the request (FORMERR)".to_owned(),
        2 => "the server failed (SERVFAIL); its log says why, often a journal that it may not write".to_owned(),
        4 => "the server takes no dynamic updates (NOTIMP)".to_owned(),
        5 => "the server refuses (REFUSED); allow the key there: `update-policy { grant KEY … }` in BIND, an `acl` with `action: update` in Knot"
            .to_owned(),
        9 => "the server is not authoritative for the zone, or does not believe the key (NOTAUTH)".to_owned(),
        10 => "the name is not in the zone (NOTZONE)".to_owned(),
        other => format!("the server answered with response code {other}"),
    }
}

/// The addresses in the answer to a query for one owner and type.
///
/// # Errors
/// Where the answer is none to go by: a refusal, an answer without authority, an alias.
pub fn read_set(response: &Message, owner: &Name, kind: Type) -> Result<LiveSet, String> {
    match response.rcode() {
        0 | 3 => {}
        other => return Err(refusal_text(other)),
    }
    if !response.is_authoritative() {
        return Err("the server is not authoritative for the zone; name the primary".to_owned());
    }
    if response.answer.iter().any(|record| record.kind == Type::CNAME) {
        return Err(format!("`{owner}` is an alias; a balanced set has addresses"));
    }
    let mut set = LiveSet::default();
    for record in response.answer.iter().filter(|record| record.kind == kind && record.owner == *owner) {
        let bytes = record.data.as_wire();
        let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        set.addresses.extend(four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)));
        set.ttl = Some(set.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(now: &[&str], add: &[&str], remove: &[&str]) -> SetUpdate {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let expected = LiveSet { addresses: parse(now), ttl: (!now.is_empty()).then_some(30) };
        let (owner, kind) = ("www.example.org.".parse().unwrap(), Type::A);
        SetUpdate { owner, kind, expected, add: parse(add), remove: parse(remove), ttl: 60 }
    }

    #[test]
    fn an_update_names_what_it_expects_and_adds_before_it_removes() {
        let zone: Name = "example.org.".parse().unwrap();
        let message = update(&["192.0.2.1", "192.0.2.2"], &["192.0.2.3"], &["192.0.2.1"]).write(7, &zone);
        let read = Message::read(&message).unwrap();
        assert_eq!((read.id, read.flags), (7, 0x2800));
        assert_eq!((read.questions[0].name.clone(), read.questions[0].kind), (zone, Type::SOA));
        let shown = |records: &[crate::wire::MessageRecord]| -> Vec<(u16, u32, String)> {
            records.iter().map(|record| (record.class, record.ttl, record.data.show(record.kind))).collect()
        };
        assert_eq!(shown(&read.answer), [(1, 0, "192.0.2.1".to_owned()), (1, 0, "192.0.2.2".to_owned())]);
        assert_eq!(shown(&read.authority), [(1, 30, "192.0.2.3".to_owned()), (254, 0, "192.0.2.1".to_owned())]);
    }

    #[test]
    fn an_empty_set_is_expected_to_be_empty() {
        let message = update(&[], &["192.0.2.3"], &[]).write(7, &"example.org.".parse().unwrap());
        // One prerequisite of class NONE without data, then the record with a TTL of its own.
        assert_eq!(message[6..10], [0, 1, 0, 1]);
        assert_eq!(&message[message.len() - 10..message.len() - 4], [0, 0, 0, 60, 0, 4]);
        let prerequisite = [0, 1, 0, 254, 0, 0, 0, 0, 0, 0];
        assert!(message.windows(10).any(|window| window == prerequisite));
    }

    #[test]
    fn what_would_be_left_is_known() {
        assert!(!update(&["192.0.2.1"], &[], &["192.0.2.1"]).leaves_some());
        assert!(update(&["192.0.2.1"], &["192.0.2.2"], &["192.0.2.1"]).leaves_some());
        assert!(update(&["192.0.2.1", "192.0.2.9"], &[], &["192.0.2.1"]).leaves_some());
        assert!(update(&[], &[], &[]).is_empty());
    }
}

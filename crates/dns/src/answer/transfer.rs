//! A zone's transfer, message by message (AXFR, RFC 5936; IXFR answered by all of it, RFC 1995, 4).
//!
//! Who may have it is said elsewhere. The invariants: the SOA comes first and last, every other record once; no more of
//! a zone is held than one message and one node.

use std::borrow::Cow;

use evenkeel_model::caps;

use super::balanced::{Balanced, Health};
use super::respond::Asker;
use super::{Served, Zones};
use crate::kind::{Rcode, Type};
use crate::name::Name;
use crate::rdata::Rdata;
use crate::wire::{Message, Need, OptExtras, Query, Response, Set, encode};
use crate::zone::Node;

/// A record on its way.
type Sent<'z> = (Cow<'z, Name>, Type, u32, Cow<'z, Rdata>);

/// A transfer under way.
#[derive(Debug)]
pub struct Transfer<'z> {
    query: Query,
    served: &'z Served,
    /// What addresses that are chosen are chosen by, to the end.
    by: Option<(Health<'z>, Asker)>,
    /// The records of the present node that are still to be sent, the next one last.
    rest: Vec<Sent<'z>>,
    /// The place of the next node; `None` once the last SOA is among the records.
    next: Option<usize>,
}

/// The zone that a transfer asks for: the one with exactly the question's name.
pub fn transferred<'z>(zones: &'z Zones, query: &Query) -> Option<&'z Served> {
    zones.get(&query.question.name)
}

/// The serial that a client of IXFR has, where it says one.
pub fn client_serial(message: &[u8]) -> Option<u32> {
    let message = Message::read(message)?;
    message.authority.first().filter(|record| record.kind == Type::SOA)?.data.as_soa().map(|soa| soa.serial)
}

/// Whether a serial is newer than another, or the same (RFC 1982).
pub fn is_current(ours: u32, theirs: u32) -> bool {
    theirs.wrapping_sub(ours) < 0x8000_0000
}

impl<'z> Transfer<'z> {
    /// All of a zone. Addresses that are chosen by health are those that are chosen now for who asks; `None` where it is
    /// not known yet whom to choose from, since a secondary would hold on to a name without addresses.
    pub fn whole(served: &'z Served, health: &Health<'z>, asker: &Asker, query: Query) -> Option<Self> {
        let is_known = |(_, balanced): &(&Name, &Balanced)| health.ready && balanced.has_candidates(health, asker);
        if !served.chosen().iter().all(is_known) {
            return None;
        }
        let rest = soa_of(served).into_iter().collect();
        Some(Self { query, served, by: Some((health.clone(), *asker)), rest, next: Some(0) })
    }

    /// The SOA alone: the client has all of it already, or should come over TCP.
    pub fn current(served: &'z Served, query: Query) -> Self {
        Self { query, served, by: None, rest: soa_of(served).into_iter().collect(), next: None }
    }

    /// The next message; `None` after the last.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        let mut bytes = 0_usize;
        let mut answer = Vec::new();
        while let Some((owner, _, _, data)) = self.upcoming() {
            let length = owner.as_wire().len().saturating_add(data.as_wire().len()).saturating_add(10);
            bytes = bytes.saturating_add(length);
            if bytes > caps::DNS_TRANSFER_BYTES && !answer.is_empty() {
                break;
            }
            let Some((owner, kind, ttl, data)) = self.rest.pop() else { break };
            answer.push(Set { owner, kind, ttl, data: Cow::Owned(vec![data.into_owned()]), need: Need::Must });
        }
        if answer.is_empty() {
            return None;
        }
        let response = Response { authoritative: true, answer, ..Response::bare(Rcode::NoError, None) };
        Some(encode(&self.query, &response, &OptExtras::default(), usize::from(u16::MAX)).bytes)
    }

    /// The next record, for which nodes are gone through in no order: none is asked for, and a large zone would be held
    /// twice, and all others wait, while it is sorted.
    fn upcoming(&mut self) -> Option<&Sent<'z>> {
        while self.rest.is_empty() {
            let place = self.next?;
            if place < self.served.zone().places() {
                self.next = Some(place.saturating_add(1));
                self.rest = self.served.zone().node_in(place).map(|node| self.records_of(node)).unwrap_or_default();
                self.rest.reverse();
            } else {
                self.next = None;
                self.rest.extend(soa_of(self.served));
            }
        }
        self.rest.last()
    }

    /// The records of a node, without the SOA.
    fn records_of(&self, node: &'z Node) -> Vec<Sent<'z>> {
        let mut records: Vec<Sent<'z>> = Vec::new();
        if let Some((balanced, (health, asker))) = self.served.balanced(&node.name).zip(self.by.as_ref()) {
            for kind in [Type::A, Type::AAAA] {
                let picked = balanced.pick(kind, health, asker);
                let record = |data| (Cow::Borrowed(&node.name), kind, picked.ttl, Cow::Owned(data));
                records.extend(picked.data.into_iter().map(record));
            }
        }
        let chosen: Vec<Type> = records.iter().map(|(_, kind, ..)| *kind).collect();
        for set in node.sets.iter().filter(|set| set.kind != Type::SOA && !chosen.contains(&set.kind)) {
            let record = |data| (Cow::Borrowed(&node.name), set.kind, set.ttl, Cow::Borrowed(data));
            records.extend(set.data.iter().map(record));
        }
        records
    }
}

fn soa_of(served: &Served) -> Option<Sent<'_>> {
    let (zone, set) = (served.zone(), served.zone().soa_set());
    set.data.first().map(|data| (Cow::Borrowed(zone.origin()), Type::SOA, set.ttl, Cow::Borrowed(data)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;

    use evenkeel_model::State;

    use super::*;
    use crate::answer::{Mode, Own, OwnZone};
    use crate::kind::Class;
    use crate::wire::{Incoming, Question, read_query, write_query};
    use crate::zone::{NoSource, load};

    #[test]
    fn every_record_comes_once_between_two_soa() {
        let mut text = "$TTL 60\n@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n".to_owned();
        for number in 0..2000 {
            text.push_str(&format!(
                "host{number} A 192.0.2.7\nhost{number} TXT \"a text that is not short {number}\"\n"
            ));
        }
        let origin: Name = "example.org.".parse().unwrap();
        let served = Served::plain(load("z", text.into_bytes(), &origin, &mut NoSource).zone.unwrap());
        let question = Question { name: origin, kind: Type::AXFR, class: Class::IN };
        let Incoming::Query(query) = read_query(&write_query(9, &question, false, None)) else { panic!() };
        let pools = HashMap::new();
        let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
        let mut transfer = Transfer::whole(&served, &health, &nobody(), query.clone()).unwrap();
        let mut kinds = Vec::new();
        let mut messages = 0;
        while let Some(bytes) = transfer.next_message() {
            let message = Message::read(&bytes).unwrap();
            assert!(message.is_authoritative() && !message.is_truncated() && message.id == 9);
            kinds.extend(message.answer.iter().map(|record| (record.owner.to_string(), record.kind)));
            messages += 1;
            assert!(transfer.rest.len() <= 2, "no more than a name's records are held");
        }
        assert!(messages > 5, "{messages}");
        assert_eq!(kinds.len(), 4000 + 2 + 2);
        assert_eq!((kinds[0].1, kinds.last().unwrap().1), (Type::SOA, Type::SOA));
        let mut unique = kinds.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), kinds.len() - 1, "only the SOA stands twice");
        assert_eq!(Transfer::current(&served, query).rest.len(), 1);
    }

    fn nobody() -> Asker {
        Asker { client: IpAddr::from([198, 51, 100, 1]), arrived_at: Some(IpAddr::from([192, 0, 2, 7])), luck: 0 }
    }

    #[test]
    fn a_transfer_holds_the_address_that_it_is_asked_at_or_is_not_given() {
        let balanced = Balanced::usual(Mode::OwnAddress, Own::Arrival { else_use: vec![] });
        let name: Name = "api.example.com.".parse().unwrap();
        let (ns_ttl, negative_ttl, servers) = (300, 30, vec![("ns.example.net.".parse().unwrap(), vec![])]);
        let zone = OwnZone { name: name.clone(), servers, wildcard: true, serial: 1, ns_ttl, negative_ttl, balanced };
        let served = zone.build().unwrap();
        let question = Question { name, kind: Type::AXFR, class: Class::IN };
        let Incoming::Query(query) = read_query(&write_query(9, &question, false, None)) else { panic!() };
        let pools = HashMap::new();
        let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
        let mut transfer = Transfer::whole(&served, &health, &nobody(), query.clone()).unwrap();
        let message = Message::read(&transfer.next_message().unwrap()).unwrap();
        let addresses = message.answer.iter().filter(|record| record.kind == Type::A);
        let shown: Vec<_> =
            addresses.map(|record| format!("{} {}", record.owner, record.data.show(record.kind))).collect();
        assert_eq!(shown, ["api.example.com. 192.0.2.7", "*.api.example.com. 192.0.2.7"]);
        let early = Health { ready: false, ..health.clone() };
        assert!(Transfer::whole(&served, &early, &nobody(), query.clone()).is_none(), "nothing is known yet");
        let nowhere = Asker { arrived_at: None, ..nobody() };
        assert!(Transfer::whole(&served, &health, &nowhere, query).is_none(), "there would be no address in it");
    }

    #[test]
    fn a_transfer_keeps_each_name_as_it_is_written() {
        let text = "$TTL 60\n@ SOA NS1 h 5 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.1\nFoo A 192.0.2.2\nx.fOO A 192.0.2.3\n\
                    y.FOO CNAME X.foo\nz PTR FOO.case.TEST.\n";
        let origin: Name = "case.test.".parse().unwrap();
        let served = Served::plain(load("z", text.into(), &origin, &mut NoSource).zone.unwrap());
        let question = Question { name: "CASE.test.".parse().unwrap(), kind: Type::AXFR, class: Class::IN };
        let Incoming::Query(query) = read_query(&write_query(9, &question, false, None)) else { panic!() };
        let pools = HashMap::new();
        let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
        let mut transfer = Transfer::whole(&served, &health, &nobody(), query).unwrap();
        let message = Message::read(&transfer.next_message().unwrap()).unwrap();
        let shown: Vec<_> = message.answer.iter().map(|r| format!("{} {}", r.owner, r.data.show(r.kind))).collect();
        for wanted in [
            "case.test. ns1.case.test.",
            "Foo.case.test. 192.0.2.2",
            "x.fOO.case.test. 192.0.2.3",
            "y.FOO.case.test. X.foo.case.test.",
            "z.case.test. FOO.case.TEST.",
        ] {
            assert!(shown.iter().any(|line| line == wanted), "{wanted}: {shown:?}");
        }
    }

    #[test]
    fn serials_are_compared_in_a_circle() {
        assert!(is_current(5, 5) && is_current(5, 6) && !is_current(5, 4) && is_current(u32::MAX, 0));
    }
}

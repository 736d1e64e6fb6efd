//! The zone of a node that answers the delegated name with its own address (`answer=self`).
//!
//! The zone's apex is the delegated name itself, with its own SOA and NS, so that negative answers are right
//! behind every resolver. The invariant: every node makes the same records from the same configuration; only the
//! chosen addresses differ.

use std::net::IpAddr;

use evenkeel_model::defaults;

use super::{Balanced, Served};
use crate::kind::Type;
use crate::name::Name;
use crate::rdata::{Rdata, Soa};
use crate::zone::{RrSet, Zone};

/// What such a zone is made from.
#[derive(Debug, Clone)]
pub struct OwnZone {
    /// The delegated name.
    pub name: Name,
    /// The name servers with the addresses to hand out for those inside the zone.
    pub servers: Vec<(Name, Vec<IpAddr>)>,
    /// Whether every name below is answered too.
    pub wildcard: bool,
    /// The SOA's serial: equal on all nodes with the same configuration.
    pub serial: u32,
    /// Seconds that NS records and their addresses may be kept.
    pub ns_ttl: u32,
    /// Seconds that a negative answer may be kept: never more than a positive one.
    pub negative_ttl: u32,
    /// How the addresses are chosen.
    pub balanced: Balanced,
}

impl OwnZone {
    /// The zone. `None` without a name server, or where the wildcard's name would be too long.
    pub fn build(&self) -> Option<Served> {
        let (primary, _) = self.servers.first()?;
        let negative_ttl = self.negative_ttl.min(self.balanced.ttl);
        let soa = Soa {
            primary: primary.clone(),
            mailbox: self.name.prepend(b"hostmaster").ok()?,
            serial: self.serial,
            // What a secondary is to do, if there ever is one: within RFC 1912, 2.2, and what testers of zones take for sane.
            refresh: defaults::DNS_REFRESH,
            retry: defaults::DNS_RETRY,
            expire: defaults::DNS_EXPIRE,
            minimum: negative_ttl,
        };
        let names = self.servers.iter().map(|(name, _)| Rdata::name(name)).collect();
        let mut sets = vec![
            (self.name.clone(), RrSet { kind: Type::SOA, ttl: self.ns_ttl, data: vec![Rdata::soa(&soa)] }),
            (self.name.clone(), RrSet { kind: Type::NS, ttl: self.ns_ttl, data: names }),
        ];
        for (name, addresses) in self.servers.iter().filter(|(name, _)| name.is_below(&self.name)) {
            sets.extend(address_sets(addresses, self.ns_ttl).map(|set| (name.clone(), set)));
        }
        let wildcard = self.name.prepend(b"*").ok().filter(|_| self.wildcard);
        if let Some(name) = &wildcard {
            // A marker record makes the wildcard a node, and tells who looks what it is.
            let text = Rdata::txt(b"answered with the addresses of the apex");
            sets.push((name.clone(), RrSet { kind: Type::TXT, ttl: self.balanced.ttl, data: vec![text] }));
        }
        let mut served = Served::plain(Zone::from_sets(&self.name, sets)?);
        served.balance(&self.name, self.balanced.clone());
        if let Some(name) = &wildcard {
            served.balance(name, self.balanced.clone());
        }
        Some(served)
    }
}

fn address_sets(addresses: &[IpAddr], ttl: u32) -> impl Iterator<Item = RrSet> {
    let v4: Vec<Rdata> =
        addresses.iter().filter_map(|a| if let IpAddr::V4(v4) = a { Some(Rdata::a(*v4)) } else { None }).collect();
    let v6: Vec<Rdata> =
        addresses.iter().filter_map(|a| if let IpAddr::V6(v6) = a { Some(Rdata::aaaa(*v6)) } else { None }).collect();
    [(Type::A, v4), (Type::AAAA, v6)].into_iter().filter(|(_, data)| !data.is_empty()).map(move |(kind, data)| RrSet {
        kind,
        ttl,
        data,
    })
}

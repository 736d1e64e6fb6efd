//! What a query gets: from the zones, from what is healthy, and by policy.
//!
//! `respond` is the way of a packet, `lookup` the algorithm of RFC 1034 with its later corrections, `balanced` the
//! choice of addresses, `own` the zone of a node that answers with its own address, `rate` the limit on responses, `ready` the short way for common
//! queries, `texts` what is answered for a while without being in a zone. No packet is sent here.
//! The invariant: health never makes a name or a set disappear.

mod balanced;
mod cookie;
mod lookup;
mod own;
mod rate;
mod ready;
mod respond;
mod texts;
mod transfer;

use std::collections::HashMap;

pub use balanced::{Balanced, Basis, Health, Member, Mode, OnAllDown, Own, Picked, Spread};
pub use cookie::CookieJar;
pub use lookup::answer;
pub use own::OwnZone;
pub use rate::{Allowance, RateLimit, RateRules};
pub use ready::{Ahead, Live, Ready, VARIANTS, Way, Written};
pub use respond::{Asked, Asker, Cookies, Policy, Reply, Server, Transport, cut, respond, respond_beside};
pub use texts::Texts;
pub use transfer::{Transfer, client_serial, is_current, transferred};

use crate::kind::Type;
use crate::name::{Name, suffixes};
use crate::zone::Zone;

/// A zone with the names in it whose addresses are chosen at each query.
#[derive(Debug, Clone)]
pub struct Served {
    zone: Zone,
    /// By the name's wire form in lower case.
    balanced: HashMap<Box<[u8]>, (Name, Balanced)>,
}

impl Served {
    /// A zone that is answered as it is written.
    pub fn plain(zone: Zone) -> Self {
        Self { zone, balanced: HashMap::new() }
    }

    /// The same choices in another state of the zone; `None` where a name with choices is no longer there or in reach, or has
    /// address hints that it had not.
    pub fn following(&self, zone: Zone) -> Option<Self> {
        let next = Self { zone, balanced: self.balanced.clone() };
        let is_sound = |name: &Name| {
            next.zone.node(name).is_some()
                && next.is_out_of_reach(name).is_none()
                && (self.has_address_hints(name) || !next.has_address_hints(name))
        };
        next.balanced.values().all(|(name, _)| is_sound(name)).then_some(next)
    }

    /// The zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Has the addresses of a name chosen at each query instead of read from the zone. False, and nothing done,
    /// where the zone does not have the name.
    pub fn balance(&mut self, name: &Name, balanced: Balanced) -> bool {
        let exists = self.zone.node(name).is_some();
        if exists {
            self.balanced.insert(name.to_lower().as_wire().into(), (name.clone(), balanced));
        }
        exists
    }

    /// Why addresses that are chosen for a name would not be answered, or not alone; `None` where nothing is in the way.
    pub fn is_out_of_reach(&self, name: &Name) -> Option<&'static str> {
        if self.zone.node(name).is_some_and(|node| node.set(Type::CNAME).is_some()) {
            // RFC 1034, 3.6.2: whoever has seen the alias by another type goes where it leads.
            return Some("is an alias, beside which no addresses may stand");
        }
        let apex = self.zone.origin().as_wire().len();
        let mut above = suffixes(name.as_wire()).take_while(|suffix| suffix.len() > apex);
        let is_cut = above.any(|suffix| self.zone.node_at(suffix).is_some_and(|node| node.set(Type::NS).is_some()));
        is_cut.then_some("is delegated, so that others are asked for its addresses")
    }

    /// Whether an SVCB or HTTPS record of a name has addresses in it.
    pub fn has_address_hints(&self, name: &Name) -> bool {
        let sets = self.zone.node(name).map_or(&[][..], |node| &node.sets);
        sets.iter().any(|set| set.data.iter().any(|data| data.has_address_hints(set.kind)))
    }

    /// Whether the addresses of any name are chosen.
    pub fn has_balanced(&self) -> bool {
        !self.balanced.is_empty()
    }

    /// How the addresses of a name are chosen, where it or the wildcard that covers it has them chosen.
    pub fn balanced_for(&self, name: &Name) -> Option<&Balanced> {
        if self.zone.node(name).is_some() {
            return self.balanced(name);
        }
        let mut above = name.parent();
        while let Some(encloser) = above.filter(|encloser| encloser.is_within(self.zone.origin())) {
            if self.zone.node(&encloser).is_some() {
                return self.balanced(&encloser.prepend(b"*").ok()?);
            }
            above = encloser.parent();
        }
        None
    }

    /// How the addresses of a name are chosen, where they are.
    pub fn balanced(&self, name: &Name) -> Option<&Balanced> {
        if self.balanced.is_empty() {
            return None;
        }
        self.balanced.get(name.to_lower().as_wire()).map(|(_, balanced)| balanced)
    }

    /// The names whose addresses are chosen, in canonical order.
    pub fn chosen(&self) -> Vec<(&Name, &Balanced)> {
        let mut chosen: Vec<_> = self.balanced.values().map(|(name, balanced)| (name, balanced)).collect();
        chosen.sort_by(|a, b| a.0.cmp(b.0));
        chosen
    }
}

/// All zones of a server.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    /// By the origin's wire form in lower case.
    zones: HashMap<Box<[u8]>, Served>,
}

impl Zones {
    /// No zones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a zone; gives back the one with the same name that it replaces.
    pub fn insert(&mut self, served: Served) -> Option<Served> {
        self.zones.insert(served.zone.origin().to_lower().as_wire().into(), served)
    }

    /// The zone with exactly this name.
    pub fn get(&self, origin: &Name) -> Option<&Served> {
        self.zones.get(origin.to_lower().as_wire())
    }

    /// Every zone, in canonical order of their names.
    pub fn all(&self) -> Vec<&Served> {
        let mut all: Vec<&Served> = self.zones.values().collect();
        all.sort_by(|a, b| a.zone.origin().cmp(b.zone.origin()));
        all
    }

    /// Whether the addresses of any name are chosen.
    pub(crate) fn has_balanced(&self) -> bool {
        self.zones.values().any(Served::has_balanced)
    }

    /// The zone that answers a question: the deepest that the name lies in. DS is the parent's to answer (RFC
    /// 4035, 3.1.4.1), where the parent is served here too.
    pub fn find(&self, name: &Name, kind: Type) -> Option<&Served> {
        let lower = name.to_lower();
        let mut found = suffixes(lower.as_wire()).filter_map(|suffix| self.zones.get(suffix));
        let deepest = found.next()?;
        if kind == Type::DS && deepest.zone.origin() == name {
            return Some(found.next().unwrap_or(deepest));
        }
        Some(deepest)
    }
}

#[cfg(test)]
mod tests;

//! The answers of names whose addresses are chosen by health, made ready at each change of a verdict.
//!
//! Where a choice is drawn at each query, [`VARIANTS`] of it are made ready, which share by weight as exactly as their
//! number allows. Where the choice goes by the client, it is left to the long way. The invariant: a variant is what
//! the long way would answer to that draw.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::compile::ask;
use super::{Blob, Patch, Way};
use crate::answer::balanced::{Health, Mode, Own, Spread};
use crate::answer::{Served, Zones};
use crate::kind::Type;
use crate::name::Name;

/// How many draws are made ready for a name: shares are exact to one in so many.
pub const VARIANTS: usize = 64;

/// Most names whose choices are made ready at a change; others are composed at each query. A change has to be seen at
/// once, and each name costs about a tenth of a millisecond.
const MOST_NAMES: usize = 512;

/// Stands for the address that a query arrives at; set aside for documents (RFC 5737, RFC 3849), so no server has it.
const ARRIVAL_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
const ARRIVAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff);

/// The chosen answers of all zones under one view of health.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// By the name's number: for A and AAAA.
    names: Vec<[Choice; 2]>,
    bytes: Vec<u8>,
}

/// What is ready for a name and a family.
#[derive(Debug, Clone, Default)]
enum Choice {
    /// Nothing: the long way.
    #[default]
    Composed,
    /// One of these.
    Drawn(Vec<Blob>),
    /// By the family that the query arrived by; the address goes to the place, if there is one.
    Arrival([Option<(Blob, Option<usize>)>; 2]),
}

impl Live {
    /// Makes the choices of all names ready, in the order in which they are numbered.
    pub fn compile(zones: &Zones, health: &Health<'_>) -> Self {
        let mut live = Self::default();
        if !health.ready {
            return live;
        }
        for served in zones.all() {
            for (name, _) in served.chosen() {
                let is_ours = zones.find(name, Type::A).is_some_and(|found| std::ptr::eq(found, served));
                if !is_ours {
                    continue;
                }
                let choices = if live.names.len() < MOST_NAMES {
                    [Type::A, Type::AAAA].map(|kind| live.choose(zones, served, name, kind, health))
                } else {
                    Default::default()
                };
                live.names.push(choices);
            }
        }
        live
    }

    fn choose(&mut self, zones: &Zones, served: &Served, name: &Name, kind: Type, health: &Health<'_>) -> Choice {
        let Some(balanced) = served.balanced(name) else { return Choice::Composed };
        let by_arrival = balanced.mode != Mode::Peers
            && matches!(balanced.own, Own::Arrival { .. })
            && !matches!(balanced.mode, Mode::Pool(_));
        if by_arrival {
            let families = [IpAddr::V4(ARRIVAL_V4), IpAddr::V6(ARRIVAL_V6)];
            return Choice::Arrival(families.map(|arrival| self.by_arrival(zones, name, kind, arrival, health)));
        }
        let peers_need_arrival = balanced.mode == Mode::Peers && matches!(balanced.own, Own::Arrival { .. });
        if balanced.spread == Spread::Hash || peers_need_arrival && !balanced.has_peer(health) {
            return Choice::Composed;
        }
        let mut drawn: Vec<Blob> = Vec::with_capacity(VARIANTS);
        for luck in 0..VARIANTS as u64 {
            let Some(blob) = ask(&mut self.bytes, zones, health, (name, kind), None, luck) else {
                return Choice::Composed;
            };
            drawn.push(self.shared(&drawn, blob));
        }
        Choice::Drawn(drawn)
    }

    /// A blob with the same content that is there already, the new one's bytes given back; or the new one.
    fn shared(&mut self, drawn: &[Blob], new: Blob) -> Blob {
        let bytes = |blob: &Blob| {
            let start = blob.at as usize;
            self.bytes.get(start..start.saturating_add(usize::from(blob.length)))
        };
        let same = drawn.iter().find(|old| {
            (old.flags, old.counts, old.length) == (new.flags, new.counts, new.length) && bytes(old) == bytes(&new)
        });
        match same.copied() {
            Some(old) => {
                self.bytes.truncate(new.at as usize);
                old
            }
            None => new,
        }
    }

    /// An answer of which at most one record is the arrival's address. With others beside it, it may be among them
    /// twice, which only the long way sees.
    fn by_arrival(
        &mut self,
        zones: &Zones,
        name: &Name,
        kind: Type,
        arrival: IpAddr,
        health: &Health<'_>,
    ) -> Option<(Blob, Option<usize>)> {
        let blob = ask(&mut self.bytes, zones, health, (name, kind), Some(arrival), 0)?;
        let [answers, ..] = blob.counts;
        if answers == 0 {
            return Some((blob, None));
        }
        // The other family's record cannot be the arrival's; a single one has no order to be drawn.
        if arrival.is_ipv4() != (kind == Type::A) {
            return (answers == 1).then_some((blob, None));
        }
        // Owner as a pointer, type, class, TTL, length: the data of the first record begins at 12.
        let start = usize::try_from(blob.at).ok()?.checked_add(12)?;
        let holds_arrival = match arrival {
            IpAddr::V4(v4) => kind == Type::A && self.bytes.get(start..)?.starts_with(&v4.octets()),
            IpAddr::V6(v6) => kind == Type::AAAA && self.bytes.get(start..)?.starts_with(&v6.octets()),
        };
        (answers == 1 && holds_arrival).then_some((blob, Some(12)))
    }

    /// The answer for a name's number.
    pub(super) fn pick(&self, number: u32, kind: Type, way: &Way) -> Option<(&[u8], Blob, Patch)> {
        let [v4, v6] = self.names.get(usize::try_from(number).ok()?)?;
        let choice = if kind == Type::A { v4 } else { v6 };
        match choice {
            Choice::Composed => None,
            Choice::Drawn(drawn) => {
                let at = usize::try_from(way.luck).unwrap_or(0).checked_rem(drawn.len())?;
                Some((&self.bytes, *drawn.get(at)?, None))
            }
            Choice::Arrival(families) => {
                let arrival = way.arrived_at?;
                let [by_v4, by_v6] = families;
                let (blob, place) = (if arrival.is_ipv4() { by_v4 } else { by_v6 }).as_ref()?;
                Some((&self.bytes, *blob, place.map(|place| (place, arrival))))
            }
        }
    }
}

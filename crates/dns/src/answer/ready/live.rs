//! The answers of names whose addresses are chosen by health, made ready at each change of a verdict.
//!
//! Where a choice is drawn at each query, [`VARIANTS`] of it are made ready, which share by weight as exactly as their
//! number allows: one is composed by the long way, and the others are that one with their addresses written in. Where the
//! choice goes by the client, it is left to the long way. The invariants: a variant is what the long way would answer to
//! that draw; a change costs no more than the names that it concerns.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use evenkeel_model::State;

use super::compile::ask;
use super::{Blob, Patch, Way};
use crate::answer::balanced::{Balanced, Health, Member, Mode, Own, Spread};
use crate::answer::{Asker, Zones};
use crate::kind::Type;
use crate::name::Name;

/// How many draws are made ready for a name: shares are exact to one in so many.
pub const VARIANTS: usize = 64;

/// Most names whose choices are made ready at a change; others are composed at each query. A change has to be seen at
/// once, and each name that it concerns costs tens of microseconds and up to as many kilobytes.
const MOST_NAMES: usize = 512;

/// Stands for the address that a query arrives at; set aside for documents (RFC 5737, RFC 3849), so no server has it.
const ARRIVAL_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
const ARRIVAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff);

/// Owner as a pointer, type, class, TTL and length: so many bytes of a record stand before its address.
const RECORD_HEAD: usize = 12;

/// The chosen answers of all zones under one view of health.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// By the name's number.
    pub(super) names: Vec<Arc<Chosen>>,
}

/// A name with its answers.
#[derive(Debug)]
pub(super) struct Chosen {
    name: Name,
    /// What they were made from; `None` where they are left to the long way, whatever is healthy.
    seen: Option<Seen>,
    /// For A and AAAA.
    choices: [Choice; 2],
    /// Queries that arrive at one of these go the long way.
    apart: Vec<IpAddr>,
    bytes: Vec<u8>,
}

/// What is known of health, as far as the answers of one name go by it.
#[derive(Debug)]
struct Seen {
    own: State,
    ttl: u32,
    members: Vec<Member>,
}

/// What is ready for a name and a family.
#[derive(Debug, Default)]
enum Choice {
    /// Nothing: the long way.
    #[default]
    Composed,
    /// The same at each query.
    One(Blob),
    /// One of these, as many as there are [`VARIANTS`].
    Drawn(Box<[Blob; VARIANTS]>),
    /// By the family that the query arrived by; the address goes to the place, if there is one.
    Arrival([Option<(Blob, Option<usize>)>; 2]),
}

impl Live {
    /// Makes the choices of all names ready, in the order in which they are numbered.
    pub fn compile(zones: &Zones, health: &Health<'_>) -> Self {
        let mut live = Self::default();
        if !health.ready || !zones.has_balanced() {
            return live;
        }
        for served in zones.all() {
            for (name, balanced) in served.chosen() {
                let is_ours = zones.find(name, Type::A).is_some_and(|found| std::ptr::eq(found, served));
                if is_ours {
                    let has_room = live.names.len() < MOST_NAMES;
                    live.names.push(Arc::new(Chosen::of(zones, name, has_room.then_some(balanced), health)));
                }
            }
        }
        live
    }

    /// The choices under another view of health, the zones being the same: what does not go by what has changed is kept.
    #[must_use]
    pub fn following(&self, zones: &Zones, health: &Health<'_>) -> Self {
        if !health.ready || self.names.is_empty() {
            return Self::compile(zones, health);
        }
        let follow = |known: &Arc<Chosen>| {
            let found = zones.find(&known.name, Type::A).and_then(|served| served.balanced(&known.name));
            let changed =
                found.filter(|balanced| known.seen.as_ref().is_some_and(|seen| !seen.is_of(balanced, health)));
            match changed {
                Some(balanced) => Arc::new(Chosen::of(zones, &known.name, Some(balanced), health)),
                None => Arc::clone(known),
            }
        };
        Self { names: self.names.iter().map(follow).collect() }
    }

    /// The answer for a name's number.
    pub(super) fn pick(&self, number: u32, kind: Type, way: &Way) -> Option<(&[u8], Blob, Patch)> {
        let chosen = self.names.get(usize::try_from(number).ok()?)?.as_ref();
        let Chosen { choices: [v4, v6], bytes, apart, .. } = chosen;
        if !apart.is_empty() && way.arrived_at.is_some_and(|arrival| apart.contains(&arrival)) {
            return None;
        }
        match if kind == Type::A { v4 } else { v6 } {
            Choice::Composed => None,
            Choice::One(blob) => Some((bytes, *blob, None)),
            Choice::Drawn(drawn) => {
                let at = usize::try_from(way.luck % VARIANTS as u64).unwrap_or(0);
                Some((bytes, *drawn.get(at)?, None))
            }
            Choice::Arrival(families) => {
                let arrival = way.arrived_at?;
                let [by_v4, by_v6] = families;
                let (blob, place) = (if arrival.is_ipv4() { by_v4 } else { by_v6 }).as_ref()?;
                Some((bytes, *blob, place.map(|place| (place, arrival))))
            }
        }
    }
}

impl Seen {
    fn of(balanced: &Balanced, health: &Health<'_>) -> Self {
        let members = balanced.members(health).to_vec();
        Self { own: balanced.own_state(health), ttl: balanced.ttl_now(health), members }
    }

    fn is_of(&self, balanced: &Balanced, health: &Health<'_>) -> bool {
        self.own == balanced.own_state(health)
            && self.ttl == balanced.ttl_now(health)
            && self.members == balanced.members(health)
    }
}

impl Chosen {
    /// Makes the answers of a name ready; leaves them to the long way without a rule.
    fn of(zones: &Zones, name: &Name, balanced: Option<&Balanced>, health: &Health<'_>) -> Self {
        let seen = balanced.map(|balanced| Seen::of(balanced, health));
        let apart = balanced.map(|balanced| balanced.apart(health)).unwrap_or_default();
        let mut chosen = Self { name: name.clone(), seen, choices: Default::default(), bytes: Vec::new(), apart };
        if let Some(balanced) = balanced {
            let mut making = Making { zones, name, balanced, health, bytes: &mut chosen.bytes };
            chosen.choices = [Type::A, Type::AAAA].map(|kind| making.choice(kind));
        }
        chosen
    }
}

/// What the answers of a name are made with.
struct Making<'a> {
    zones: &'a Zones,
    name: &'a Name,
    balanced: &'a Balanced,
    health: &'a Health<'a>,
    bytes: &'a mut Vec<u8>,
}

impl Making<'_> {
    fn choice(&mut self, kind: Type) -> Choice {
        let takes_arrival =
            !matches!(self.balanced.mode, Mode::Pool(_)) && matches!(self.balanced.own, Own::Arrival { .. });
        let arrivals = [IpAddr::V4(ARRIVAL_V4), IpAddr::V6(ARRIVAL_V6)];
        if takes_arrival && self.balanced.mode != Mode::Peers {
            return Choice::Arrival(arrivals.map(|arrival| self.by_arrival(kind, arrival)));
        }
        if self.balanced.spread == Spread::Hash {
            return Choice::Composed;
        }
        let [arrival, other] = arrivals.map(|arrival| takes_arrival.then_some(arrival));
        let draws = self.draws(kind, arrival);
        // The peers' addresses alone, by whichever family a query arrives, or the long way.
        if takes_arrival && draws != self.draws(kind, other) {
            return Choice::Composed;
        }
        self.drawn(kind, arrival, &draws).unwrap_or_default()
    }

    fn draws(&self, kind: Type, arrived_at: Option<IpAddr>) -> Vec<Vec<IpAddr>> {
        let nobody = Asker { client: IpAddr::V4(Ipv4Addr::LOCALHOST), arrived_at, luck: 0 };
        self.balanced.draws(kind, self.health, &nobody, 0..VARIANTS as u64)
    }

    fn ask(&mut self, kind: Type, arrived_at: Option<IpAddr>) -> Option<Blob> {
        ask(self.bytes, self.zones, self.health, (self.name, kind), arrived_at, 0)
    }

    /// The first draw as the long way composes it, and the others by it. `None` where it is left to the long way.
    fn drawn(&mut self, kind: Type, arrived_at: Option<IpAddr>, draws: &[Vec<IpAddr>]) -> Option<Choice> {
        let template = self.ask(kind, arrived_at)?;
        let (first, rest) = draws.split_first()?;
        if rest.iter().all(|draw| draw == first) {
            return Some(Choice::One(template));
        }
        if !self.holds(template, first) {
            return None;
        }
        let mut drawn = Box::new([template; VARIANTS]);
        for (at, draw) in draws.iter().enumerate().skip(1) {
            let same = draws.iter().take(at).position(|known| known == draw);
            let blob = match same.and_then(|known| drawn.get(known)) {
                Some(known) => *known,
                None => self.with(template, draw)?,
            };
            *drawn.get_mut(at)? = blob;
        }
        Some(Choice::Drawn(drawn))
    }

    /// Whether the answer begins with records of exactly these addresses.
    fn holds(&self, blob: Blob, addresses: &[IpAddr]) -> bool {
        let [answers, ..] = blob.counts;
        let holds = |(at, address): (usize, &IpAddr)| match address {
            IpAddr::V4(v4) => self.bytes.get(at..).is_some_and(|bytes| bytes.starts_with(&v4.octets())),
            IpAddr::V6(v6) => self.bytes.get(at..).is_some_and(|bytes| bytes.starts_with(&v6.octets())),
        };
        usize::from(answers) == addresses.len() && places(blob, addresses).all(holds)
    }

    /// The same answer with other addresses, as many and of the same family.
    fn with(&mut self, template: Blob, addresses: &[IpAddr]) -> Option<Blob> {
        let start = usize::try_from(template.at).ok()?;
        let blob = Blob { at: u32::try_from(self.bytes.len()).ok()?, ..template };
        self.bytes.extend_from_within(start..start.checked_add(usize::from(template.length))?);
        for (at, address) in places(blob, addresses) {
            match address {
                IpAddr::V4(v4) => self.bytes.get_mut(at..)?.first_chunk_mut::<4>()?.copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => self.bytes.get_mut(at..)?.first_chunk_mut::<16>()?.copy_from_slice(&v6.octets()),
            }
        }
        self.holds(blob, addresses).then_some(blob)
    }

    /// An answer of which at most one record is the arrival's address. With others beside it, it may be among them
    /// twice, which only the long way sees.
    fn by_arrival(&mut self, kind: Type, arrival: IpAddr) -> Option<(Blob, Option<usize>)> {
        let draws = self.draws(kind, Some(arrival));
        let blob = self.ask(kind, Some(arrival))?;
        let (first, rest) = draws.split_first()?;
        if rest.iter().any(|draw| draw != first) || first.len() > 1 || !first.is_empty() && !self.holds(blob, first) {
            return None;
        }
        // Of the family that the query arrived by it may be any address, and only its own is known to be no other.
        match first.first() {
            Some(address) if *address == arrival => Some((blob, Some(RECORD_HEAD))),
            Some(_) if arrival.is_ipv4() == (kind == Type::A) => None,
            _ => Some((blob, None)),
        }
    }
}

/// Where the addresses of an answer stand, each with what stands or goes there.
fn places(blob: Blob, addresses: &[IpAddr]) -> impl Iterator<Item = (usize, &IpAddr)> {
    let length = addresses.first().map_or(0, |address| if address.is_ipv4() { 4 } else { 16 });
    let first = usize::try_from(blob.at).unwrap_or(usize::MAX).saturating_add(RECORD_HEAD);
    let each = RECORD_HEAD.saturating_add(length);
    addresses.iter().enumerate().map(move |(at, address)| (first.saturating_add(at.saturating_mul(each)), address))
}

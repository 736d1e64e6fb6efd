//! Zones to ready answers: each set with what stands behind all of its zone (`tail`), or asked for once by the long way.
//!
//! The invariant: what depends on health, on the client or on a name that is not in the table is not made ready.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use evenkeel_model::{State, caps};

use super::table::{Entry, Table};
use super::tail::Tail;
use super::{Blob, Negative, OPT_BYTES, Ready};
use crate::answer::balanced::Health;
use crate::answer::{Asked, Policy, Served, Server, Transport, Zones, respond};
use crate::hash::hash;
use crate::kind::{Class, Type};
use crate::name::{NAME_BYTES, Name, lower, suffixes};
use crate::wire::{HEADER_BYTES, Question, write_query};
use crate::zone::{Node, Zone};

/// So many changed names are looked at first, however few there are in all.
const LATER_NAMES: usize = 256;

/// Makes everything ready.
pub(super) fn compile(zones: &Zones) -> Ready {
    let count = zones.zones.values().map(|served| served.zone().len()).sum();
    let (mut table, mut is_partial, mut compilers) = (Table::with_room(count), false, compilers(zones));
    for compiler in &mut compilers {
        for node in compiler.served.zone().nodes_unsorted() {
            is_partial |= !compiler.add(node, &mut table);
        }
    }
    table.finish();
    let negatives = compilers.iter().map(|compiler| negative(compiler.served.zone())).collect();
    let tails = compilers.into_iter().map(|compiler| compiler.tail).collect();
    Ready { table: Arc::new(table), later: Table::default(), changed: Vec::new(), negatives, tails, is_partial }
}

/// Makes ready what has changed since `known` was made, with what leads to other names: it may lead to these.
pub(super) fn follow(known: &Ready, zones: &Zones, changed: &[Name]) -> Option<Ready> {
    let mut compilers = compilers(zones);
    // A tail that could not be made says nothing of whether its addresses are as they were.
    let is_same = |(compiler, known): (&Compiler<'_>, &Option<Tail>)| known.is_some() && compiler.tail == *known;
    let has_tails = compilers.len() == known.tails.len() && compilers.iter().zip(&known.tails).all(is_same);
    if known.is_partial || !has_tails {
        return None;
    }
    let changed: BTreeSet<&Name> = known.changed.iter().chain(changed).collect();
    let again: Vec<Vec<&Node>> = compilers.iter().map(|compiler| again(compiler.served.zone(), &changed)).collect();
    let count = again.iter().map(Vec::len).sum::<usize>().saturating_add(changed.len());
    // What has changed is looked at first, which is of use as long as it is little.
    if count > (known.table.len() / 8).max(LATER_NAMES) {
        return None;
    }
    let mut later = Table::with_room(count);
    let mut all = compilers.iter_mut().zip(again);
    if !all.all(|(compiler, nodes)| nodes.into_iter().all(|node| compiler.add(node, &mut later))) {
        return None;
    }
    // What is no longer anybody's is still in the table.
    for name in &changed {
        let lower = name.to_lower();
        if later.find(lower.as_wire(), hash(lower.as_wire())).is_none() {
            let gone = Entry { is_gone: true, ..Entry::default() };
            later.insert(lower.as_wire(), gone, &[], &[]).then_some(())?;
        }
    }
    let negatives = compilers.iter().map(|compiler| negative(compiler.served.zone())).collect();
    let changed = changed.into_iter().cloned().collect();
    Some(Ready {
        table: Arc::clone(&known.table),
        later,
        changed,
        negatives,
        tails: known.tails.clone(),
        is_partial: false,
    })
}

/// The nodes of a zone that have changed or lead to other names, each once.
fn again<'a>(zone: &'a Zone, changed: &BTreeSet<&Name>) -> Vec<&'a Node> {
    let nodes = changed.iter().filter_map(|name| zone.node(name)).chain(zone.leading());
    let by_name: BTreeMap<&Name, &Node> = nodes.map(|node| (&node.name, node)).collect();
    by_name.into_values().collect()
}

/// What makes each zone ready, in the order of [`Zones::all`].
fn compilers(zones: &Zones) -> Vec<Compiler<'_>> {
    let all = zones.all();
    let above = above(&all);
    let (mut live, mut compilers) = (0_u32, Vec::new());
    for (number, served) in (0..).zip(all) {
        let compiler = Compiler::of(zones, served, number, above.contains(served.zone().origin()), live);
        live = live.saturating_add(u32::try_from(compiler.numbers.len()).unwrap_or(u32::MAX));
        compilers.push(compiler);
    }
    compilers
}

/// The names of zones below which another zone of ours lies.
fn above(all: &[&Served]) -> HashSet<Name> {
    let names = || all.iter().map(|served| served.zone().origin());
    let known: HashSet<&Name> = names().collect();
    let above = |name: &Name| std::iter::successors(name.parent(), Name::parent).collect::<Vec<_>>();
    names().flat_map(above).filter(|name| known.contains(name)).collect()
}

/// What makes the names of one zone ready.
struct Compiler<'a> {
    zones: &'a Zones,
    served: &'a Served,
    zone: u32,
    /// Whether a deeper zone of ours lies in it.
    has_deeper: bool,
    /// The numbers of names whose addresses are chosen.
    numbers: HashMap<&'a Name, u32>,
    /// What ordinary answers end with.
    tail: Option<Tail>,
    /// The answers of one name: the memory is that for all.
    blobs: Vec<(Type, Blob)>,
    bytes: Vec<u8>,
}

impl<'a> Compiler<'a> {
    fn of(zones: &'a Zones, served: &'a Served, zone: u32, has_deeper: bool, first_live: u32) -> Self {
        let mut compiler = Self {
            zones,
            served,
            zone,
            has_deeper,
            numbers: HashMap::new(),
            tail: Tail::of(zones, served),
            blobs: Vec::new(),
            bytes: Vec::new(),
        };
        // Names whose addresses are chosen are numbered in their order.
        let chosen = served.chosen().into_iter().map(|(name, _)| name).filter(|name| compiler.is_ours(name));
        compiler.numbers = chosen.zip(first_live..).collect();
        compiler
    }

    /// A name that lies in a deeper zone of ours is that zone's to answer.
    fn is_ours(&self, name: &Name) -> bool {
        let served = || self.zones.find(name, Type::A);
        !self.has_deeper || served().is_some_and(|found| std::ptr::eq(found, self.served))
    }

    /// Makes a name ready. `false` where the table has no room for it.
    fn add(&mut self, node: &Node, table: &mut Table) -> bool {
        if !self.is_ours(&node.name) {
            return true;
        }
        let (zone, landmarks) = (self.served.zone(), self.served.zone().landmarks());
        let entry = Entry {
            zone: self.zone,
            live: self.numbers.get(&node.name).copied(),
            is_plain: !landmarks.has_cuts || is_plain(zone, node),
            has_wildcard: landmarks.has_wildcards && has_wildcard(zone, node),
            is_alias: node.set(Type::CNAME).is_some(),
            is_gone: false,
        };
        self.blobs.clear();
        self.bytes.clear();
        if entry.is_plain {
            self.answer_sets(node, entry);
        }
        let mut room = [0; NAME_BYTES];
        let name = lower(node.name.as_wire(), &mut room);
        table.insert(name, entry, &self.blobs, &self.bytes)
    }

    fn answer_sets(&mut self, node: &Node, entry: Entry) {
        if entry.is_alias {
            // A chain may lead to a name whose addresses are chosen, so that it is made ready only where the zone has
            // none.
            let follow = if self.served.has_balanced() { &[][..] } else { &[Type::A, Type::AAAA] };
            for kind in follow.iter().copied().chain([Type::CNAME]) {
                let blob = once(&mut self.bytes, self.zones, &node.name, kind);
                self.blobs.extend(blob.map(|blob| (kind, blob)));
            }
            return;
        }
        let tail = self.tail.as_ref().filter(|tail| tail.fits(node));
        let is_chosen = |kind: Type| entry.live.is_some() && matches!(kind, Type::A | Type::AAAA);
        for set in node.sets.iter().filter(|set| !set.kind.is_meta() && set.kind != Type::DS && !is_chosen(set.kind)) {
            let blob = tail
                .and_then(|tail| tail.answer(node, set, &mut self.bytes))
                .or_else(|| once(&mut self.bytes, self.zones, &node.name, set.kind));
            // A type without an answer is answered as one that is not there, so that a set too large for a datagram needs
            // one as well.
            self.blobs.push((set.kind, blob.unwrap_or(Blob::LEFT)));
        }
    }
}

/// Whether a wildcard stands directly below the node.
fn has_wildcard(zone: &Zone, node: &Node) -> bool {
    let (mut room, name) = ([0; NAME_BYTES], node.name.as_wire());
    let Some((room, _)) = room.split_at_mut_checked(name.len().saturating_add(2)) else { return false };
    let [length, star, below @ ..] = &mut *room else { return false };
    (*length, *star) = (1, b'*');
    below.copy_from_slice(name);
    zone.node_at(room).is_some()
}

/// Whether no delegation and no DNAME stands at the node or above it.
fn is_plain(zone: &Zone, node: &Node) -> bool {
    let (name, apex) = (node.name.as_wire(), zone.origin().as_wire().len());
    let mut above = suffixes(name).take_while(|suffix| suffix.len() >= apex);
    above.all(|suffix| {
        let is_apex = suffix.len() == apex;
        let is_own = suffix.len() == name.len();
        zone.node_at(suffix)
            .is_none_or(|node| (is_apex || node.set(Type::NS).is_none()) && (is_own || node.set(Type::DNAME).is_none()))
    }) && node.set(Type::DNAME).is_none()
}

/// The answer to a question, as its records. `None` where it is cut or is not to be kept.
pub(super) fn once(bytes: &mut Vec<u8>, zones: &Zones, name: &Name, kind: Type) -> Option<Blob> {
    let pools = HashMap::new();
    let health = Health { ready: true, own: State::Up, peers: &[], pools: &pools, next_change: None };
    ask(bytes, zones, &health, (name, kind), None, 0)
}

/// Asks by the long way, as a client with the largest datagrams does, and keeps the records.
pub(super) fn ask(
    bytes: &mut Vec<u8>,
    zones: &Zones,
    health: &Health<'_>,
    (name, kind): (&Name, Type),
    arrived_at: Option<std::net::IpAddr>,
    luck: u64,
) -> Option<Blob> {
    let size = u16::try_from(caps::DNS_UDP_BYTES).ok()?;
    let query = write_query(0, &Question { name: name.clone(), kind, class: Class::IN }, false, Some(size));
    let policy = Policy::default();
    let server = Server { zones, health, policy: &policy, cookies: None };
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 5353));
    let reply = respond(server, Asked { bytes: &query, from, arrived_at, over: Transport::Udp, luck, reserve: 0 })?;
    let body_start = HEADER_BYTES.checked_add(name.as_wire().len())?.checked_add(4)?;
    let body_end = reply.bytes.len().checked_sub(OPT_BYTES)?;
    // An option (a reason for a failure) makes OPT longer: such an answer is not kept.
    let is_bare_opt = reply.bytes.get(body_end..)?.starts_with(&[0, 0, 41]) && reply.bytes.ends_with(&[0, 0]);
    if reply.truncated || !is_bare_opt || reply.rcode.code() > 0x0f {
        return None;
    }
    let word = |at: usize| reply.bytes.get(at..)?.first_chunk::<2>().map(|word| u16::from_be_bytes(*word));
    let body = reply.bytes.get(body_start..body_end)?;
    let blob = Blob {
        flags: word(2)? & (crate::wire::flag::AA | 0x0f),
        counts: [word(6)?, word(8)?, word(10)?.checked_sub(1)?],
        at: u32::try_from(bytes.len()).ok()?,
        length: u16::try_from(body.len()).ok()?,
    };
    bytes.extend_from_slice(body);
    Some(blob)
}

/// The SOA of a zone with its name, and the names in it that end in it, as pointers to be set.
fn negative(zone: &Zone) -> Negative {
    let soa = zone.soa();
    let origin = zone.origin().as_wire().len();
    let mut negative = Negative { bytes: Vec::with_capacity(64), pointers: vec![0], origin };
    negative.bytes.extend_from_slice(&[0, 0]);
    negative.bytes.extend_from_slice(&Type::SOA.0.to_be_bytes());
    negative.bytes.extend_from_slice(&Class::IN.0.to_be_bytes());
    negative.bytes.extend_from_slice(&zone.soa_set().ttl.min(soa.minimum).to_be_bytes());
    let length_at = negative.bytes.len();
    negative.bytes.extend_from_slice(&[0, 0]);
    negative.name(&soa.primary, zone.origin());
    negative.name(&soa.mailbox, zone.origin());
    for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
        negative.bytes.extend_from_slice(&number.to_be_bytes());
    }
    let length = negative.bytes.len().saturating_sub(length_at).saturating_sub(2);
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(slot) = negative.bytes.get_mut(length_at..length_at.saturating_add(2)) {
        slot.copy_from_slice(&length);
    }
    negative
}

impl Negative {
    fn name(&mut self, name: &Name, origin: &Name) {
        let kept = name.as_wire().len().checked_sub(origin.as_wire().len()).filter(|_| name.is_within(origin));
        // The root as a pointer would be longer than the root.
        let kept = kept.filter(|_| !origin.is_root());
        match kept.and_then(|kept| name.as_wire().get(..kept)) {
            Some(labels) => {
                self.bytes.extend_from_slice(labels);
                self.pointers.push(self.bytes.len());
                self.bytes.extend_from_slice(&[0, 0]);
            }
            None => self.bytes.extend_from_slice(name.as_wire()),
        }
    }
}

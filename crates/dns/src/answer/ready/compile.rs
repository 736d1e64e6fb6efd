//! Zones to ready answers: each set is asked for once, by the long way.
//!
//! The invariant: what depends on health, on the client or on a name that is not in the table is not made ready.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use evenkeel_model::{State, caps};

use super::table::{Entry, Table};
use super::{Blob, Negative, OPT_BYTES, Ready};
use crate::answer::balanced::Health;
use crate::answer::{Asked, Policy, Served, Server, Transport, Zones, respond};
use crate::kind::{Class, Type};
use crate::name::{Name, suffixes};
use crate::wire::{HEADER_BYTES, Question, write_query};
use crate::zone::{Node, Zone};

/// Makes everything ready.
pub(super) fn compile(zones: &Zones) -> Ready {
    let all = zones.all();
    let count = all.iter().map(|served| served.zone().len()).sum();
    let mut ready = Ready { table: Table::with_room(count), ..Ready::default() };
    let mut live = 0_u32;
    for (number, served) in all.into_iter().enumerate() {
        ready.negatives.push(negative(served.zone()));
        let Ok(zone) = u32::try_from(number) else { break };
        // Names whose addresses are chosen are numbered in their order.
        let nodes = match served.has_balanced() {
            true => served.zone().nodes(),
            false => served.zone().nodes_unsorted().iter().collect(),
        };
        for node in nodes {
            // A name that lies in a deeper zone of ours is that zone's to answer.
            let is_ours = zones.find(&node.name, Type::A).is_some_and(|found| std::ptr::eq(found, served));
            if is_ours {
                add(&mut ready, zones, served, node, zone, &mut live);
            }
        }
    }
    ready.table.finish();
    ready
}

fn add(ready: &mut Ready, zones: &Zones, served: &Served, node: &Node, zone: u32, live: &mut u32) {
    let is_live = served.balanced(&node.name).is_some();
    let number = is_live.then(|| {
        let number = *live;
        *live = live.saturating_add(1);
        number
    });
    let wildcard = node.name.prepend(b"*").ok().is_some_and(|name| served.zone().node(&name).is_some());
    let is_alias = node.set(Type::CNAME).is_some();
    let entry = Entry { zone, live: number, is_plain: is_plain(served.zone(), node), has_wildcard: wildcard, is_alias };
    let (mut blobs, mut bytes) = (Vec::new(), Vec::new());
    if entry.is_plain {
        let kinds = kinds(served, node, is_live, is_alias).into_iter();
        blobs.extend(kinds.filter_map(|kind| Some((kind, once(&mut bytes, zones, &node.name, kind)?))));
    }
    ready.is_partial |= !ready.table.insert(node.name.to_lower().as_wire(), entry, &blobs, &bytes);
}

/// The types that are asked for. A chain of aliases may lead to a name whose addresses are chosen, so that it is made
/// ready only where the zone has none.
fn kinds(served: &Served, node: &Node, is_live: bool, is_alias: bool) -> Vec<Type> {
    if is_alias {
        let follow = if served.has_balanced() { &[][..] } else { &[Type::A, Type::AAAA] };
        return follow.iter().copied().chain([Type::CNAME]).collect();
    }
    let kinds = node.sets.iter().map(|set| set.kind).filter(|kind| !kind.is_meta() && *kind != Type::DS);
    kinds.filter(|kind| !(is_live && matches!(*kind, Type::A | Type::AAAA))).collect()
}

/// Whether no delegation and no DNAME stands at the node or above it.
fn is_plain(zone: &Zone, node: &Node) -> bool {
    let lower = node.name.to_lower();
    let apex = zone.origin().as_wire().len();
    let mut above = suffixes(lower.as_wire()).take_while(|suffix| suffix.len() >= apex);
    above.all(|suffix| {
        let is_apex = suffix.len() == apex;
        let is_own = suffix.len() == lower.as_wire().len();
        zone.node_at(suffix)
            .is_none_or(|node| (is_apex || node.set(Type::NS).is_none()) && (is_own || node.set(Type::DNAME).is_none()))
    }) && node.set(Type::DNAME).is_none()
}

/// The answer to a question, as its records. `None` where it is cut or is not to be kept.
fn once(bytes: &mut Vec<u8>, zones: &Zones, name: &Name, kind: Type) -> Option<Blob> {
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

//! What stands behind the answers of a zone's ordinary sets: who answers, with addresses.
//!
//! It is the same records behind each, so that they are composed once, by the long way, and copied; only the pointers in
//! them go elsewhere. The invariant: what is written here is the same message as the long way would write.

use super::compile::once;
use super::{Blob, OPT_BYTES};
use crate::answer::{Served, Zones};
use crate::kind::{Class, Type};
use crate::name::{Name, is_same};
use crate::rdata::{Field, layout};
use crate::wire::{HEADER_BYTES, flag};
use crate::zone::{Node, RrSet};

/// The upper two bits of a pointer, as a word.
const POINTER: u16 = 0xc000;

/// Bytes of type and class behind the name in a question.
const QUESTION_BYTES: usize = 4;

/// The records behind the answers of one zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// How many of them say who answers, and how many are addresses.
    counts: [u16; 2],
    pointers: Vec<Pointer>,
    /// The zone's name.
    origin: Name,
    /// The labels directly below the zone's name under which the names in the records stand.
    labels: Vec<Box<[u8]>>,
}

/// A place in the records where a name goes on elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pointer {
    at: usize,
    to: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// In the question, so many bytes behind the beginning of the zone's name.
    Origin(usize),
    /// In these records.
    Here(usize),
}

impl Tail {
    /// What a question for the zone's name servers is answered with stands behind every other answer.
    pub(super) fn of(zones: &Zones, served: &Served) -> Option<Self> {
        let origin = served.zone().origin();
        let mut bytes = Vec::new();
        let Blob { counts: [servers, _, addresses], .. } = once(&mut bytes, zones, origin, Type::NS)?;
        let apex = served.zone().node(origin)?;
        let targets = apex.set(Type::NS)?.data.iter().filter_map(|data| data.target(Type::NS));
        let labels = targets.filter_map(|target| Some(label_below(&target, origin)?.into())).collect();
        let pointers = pointers(&bytes, HEADER_BYTES.checked_add(origin.as_wire().len())?)?;
        Some(Self { bytes, counts: [servers, addresses], pointers, origin: origin.clone(), labels })
    }

    /// Whether sets of a name are answered with exactly these records behind them, shortened in this way: not where the
    /// answer may hold one of them already, or a name in them be shortened further.
    pub(super) fn fits(&self, node: &Node) -> bool {
        let label = label_below(&node.name, &self.origin);
        label.is_some_and(|label| !self.labels.iter().any(|known| is_same(known, label)))
    }

    /// Writes the answer of a set; `None` where the long way has to.
    pub(super) fn answer(&self, node: &Node, set: &RrSet, bytes: &mut Vec<u8>) -> Option<Blob> {
        let adds_addresses = matches!(set.kind, Type::SRV | Type::SVCB | Type::HTTPS);
        if adds_addresses || layout(set.kind).is_some_and(|fields| fields.contains(&Field::Name)) {
            return None;
        }
        let at = bytes.len();
        let name = node.name.as_wire().len();
        let room = evenkeel_model::caps::DNS_UDP_BYTES.checked_sub(HEADER_BYTES + QUESTION_BYTES + OPT_BYTES)?;
        // Owner, type, class, TTL and length of each record take 12 bytes.
        let each = set.data.iter().map(|data| data.as_wire().len().saturating_add(12));
        let answer = each.fold(0, usize::saturating_add);
        if name.saturating_add(answer).saturating_add(self.bytes.len()) > room {
            return None;
        }
        for data in &set.data {
            for word in [POINTER | u16::try_from(HEADER_BYTES).ok()?, set.kind.0, Class::IN.0] {
                bytes.extend_from_slice(&word.to_be_bytes());
            }
            bytes.extend_from_slice(&set.ttl.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(data.as_wire().len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(data.as_wire());
        }
        self.put(name, answer, bytes)?;
        let [servers, addresses] = self.counts;
        Some(Blob {
            flags: flag::AA,
            counts: [u16::try_from(set.data.len()).ok()?, servers, addresses],
            at: u32::try_from(at).ok()?,
            length: u16::try_from(bytes.len().checked_sub(at)?).ok()?,
        })
    }

    /// Writes the records behind the answer to a question for a name of that length.
    fn put(&self, name: usize, answer: usize, bytes: &mut Vec<u8>) -> Option<()> {
        let start = bytes.len();
        bytes.extend_from_slice(&self.bytes);
        let origin = HEADER_BYTES.checked_add(name)?.checked_sub(self.origin.as_wire().len())?;
        let here = HEADER_BYTES.checked_add(name)?.checked_add(QUESTION_BYTES)?.checked_add(answer)?;
        for pointer in &self.pointers {
            let to = match pointer.to {
                Place::Origin(behind) => origin.checked_add(behind)?,
                Place::Here(behind) => here.checked_add(behind)?,
            };
            let at = start.checked_add(pointer.at)?;
            let word = POINTER | u16::try_from(to).ok()?;
            bytes.get_mut(at..at.checked_add(2)?)?.copy_from_slice(&word.to_be_bytes());
        }
        Some(())
    }
}

/// The label directly below `origin` under which a name stands; `None` where it does not stand below.
fn label_below<'a>(name: &'a Name, origin: &Name) -> Option<&'a [u8]> {
    let before = name.label_count().checked_sub(origin.label_count())?.checked_sub(1)?;
    name.labels().nth(before).filter(|_| name.is_within(origin))
}

/// Where pointers stand in records that were written behind a question whose name ends at `question`, in which the zone's
/// name begins at once.
fn pointers(bytes: &[u8], question: usize) -> Option<Vec<Pointer>> {
    let begin = question.checked_add(QUESTION_BYTES)?;
    let mut pointers = Vec::new();
    let mut at = 0_usize;
    while at < bytes.len() {
        at = skip_name(bytes, at, begin, &mut pointers)?;
        let head: &[u8; 10] = bytes.get(at..)?.first_chunk()?;
        let [high, low, _, _, _, _, _, _, length @ ..] = *head;
        at = at.checked_add(head.len())?;
        let end = at.checked_add(usize::from(u16::from_be_bytes(length)))?;
        if Type(u16::from_be_bytes([high, low])) == Type::NS {
            skip_name(bytes, at, begin, &mut pointers)?;
        }
        at = end;
    }
    Some(pointers)
}

/// Where a name ends; notes the pointer that it ends with.
fn skip_name(bytes: &[u8], mut at: usize, begin: usize, pointers: &mut Vec<Pointer>) -> Option<usize> {
    loop {
        let length = *bytes.get(at)?;
        if length < 64 {
            at = at.checked_add(usize::from(length))?.checked_add(1)?;
            if length == 0 {
                return Some(at);
            }
            continue;
        }
        let low = *bytes.get(at.checked_add(1)?)?;
        let to = usize::from(u16::from_be_bytes([length, low]) & !POINTER);
        let to = match to.checked_sub(begin) {
            Some(here) => Place::Here(here),
            None => Place::Origin(to.checked_sub(HEADER_BYTES)?),
        };
        pointers.push(Pointer { at, to });
        return at.checked_add(2);
    }
}

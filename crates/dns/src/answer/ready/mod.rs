//! Answers made ready: what most queries get is copied, not composed.
//!
//! At each load the answer to every set of every name is made once, by [`respond`](super::respond()) or as it would be
//! made there, and its records are kept; at each change of verdict the names whose addresses are chosen follow ([`Live`]). A query is then a look at
//! its bytes, a look into a table, and three copies. Whatever is not plain (cookies, cuts, chains, wildcards,
//! delegations, ANY) is left to `respond`: [`Ready::answer`] says `None`. The invariant: what is answered here is the message
//! that `respond` would answer with; names in it may be shortened otherwise.

mod ahead;
mod asked;
mod compile;
mod live;
mod table;
mod tail;

use std::net::IpAddr;
use std::sync::Arc;

use asked::Plain;
use table::{Found, Table};
use tail::Tail;

pub use ahead::Ahead;
pub use live::{Live, VARIANTS};

use super::Zones;
use crate::hash::hash;
use crate::kind::{ExtendedError, Rcode, Type};
use crate::name::Name;
use crate::wire::{HEADER_BYTES, flag};

/// Bytes of an OPT record without options.
const OPT_BYTES: usize = 11;

/// Bytes of the option that tells why a name is refused.
const REASON_BYTES: usize = 6;

/// The records of an answer, ready to be copied behind a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blob {
    /// Bits of the header's second word: AA and the response code.
    flags: u16,
    /// Records by section.
    counts: [u16; 3],
    /// Where its bytes are.
    at: u32,
    length: u16,
}

impl Blob {
    /// Stands for a set whose answer is left to `respond`, which cuts it.
    const LEFT: Self = Self { flags: flag::TC, counts: [0; 3], at: 0, length: 0 };

    fn is_left(self) -> bool {
        self.flags & flag::TC != 0
    }
}

/// A negative answer of a zone: its SOA, in which some places depend on where the zone's name stands in the question.
#[derive(Debug, Clone, Default)]
struct Negative {
    bytes: Vec<u8>,
    /// Where a pointer to the zone's name stands.
    pointers: Vec<usize>,
    /// Length of the zone's name.
    origin: usize,
}

/// The answers of a set of zones, as far as they do not depend on health.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    table: Arc<Table>,
    /// Names that have changed since the table was made; they are looked up here first.
    later: Table,
    changed: Vec<Name>,
    negatives: Vec<Negative>,
    /// What ordinary answers of each zone end with.
    tails: Vec<Option<Tail>>,
    /// Whether there was no room for some name, so that what is not in the table may be in a zone all the same.
    is_partial: bool,
}

/// How a query came and what may be sent.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The address that the query arrived at, where that is known.
    pub arrived_at: Option<IpAddr>,
    /// A number drawn for this query.
    pub luck: u64,
    /// Largest datagram sent.
    pub udp_bytes: usize,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the answer.
    pub length: usize,
    /// The outcome.
    pub rcode: Rcode,
    /// What was asked for.
    pub kind: Type,
    /// The number of the zone that answers, in the order of [`Zones::all`].
    pub zone: Option<u32>,
}

impl Written {
    fn of(self, zone: u32) -> Self {
        Self { zone: Some(zone), ..self }
    }
}

impl Ready {
    /// Makes the answer to every set of every name of the zones.
    pub fn compile(zones: &Zones) -> Self {
        compile::compile(zones)
    }

    /// What is ready where the zones have changed by no more than these names: the rest is shared.
    /// `None` where the change reaches farther, or so much has changed since all was made ready that it is better made anew.
    pub fn following(&self, zones: &Zones, changed: &[Name]) -> Option<Self> {
        compile::follow(self, zones, changed)
    }

    /// How many names have answers ready.
    pub fn len(&self) -> usize {
        let mut count = self.table.len();
        for name in &self.changed {
            let (lower, was) = (name.to_lower(), |found: &Found<'_>| !found.entry.is_gone);
            let (name, hash) = (lower.as_wire(), hash(lower.as_wire()));
            count = count.saturating_add(usize::from(self.later.find(name, hash).filter(was).is_some()));
            count = count.saturating_sub(usize::from(self.table.find(name, hash).is_some()));
        }
        count
    }

    /// Where its table lies in memory, as addresses: for who wants to say how that is to be kept.
    pub fn memory(&self) -> [std::ops::Range<usize>; 2] {
        self.table.memory()
    }

    /// Whether no name has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the answer to a datagram into `out`; `None` where it is left to `respond`.
    pub fn answer(&self, live: &Live, query: &[u8], way: &Way, out: &mut [u8]) -> Option<Written> {
        if self.is_partial {
            return None;
        }
        let mut lower = [0_u8; 256];
        let plain = Plain::read(query, &mut lower)?;
        let name = lower.get(..plain.name_bytes)?;
        if let Some(found) = self.find(name) {
            let entry = found.entry;
            if !entry.is_plain {
                return None;
            }
            if let Some(number) = entry.live
                && matches!(plain.kind, Type::A | Type::AAAA)
            {
                let (bytes, blob, patch) = live.pick(number, plain.kind, way)?;
                return write(query, &plain, (bytes, blob), patch, way, out).map(|written| written.of(entry.zone));
            }
            return match found.blob(plain.kind) {
                Some((_, blob)) if blob.is_left() => None,
                Some(ready) => write(query, &plain, ready, None, way, out).map(|written| written.of(entry.zone)),
                None if entry.is_alias => None,
                None => self.negative(query, &plain, entry.zone, Rcode::NoError, way, out),
            };
        }
        let mut rest = name;
        while let Some((&length, tail)) = rest.split_first() {
            if length == 0 {
                break;
            }
            rest = tail.get(usize::from(length)..)?;
            if let Some(Found { entry, .. }) = self.find(rest) {
                let is_bare = entry.is_plain && !entry.has_wildcard;
                return is_bare.then(|| self.negative(query, &plain, entry.zone, Rcode::NxDomain, way, out))?;
            }
        }
        refuse(query, &plain, out)
    }

    /// What is ready for a name in wire form and lower case.
    fn find(&self, name: &[u8]) -> Option<Found<'_>> {
        let hash = hash(name);
        if self.later.len() > 0
            && let Some(found) = self.later.find(name, hash)
        {
            return (!found.entry.is_gone).then_some(found);
        }
        self.table.find(name, hash)
    }

    fn negative(
        &self,
        query: &[u8],
        plain: &Plain,
        zone: u32,
        rcode: Rcode,
        way: &Way,
        out: &mut [u8],
    ) -> Option<Written> {
        let negative = self.negatives.get(usize::try_from(zone).ok()?)?;
        let length = u16::try_from(negative.bytes.len()).ok()?;
        let blob = Blob { flags: flag::AA | rcode.code(), counts: [0, 1, 0], at: 0, length };
        let written = write(query, plain, (&negative.bytes, blob), None, way, out)?;
        let apex = HEADER_BYTES.checked_add(plain.name_bytes)?.checked_sub(negative.origin)?;
        let pointer = (0xc000 | u16::try_from(apex).ok()?).to_be_bytes();
        let body = plain.question_end;
        for place in &negative.pointers {
            let at = body.checked_add(*place)?;
            out.get_mut(at..at.checked_add(2)?)?.copy_from_slice(&pointer);
        }
        Some(Written { rcode, ..written.of(zone) })
    }
}

/// A place in an answer that takes the address that the query arrived at.
type Patch = Option<(usize, IpAddr)>;

/// Header, question as asked, records, OPT.
fn write(
    query: &[u8],
    plain: &Plain,
    (bytes, blob): (&[u8], Blob),
    patch: Patch,
    way: &Way,
    out: &mut [u8],
) -> Option<Written> {
    let start = usize::try_from(blob.at).ok()?;
    let body = bytes.get(start..start.checked_add(usize::from(blob.length))?)?;
    let question = query.get(HEADER_BYTES..plain.question_end)?;
    let body_end = plain.question_end.checked_add(body.len())?;
    let end = body_end.checked_add(if plain.edns.is_some() { OPT_BYTES } else { 0 })?;
    let offered = plain.edns.map_or(512, |edns| usize::from(edns.udp_bytes).max(512));
    if end > offered.min(way.udp_bytes) {
        return None;
    }
    let out = out.get_mut(..end)?;
    put_header(out, query, plain, blob.flags, blob.counts)?;
    out.get_mut(HEADER_BYTES..plain.question_end)?.copy_from_slice(question);
    out.get_mut(plain.question_end..body_end)?.copy_from_slice(body);
    if let Some((at, address)) = patch {
        let at = plain.question_end.checked_add(at)?;
        match address {
            IpAddr::V4(v4) => out.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => out.get_mut(at..at.checked_add(16)?)?.copy_from_slice(&v6.octets()),
        }
    }
    put_opt(out.get_mut(body_end..)?, plain, 0);
    let rcode = if blob.flags & 0x0f == Rcode::NxDomain.code() { Rcode::NxDomain } else { Rcode::NoError };
    Some(Written { length: end, rcode, kind: plain.kind, zone: None })
}

/// RFC 8914: the name is in no zone of ours. As `respond` says it.
fn refuse(query: &[u8], plain: &Plain, out: &mut [u8]) -> Option<Written> {
    let question = query.get(HEADER_BYTES..plain.question_end)?;
    let extra = if plain.edns.is_some() { OPT_BYTES.checked_add(REASON_BYTES)? } else { 0 };
    let end = plain.question_end.checked_add(extra)?;
    let out = out.get_mut(..end)?;
    put_header(out, query, plain, Rcode::Refused.code(), [0; 3])?;
    out.get_mut(HEADER_BYTES..plain.question_end)?.copy_from_slice(question);
    if plain.edns.is_some() {
        let opt = out.get_mut(plain.question_end..)?;
        put_opt(opt, plain, 6);
        let [high, low] = ExtendedError::NotAuthoritative.code().to_be_bytes();
        opt.get_mut(OPT_BYTES..)?.copy_from_slice(&[0, 15, 0, 2, high, low]);
    }
    Some(Written { length: end, rcode: Rcode::Refused, kind: plain.kind, zone: None })
}

fn put_header(out: &mut [u8], query: &[u8], plain: &Plain, flags: u16, counts: [u16; 3]) -> Option<()> {
    let [answer, authority, additional] = counts;
    let additional = additional.checked_add(u16::from(plain.edns.is_some()))?;
    let header: &mut [u8; HEADER_BYTES] = out.first_chunk_mut()?;
    let id = query.first_chunk::<2>()?;
    let flags = flag::QR | flags | plain.kept_flags;
    let words = [u16::from_be_bytes(*id), flags, 1, answer, authority, additional];
    for (slot, word) in header.chunks_exact_mut(2).zip(words) {
        slot.copy_from_slice(&word.to_be_bytes());
    }
    Some(())
}

/// The OPT record, where the client speaks EDNS; `options` bytes of options follow.
fn put_opt(out: &mut [u8], plain: &Plain, options: u8) {
    let (Some(edns), Some(opt)) = (plain.edns, out.first_chunk_mut::<OPT_BYTES>()) else { return };
    let [high, low] = u16::try_from(evenkeel_model::caps::DNS_UDP_BYTES).unwrap_or(u16::MAX).to_be_bytes();
    let wants_signatures = if edns.dnssec_ok { 0x80 } else { 0 };
    *opt = [0, 0, 41, high, low, 0, 0, wants_signatures, 0, 0, options];
}

#[cfg(test)]
mod tests;

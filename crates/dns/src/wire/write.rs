//! Messages written: names shortened, never past the limit.
//!
//! The invariants: what does not fit is taken back whole; the places that names may point at are capped, so that
//! writing takes time linear in what is written.

use evenkeel_model::caps;

use crate::kind::{Class, Type};
use crate::name::suffixes;
use crate::rdata::{Field, Rdata, split};

/// A message in the making.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Where rows of labels begin that later names may point at.
    places: Vec<u16>,
    limit: usize,
    /// Whether names are shortened only by such as are written in the same case.
    keeps_case: bool,
}

/// How far a message was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    bytes: usize,
    places: usize,
}

impl Writer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(limit.min(caps::DNS_UDP_BYTES)),
            places: Vec::with_capacity(16),
            limit,
            keeps_case: false,
        }
    }

    /// As [`Writer::new`], each name as it is written in the zone: for transfers (RFC 5936, 3.4).
    pub(crate) fn keeping_case(limit: usize) -> Self {
        Self { keeps_case: true, ..Self::new(limit) }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), places: self.places.len() }
    }

    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.places.truncate(mark.places);
    }

    /// Whether what is written is within the limit, with `reserve` bytes to come.
    pub(crate) fn fits(&self, reserve: usize) -> bool {
        self.bytes.len().saturating_add(reserve) <= self.limit
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Overwrites a number written before.
    pub(crate) fn set_u16(&mut self, at: usize, value: u16) {
        let end = at.saturating_add(2);
        if let Some(slot) = self.bytes.get_mut(at..end) {
            slot.copy_from_slice(&value.to_be_bytes());
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A name that may be shortened by a pointer and to which later names may point.
    pub(crate) fn name(&mut self, wire: &[u8]) {
        for suffix in suffixes(wire) {
            let Some((&length, tail)) = suffix.split_first().filter(|(length, _)| **length != 0) else { break };
            if let Some(place) = self.places.iter().find(|place| self.is_at(usize::from(**place), suffix)).copied() {
                return self.u16(0xc000 | place);
            }
            if let Ok(here) = u16::try_from(self.bytes.len())
                && here < 0x4000
                && self.places.len() < caps::DNS_COMPRESSION_PLACES
            {
                self.places.push(here);
            }
            self.bytes.push(length);
            self.bytes.extend_from_slice(tail.get(..usize::from(length)).unwrap_or_default());
        }
        self.bytes.push(0);
    }

    /// Whether the name written at `at` is `wire`; without case, but where that is kept.
    fn is_at(&self, mut at: usize, wire: &[u8]) -> bool {
        let mut rest = wire;
        // Each pointer leads to a place before it, so this ends.
        while let Some((&length, tail)) = rest.split_first() {
            let Some(&written) = self.bytes.get(at) else { return false };
            if written >= 0xc0 {
                let Some(&low) = self.bytes.get(at.saturating_add(1)) else { return false };
                at = (usize::from(written & 0x3f) << 8) | usize::from(low);
                continue;
            }
            if written != length {
                return false;
            }
            let (label, after) = tail.split_at_checked(usize::from(length)).unwrap_or((tail, &[]));
            let start = at.saturating_add(1);
            let end = start.saturating_add(usize::from(length));
            let is_same = |bytes: &[u8]| bytes == label || !self.keeps_case && bytes.eq_ignore_ascii_case(label);
            if !self.bytes.get(start..end).is_some_and(is_same) {
                return false;
            }
            at = end;
            rest = after;
        }
        true
    }

    pub(crate) fn record(&mut self, owner: &[u8], kind: Type, class: Class, ttl: u32, data: &Rdata) {
        self.name(owner);
        self.u16(kind.0);
        self.u16(class.0);
        self.put(&ttl.to_be_bytes());
        let at = self.bytes.len();
        self.u16(0);
        // Data fits its type by construction; without a split it goes out as it is.
        match split(kind, data.as_wire()) {
            Some(parts) => {
                for (field, part) in parts {
                    if field == Field::Name { self.name(part) } else { self.put(part) }
                }
            }
            None => self.put(data.as_wire()),
        }
        let length = self.bytes.len().saturating_sub(at).saturating_sub(2);
        self.set_u16(at, u16::try_from(length).unwrap_or(u16::MAX));
    }
}

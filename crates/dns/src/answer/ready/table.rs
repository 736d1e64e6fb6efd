//! The table from names to what is ready for them: an index into one block of bytes.
//!
//! A large zone does not fit the processor's caches, so that a look-up costs what it touches: a slot, and the name's
//! own stretch of bytes, where its answers stand behind it. Strangers choose what is looked up, never what is stored,
//! so the hash needs no key: nobody can make a look-up longer than the stored names allow. The invariant: a name stands
//! once.

use super::Blob;
use crate::hash::{Index, hash};
use crate::kind::Type;

/// Bytes before a name: zone, number, marks, length of the name, count of answers.
const HEAD_BYTES: usize = 12;

/// Bytes before an answer: type, flags, counts, length.
const BLOB_HEAD_BYTES: usize = 12;

/// From so many bytes on it is not expected to stay in the cache that a core has for itself.
const LARGE_BYTES: usize = 512 * 1024;

/// Bytes that a processor fetches at once.
const LINE_BYTES: usize = 64;

/// The marks.
const PLAIN: u8 = 1;
const WILDCARD: u8 = 2;
const ALIAS: u8 = 4;
const LIVE: u8 = 8;
const GONE: u8 = 16;

/// What is known of a name, but for its answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// Which zone it is of.
    pub(super) zone: u32,
    /// Its number among the names whose addresses are chosen.
    pub(super) live: Option<u32>,
    /// Whether neither it nor a name above it in the zone is a delegation or has a DNAME.
    pub(super) is_plain: bool,
    /// Whether a wildcard stands directly below it.
    pub(super) has_wildcard: bool,
    /// Whether it has a CNAME.
    pub(super) is_alias: bool,
    /// Whether it was a name and is none any more.
    pub(super) is_gone: bool,
}

/// A name that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) entry: Entry,
    /// How many answers there are, and where.
    blobs: u16,
    bytes: &'a [u8],
}

impl<'a> Found<'a> {
    /// The answer to a question for a type, and its records.
    pub(super) fn blob(&self, kind: Type) -> Option<(&'a [u8], Blob)> {
        let mut rest = self.bytes;
        for _ in 0..self.blobs {
            let (head, body) = rest.split_first_chunk::<BLOB_HEAD_BYTES>()?;
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *head;
            let word = |high, low| u16::from_le_bytes([high, low]);
            let length = word(k, l);
            let (body, next) = body.split_at_checked(usize::from(length))?;
            if word(a, b) == kind.0 {
                let counts = [word(e, f), word(g, h), word(i, j)];
                return Some((body, Blob { flags: word(c, d), counts, at: 0, length }));
            }
            rest = next;
        }
        None
    }
}

/// The table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Where each name's stretch begins.
    index: Index,
    names: usize,
    bytes: Vec<u8>,
}

impl Table {
    /// A table with room for so many names.
    pub(super) fn with_room(count: usize) -> Self {
        Self { index: Index::with_room(count), names: 0, bytes: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.names
    }

    /// Whether it is too large to stay near the processor.
    pub(super) fn is_large(&self) -> bool {
        self.bytes.len().saturating_add(self.index.memory().len()) > LARGE_BYTES
    }

    /// Gives back what growing has taken too much. Nothing is put in any more.
    pub(super) fn finish(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Where it lies in memory.
    pub(super) fn memory(&self) -> [std::ops::Range<usize>; 2] {
        let bytes = self.bytes.as_ptr_range();
        [self.index.memory(), bytes.start.addr()..bytes.end.addr()]
    }

    /// Where the first stretch for a hash begins; beyond everything where there is none.
    pub(super) fn begins(&self, hash: u64) -> usize {
        self.index.first(hash).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
    }

    /// The first byte of a stretch and one of the next line, where its answers stand.
    pub(super) fn peek(&self, at: usize) -> u8 {
        let byte = |at| self.bytes.get(at).copied().unwrap_or(0);
        byte(at) ^ byte(at.wrapping_add(LINE_BYTES))
    }

    /// Puts in a name in wire form and lower case, with its answers, whose records lie in `bytes`. `false` where it is
    /// there already or there is no room.
    pub(super) fn insert(&mut self, name: &[u8], entry: Entry, blobs: &[(Type, Blob)], bytes: &[u8]) -> bool {
        let (Ok(name_bytes), Ok(count)) = (u8::try_from(name.len()), u16::try_from(blobs.len())) else { return false };
        let (hash, at) = (hash(name), u32::try_from(self.bytes.len()));
        let (Ok(at), Err(free)) = (at, self.index.find(hash, |at| self.read(at, name))) else { return false };
        if !self.index.put(free, hash, at) {
            return false;
        }
        let marks =
            [(PLAIN, entry.is_plain), (WILDCARD, entry.has_wildcard), (ALIAS, entry.is_alias), (GONE, entry.is_gone)];
        let marks = marks.into_iter().filter(|(_, is_set)| *is_set).fold(0, |all, (mark, _)| all | mark);
        self.bytes.extend_from_slice(&entry.zone.to_le_bytes());
        self.bytes.extend_from_slice(&entry.live.unwrap_or(0).to_le_bytes());
        self.bytes.extend_from_slice(&[if entry.live.is_some() { marks | LIVE } else { marks }, name_bytes]);
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.extend_from_slice(name);
        for (kind, blob) in blobs {
            let start = usize::try_from(blob.at).unwrap_or(usize::MAX);
            let body = bytes.get(start..start.saturating_add(usize::from(blob.length))).unwrap_or_default();
            let [answer, authority, additional] = blob.counts;
            for word in [kind.0, blob.flags, answer, authority, additional, blob.length] {
                self.bytes.extend_from_slice(&word.to_le_bytes());
            }
            self.bytes.extend_from_slice(body);
        }
        self.names = self.names.saturating_add(1);
        true
    }

    /// What is known of a name in wire form and lower case, which has that hash.
    pub(super) fn find(&self, name: &[u8], hash: u64) -> Option<Found<'_>> {
        self.index.find(hash, |at| self.read(at, name)).ok()
    }

    /// What begins there, if it is this name's.
    fn read(&self, at: u32, name: &[u8]) -> Option<Found<'_>> {
        let start = usize::try_from(at).ok()?;
        let (head, rest) = self.bytes.get(start..)?.split_first_chunk::<HEAD_BYTES>()?;
        let [z0, z1, z2, z3, n0, n1, n2, n3, marks, name_bytes, count @ ..] = *head;
        let (stored, bytes) = rest.split_at_checked(usize::from(name_bytes))?;
        if stored != name {
            return None;
        }
        let entry = Entry {
            zone: u32::from_le_bytes([z0, z1, z2, z3]),
            live: (marks & LIVE != 0).then_some(u32::from_le_bytes([n0, n1, n2, n3])),
            is_plain: marks & PLAIN != 0,
            has_wildcard: marks & WILDCARD != 0,
            is_alias: marks & ALIAS != 0,
            is_gone: marks & GONE != 0,
        };
        Some(Found { entry, blobs: u16::from_le_bytes(count), bytes })
    }
}

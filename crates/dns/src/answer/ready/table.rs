//! The table from names to what is ready for them: open addressing over one block of bytes.
//!
//! Strangers choose what is looked up, never what is stored, so the hash needs no key: nobody can make a look-up
//! longer than the stored names allow. The invariant: the table is at most half full, so that every search ends.

use std::ops::Range;

/// What is known of a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) name_at: u32,
    pub(super) name_bytes: u8,
    /// Which zone it is of.
    pub(super) zone: u32,
    pub(super) blobs_at: u32,
    pub(super) blob_count: u16,
    /// Its number among the names whose addresses are chosen.
    pub(super) live: Option<u32>,
    /// Whether neither it nor a name above it in the zone is a delegation or has a DNAME.
    pub(super) is_plain: bool,
    /// Whether a wildcard stands directly below it.
    pub(super) has_wildcard: bool,
    /// Whether it has a CNAME.
    pub(super) is_alias: bool,
}

impl Entry {
    /// Where its answers are.
    pub(super) fn blobs(&self) -> Option<Range<usize>> {
        let start = usize::try_from(self.blobs_at).ok()?;
        Some(start..start.checked_add(usize::from(self.blob_count))?)
    }

    /// With these answers.
    pub(super) fn with_blobs(self, range: &Range<usize>) -> Option<Self> {
        let (blobs_at, blob_count) = (u32::try_from(range.start).ok()?, u16::try_from(range.len()).ok()?);
        Some(Self { blobs_at, blob_count, ..self })
    }
}

/// The table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// The number of an entry and one more; 0 for none. Its length is a power of two.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    names: Vec<u8>,
}

impl Table {
    /// A table with room for so many names.
    pub(super) fn with_room(count: usize) -> Self {
        let slots = count.saturating_mul(2).max(2).checked_next_power_of_two().unwrap_or(2);
        Self { slots: vec![0; slots], entries: Vec::with_capacity(count), names: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts in a name in wire form and lower case. `false` where it is there already or there is no room.
    pub(super) fn insert(&mut self, name: &[u8], entry: Entry) -> bool {
        if self.entries.len().saturating_mul(2) >= self.slots.len() {
            return false;
        }
        let (Ok(name_at), Ok(name_bytes)) = (u32::try_from(self.names.len()), u8::try_from(name.len())) else {
            return false;
        };
        let Ok(number) = u32::try_from(self.entries.len().saturating_add(1)) else { return false };
        let mut at = self.place(name);
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = number;
                self.entries.push(Entry { name_at, name_bytes, ..entry });
                self.names.extend_from_slice(name);
                return true;
            }
            let taken = *slot;
            if self.entry(taken).is_some_and(|(stored, _)| stored == name) {
                return false;
            }
            at = self.next(at);
        }
        false
    }

    /// What is known of a name in wire form and lower case.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Entry> {
        let mut at = self.place(name);
        loop {
            let (stored, entry) = self.entry(*self.slots.get(at)?)?;
            if stored == name {
                return Some(entry);
            }
            at = self.next(at);
        }
    }

    fn entry(&self, number: u32) -> Option<(&[u8], &Entry)> {
        let entry = self.entries.get(usize::try_from(number.checked_sub(1)?).ok()?)?;
        let start = usize::try_from(entry.name_at).ok()?;
        Some((self.names.get(start..start.checked_add(usize::from(entry.name_bytes))?)?, entry))
    }

    fn place(&self, name: &[u8]) -> usize {
        let mask = self.slots.len().saturating_sub(1);
        usize::try_from(hash(name) >> 32).unwrap_or(0) & mask
    }

    fn next(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.slots.len().saturating_sub(1)
    }
}

/// Multiply and fold, eight bytes at a time (in the manner of wyhash; Wang Yi 2019).
fn hash(name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = (name.len() as u64) ^ ODD;
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        state = fold(state ^ word, ODD);
    }
    let tail = chunks.remainder().iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    fold(state ^ tail, 0xd6e8_feb8_6659_fd93)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    let (high, low) = ((product >> 64) as u64, product as u64);
    high ^ low
}

//! The hash of names, and the index by it, for tables of what is stored here.
//!
//! It has no key: strangers choose what is looked up, never what is stored, so that nobody can make a look-up longer
//! than the stored names allow. The invariants: a name in lower case has the same hash everywhere in the process; an
//! index is at most half full, so that every search ends.

use std::ops::Range;

/// Multiply and fold, eight bytes at a time (in the manner of wyhash; Wang Yi 2019). The last eight are read as one
/// word, some of them perhaps once more.
pub(crate) fn hash(name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const LAST: u64 = 0xd6e8_feb8_6659_fd93;
    let mut state = (name.len() as u64) ^ ODD;
    let Some(last) = name.last_chunk::<8>() else {
        let word = name.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        return fold(state ^ word, LAST);
    };
    for chunk in name.chunks_exact(8) {
        let word = chunk.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        state = fold(state ^ word, ODD);
    }
    fold(state ^ u64::from_le_bytes(*last), LAST)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    let (high, low) = ((product >> 64) as u64, product as u64);
    high ^ low
}

/// From hashes to numbers, which say where what is looked for is stored: open addressing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// Their number is a power of two.
    slots: Vec<Slot>,
    taken: usize,
}

/// A place of the index.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The half of the hash that does not choose the place, so that another name is mostly told from it without being
    /// looked at.
    tag: u32,
    /// The number, and one more; 0 for none.
    number: u32,
}

impl Slot {
    fn number(self) -> Option<u32> {
        self.number.checked_sub(1)
    }
}

impl Index {
    /// An index with room for so many.
    pub(crate) fn with_room(count: usize) -> Self {
        let slots = count.max(1).saturating_mul(2).checked_next_power_of_two().unwrap_or(2);
        Self { slots: vec![Slot::default(); slots], taken: 0 }
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.taken.saturating_mul(2) < self.slots.len()
    }

    /// What `read` makes of the number that was put in for this hash and is the right one; else the slot that is free
    /// for it.
    pub(crate) fn find<T>(&self, hash: u64, read: impl Fn(u32) -> Option<T>) -> Result<T, usize> {
        let mut at = self.place(hash);
        loop {
            let slot = self.slots.get(at).copied().unwrap_or_default();
            let Some(number) = slot.number() else { return Err(at) };
            if slot.tag == tag(hash)
                && let Some(found) = read(number)
            {
                return Ok(found);
            }
            at = at.wrapping_add(1) & self.mask();
        }
    }

    /// Puts a number into a slot that [`Index::find`] said is free; `false` where there is no room, or none for a number
    /// as large.
    pub(crate) fn put(&mut self, free: usize, hash: u64, number: u32) -> bool {
        let (Some(number), true) = (number.checked_add(1), self.has_room()) else { return false };
        let Some(slot) = self.slots.get_mut(free) else { return false };
        *slot = Slot { tag: tag(hash), number };
        self.taken = self.taken.saturating_add(1);
        true
    }

    /// The number in the first slot for a hash.
    pub(crate) fn first(&self, hash: u64) -> Option<u32> {
        self.slots.get(self.place(hash))?.number()
    }

    /// Where it lies in memory.
    pub(crate) fn memory(&self) -> Range<usize> {
        let slots = self.slots.as_ptr_range();
        slots.start.addr()..slots.end.addr()
    }

    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & self.mask()
    }

    fn mask(&self) -> usize {
        self.slots.len().saturating_sub(1)
    }
}

/// The half of a hash that does not choose the place.
fn tag(hash: u64) -> u32 {
    (hash & u64::from(u32::MAX)) as u32
}

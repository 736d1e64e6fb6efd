//! Looking ahead: of a batch of queries, what their answers lie in is fetched before the first of them is answered.
//!
//! A large table does not fit the processor's caches, so that a look-up waits for memory twice: for its slot, and for what
//! that points at. One query after the other these waits add up; fetched in a row they overlap. The invariant: nothing is
//! decided here, so that what is answered does not depend on it.

use super::Ready;
use super::asked;
use super::table::Table;
use crate::hash::hash;

/// What one thread works with, kept from one batch to the next.
#[derive(Debug, Default)]
pub struct Ahead {
    hashes: Vec<u64>,
    places: Vec<usize>,
}

impl Ready {
    /// Fetches what the answers to these queries lie in; nothing is done where all of it is near anyway.
    pub fn look_ahead(&self, queries: &mut dyn Iterator<Item = &[u8]>, ahead: &mut Ahead) {
        if !self.table.is_large() {
            return;
        }
        let mut lower = [0_u8; 256];
        ahead.hashes.clear();
        for query in queries {
            let name = asked::name(query, &mut lower).and_then(|length| lower.get(..length));
            ahead.hashes.extend(name.map(hash));
        }
        self.table.fetch(ahead);
    }
}

impl Table {
    /// Each of the loops loads from places that do not depend on one another.
    fn fetch(&self, ahead: &mut Ahead) {
        let Ahead { hashes, places } = ahead;
        places.clear();
        places.extend(hashes.iter().map(|hash| self.begins(*hash)));
        let sum = places.iter().fold(0_u8, |sum, at| sum.wrapping_add(self.peek(*at)));
        // What was loaded is of no use but for having been loaded.
        std::hint::black_box(sum);
    }
}

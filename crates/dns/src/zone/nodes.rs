//! The names of a zone in the order in which they were first written, found by hash.
//!
//! Not a judge of names, and no order of the protocol's. The invariants: a name stands once, whatever its case; at most
//! half of the slots are taken, so that every search ends.

use super::tree::Node;
use crate::hash::{hash, tag};
use crate::name::{NAME_BYTES, Name, lower};

/// A place of the index.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// A part of the hash, so that another name is mostly told from it without being looked at.
    tag: u32,
    /// The node's place, and one more; 0 for none.
    at: u32,
}

/// The nodes.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    all: Vec<Node>,
    /// Their number is a power of two.
    slots: Vec<Slot>,
}

impl Nodes {
    /// No nodes yet, with room for so many before the index has to grow.
    pub(crate) fn with_room(count: usize) -> Self {
        Self { all: Vec::new(), slots: vec![Slot::default(); slots_for(count)] }
    }

    /// The node of a name: the one that is there, or one without sets. Gives its place.
    pub(crate) fn make(&mut self, name: &Name) -> Option<usize> {
        let mut room = [0; NAME_BYTES];
        let lower = lower(name.as_wire(), &mut room);
        let hash = hash(lower);
        let free = match self.search(lower, hash) {
            Ok(place) => return Some(place),
            Err(free) => free,
        };
        let place = self.all.len();
        let at = u32::try_from(place).ok()?.checked_add(1)?;
        self.all.push(Node { name: name.clone(), sets: Vec::new() });
        if let Some(slot) = self.slots.get_mut(free) {
            *slot = Slot { tag: tag(hash), at };
        }
        if self.all.len().saturating_mul(2) > self.slots.len() {
            self.grow();
        }
        Some(place)
    }

    /// The place of a name in wire form, in any case.
    pub(crate) fn place(&self, name: &[u8]) -> Option<usize> {
        let mut room = [0; NAME_BYTES];
        let lower = lower(name, &mut room);
        self.search(lower, hash(lower)).ok()
    }

    /// The node of a name in wire form, in any case.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Node> {
        self.all.get(self.place(name)?)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Node> {
        self.all.get_mut(place)
    }

    /// All of them, each at its place.
    pub(crate) fn all(&self) -> &[Node] {
        &self.all
    }

    /// Gives back what growing has taken too much.
    pub(crate) fn finish(&mut self) {
        self.all.shrink_to_fit();
    }

    /// The place of a name in lower case, or the slot that it would take.
    fn search(&self, lower: &[u8], hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len().saturating_sub(1);
        let mut at = usize::try_from(hash >> 32).unwrap_or(0) & mask;
        loop {
            let slot = self.slots.get(at).copied().unwrap_or_default();
            let Some(place) = slot.at.checked_sub(1) else { return Err(at) };
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let is_it = || self.all.get(place).is_some_and(|node| node.name.as_wire().eq_ignore_ascii_case(lower));
            if slot.tag == tag(hash) && is_it() {
                return Ok(place);
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![Slot::default(); slots_for(self.all.len())];
        let mask = slots.len().saturating_sub(1);
        let mut room = [0; NAME_BYTES];
        for (node, place) in self.all.iter().zip(1..) {
            let hash = hash(lower(node.name.as_wire(), &mut room));
            let mut at = usize::try_from(hash >> 32).unwrap_or(0) & mask;
            while slots.get(at).is_some_and(|slot| slot.at != 0) {
                at = at.wrapping_add(1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = Slot { tag: tag(hash), at: place };
            }
        }
        self.slots = slots;
    }
}

/// Twice as many slots as nodes, and room for as many again until it has to grow.
fn slots_for(count: usize) -> usize {
    count.max(2).saturating_mul(2).saturating_add(1).checked_next_power_of_two().unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_place_while_the_index_grows() {
        let mut nodes = Nodes::with_room(0);
        let name = |number: usize, letter: char| format!("{letter}{number}.Example.").parse::<Name>().unwrap();
        for number in 0..2000 {
            assert_eq!(nodes.make(&name(number, 'h')), Some(number));
            assert_eq!(nodes.make(&name(number, 'H')), Some(number));
        }
        for number in 0..2000 {
            assert_eq!(nodes.place(name(number, 'H').as_wire()), Some(number));
            assert_eq!(nodes.get(name(number, 'h').as_wire()).map(|node| &node.name), Some(&name(number, 'h')));
            assert_eq!(nodes.place(name(number, 'x').as_wire()), None);
        }
        assert_eq!(nodes.all().len(), 2000);
        assert!(nodes.slots.len() >= 4000);
    }
}

//! The names of a zone in the order in which they were first written, found by hash.
//!
//! Not a judge of names, and no order of the protocol's. The invariant: a name stands once, whatever its case.

use super::tree::Node;
use crate::hash::{Index, hash};
use crate::name::{NAME_BYTES, Name, is_same, lower};

/// The nodes.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    all: Vec<Node>,
    index: Index,
}

impl Nodes {
    /// No nodes yet, with room for so many before the index has to grow.
    pub(crate) fn with_room(count: usize) -> Self {
        Self { all: Vec::new(), index: Index::with_room(count) }
    }

    /// The node of a name: the one that is there, or one without sets. Gives its place.
    pub(crate) fn make(&mut self, name: &Name) -> Option<usize> {
        if !self.index.has_room() {
            self.grow();
        }
        let mut room = [0; NAME_BYTES];
        let lower = lower(name.as_wire(), &mut room);
        let hash = hash(lower);
        let free = match self.search(lower, hash) {
            Ok(place) => return Some(place),
            Err(free) => free,
        };
        let place = self.all.len();
        if !self.index.put(free, hash, u32::try_from(place).ok()?) {
            return None;
        }
        self.all.push(Node { name: name.clone(), sets: Vec::new() });
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
        self.index.find(hash, |number| {
            let place = usize::try_from(number).ok()?;
            is_same(self.all.get(place)?.name.as_wire(), lower).then_some(place)
        })
    }

    fn grow(&mut self) {
        let mut index = Index::with_room(self.all.len().saturating_mul(2));
        let mut room = [0; NAME_BYTES];
        for (node, place) in self.all.iter().zip(0..) {
            let hash = hash(lower(node.name.as_wire(), &mut room));
            // No name stands twice, so that none has to be looked at.
            if let Err(free) = index.find(hash, |_| None::<()>) {
                index.put(free, hash, place);
            }
        }
        self.index = index;
    }
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
    }
}

//! The names of a zone, found by hash.
//!
//! Not a judge of names, and no order of the protocol's. They lie in shelves that a copy shares until it changes one of
//! them, so that a zone with few changes costs little more than these. The invariant: a name stands once, whatever its
//! case, and keeps its place as long as it is there; the place of one that has gone is nobody's.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::tree::Node;
use crate::hash::{Index, hash};
use crate::name::{NAME_BYTES, Name, is_same, lower};

/// Nodes on one shelf: so many are copied where one of them changes.
const SHELF: usize = 64;

/// The nodes.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    /// All but the last one are full.
    shelves: Vec<Arc<Vec<Node>>>,
    /// How many places there are.
    count: usize,
    /// Those of names that have gone.
    gone: BTreeSet<usize>,
    index: Arc<Index>,
}

impl Nodes {
    /// No nodes yet, with room for so many before the index has to grow.
    pub(crate) fn with_room(count: usize) -> Self {
        Self { shelves: Vec::new(), count: 0, gone: BTreeSet::new(), index: Arc::new(Index::with_room(count)) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.saturating_sub(self.gone.len())
    }

    /// The place that the next new name takes.
    pub(crate) fn next_place(&self) -> usize {
        self.count
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
        let place = self.count;
        if !Arc::make_mut(&mut self.index).put(free, hash, u32::try_from(place).ok()?) {
            return None;
        }
        if place.is_multiple_of(SHELF) {
            self.shelves.push(Arc::new(Vec::with_capacity(SHELF)));
        }
        Arc::make_mut(self.shelves.last_mut()?).push(Node { name: name.clone(), sets: Vec::new(), below: 0 });
        self.count = self.count.saturating_add(1);
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
        self.at(self.place(name)?)
    }

    /// The node at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&Node> {
        self.shelves.get(place / SHELF)?.get(place % SHELF).filter(|_| self.is_there(place))
    }

    /// The same, to be changed.
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Node> {
        Arc::make_mut(self.shelves.get_mut(place / SHELF)?).get_mut(place % SHELF)
    }

    /// Takes the node at a place away.
    pub(crate) fn remove(&mut self, place: usize) {
        if place < self.count {
            self.gone.insert(place);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Node> {
        self.shelves
            .iter()
            .flat_map(|shelf| shelf.iter())
            .zip(0..)
            .filter_map(|(node, place)| self.is_there(place).then_some(node))
    }

    fn is_there(&self, place: usize) -> bool {
        self.gone.is_empty() || !self.gone.contains(&place)
    }

    /// The place of a name in lower case, or the slot that it would take.
    fn search(&self, lower: &[u8], hash: u64) -> Result<usize, usize> {
        self.index.find(hash, |number| {
            let place = usize::try_from(number).ok()?;
            is_same(self.at(place)?.name.as_wire(), lower).then_some(place)
        })
    }

    fn grow(&mut self) {
        let mut index = Index::with_room(self.count.saturating_mul(2));
        let mut room = [0; NAME_BYTES];
        for (node, place) in self.shelves.iter().flat_map(|shelf| shelf.iter()).zip(0..) {
            if usize::try_from(place).is_ok_and(|place| !self.is_there(place)) {
                continue;
            }
            let hash = hash(lower(node.name.as_wire(), &mut room));
            // No name stands twice, so that none has to be looked at.
            if let Err(free) = index.find(hash, |_| None::<()>) {
                index.put(free, hash, place);
            }
        }
        self.index = Arc::new(index);
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
        assert_eq!((nodes.len(), nodes.all().count()), (2000, 2000));
    }

    #[test]
    fn a_copy_changes_and_leaves_what_it_was_made_of() {
        let mut nodes = Nodes::with_room(0);
        let name = |number: usize| format!("h{number}.").parse::<Name>().unwrap();
        (0..1000).for_each(|number| assert_eq!(nodes.make(&name(number)), Some(number)));
        let mut copy = nodes.clone();
        for number in 0..500 {
            assert_eq!(copy.make(&name(1000 + number)), Some(1000 + number));
            copy.at_mut(number * 2).unwrap().name = name(number + 5000);
        }
        assert_eq!((nodes.len(), copy.len()), (1000, 1500));
        for number in 0..1000 {
            assert_eq!(nodes.get(name(number).as_wire()).map(|node| &node.name), Some(&name(number)));
            assert_eq!(nodes.place(name(number + 1000).as_wire()), None);
        }
        let shared = nodes.shelves.iter().zip(&copy.shelves).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, 0, "each shelf has a node that was changed");
    }

    #[test]
    fn a_name_that_has_gone_is_not_found_and_may_come_back() {
        let mut nodes = Nodes::with_room(0);
        let name = |number: usize| format!("h{number}.").parse::<Name>().unwrap();
        (0..100).for_each(|number| assert_eq!(nodes.make(&name(number)), Some(number)));
        (0..50).for_each(|number| nodes.remove(number));
        nodes.remove(100);
        assert_eq!((nodes.len(), nodes.all().count(), nodes.next_place()), (50, 50, 100));
        assert!(nodes.place(name(0).as_wire()).is_none() && nodes.at(0).is_none());
        // The index grows meanwhile.
        (0..200).for_each(|number| assert!(nodes.make(&name(number)).is_some()));
        assert_eq!((nodes.len(), nodes.place(name(0).as_wire())), (200, Some(100)));
        assert_eq!(nodes.place(name(50).as_wire()), Some(50));
    }
}

//! A zone ready for answers: every name with its record sets, empty non-terminals included.
//!
//! Not a judge: `check` has looked before. The invariants: the apex exists and holds one SOA; every name between
//! the apex and a name is a node too (RFC 4592, 2.2.2).

use std::sync::Arc;

use super::nodes::Nodes;
use super::sheet::Sheet;
use crate::kind::Type;
use crate::name::{Name, suffixes};
use crate::rdata::{Rdata, Soa};

/// The records of one owner and one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// The type.
    pub kind: Type,
    /// Seconds that the set may be kept.
    pub ttl: u32,
    /// The data of each record; never empty.
    pub data: Vec<Rdata>,
}

/// A name of the zone. Without sets it is an empty non-terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name as first written.
    pub name: Name,
    /// The sets, each type once, in the order of their types.
    pub sets: Vec<RrSet>,
    /// How many names stand directly below it.
    pub(super) below: u32,
}

/// What in a zone says something of other names than its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Landmarks {
    /// The places of nodes with records that lead to other names; some of them perhaps twice, or no longer with any.
    pub(crate) leading: Vec<usize>,
    /// Whether there may be a delegation or a DNAME below the apex: most zones have none.
    pub(crate) has_cuts: bool,
    /// Whether there may be a wildcard.
    pub(crate) has_wildcards: bool,
}

/// Whether answers to a type have records of other names beside them, or go on at another name.
pub(crate) fn leads_elsewhere(kind: Type) -> bool {
    matches!(kind, Type::CNAME | Type::NS | Type::MX | Type::SRV | Type::SVCB | Type::HTTPS)
}

impl Node {
    /// The set of a type.
    pub fn set(&self, kind: Type) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.kind == kind)
    }
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    origin: Name,
    soa: Soa,
    soa_set: RrSet,
    nodes: Nodes,
    landmarks: Landmarks,
    /// The text that it was read from, where what changes in it can be read alone.
    sheet: Option<Arc<Sheet>>,
}

/// A zone in the making.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) origin: Name,
    pub(crate) nodes: Nodes,
    pub(crate) landmarks: Landmarks,
}

impl Tree {
    /// Nothing yet, with room for so many names.
    pub(crate) fn new(origin: &Name, names: usize) -> Self {
        Self { origin: origin.clone(), nodes: Nodes::with_room(names), landmarks: Landmarks::default() }
    }

    /// The place of a name inside the zone, which is made with all names above it where it is not there yet. `None` where
    /// there are more names than can be numbered.
    pub(crate) fn make(&mut self, name: &Name) -> Option<usize> {
        let known = self.nodes.next_place();
        let place = self.nodes.make(name)?;
        if place < known {
            return Some(place);
        }
        self.landmarks.has_wildcards |= name.is_wildcard();
        let apex = self.origin.as_wire().len();
        for suffix in suffixes(name.as_wire()).skip(1).take_while(|suffix| suffix.len() >= apex) {
            let (known, above) = (self.nodes.next_place(), Name::from_wire(suffix)?);
            let place = self.nodes.make(&above)?;
            let node = self.nodes.at_mut(place)?;
            node.below = node.below.saturating_add(1);
            if place < known {
                break;
            }
            self.landmarks.has_wildcards |= above.is_wildcard();
        }
        Some(place)
    }

    /// Takes away a node that has neither sets nor names below it, and those above it of which this leaves nothing. Gives
    /// their names.
    pub(super) fn prune(&mut self, mut place: usize) -> Option<Vec<Name>> {
        let mut pruned = Vec::new();
        loop {
            let node = self.nodes.at(place)?;
            if node.below > 0 || !node.sets.is_empty() || node.name == self.origin {
                return Some(pruned);
            }
            let name = node.name.clone();
            self.nodes.remove(place);
            place = self.nodes.place(name.parent()?.as_wire())?;
            let above = self.nodes.at_mut(place)?;
            above.below = above.below.saturating_sub(1);
            pruned.push(name);
        }
    }

    /// Puts a set to a node that has none of its type yet.
    pub(crate) fn put(&mut self, place: usize, set: RrSet) -> Option<()> {
        let node = self.nodes.at_mut(place)?;
        if leads_elsewhere(set.kind) {
            self.landmarks.leading.push(place);
        }
        self.landmarks.has_cuts |= set.kind == Type::DNAME || set.kind == Type::NS && node.name != self.origin;
        // Most names have one set of one record: no room is kept for more.
        node.sets.reserve_exact(1);
        let at = node.sets.partition_point(|known| known.kind < set.kind);
        node.sets.insert(at, set);
        Some(())
    }

    /// Forgets places that lead elsewhere no longer, and those that are noted twice.
    pub(super) fn tidy(&mut self) {
        let Self { nodes, landmarks, .. } = self;
        let leads =
            |place: &usize| nodes.at(*place).is_some_and(|node| node.sets.iter().any(|set| leads_elsewhere(set.kind)));
        landmarks.leading.retain(leads);
        landmarks.leading.sort_unstable();
        landmarks.leading.dedup();
    }

    /// The zone; `None` without a SOA at its apex.
    pub(crate) fn into_zone(self) -> Option<Zone> {
        let apex = self.nodes.get(self.origin.as_wire())?;
        let soa_set = apex.set(Type::SOA)?.clone();
        let soa = soa_set.data.first()?.as_soa()?;
        let Self { origin, nodes, landmarks } = self;
        Some(Zone { origin, soa, soa_set, nodes, landmarks, sheet: None })
    }
}

impl Zone {
    /// A zone from sets that are known to be sound, as the answering node's own zone is. `None` without a SOA at
    /// the apex; owners outside the zone are left out.
    pub fn from_sets(origin: &Name, sets: Vec<(Name, RrSet)>) -> Option<Self> {
        let mut tree = Tree::new(origin, sets.len());
        for (owner, set) in sets.into_iter().filter(|(owner, set)| owner.is_within(origin) && !set.data.is_empty()) {
            let place = tree.make(&owner)?;
            tree.put(place, set)?;
        }
        tree.into_zone()
    }

    /// The zone's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The SOA's fields.
    pub fn soa(&self) -> &Soa {
        &self.soa
    }

    /// The SOA as a set.
    pub fn soa_set(&self) -> &RrSet {
        &self.soa_set
    }

    /// How many nodes the zone has, empty non-terminals included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the zone has no nodes; it always has its apex.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 0
    }

    /// Whether it was read from these bytes and nothing else. `false` where that is not known.
    pub fn is_read_from(&self, bytes: &[u8]) -> bool {
        self.sheet.as_ref().is_some_and(|sheet| sheet.text() == bytes)
    }

    /// Whether it is known what it was read from.
    pub fn has_text(&self) -> bool {
        self.sheet.is_some()
    }

    pub(super) fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_deref()
    }

    /// The zone with the text that it was read from.
    pub(super) fn with_sheet(self, sheet: Option<Sheet>) -> Self {
        Self { sheet: sheet.map(Arc::new), ..self }
    }

    /// A copy to be changed; what stays is shared.
    pub(super) fn to_tree(&self) -> Tree {
        Tree { origin: self.origin.clone(), nodes: self.nodes.clone(), landmarks: self.landmarks.clone() }
    }

    /// How many names have gone since it was read as a whole.
    pub(super) fn gaps(&self) -> usize {
        self.nodes.next_place().saturating_sub(self.nodes.len())
    }

    pub(crate) fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }

    /// The nodes with records that lead to other names.
    pub(crate) fn leading(&self) -> impl Iterator<Item = &Node> {
        self.landmarks.leading.iter().filter_map(|place| self.nodes.at(*place))
    }

    /// The node of a name.
    pub fn node(&self, name: &Name) -> Option<&Node> {
        self.nodes.get(name.as_wire())
    }

    /// The node of a name given in wire form.
    pub(crate) fn node_at(&self, wire: &[u8]) -> Option<&Node> {
        self.nodes.get(wire)
    }

    /// The nodes as they were written, where no order is asked for: sorting a large zone takes longer than most that is
    /// done with it.
    pub(crate) fn nodes_unsorted(&self) -> impl Iterator<Item = &Node> {
        self.nodes.all()
    }

    /// How many places there are for nodes; some may be empty.
    pub(crate) fn places(&self) -> usize {
        self.nodes.next_place()
    }

    /// The node in a place.
    pub(crate) fn node_in(&self, place: usize) -> Option<&Node> {
        self.nodes.at(place)
    }

    /// The nodes in canonical order (RFC 4034, 6.1).
    pub fn nodes(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.nodes.all().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }
}

//! A zone ready for answers: every name with its record sets, empty non-terminals included.
//!
//! Not a judge: `check` has looked before. The invariants: the apex exists and holds one SOA; every name between
//! the apex and a name is a node too (RFC 4592, 2.2.2).

use super::nodes::Nodes;
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
    /// The sets, each type once.
    pub sets: Vec<RrSet>,
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
}

/// A zone in the making.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) origin: Name,
    pub(crate) nodes: Nodes,
}

impl Tree {
    /// Nothing yet, with room for so many names.
    pub(crate) fn new(origin: &Name, names: usize) -> Self {
        Self { origin: origin.clone(), nodes: Nodes::with_room(names) }
    }

    /// The place of a name inside the zone, which is made with all names above it where it is not there yet. `None` where
    /// there are more names than can be numbered.
    pub(crate) fn make(&mut self, name: &Name) -> Option<usize> {
        let known = self.nodes.all().len();
        let place = self.nodes.make(name)?;
        if self.nodes.all().len() == known {
            return Some(place);
        }
        let apex = self.origin.as_wire().len();
        for suffix in suffixes(name.as_wire()).skip(1).take_while(|suffix| suffix.len() >= apex) {
            let known = self.nodes.all().len();
            self.nodes.make(&Name::from_wire(suffix)?)?;
            if self.nodes.all().len() == known {
                break;
            }
        }
        Some(place)
    }

    /// The zone; `None` without a SOA at its apex.
    pub(crate) fn into_zone(mut self) -> Option<Zone> {
        self.nodes.finish();
        let apex = self.nodes.get(self.origin.as_wire())?;
        let soa_set = apex.set(Type::SOA)?.clone();
        let soa = soa_set.data.first()?.as_soa()?;
        Some(Zone { origin: self.origin, soa, soa_set, nodes: self.nodes })
    }
}

impl Zone {
    /// A zone from sets that are known to be sound, as the answering node's own zone is. `None` without a SOA at
    /// the apex; owners outside the zone are left out.
    pub fn from_sets(origin: &Name, sets: Vec<(Name, RrSet)>) -> Option<Self> {
        let mut tree = Tree::new(origin, sets.len());
        for (owner, set) in sets.into_iter().filter(|(owner, set)| owner.is_within(origin) && !set.data.is_empty()) {
            let place = tree.make(&owner)?;
            tree.nodes.get_mut(place)?.sets.push(set);
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
        self.nodes.all().len()
    }

    /// Whether the zone has no nodes; it always has its apex.
    pub fn is_empty(&self) -> bool {
        self.nodes.all().is_empty()
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
    pub(crate) fn nodes_unsorted(&self) -> &[Node] {
        self.nodes.all()
    }

    /// The nodes in canonical order (RFC 4034, 6.1), as a transfer sends them.
    pub fn nodes(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.nodes.all().iter().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }
}

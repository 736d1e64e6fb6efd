//! The cluster's file, as far as reloads may change it: which groups there are, and their addresses, in their order.
//!
//! The invariant: no address and no group stands in it twice, and groups with scripts, or safe ones, stay where they are.

use evenkeel_cluster::{Group, Mode, Resource};

use super::world::Shape;
use crate::chance::Chance;

/// How many groups and how many addresses there are beside those of the shape, at the most.
pub(crate) const MORE: usize = 3;

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its number, which is its name, and the first in the order of preference.
    pub(crate) number: usize,
    /// Its addresses by their numbers.
    pub(crate) addresses: Vec<usize>,
    /// Scripts behind them.
    scripts: usize,
}

/// The groups of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) parts: Vec<Part>,
    /// How many of them, from the first, no reload may change.
    fixed: usize,
}

impl Layout {
    pub(crate) fn new(shape: &Shape) -> Self {
        let part = |number| Part { number, addresses: vec![number], scripts: shape.scripts };
        let can_change = shape.scripts == 0 && shape.mode == Mode::Available;
        let fixed = if can_change { 0 } else { shape.groups };
        Self { parts: (0..shape.groups).map(part).collect(), fixed }
    }

    /// What it is to a node.
    pub(crate) fn groups(&self, shape: &Shape) -> Vec<Group> {
        let owners = if shape.has_witness { shape.nodes - 1 } else { shape.nodes };
        let group = |part: &Part| Group {
            name: format!("group{}", part.number).into(),
            prefer: vec![part.number % owners],
            failback: shape.failback,
            mode: if part.number < shape.groups { shape.mode } else { Mode::Available },
            resources: part.resources(),
        };
        self.parts.iter().map(group).collect()
    }

    /// Whether the address stands in it.
    pub(crate) fn has(&self, address: usize) -> bool {
        self.parts.iter().any(|part| part.addresses.contains(&address))
    }

    /// Another file, as an operator might write it.
    pub(crate) fn edit(&mut self, shape: &Shape, chance: &mut Chance) {
        let (free, count) = (self.fixed, self.parts.len());
        let address = chance.below(shape.groups + MORE);
        let is_known = self.has(address);
        if free < count {
            let at = free + chance.below(count - free);
            let other = free + chance.below(count - free);
            match chance.below(6) {
                0 | 1 if !is_known => return self.parts[at].insert(address, chance),
                2 if self.parts[at].addresses.len() > 1 => {
                    let gone = chance.below(self.parts[at].addresses.len());
                    self.parts[at].addresses.remove(gone);
                    return;
                }
                3 => {
                    let turn = chance.below(self.parts[at].addresses.len());
                    self.parts[at].addresses.rotate_left(turn);
                    return self.parts.swap(at, other);
                }
                4 if count > 1 => drop(self.parts.remove(at)),
                5 if at != other && self.parts[at].addresses.len() > 1 => {
                    let moved = self.parts[at].addresses.remove(0);
                    return self.parts[other].insert(moved, chance);
                }
                _ => {}
            }
        }
        let number = shape.groups + chance.below(MORE);
        let is_new = self.parts.iter().all(|part| part.number != number);
        let address = (0..shape.groups + MORE).find(|address| !self.has(*address));
        if let Some(address) = address.filter(|_| is_new) {
            let at = free + chance.below(self.parts.len() - free + 1);
            self.parts.insert(at, Part { number, addresses: vec![address], scripts: 0 });
        }
    }
}

impl Part {
    /// How many resources it has.
    pub(crate) fn len(&self) -> usize {
        self.addresses.len() + self.scripts
    }

    fn insert(&mut self, address: usize, chance: &mut Chance) {
        let at = chance.below(self.addresses.len() + 1);
        self.addresses.insert(at, address);
    }

    fn resources(&self) -> Vec<Resource> {
        let timeout = std::time::Duration::from_millis(500);
        let resource = |name: String, is_address| Resource { name: name.into(), is_address, timeout };
        let addresses = self.addresses.iter().map(|number| resource(format!("address{number}"), true));
        addresses.chain((0..self.scripts).map(|at| resource(format!("script{at}"), false))).collect()
    }
}

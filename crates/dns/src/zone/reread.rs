//! A zone read anew where its text has changed a little: what is as it was is taken over.
//!
//! Not a second judge: where anything is to be said about the new text, or a change reaches farther than the names that it
//! is about, nothing comes of it and the text is read as a whole. The invariant: a zone that results is the one that the
//! whole reading would give, and about which that would say nothing; but perhaps for the case in which a name is shown that
//! is written in two ways.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_model::caps;

use super::check::{self, Gathered};
use super::problem::Problems;
use super::read::Record;
use super::sheet::Difference;
use super::tree::{Node, Tree, Zone};
use crate::kind::Type;
use crate::name::Name;

/// Names may be gone from a zone as many, however few it has, before it is read as a whole again.
const MOST_GAPS: usize = 64;

/// A zone read anew.
#[derive(Debug)]
pub struct Reread {
    /// The zone as it is now.
    pub zone: Zone,
    /// The names whose answers may be others than before, those that are new or have gone among them.
    pub changed: Vec<Name>,
}

impl Zone {
    /// Reads another text of the zone with what this one was read from at hand. `None` where it has to be read as a whole.
    pub fn reread(&self, text: &Arc<Vec<u8>>) -> Option<Reread> {
        let has_many_gaps = self.gaps() > (self.len() / 8).max(MOST_GAPS);
        if text.len() > caps::DNS_ZONE_BYTES || has_many_gaps {
            return None;
        }
        let Difference { before, after, sheet } = self.sheet()?.difference(self.origin(), text)?;
        if sheet.records() > caps::DNS_ZONE_RECORDS {
            return None;
        }
        let (before, after) = (gather(self.origin(), before)?, gather(self.origin(), after)?);
        let mut change = Change { old: self, tree: self.to_tree(), changed: Vec::new() };
        let first_new = change.tree.nodes.next_place();
        for node in before.nodes.all() {
            change.remove(node, after.nodes.get(node.name.as_wire()))?;
        }
        for node in after.nodes.all() {
            change.add(node, before.nodes.get(node.name.as_wire()))?;
        }
        change.changed.extend(first_new..change.tree.nodes.next_place());
        let (tree, changed) = change.finish()?;
        let mut problems = Problems::default();
        check::check_again(&tree, &changed, &mut problems);
        if !problems.is_empty() {
            return None;
        }
        let zone = tree.into_zone()?.with_sheet(Some(sheet));
        Some(Reread { zone, changed })
    }
}

/// Records put together to sets. `None` where anything is to be said about them.
fn gather(origin: &Name, records: Vec<Record>) -> Option<Tree> {
    let (mut gathered, mut problems) = (Gathered::new(origin, records.len()), Problems::default());
    for record in records {
        gathered.take(record, &mut problems);
    }
    problems.is_empty().then(|| gathered.into_tree())
}

/// A zone being changed.
struct Change<'a> {
    old: &'a Zone,
    tree: Tree,
    /// Places of nodes that were there and have changed.
    changed: Vec<usize>,
}

impl Change<'_> {
    /// Takes the sets of a node away that are no longer as they were.
    fn remove(&mut self, was: &Node, is: Option<&Node>) -> Option<()> {
        for set in &was.sets {
            let whole = self.old.node(&was.name)?.set(set.kind)?;
            // A set of which another part stands elsewhere in the text might come out in another order.
            if whole.data.len() != set.data.len() {
                return None;
            }
            if is.and_then(|is| is.set(set.kind)) != Some(set) {
                let place = self.tree.nodes.place(was.name.as_wire())?;
                self.tree.nodes.at_mut(place)?.sets.retain(|known| known.kind != set.kind);
                self.note(place, set.kind)?;
            }
        }
        Some(())
    }

    /// Puts the sets of a node in that are not as they were.
    fn add(&mut self, node: &Node, was: Option<&Node>) -> Option<()> {
        if node.sets.is_empty() {
            return Some(());
        }
        let place = self.tree.make(&node.name)?;
        let there = self.tree.nodes.at(place)?;
        // A name is shown as it was first written, which may be elsewhere.
        if there.name.as_wire() != node.name.as_wire() {
            return None;
        }
        for set in node.sets.iter().filter(|set| was.and_then(|was| was.set(set.kind)) != Some(*set)) {
            // It, or a part of it, stands elsewhere in the text as well.
            if self.tree.nodes.at(place)?.set(set.kind).is_some() {
                return None;
            }
            self.tree.put(place, set.clone())?;
            self.note(place, set.kind)?;
        }
        Some(())
    }

    /// Notes a change; `None` where it reaches farther than its name.
    fn note(&mut self, place: usize, kind: Type) -> Option<()> {
        self.changed.push(place);
        (!matches!(kind, Type::NS | Type::DNAME)).then_some(())
    }

    /// Takes away what has nothing left, and gives the names that have changed: with those above wildcards, which answer
    /// otherwise where one is.
    fn finish(mut self) -> Option<(Tree, Vec<Name>)> {
        self.changed.sort_unstable();
        self.changed.dedup();
        let mut names = BTreeSet::new();
        for place in self.changed {
            let Some(node) = self.tree.nodes.at(place) else { continue };
            names.insert(node.name.clone());
            names.extend(self.tree.prune(place)?);
        }
        self.tree.tidy();
        let above: Vec<Name> = names.iter().filter(|name| name.is_wildcard()).filter_map(Name::parent).collect();
        names.extend(above);
        Some((self.tree, names.into_iter().collect()))
    }
}

//! The rules that records must keep together, as named-checkzone and kzonecheck judge them.
//!
//! The invariant: what makes answers wrong or impossible is an error; what is only odd is a warning.

use std::collections::{HashMap, HashSet};

use super::problem::{Problems, Span};
use super::read::Record;
use super::tree::{Node, RrSet, Tree, Zone};
use crate::kind::Type;
use crate::name::{Name, suffixes};

/// Where each set stands, for messages.
type Places = HashMap<(Name, Type), Span>;

/// Builds the zone and judges it. `None` where it has no SOA.
pub(super) fn check(origin: &Name, records: Vec<Record>, problems: &mut Problems) -> Option<Zone> {
    let mut tree = Tree::new(origin);
    let mut places = Places::new();
    gather(&mut tree, &mut places, records, problems);
    let zone_span = places.get(&(origin.clone(), Type::SOA)).copied().unwrap_or(Span { file: 0, start: 0, end: 0 });
    check_apex(&tree, zone_span, problems);
    let mut nodes: Vec<&Node> = tree.nodes.values().collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let rules = Rules { tree: &tree, places: &places };
    for node in nodes {
        rules.check_node(node, problems);
    }
    tree.into_zone()
}

fn gather(tree: &mut Tree, places: &mut Places, records: Vec<Record>, problems: &mut Problems) {
    let mut seen: HashSet<(Name, Type, Vec<u8>)> = HashSet::with_capacity(records.len());
    for record in records {
        let Record { owner, ttl, kind, data, span } = record;
        if !owner.is_within(&tree.origin) {
            let text = format!("`{owner}` is not in the zone `{}`; did you forget or add a final dot?", tree.origin);
            problems.error("zone-foreign-owner", span, text);
            continue;
        }
        if !seen.insert((owner.clone(), kind, data.folded(kind))) {
            if kind == Type::SOA {
                problems.error("zone-soa", span, "the zone has two SOA records; keep one");
            } else {
                problems.warn("zone-duplicate", span, format!("the same {kind} record of `{owner}` stands twice"));
            }
            continue;
        }
        let node = tree.node_mut(&owner);
        let Some(set) = node.sets.iter_mut().find(|set| set.kind == kind) else {
            node.sets.push(RrSet { kind, ttl, data: vec![data] });
            places.insert((owner, kind), span);
            continue;
        };
        if set.ttl != ttl {
            // RFC 2181, 5.2: one TTL for the set; the smallest is the safe one.
            set.ttl = set.ttl.min(ttl);
            let text = format!("the {kind} records of `{owner}` have different TTLs; {} is used for all", set.ttl);
            problems.warn("zone-ttl-differs", span, text);
        }
        set.data.push(data);
        if matches!(kind, Type::SOA | Type::CNAME | Type::DNAME) {
            let text = format!("`{owner}` has more than one {kind} record; keep one");
            problems.error(if kind == Type::SOA { "zone-soa" } else { "zone-single" }, span, text);
        }
    }
}

fn check_apex(tree: &Tree, span: Span, problems: &mut Problems) {
    let apex = tree.nodes.get(tree.origin.to_lower().as_wire());
    let has = |kind| apex.is_some_and(|node| node.set(kind).is_some());
    if !has(Type::SOA) {
        let text = format!("the zone has no SOA record; write `{} IN SOA ...` first", tree.origin);
        problems.error("zone-soa", span, text);
    } else if !has(Type::NS) {
        let text = format!("the zone's apex `{}` has no NS record; write at least one", tree.origin);
        problems.error("zone-ns", span, text);
    }
}

struct Rules<'a> {
    tree: &'a Tree,
    places: &'a Places,
}

/// Where a name lies in the zone.
enum Standing {
    /// Outside the zone.
    Outside,
    /// In the zone's own data.
    Own,
    /// At or below the delegation of this name.
    Delegated(Name),
}

impl Rules<'_> {
    fn span(&self, name: &Name, kind: Type) -> Span {
        self.places.get(&(name.clone(), kind)).copied().unwrap_or(Span { file: 0, start: 0, end: 0 })
    }

    fn is_apex(&self, name: &Name) -> bool {
        *name == self.tree.origin
    }

    fn get(&self, name: &Name) -> Option<&Node> {
        self.tree.nodes.get(name.to_lower().as_wire())
    }

    fn check_node(&self, node: &Node, problems: &mut Problems) {
        let name = &node.name;
        if let Some(set) = node.set(Type::SOA)
            && !self.is_apex(name)
        {
            let text = format!("a SOA record stands at `{name}`, below the apex `{}`", self.tree.origin);
            problems.error("zone-soa", self.span(name, set.kind), text);
        }
        self.check_alone(node, problems);
        self.check_above(node, problems);
        for set in &node.sets {
            match set.kind {
                Type::NS => self.check_servers(name, set, problems),
                Type::MX | Type::SRV => self.check_targets(name, set, problems),
                _ => {}
            }
        }
    }

    /// RFC 1034, 3.6.2 and RFC 6672, 2.4.
    fn check_alone(&self, node: &Node, problems: &mut Problems) {
        let name = &node.name;
        let other = node.sets.iter().find(|set| !matches!(set.kind, Type::CNAME | Type::RRSIG | Type::NSEC));
        if let (Some(_), Some(other)) = (node.set(Type::CNAME), other) {
            let text = format!("`{name}` has a CNAME and a {} record; beside a CNAME nothing may stand", other.kind);
            problems.error("zone-cname", self.span(name, Type::CNAME), text);
        }
        if node.set(Type::DNAME).is_some() && node.set(Type::NS).is_some() && !self.is_apex(name) {
            let text = format!("`{name}` has a DNAME beside NS records; only the apex may");
            problems.error("zone-dname", self.span(name, Type::DNAME), text);
        }
        for kind in [Type::NS, Type::DNAME] {
            if name.is_wildcard() && node.set(kind).is_some() {
                let text = format!("a wildcard with {kind} records means little to resolvers (RFC 4592, 4.2 and 4.4)");
                problems.warn("zone-wildcard", self.span(name, kind), text);
            }
        }
    }

    /// What stands above: nothing may stand below a DNAME, and what stands below a delegation is not ours.
    fn check_above(&self, node: &Node, problems: &mut Problems) {
        let Some(first) = node.sets.first() else { return };
        let span = self.span(&node.name, first.kind);
        let apex = self.tree.origin.as_wire().len();
        let lower = node.name.to_lower();
        for suffix in suffixes(lower.as_wire()).skip(1).take_while(|suffix| suffix.len() >= apex) {
            let Some(above) = self.tree.nodes.get(suffix) else { continue };
            if above.set(Type::DNAME).is_some() {
                let text =
                    format!("`{}` stands below the DNAME at `{}` and can never be reached", node.name, above.name);
                problems.error("zone-dname", span, text);
                return;
            }
            let hidden = node.sets.iter().find(|set| !matches!(set.kind, Type::A | Type::AAAA));
            if let (true, Some(set), false) = (above.set(Type::NS).is_some(), hidden, self.is_apex(&above.name)) {
                let text = format!(
                    "the {} record stands below the delegation of `{}` and is never answered",
                    set.kind, above.name
                );
                problems.warn("zone-hidden", self.span(&node.name, set.kind), text);
                return;
            }
        }
    }

    fn check_servers(&self, owner: &Name, set: &RrSet, problems: &mut Problems) {
        let span = self.span(owner, Type::NS);
        for target in set.data.iter().filter_map(|data| data.target(Type::NS)) {
            let node = self.answering_node(&target);
            let has_address = node.is_some_and(|n| n.set(Type::A).is_some() || n.set(Type::AAAA).is_some());
            if node.is_some_and(|n| n.set(Type::CNAME).is_some()) {
                let text = format!("the name server `{target}` is an alias; RFC 2181, 10.3 wants an address there");
                // A zone that cannot be reached by its own servers is broken; a child's is the child's matter.
                match self.is_apex(owner) {
                    true => problems.error("zone-ns-alias", span, text),
                    false => problems.warn("zone-ns-alias", span, text),
                }
            } else if !has_address {
                self.check_missing_address(owner, &target, span, problems);
            }
        }
    }

    fn check_missing_address(&self, owner: &Name, target: &Name, span: Span, problems: &mut Problems) {
        let text =
            format!("the name server `{target}` of `{owner}` lies in the zone and has no A or AAAA record; write one");
        match self.standing(target) {
            Standing::Outside => {}
            Standing::Own => problems.error("zone-glue", span, text),
            Standing::Delegated(cut) if cut == *owner || self.is_apex(owner) => problems.error("zone-glue", span, text),
            // The server's address can be had from the other delegation.
            Standing::Delegated(_) => problems.warn("zone-glue", span, text),
        }
    }

    fn check_targets(&self, owner: &Name, set: &RrSet, problems: &mut Problems) {
        for target in set.data.iter().filter_map(|data| data.target(set.kind)) {
            if target.is_root() || !matches!(self.standing(&target), Standing::Own) {
                continue;
            }
            let node = self.answering_node(&target);
            if node.is_some_and(|n| n.set(Type::CNAME).is_some()) {
                let text =
                    format!("the target `{target}` of {} is an alias; RFC 2181, 10.3 wants an address there", set.kind);
                problems.warn("zone-target", self.span(owner, set.kind), text);
            } else if !node.is_some_and(|n| n.set(Type::A).is_some() || n.set(Type::AAAA).is_some()) {
                let text =
                    format!("the target `{target}` of {} lies in the zone and has no A or AAAA record", set.kind);
                problems.warn("zone-target", self.span(owner, set.kind), text);
            }
        }
    }

    /// The node that answers for a name: its own, or the wildcard that covers it.
    fn answering_node(&self, name: &Name) -> Option<&Node> {
        if let Some(node) = self.get(name) {
            return Some(node);
        }
        let mut above = name.parent();
        while let Some(encloser) = above {
            if !encloser.is_within(&self.tree.origin) {
                return None;
            }
            if self.get(&encloser).is_some() {
                return self.get(&encloser.prepend(b"*").ok()?);
            }
            above = encloser.parent();
        }
        None
    }

    fn standing(&self, name: &Name) -> Standing {
        if !name.is_within(&self.tree.origin) {
            return Standing::Outside;
        }
        let apex = self.tree.origin.as_wire().len();
        let lower = name.to_lower();
        let above: Vec<&[u8]> = suffixes(lower.as_wire()).take_while(|suffix| suffix.len() > apex).collect();
        // The topmost cut counts: what lies below it is all of the child's making.
        let cut = above.iter().rev().filter_map(|s| self.tree.nodes.get(*s)).find(|n| n.set(Type::NS).is_some());
        cut.map_or(Standing::Own, |node| Standing::Delegated(node.name.clone()))
    }
}

//! The rules that records must keep together, as named-checkzone and kzonecheck judge them.
//!
//! The invariant: what makes answers wrong or impossible is an error; what is only odd is a warning.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::problem::{Problems, Span};
use super::read::Record;
use super::tree::{Node, RrSet, Tree, Zone};
use crate::kind::Type;
use crate::name::{Name, suffixes};

/// From so many records on, a set has its records hashed to see whether one stands twice; before that they are looked
/// through.
const LARGE_SET: usize = 32;

/// Most bytes of one set's records, owners as pointers: with a question, OPT and a signature they fill a message, whose
/// length has 16 bits.
const MOST_SET_BYTES: usize = 64_000;

/// Builds the zone and judges it. `None` where it has no SOA.
pub(super) fn check(origin: &Name, records: Vec<Record>, problems: &mut Problems) -> Option<Zone> {
    let mut gathered = Gathered::new(origin, records.len());
    for record in records {
        gathered.take(record, problems);
    }
    let Gathered { tree, places, .. } = gathered;
    let rules = Rules { tree: &tree, places: &places };
    rules.check_apex(problems);
    for node in tree.nodes.all() {
        rules.check_node(node, problems);
    }
    tree.into_zone()
}

/// Judges what may be otherwise in a sound zone of which these names have changed, none of them in its delegations. What
/// is found has no place.
pub(super) fn check_again(tree: &Tree, changed: &[Name], problems: &mut Problems) {
    let rules = Rules { tree, places: &Places::default() };
    rules.check_apex(problems);
    let leading = tree.landmarks.leading.iter().filter_map(|place| tree.nodes.at(*place));
    for node in changed.iter().filter_map(|name| rules.get(name)).chain(leading) {
        rules.check_node(node, problems);
    }
}

/// Where each set stands, for messages: most zones need none of it, so that it is put in order when it is first asked for.
#[derive(Default)]
struct Places {
    /// In written order: the place of the owner's node, the type, and where the set's first record stands.
    written: Vec<(usize, Type, Span)>,
    by_set: OnceCell<HashMap<(usize, Type), Span>>,
}

impl Places {
    fn of(&self, node: usize, kind: Type) -> Option<Span> {
        let written = || self.written.iter().map(|(node, kind, span)| ((*node, *kind), *span)).collect();
        self.by_set.get_or_init(written).get(&(node, kind)).copied()
    }
}

/// Records put together to sets.
pub(super) struct Gathered {
    tree: Tree,
    places: Places,
    /// The owner of the record before, and the place of its node: the next record often has the same.
    last: Option<(Name, usize)>,
    /// The records of large sets, with names in lower case.
    large: HashMap<(usize, Type), HashSet<Vec<u8>>>,
}

impl Gathered {
    pub(super) fn new(origin: &Name, records: usize) -> Self {
        let tree = Tree::new(origin, records);
        Self { tree, places: Places::default(), last: None, large: HashMap::new() }
    }

    pub(super) fn into_tree(self) -> Tree {
        self.tree
    }

    pub(super) fn take(&mut self, record: Record, problems: &mut Problems) {
        let Record { owner, ttl, kind, data, span } = record;
        let Some(place) = self.place(&owner, span, problems) else { return };
        let Some(node) = self.tree.nodes.at_mut(place) else { return };
        let Some(set) = node.sets.iter_mut().find(|set| set.kind == kind) else {
            self.places.written.push((place, kind, span));
            // The node is there.
            self.tree.put(place, RrSet { kind, ttl, data: vec![data] });
            return;
        };
        let stands_twice = if set.data.len() < LARGE_SET {
            set.data.iter().any(|known| known.is_same(&data, kind))
        } else {
            let all = || set.data.iter().map(|known| known.folded(kind)).collect();
            !self.large.entry((place, kind)).or_insert_with(all).insert(data.folded(kind))
        };
        if stands_twice {
            problems.warn("zone-duplicate", span, format!("the same {kind} record of `{owner}` stands twice"));
            return;
        }
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

    /// The place of an owner's node; `None` where it does not lie in the zone.
    fn place(&mut self, owner: &Name, span: Span, problems: &mut Problems) -> Option<usize> {
        if let Some((_, place)) = self.last.as_ref().filter(|(last, _)| last == owner) {
            return Some(*place);
        }
        if !owner.is_within(&self.tree.origin) {
            let origin = &self.tree.origin;
            let text = format!("`{owner}` is not in the zone `{origin}`; did you forget or add a final dot?");
            problems.error("zone-foreign-owner", span, text);
            return None;
        }
        let place = self.tree.make(owner)?;
        self.last = Some((owner.clone(), place));
        Some(place)
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
        let place = self.tree.nodes.place(name.as_wire());
        place.and_then(|place| self.places.of(place, kind)).unwrap_or(Span { file: 0, start: 0, end: 0 })
    }

    fn check_apex(&self, problems: &mut Problems) {
        let origin = &self.tree.origin;
        let has = |kind| self.get(origin).is_some_and(|node| node.set(kind).is_some());
        if !has(Type::SOA) {
            let text = format!("the zone has no SOA record; write `{origin} IN SOA ...` first");
            problems.error("zone-soa", self.span(origin, Type::SOA), text);
        } else if !has(Type::NS) {
            let text = format!("the zone's apex `{origin}` has no NS record; write at least one");
            problems.error("zone-ns", self.span(origin, Type::SOA), text);
        }
    }

    fn is_apex(&self, name: &Name) -> bool {
        *name == self.tree.origin
    }

    fn get(&self, name: &Name) -> Option<&Node> {
        self.tree.nodes.get(name.as_wire())
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
            let each = set.data.iter().map(|data| data.as_wire().len().saturating_add(12));
            let bytes = each.fold(0, usize::saturating_add);
            if bytes > MOST_SET_BYTES {
                let text = format!(
                    "the {} records of `{name}` take {bytes} bytes; no answer holds more than {MOST_SET_BYTES}",
                    set.kind
                );
                problems.error("zone-set-too-large", self.span(name, set.kind), text);
            }
            match set.kind {
                Type::NS => self.check_servers(name, set, problems),
                Type::MX | Type::SRV => self.check_targets(name, set, problems),
                Type::SVCB | Type::HTTPS if set.data.iter().any(|data| data.has_idle_parameters(set.kind)) => {
                    let text = format!(
                        "the {} record of `{name}` is an alias (priority 0), whose parameters nobody looks at",
                        set.kind
                    );
                    problems.warn("zone-idle-parameters", self.span(name, set.kind), text);
                }
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
        let apex = self.tree.origin.as_wire().len();
        for suffix in suffixes(node.name.as_wire()).skip(1).take_while(|suffix| suffix.len() >= apex) {
            let Some(above) = self.tree.nodes.get(suffix) else { continue };
            if above.set(Type::DNAME).is_some() {
                let text =
                    format!("`{}` stands below the DNAME at `{}` and can never be reached", node.name, above.name);
                problems.error("zone-dname", self.span(&node.name, first.kind), text);
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
        let span = || self.span(owner, Type::NS);
        for target in set.data.iter().filter_map(|data| data.target(Type::NS)) {
            let node = self.answering_node(&target);
            let has_address = node.is_some_and(|n| n.set(Type::A).is_some() || n.set(Type::AAAA).is_some());
            if node.is_some_and(|n| n.set(Type::CNAME).is_some()) {
                let text = format!("the name server `{target}` is an alias; RFC 2181, 10.3 wants an address there");
                // A zone that cannot be reached by its own servers is broken; a child's is the child's matter.
                match self.is_apex(owner) {
                    true => problems.error("zone-ns-alias", span(), text),
                    false => problems.warn("zone-ns-alias", span(), text),
                }
            } else if !has_address {
                self.check_missing_address(owner, &target, problems);
            }
        }
    }

    fn check_missing_address(&self, owner: &Name, target: &Name, problems: &mut Problems) {
        let span = || self.span(owner, Type::NS);
        let text =
            format!("the name server `{target}` of `{owner}` lies in the zone and has no A or AAAA record; write one");
        match self.standing(target) {
            Standing::Outside => {}
            Standing::Own => problems.error("zone-glue", span(), text),
            Standing::Delegated(cut) if cut == *owner || self.is_apex(owner) => {
                problems.error("zone-glue", span(), text)
            }
            // The server's address can be had from the other delegation.
            Standing::Delegated(_) => problems.warn("zone-glue", span(), text),
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
        let above: Vec<&[u8]> = suffixes(name.as_wire()).take_while(|suffix| suffix.len() > apex).collect();
        // The topmost cut counts: what lies below it is all of the child's making.
        let cut = above.iter().rev().filter_map(|s| self.tree.nodes.get(s)).find(|n| n.set(Type::NS).is_some());
        cut.map_or(Standing::Own, |node| Standing::Delegated(node.name.clone()))
    }
}

//! The look-up: RFC 1034, 4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672) and negative answers (RFC 2308).
//!
//! One zone answers; a chain that leaves it ends there, also where a deeper zone of ours begins: resolvers ask again for
//! what is beyond, since they do not trust what they did not ask its zone for. The invariant: a chain has at most [`caps::DNS_CHAIN`] links and never comes to a name twice. Where DNAME leads
//! into itself the answer holds the links up to that bound; a positive answer carries the zone's NS records and
//! their addresses, which are left out where room ends.

use std::borrow::Cow;

use evenkeel_model::caps;

use super::balanced::Health;
use super::respond::Asker;
use super::{Served, Zones};
use crate::kind::{ExtendedError, Rcode, Type};
use crate::name::{Name, suffixes};
use crate::rdata::Rdata;
use crate::wire::{Need, Question, Response, Set};
use crate::zone::{Node, Zone};

/// Answers a question of class IN; whoever understands DNSSEC (`dnssec_ok`) gets what belongs to it as well.
pub fn answer<'z>(
    question: &Question,
    dnssec_ok: bool,
    zones: &'z Zones,
    health: &Health<'_>,
    asker: &Asker,
) -> Response<'z> {
    let Some(served) = zones.find(&question.name, question.kind) else {
        return Response::bare(Rcode::Refused, Some(ExtendedError::NotAuthoritative));
    };
    let response = Response { authoritative: true, ..Response::bare(Rcode::NoError, None) };
    let (zone, kind) = (&served.zone, question.kind);
    let mut lookup = Lookup { zones, served, zone, kind, dnssec_ok, health, asker, response };
    lookup.run(&question.name);
    lookup.response
}

/// Where a name leads to.
enum Found<'z> {
    /// The name is there.
    Exact(&'z Node),
    /// The name is not there; this wildcard covers it.
    Wildcard(&'z Node),
    /// Neither the name nor a wildcard is there.
    Nothing,
    /// The name lies at or below this delegation.
    Delegation(&'z Node),
    /// The name lies below this node, which has a DNAME.
    Dname(&'z Node),
}

/// What became of one link.
enum Step {
    /// The answer is complete.
    Done,
    /// The chain goes on at this name.
    Follow(Name),
}

struct Lookup<'a, 'z> {
    zones: &'z Zones,
    served: &'z Served,
    zone: &'z Zone,
    kind: Type,
    dnssec_ok: bool,
    health: &'a Health<'a>,
    asker: &'a Asker,
    response: Response<'z>,
}

impl<'z> Lookup<'_, 'z> {
    fn run(&mut self, asked: &Name) {
        let mut name = asked.clone();
        let mut seen: Vec<Name> = Vec::new();
        loop {
            seen.push(name.clone());
            let Step::Follow(next) = self.step(&name) else { return };
            let stays = self.zones.find(&next, self.kind).is_some_and(|found| std::ptr::eq(found, self.served));
            if !stays || seen.contains(&next) || seen.len() >= caps::DNS_CHAIN {
                return;
            }
            name = next;
        }
    }

    fn step(&mut self, name: &Name) -> Step {
        match find(self.zone, name, self.kind) {
            Found::Exact(node) => self.at_node(node, name, false),
            Found::Wildcard(node) => self.at_node(node, name, true),
            Found::Nothing => {
                self.response.rcode = Rcode::NxDomain;
                self.negative();
                Step::Done
            }
            Found::Delegation(node) => {
                self.refer(node);
                Step::Done
            }
            Found::Dname(node) => self.substitute(node, name),
        }
    }

    fn at_node(&mut self, node: &'z Node, name: &Name, synthesised: bool) -> Step {
        let owner = || if synthesised { Cow::Owned(name.clone()) } else { Cow::Borrowed(&node.name) };
        if matches!(self.kind, Type::A | Type::AAAA)
            && let Some(step) = self.balanced(node, name)
        {
            return step;
        }
        if let Some(set) = node.set(Type::CNAME)
            && self.kind != Type::CNAME
        {
            self.response.answer.push(Set::of(owner(), set, Need::Must));
            let target = set.data.first().and_then(|data| data.target(Type::CNAME));
            return target.filter(|_| self.kind != Type::ANY).map_or(Step::Done, Step::Follow);
        }
        if self.kind == Type::ANY && (!node.sets.is_empty() || self.served.balanced(&node.name).is_some()) {
            self.response.answer.push(any_answer(name));
            return Step::Done;
        }
        let Some(set) = node.set(self.kind) else {
            self.negative();
            return Step::Done;
        };
        let set = Set::of(owner(), set, Need::Must);
        let is_apex_ns = self.kind == Type::NS && !synthesised && node.name == *self.zone.origin();
        self.additional_for(name, &set.data, set.kind);
        self.response.answer.push(set);
        if !is_apex_ns {
            self.positive_authority();
        }
        Step::Done
    }

    /// The addresses of a name whose addresses are chosen now. `None` where they are not, or where the set is
    /// configured to have no address of the family asked for.
    fn balanced(&mut self, node: &'z Node, name: &Name) -> Option<Step> {
        let balanced = self.served.balanced(&node.name)?;
        if !self.health.ready || !balanced.has_candidates(self.health, self.asker) {
            self.response = Response::bare(Rcode::ServFail, Some(ExtendedError::NotReady));
            return Some(Step::Done);
        }
        let picked = balanced.pick(self.kind, self.health, self.asker);
        if picked.data.is_empty() {
            return None;
        }
        self.response.answer.push(Set {
            owner: Cow::Owned(name.clone()),
            kind: self.kind,
            ttl: picked.ttl,
            data: Cow::Owned(picked.data),
            need: Need::Must,
        });
        self.positive_authority();
        Some(Step::Done)
    }

    /// RFC 6672, 3.2: the DNAME, the CNAME made from it, and the chain goes on; a name too long is YXDOMAIN.
    fn substitute(&mut self, node: &'z Node, name: &Name) -> Step {
        let Some(set) = node.set(Type::DNAME) else { return Step::Done };
        let is_there = self.response.answer.iter().any(|s| s.kind == Type::DNAME && *s.owner == node.name);
        if !is_there {
            self.response.answer.push(Set::of(Cow::Borrowed(&node.name), set, Need::Must));
        }
        let Some(target) = set.data.first().and_then(|data| data.target(Type::DNAME)) else { return Step::Done };
        match name.rebase(&node.name, &target) {
            Ok(Some(next)) => {
                self.response.answer.push(Set {
                    owner: Cow::Owned(name.clone()),
                    kind: Type::CNAME,
                    ttl: set.ttl,
                    data: Cow::Owned(vec![Rdata::name(&next)]),
                    need: Need::Must,
                });
                if self.kind == Type::CNAME || self.kind == Type::ANY { Step::Done } else { Step::Follow(next) }
            }
            Ok(None) => Step::Done,
            Err(_) => {
                self.response.rcode = Rcode::YxDomain;
                Step::Done
            }
        }
    }

    fn refer(&mut self, node: &'z Node) {
        let Some(set) = node.set(Type::NS) else { return };
        if self.response.answer.is_empty() {
            self.response.authoritative = false;
        }
        self.response.authority.push(Set::of(Cow::Borrowed(&node.name), set, Need::Must));
        // RFC 4035, 3.1: nobody else is sent it unasked.
        if let Some(ds) = node.set(Type::DS).filter(|_| self.dnssec_ok) {
            self.response.authority.push(Set::of(Cow::Borrowed(&node.name), ds, Need::May));
        }
        for target in set.data.iter().filter_map(|data| data.target(Type::NS)) {
            // RFC 9471: without the addresses of servers below the cut nobody gets on.
            let need = if target.is_within(&node.name) { Need::Must } else { Need::May };
            self.addresses(&target, need);
        }
    }

    /// RFC 2308, 3: the SOA, kept no longer than its minimum.
    fn negative(&mut self) {
        let mut soa = Set::of(Cow::Borrowed(self.zone.origin()), self.zone.soa_set(), Need::Must);
        soa.ttl = soa.ttl.min(self.zone.soa().minimum);
        self.response.authority.push(soa);
    }

    fn positive_authority(&mut self) {
        let apex = self.zone.node(self.zone.origin());
        if let Some(set) = apex.and_then(|node| node.set(Type::NS)) {
            let set = Set::of(Cow::Borrowed(self.zone.origin()), set, Need::May);
            self.additional_for(self.zone.origin(), &set.data, Type::NS);
            self.response.authority.push(set);
        }
    }

    fn additional_for(&mut self, owner: &Name, data: &[Rdata], kind: Type) {
        if !matches!(kind, Type::NS | Type::MX | Type::SRV | Type::SVCB | Type::HTTPS) {
            return;
        }
        for target in data.iter().filter_map(|data| data.target(kind)) {
            // RFC 9460, 2.5.2: a service's target `.` is its owner.
            let is_owner = target.is_root() && matches!(kind, Type::SVCB | Type::HTTPS);
            self.addresses(if is_owner { owner } else { &target }, Need::May);
        }
    }

    /// The addresses of a name as the zone has them, glue included. Those that are chosen by health are left to the query
    /// for them, which gets what is healthy then.
    fn addresses(&mut self, target: &Name, need: Need) {
        let zone = self.zone;
        let Some(node) = zone.node(target).filter(|_| target.is_within(zone.origin())) else { return };
        if self.served.balanced(&node.name).is_some() {
            return;
        }
        for kind in [Type::A, Type::AAAA] {
            let same = |s: &Set<'_>| s.kind == kind && *s.owner == node.name;
            if !self.response.answer.iter().chain(&self.response.additional).any(same) {
                let set = node.set(kind).map(|set| Set::of(Cow::Borrowed(&node.name), set, need));
                self.response.additional.extend(set);
            }
        }
    }
}

/// RFC 8482, 4.2: one small record instead of everything.
fn any_answer<'z>(name: &Name) -> Set<'z> {
    let text = Rdata::from_wire(Type::HINFO, b"\x07RFC8482\x00");
    Set {
        owner: Cow::Owned(name.clone()),
        kind: Type::HINFO,
        // As long as an answer to ANY may be kept: it never changes.
        ttl: 3600,
        data: Cow::Owned(text.into_iter().collect()),
        need: Need::Must,
    }
}

/// Walks down from the apex.
fn find<'z>(zone: &'z Zone, name: &Name, kind: Type) -> Found<'z> {
    let apex = zone.origin().as_wire().len();
    let down: Vec<&[u8]> = suffixes(name.as_wire()).take_while(|suffix| suffix.len() >= apex).collect();
    let mut encloser: Option<&Node> = None;
    for suffix in down.into_iter().rev() {
        let is_asked = suffix.len() == name.as_wire().len();
        let Some(node) = zone.node_at(suffix) else {
            return encloser.map_or(Found::Nothing, |node| wildcard(zone, node));
        };
        let is_cut = suffix.len() > apex && node.set(Type::NS).is_some();
        // DS at the cut is the parent's own data.
        if is_cut && !(is_asked && kind == Type::DS) {
            return Found::Delegation(node);
        }
        if is_asked {
            return Found::Exact(node);
        }
        if node.set(Type::DNAME).is_some() {
            return Found::Dname(node);
        }
        encloser = Some(node);
    }
    Found::Nothing
}

/// RFC 4592, 3.3.1: the wildcard directly below the closest encloser, and no other.
fn wildcard<'z>(zone: &'z Zone, encloser: &'z Node) -> Found<'z> {
    let mut source = vec![1, b'*'];
    source.extend_from_slice(encloser.name.as_wire());
    zone.node_at(&source).map_or(Found::Nothing, Found::Wildcard)
}

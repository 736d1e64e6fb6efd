//! Who should own a group, of those that could.
//!
//! Every node computes this from its own view. Views differ for a while; claims decide then. The invariant: two nodes
//! with the same view get the same order.

use std::cmp::Ordering;

use evenkeel_model::caps;

/// How well a node can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quality {
    /// It can serve at all, and reaches the network.
    pub(crate) is_usable: bool,
    /// It reaches the network.
    pub(crate) reaches: bool,
    /// 0: nothing of its capacity is left, 1: less than half, 2: half or more. Finer steps would move a group for
    /// each server that is restarted.
    pub(crate) class: u8,
}

impl Quality {
    pub(crate) fn of(score: u8, reaches: bool) -> Self {
        let class = match score {
            0 => 0,
            1..50 => 1,
            _ => 2,
        };
        Self { is_usable: class > 0 && reaches, reaches, class }
    }
}

/// A node that could own a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) member: usize,
    /// The last owner meant it for this one.
    pub(crate) is_target: bool,
    pub(crate) is_away: bool,
    pub(crate) quality: Quality,
    /// In the order of preference.
    pub(crate) place: usize,
}

impl Candidate {
    /// Less: the better one.
    fn order(&self, other: &Self) -> Ordering {
        let first = self.is_away.cmp(&other.is_away).then(other.is_target.cmp(&self.is_target));
        first.then(other.quality.cmp(&self.quality)).then(self.place.cmp(&other.place))
    }
}

/// The nodes that could own a group, at most one for each member.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Candidates([Option<Candidate>; caps::CLUSTER_NODES]);

impl Candidates {
    /// Adds a member; each has its own place.
    pub(crate) fn add(&mut self, candidate: Candidate) {
        if let Some(place) = self.0.get_mut(candidate.member) {
            *place = Some(candidate);
        }
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, member: usize) {
        if let Some(place) = self.0.get_mut(member) {
            *place = None;
        }
    }

    /// How many come before that member. `None`: it is no candidate.
    pub(crate) fn rank(&self, member: usize) -> Option<usize> {
        let own = self.get(member)?;
        Some(self.iter().filter(|other| other.order(own) == Ordering::Less).count())
    }

    /// The best.
    pub(crate) fn best(&self) -> Option<&Candidate> {
        self.iter().min_by(|first, second| first.order(second))
    }

    /// The one of that member.
    pub(crate) fn get(&self, member: usize) -> Option<&Candidate> {
        self.0.get(member).and_then(Option::as_ref)
    }

    fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(member: usize, score: u8, reaches: bool) -> Candidate {
        let quality = Quality::of(score, reaches);
        Candidate { member, is_target: false, is_away: false, quality, place: member }
    }

    fn all(list: &[Candidate]) -> Candidates {
        let mut candidates = Candidates::default();
        list.iter().for_each(|candidate| candidates.add(*candidate));
        candidates
    }

    fn best(list: &[Candidate]) -> usize {
        all(list).best().unwrap().member
    }

    #[test]
    fn preference_decides_among_equals_and_only_there() {
        assert_eq!(best(&[candidate(1, 100, true), candidate(0, 60, true)]), 0);
        assert_eq!(best(&[candidate(0, 49, true), candidate(1, 50, true)]), 1);
        assert_eq!(best(&[candidate(0, 100, false), candidate(1, 1, true)]), 1);
    }

    #[test]
    fn who_reaches_the_network_with_nothing_to_serve_comes_before_who_does_not() {
        assert_eq!(best(&[candidate(0, 0, false), candidate(1, 0, true)]), 1);
    }

    #[test]
    fn when_all_lost_the_network_nothing_changes() {
        assert_eq!(best(&[candidate(0, 100, false), candidate(1, 100, false)]), 0);
    }

    #[test]
    fn an_order_of_the_operator_comes_first() {
        let away = Candidate { is_away: true, ..candidate(0, 100, true) };
        let target = Candidate { is_target: true, ..candidate(2, 10, true) };
        let list = [away, candidate(1, 100, true), target];
        assert_eq!(best(&list), 2);
        assert_eq!([0, 1, 2, 9].map(|member| all(&list).rank(member)), [Some(2), Some(1), Some(0), None]);
    }
}

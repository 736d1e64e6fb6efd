//! Who is next: choosing one server of a pool for one request.
//!
//! A [`Picker`] is one worker's memory for one pool; the [`Plan`] says who may be chosen at all, and the request says
//! what it has tried. One file holds each rule. The invariant: a picker never names a server that is outside the plan's
//! tiers, was tried, or is full.

mod hash;
mod least_conn;
mod round_robin;
mod two_choices;

#[cfg(test)]
mod tests;

use self::round_robin::RoundRobin;
use crate::plan::{Active, Rule, Tier};
use crate::{Plan, Rng, ServerIndex, ServerSet};

/// What servers carry at present, over all workers.
pub trait Loads {
    /// Requests in flight on the server.
    fn in_flight(&self, index: ServerIndex) -> u32;

    /// Whether the server takes no more requests at present.
    fn is_full(&self, index: ServerIndex) -> bool;
}

/// One request's question.
pub struct Ask<'a> {
    /// What the pool's hash is taken of, by [`hash_key`](crate::hash_key). `None` where the pool does not hash, or
    /// the request lacks what is hashed (no such cookie): it is then balanced in turn.
    pub key: Option<u64>,
    /// Servers that failed this request already. Pass an empty set to let the same server be asked again.
    pub tried: &'a ServerSet,
    /// What the servers carry.
    pub loads: &'a dyn Loads,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This one. Its slot is not taken yet: another worker may be faster, so pick again if taking it fails.
    Server(ServerIndex),
    /// Some could serve, and all of them are full: wait in the queue.
    AllFull,
    /// Nobody may be asked (any more).
    None,
}

/// What one worker remembers between its choices in one pool.
///
/// It may be asked with another [`Plan`] at any time: what it remembers of servers that are still there, by name,
/// is kept.
#[derive(Debug, Clone, Default)]
pub struct Picker {
    turns: RoundRobin,
}

impl Picker {
    /// A picker that has chosen nothing yet. Its first choice is random, so that workers do not march in step.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a server. Backups are asked when no primary is left, be it that none is alive, or that this request
    /// has tried them all; primaries that are merely full are waited for.
    pub fn pick(&mut self, plan: &Plan, ask: &Ask<'_>, rng: &mut Rng) -> Pick {
        self.turns.adopt(plan, rng);
        for tier in &plan.tiers {
            let field = Field { tier, ask };
            if let Some(index) = self.pick_among(&field, plan.rule, rng) {
                return Pick::Server(index);
            }
            if tier.active.iter().any(|active| !ask.tried.contains(active.index)) {
                return Pick::AllFull;
            }
        }
        Pick::None
    }

    fn pick_among(&mut self, field: &Field<'_>, rule: Rule, rng: &mut Rng) -> Option<ServerIndex> {
        match (rule, field.ask.key) {
            (Rule::RoundRobin, _) | (Rule::Hash { .. }, None) => self.turns.next(field.candidates()),
            (Rule::LeastConn, _) => least_conn::pick(field, &mut self.turns),
            (Rule::TwoChoices, _) => two_choices::pick(field, rng),
            (Rule::Hash { bound }, Some(key)) => hash::pick(field, key, bound),
        }
    }
}

/// The servers of one tier, before one request.
struct Field<'a> {
    tier: &'a Tier,
    ask: &'a Ask<'a>,
}

impl<'a> Field<'a> {
    /// Those that can take this request now.
    fn candidates(&self) -> impl Iterator<Item = &'a Active> {
        self.tier.active.iter().filter(|active| self.is_free(active))
    }

    fn is_free(&self, active: &Active) -> bool {
        !self.ask.tried.contains(active.index) && !self.ask.loads.is_full(active.index)
    }

    fn in_flight(&self, active: &Active) -> u32 {
        self.ask.loads.in_flight(active.index)
    }
}

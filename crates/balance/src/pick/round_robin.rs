//! In turn, by weight, evenly spread: smooth weighted round robin.
//!
//! Each candidate gains its share, the one with the most is chosen and pays what all gained together. Weights 5, 1, 1
//! give `a a b a c a a`, not five times `a` in a row. Over one cycle (the sum of the shares over their greatest common
//! divisor) each server is chosen exactly in proportion.

use evenkeel_model::ServerName;

use crate::plan::Active;
use crate::{Plan, Rng, ServerIndex};

/// The longest head start of a new picker, in turns: enough to tell workers apart, and bounded work for big pools.
const HEAD_START: u64 = 1024;

/// What each server has gained, by position, with the names that the positions stood for.
#[derive(Debug, Clone, Default)]
pub(super) struct RoundRobin {
    print: Option<u64>,
    names: Vec<ServerName>,
    gained: Vec<i64>,
}

impl RoundRobin {
    /// Makes the memory fit the plan. Called at each pick, and cheap where the list of names is the one before.
    pub(super) fn adopt(&mut self, plan: &Plan, rng: &mut Rng) {
        if self.print == Some(plan.names_print) {
            return;
        }
        let is_new = self.print.is_none();
        let gained = plan.names.iter().map(|name| self.gained_by(name)).collect();
        self.names.clone_from(&plan.names);
        self.gained = gained;
        self.print = Some(plan.names_print);
        if is_new && let Some(tier) = plan.tiers.first() {
            // A cycle is never longer than the shares' sum; a start anywhere in it is as good as another.
            let cycle: u64 = tier.active.iter().map(|active| u64::from(active.share)).sum();
            for _ in 0..rng.below(cycle.min(HEAD_START) as u32) {
                self.next(tier.active.iter());
            }
        }
    }

    /// Who is next among the candidates; the others neither gain nor pay.
    pub(super) fn next<'a>(&mut self, candidates: impl Iterator<Item = &'a Active>) -> Option<ServerIndex> {
        let mut total = 0;
        let mut best: Option<(ServerIndex, i64)> = None;
        for active in candidates {
            let Some(gained) = self.gained.get_mut(active.index.at()) else { continue };
            let share = i64::from(active.share);
            *gained += share;
            total += share;
            if best.is_none_or(|(_, most)| *gained > most) {
                best = Some((active.index, *gained));
            }
        }
        let (index, _) = best?;
        if let Some(gained) = self.gained.get_mut(index.at()) {
            *gained -= total;
        }
        Some(index)
    }

    fn gained_by(&self, name: &ServerName) -> i64 {
        let place = self.names.iter().position(|held| held == name);
        place.and_then(|place| self.gained.get(place)).copied().unwrap_or(0)
    }
}

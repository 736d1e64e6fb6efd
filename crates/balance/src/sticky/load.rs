//! The bound on what sessions may put on one server.

use crate::pick::Loads;
use crate::{Plan, ServerIndex};

/// Requests in flight up to which no server counts as loaded too much: the six connections of a few browsers on a quiet
/// site are no flood, and sending one of them elsewhere would cost its user the session.
pub(crate) const QUIET: u64 = 32;

/// Whether the server carries more than `percent` of its share of all that the pool carries. A server that takes no new
/// sessions has no share to compare with, and is never over.
pub fn is_over(plan: &Plan, index: ServerIndex, loads: &dyn Loads, percent: u16) -> bool {
    let own = u64::from(loads.in_flight(index));
    if own < QUIET {
        return false;
    }
    let Some((tier, active)) =
        plan.tiers.iter().find_map(|tier| Some((tier, tier.active.iter().find(|active| active.index == index)?)))
    else {
        return false;
    };
    let (in_flight, shares) = tier.active.iter().fold((0, 0), |(load, shares), active| {
        (load + u64::from(loads.in_flight(active.index)), shares + u64::from(active.share))
    });
    let even = u128::from(in_flight + 1) * u128::from(active.share) * u128::from(percent);
    u128::from(own) >= even.div_ceil(u128::from(shares.max(1)) * 100)
}

//! The one with the fewest requests in flight for its weight; those that tie take turns.
//!
//! Turns among ties keep a quiet pool evenly used (with nothing in flight, all tie), and they differ between workers,
//! so that workers that see the same idle server do not all send their next request there.

use std::cmp::Ordering;

use super::Field;
use super::round_robin::RoundRobin;
use crate::ServerIndex;
use crate::plan::Active;

pub(super) fn pick(field: &Field<'_>, turns: &mut RoundRobin) -> Option<ServerIndex> {
    let mut best: Option<(&Active, u32)> = None;
    for active in field.candidates() {
        let load = field.in_flight(active);
        if best.is_none_or(|best| by_load((active, load), best) == Ordering::Less) {
            best = Some((active, load));
        }
    }
    let best = best?;
    let ties =
        field.candidates().filter(|active| by_load((active, field.in_flight(active)), best) != Ordering::Greater);
    // Loads move while we look: where the tied ones have all become busier, the best one seen will do.
    turns.next(ties).or(Some(best.0.index))
}

/// Compares `load / share` without dividing: shares stay below 2^20 and loads below 2^32.
pub(super) fn by_load((a, load_a): (&Active, u32), (b, load_b): (&Active, u32)) -> Ordering {
    let left = u64::from(load_a) * u64::from(b.share);
    let right = u64::from(load_b) * u64::from(a.share);
    left.cmp(&right)
}

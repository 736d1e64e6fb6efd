//! Two at random by weight, then the less loaded of them.
//!
//! Close to least-conn in evenness, without its herd: however stale the loads, half of the workers look elsewhere
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).

use std::cmp::Ordering;

use super::Field;
use super::least_conn::by_load;
use crate::plan::Active;
use crate::{Rng, ServerIndex};

pub(super) fn pick(field: &Field<'_>, rng: &mut Rng) -> Option<ServerIndex> {
    let first = draw(field, None, rng)?;
    let Some(second) = draw(field, Some(first.index), rng) else { return Some(first.index) };
    let order = by_load((second, field.in_flight(second)), (first, field.in_flight(first)));
    Some(if order == Ordering::Less { second.index } else { first.index })
}

/// Draws one candidate in proportion to the shares.
fn draw<'a>(field: &Field<'a>, except: Option<ServerIndex>, rng: &mut Rng) -> Option<&'a Active> {
    let others = || field.candidates().filter(|active| Some(active.index) != except);
    // 1024 servers of share 10^6 make 2^30 at most.
    let total: u32 = others().map(|active| active.share).sum();
    let mut left = rng.below(total);
    let mut last = None;
    for active in others() {
        last = Some(active);
        match left.checked_sub(active.share) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    // A server may fill up between the two looks, so that the draw runs past the end: then the last one has it.
    last
}

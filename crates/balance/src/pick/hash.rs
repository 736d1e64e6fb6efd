//! By key: the same key finds the same server while that server lives, and no server takes much more than its share.
//!
//! Up to 64 servers, the nearest by weighted rendezvous hashing; above, a table. A server that was tried, is full or
//! is over the bound passes the key to the one that is next for that key, the same one on every balancer.

use super::Field;
use crate::ServerIndex;
use crate::hashing::distance;
use crate::plan::{Active, FULL_RAMP, Table};
use crate::rng::scatter;
use crate::sticky::QUIET;

/// How often a key may meet a server that cannot take it before the table is left for a look at all servers. With
/// half of the servers out, one key in 65536 gets that far.
const ATTEMPTS: u64 = 16;

pub(super) fn pick(field: &Field<'_>, key: u64, bound: Option<u16>) -> Option<ServerIndex> {
    let mut limit = Limit { field, bound, sums: None };
    match &field.tier.table {
        Some(table) => by_table(field, table, key, &mut limit),
        None => by_distance(field, key, &mut limit),
    }
}

/// The nearest candidate within the bound; where the bound excludes all that are left, the nearest.
fn by_distance(field: &Field<'_>, key: u64, limit: &mut Limit<'_>) -> Option<ServerIndex> {
    let first = nearest(key, field.candidates())?;
    if limit.admits(first) {
        return Some(first.index);
    }
    let within = nearest(key, field.candidates().filter(|active| limit.admits(active)));
    Some(within.unwrap_or(first).index)
}

fn nearest<'a>(key: u64, candidates: impl Iterator<Item = &'a Active>) -> Option<&'a Active> {
    candidates
        .map(|active| (distance(key, active.identity, active.share), active))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, active)| active)
}

fn by_table(field: &Field<'_>, table: &Table, key: u64, limit: &mut Limit<'_>) -> Option<ServerIndex> {
    for attempt in 0..ATTEMPTS {
        let place = table.places.get(table.maglev.rank(key, attempt)).copied().flatten();
        let Some(active) = place.and_then(|place| field.tier.active.get(usize::from(place))) else { continue };
        if field.is_free(active) && is_ramped_for(active, key) && limit.admits(active) {
            return Some(active.index);
        }
    }
    by_distance(field, key, limit)
}

/// Whether a server in slow start has the key already: the table knows its whole weight only, so that a growing part
/// of its keys is let through, always the same ones.
fn is_ramped_for(active: &Active, key: u64) -> bool {
    let part = scatter(key.rotate_left(32) ^ active.identity) % u64::from(FULL_RAMP);
    part < u64::from(active.ramp)
}

/// The bound on one server's load: so many percent of what it would carry if all loads were even, this request
/// included (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018).
struct Limit<'a> {
    field: &'a Field<'a>,
    bound: Option<u16>,
    /// Requests in flight on the tier and the sum of its shares, once they are needed.
    sums: Option<(u64, u64)>,
}

impl Limit<'_> {
    fn admits(&mut self, active: &Active) -> bool {
        let load = u64::from(self.field.in_flight(active));
        // A client with two requests at a time does not change servers for it; quiet pools never need the sums.
        self.bound.is_none_or(|bound| load < QUIET || load < self.most(active, bound))
    }

    fn most(&mut self, active: &Active, bound: u16) -> u64 {
        let field = self.field;
        let (in_flight, shares) = *self.sums.get_or_insert_with(|| {
            let all = field.tier.active.iter();
            all.fold((0, 0), |(load, shares), active| {
                (load + u64::from(field.in_flight(active)), shares + u64::from(active.share))
            })
        });
        let even = u128::from(in_flight + 1) * u128::from(active.share) * u128::from(bound);
        let most = even.div_ceil(u128::from(shares.max(1)) * 100);
        u64::try_from(most).unwrap_or(u64::MAX)
    }
}

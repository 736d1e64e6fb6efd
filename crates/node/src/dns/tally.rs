//! What one thread has answered: counters that only it writes and anybody reads.
//!
//! The invariant: a count is never lost, since nobody else adds to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_dns::Rcode;
use evenkeel_model::caps;

/// Outcomes that are counted by name, in the order of their counters.
const RCODES: [Rcode; 10] = [
    Rcode::NoError,
    Rcode::FormErr,
    Rcode::ServFail,
    Rcode::NxDomain,
    Rcode::NotImp,
    Rcode::Refused,
    Rcode::YxDomain,
    Rcode::NotAuth,
    Rcode::BadVers,
    Rcode::BadCookie,
];

/// The counters of one thread.
#[derive(Debug)]
pub(crate) struct Tally {
    queries: AtomicU64,
    dropped: AtomicU64,
    slipped: AtomicU64,
    limited: AtomicU64,
    truncated: AtomicU64,
    transfers: AtomicU64,
    refused: AtomicU64,
    rcodes: [AtomicU64; RCODES.len()],
    /// Queries by the zone's number.
    zones: Box<[AtomicU64]>,
    is_tcp: bool,
}

/// One writer: a load and a store are cheaper than a locked addition, and as good.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

impl Tally {
    pub(super) fn new(is_tcp: bool) -> Self {
        Self {
            queries: AtomicU64::default(),
            dropped: AtomicU64::default(),
            slipped: AtomicU64::default(),
            limited: AtomicU64::default(),
            truncated: AtomicU64::default(),
            transfers: AtomicU64::default(),
            refused: AtomicU64::default(),
            rcodes: Default::default(),
            zones: (0..caps::DNS_COUNTED_ZONES).map(|_| AtomicU64::default()).collect(),
            is_tcp,
        }
    }

    /// It was about the zone of that number.
    pub(super) fn zone(&self, number: Option<u16>) {
        if let Some(counter) = number.and_then(|number| self.zones.get(usize::from(number))) {
            bump(counter);
        }
    }

    /// A message came in.
    pub(super) fn query(&self) {
        bump(&self.queries);
    }

    /// It got no answer, being none that can be answered.
    pub(super) fn dropped(&self) {
        bump(&self.dropped);
    }

    /// It got no answer, its client being past its allowance.
    pub(super) fn limited(&self) {
        bump(&self.limited);
    }

    /// It got a cut answer, its client being past its allowance.
    pub(super) fn slipped(&self) {
        bump(&self.slipped);
    }

    /// A zone was transferred.
    pub(super) fn transfer(&self) {
        bump(&self.transfers);
    }

    /// A zone was not transferred, since nothing allows it.
    pub(super) fn transfer_refused(&self) {
        bump(&self.refused);
    }

    /// It got an answer.
    pub(super) fn answered(&self, rcode: Rcode, truncated: bool) {
        if let Some(counter) = RCODES.iter().position(|known| *known == rcode).and_then(|at| self.rcodes.get(at)) {
            bump(counter);
        }
        if truncated {
            bump(&self.truncated);
        }
    }
}

/// What all threads have answered since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsTotals {
    /// Queries over UDP.
    pub udp: u64,
    /// Queries over TCP.
    pub tcp: u64,
    /// Messages without an answer: responses, and what is too short to be a message.
    pub dropped: u64,
    /// Answers that were not sent because their client was past its allowance.
    pub limited: u64,
    /// Answers that were cut for that reason.
    pub slipped: u64,
    /// Answers that were cut, for whatever reason.
    pub truncated: u64,
    /// Zones transferred.
    pub transfers: u64,
    /// Transfers refused.
    pub refused_transfers: u64,
    /// Answers by their response code.
    pub rcodes: BTreeMap<&'static str, u64>,
    /// Queries by the zone that they were about.
    pub zones: BTreeMap<String, u64>,
}

/// Under which number each zone's queries are counted, for as long as the process runs: a zone that comes back counts
/// on. Past the cap zones are not counted.
#[derive(Debug, Default)]
pub(crate) struct ZoneNumbers(Vec<String>);

impl ZoneNumbers {
    /// The number of a zone, a new one where it has none yet.
    pub(super) fn number(&mut self, zone: &str) -> u16 {
        let place = self.0.iter().position(|known| known == zone).unwrap_or_else(|| {
            if self.0.len() < caps::DNS_COUNTED_ZONES {
                self.0.push(zone.to_owned());
                self.0.len().saturating_sub(1)
            } else {
                caps::DNS_COUNTED_ZONES
            }
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

impl DnsTotals {
    pub(super) fn of(tallies: &[Arc<Tally>], numbers: &ZoneNumbers) -> Self {
        let mut totals = Self::default();
        for tally in tallies {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let queries = if tally.is_tcp { &mut totals.tcp } else { &mut totals.udp };
            *queries = queries.saturating_add(read(&tally.queries));
            totals.dropped = totals.dropped.saturating_add(read(&tally.dropped));
            totals.limited = totals.limited.saturating_add(read(&tally.limited));
            totals.slipped = totals.slipped.saturating_add(read(&tally.slipped));
            totals.truncated = totals.truncated.saturating_add(read(&tally.truncated));
            totals.transfers = totals.transfers.saturating_add(read(&tally.transfers));
            totals.refused_transfers = totals.refused_transfers.saturating_add(read(&tally.refused));
            for (rcode, counter) in RCODES.iter().zip(&tally.rcodes) {
                let sum = totals.rcodes.entry(rcode.as_str()).or_default();
                *sum = sum.saturating_add(read(counter));
            }
            for (zone, counter) in numbers.0.iter().zip(&tally.zones) {
                let sum = totals.zones.entry(zone.clone()).or_default();
                *sum = sum.saturating_add(read(counter));
            }
        }
        totals
    }
}

//! One counter and one histogram over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_model::caps;

use crate::report::{Latency, LiveReport};

/// What is remembered of one listener, pool or server.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// When it was counted last, and what the counter was.
    last: Option<(Duration, u64)>,
    /// Requests a second between two countings, the latest last.
    rates: VecDeque<f64>,
    /// The histograms of the last minute, the latest last.
    latencies: VecDeque<Latency>,
}

impl Track {
    /// Takes what the counter and the histogram are by now.
    pub(super) fn count(&mut self, now: Duration, requests: u64, latency: Option<&Latency>) {
        if let Some((then, before)) = self.last {
            let passed = now.saturating_sub(then).as_secs_f64();
            if passed > 0.0 {
                // A counter that went back began anew.
                let more = requests.checked_sub(before).unwrap_or(requests);
                push(&mut self.rates, more as f64 / passed, caps::LIVE_RATES);
            }
        }
        self.last = Some((now, requests));
        if let Some(latency) = latency {
            push(&mut self.latencies, latency.clone(), caps::LIVE_LATENCIES);
        }
    }

    /// What is known, once two countings are.
    pub(super) fn live(&self) -> Option<LiveReport> {
        let rate = *self.rates.back()?;
        let (p50_ms, p95_ms) = percentiles([self].into_iter());
        Some(LiveReport { requests_per_s: rate, p50_ms, p95_ms, recent: self.rates.iter().copied().collect() })
    }

    /// The requests of the last minute by how long they took: bounds, each with those up to it.
    fn minute(&self) -> Option<Vec<(f64, u64)>> {
        let (first, last) = (self.latencies.front()?, self.latencies.back()?);
        let before = |index: usize| first.buckets.get(index).map_or(0, |(_, count)| *count);
        let buckets = last.buckets.iter().enumerate();
        let mut minute: Vec<_> =
            buckets.map(|(at, (bound, count))| (*bound, count.saturating_sub(before(at)))).collect();
        minute.push((f64::INFINITY, last.count.saturating_sub(first.count)));
        Some(minute)
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T, cap: usize) {
    if ring.len() >= cap {
        ring.pop_front();
    }
    ring.push_back(value);
}

/// The time within which half, and 95 in a hundred, of the requests of the last minute were answered, in milliseconds.
pub(super) fn percentiles<'a>(tracks: impl Iterator<Item = &'a Track>) -> (Option<f64>, Option<f64>) {
    let mut all: Vec<(f64, u64)> = Vec::new();
    for minute in tracks.filter_map(Track::minute) {
        if all.is_empty() {
            all = minute;
            continue;
        }
        for (sum, (_, count)) in all.iter_mut().zip(minute) {
            sum.1 = sum.1.saturating_add(count);
        }
    }
    (quantile(&all, 0.5), quantile(&all, 0.95))
}

/// The quantile in milliseconds, between the bounds of its bucket in proportion; the last finite bound where it lies above.
fn quantile(buckets: &[(f64, u64)], quantile: f64) -> Option<f64> {
    let total = buckets.last()?.1;
    if total == 0 {
        return None;
    }
    let rank = quantile * total as f64;
    let (mut below, mut lower) = (0, 0.0);
    for (bound, count) in buckets {
        if *count as f64 >= rank && *count > below {
            if bound.is_infinite() {
                return Some(lower * 1000.0);
            }
            let share = (rank - below as f64) / (*count - below) as f64;
            return Some((lower + (bound - lower) * share.clamp(0.0, 1.0)) * 1000.0);
        }
        (below, lower) = (*count, *bound);
    }
    None
}

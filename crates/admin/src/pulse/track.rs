//! One counter and one histogram over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_model::{Histogram, caps};

use crate::report::LiveReport;

/// How far apart the histograms are that are remembered.
const APART: Duration = Duration::from_secs(15);

/// What is remembered of one listener, pool or server. One that has had no request for minutes takes no memory but this.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// When it was counted last, and what the counter was.
    last: Option<(Duration, u64)>,
    /// How many countings there were, up to the most that are remembered.
    countings: usize,
    /// Requests a second between two countings, the latest last, from the first that was not 0.
    rates: VecDeque<f32>,
    /// The latest histogram, and older ones [`APART`], the oldest first.
    now: Option<Box<Histogram>>,
    before: VecDeque<(Duration, Box<Histogram>)>,
}

impl Track {
    /// Takes what the counter and the histogram are by now.
    pub(super) fn count(&mut self, now: Duration, requests: u64, latency: Option<&Histogram>) {
        if let Some((then, before)) = self.last {
            let passed = now.saturating_sub(then).as_secs_f32();
            if passed > 0.0 {
                // A counter that went back began anew.
                let more = requests.checked_sub(before).unwrap_or(requests);
                self.push_rate(more as f32 / passed);
            }
        }
        self.last = Some((now, requests));
        match latency {
            Some(latency) if !self.rates.is_empty() => self.push_latency(now, latency),
            _ => {
                (self.now, self.before) = (None, VecDeque::new());
            }
        }
    }

    /// What is known, once two countings are.
    pub(super) fn live(&self) -> Option<LiveReport> {
        if self.countings == 0 {
            return None;
        }
        let silent = std::iter::repeat_n(0.0, self.countings.saturating_sub(self.rates.len()));
        let recent: Vec<f64> = silent.chain(self.rates.iter().copied().map(f64::from)).collect();
        let (p50_ms, p95_ms) = percentiles([self].into_iter());
        Some(LiveReport { requests_per_s: recent.last().copied().unwrap_or(0.0), p50_ms, p95_ms, recent })
    }

    /// Requests a second between the last two countings.
    pub(super) fn rate(&self) -> f64 {
        self.rates.back().copied().map_or(0.0, f64::from)
    }

    fn push_rate(&mut self, rate: f32) {
        self.countings = self.countings.saturating_add(1).min(caps::LIVE_RATES);
        if rate > 0.0 || !self.rates.is_empty() {
            if self.rates.len() >= caps::LIVE_RATES {
                self.rates.pop_front();
            }
            self.rates.push_back(rate);
        }
        if self.rates.iter().all(|rate| *rate == 0.0) {
            self.rates = VecDeque::new();
        }
    }

    fn push_latency(&mut self, now: Duration, latency: &Histogram) {
        // What it was before a long rest is not known: the first one begins the minute.
        let earlier = self.now.replace(Box::new(latency.clone())).unwrap_or_else(|| Box::new(latency.clone()));
        let is_due = self.before.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= APART);
        if is_due {
            if self.before.len() >= caps::LIVE_LATENCIES {
                self.before.pop_front();
            }
            self.before.push_back((now, earlier));
        }
    }

    /// The requests of the last minute by how long they took.
    fn minute(&self) -> Option<Histogram> {
        let (now, (_, before)) = (self.now.as_ref()?, self.before.front()?);
        Some(now.since(before))
    }
}

/// The time within which half, and 95 in a hundred, of the requests of the last minute were answered, in milliseconds.
pub(super) fn percentiles<'a>(tracks: impl Iterator<Item = &'a Track>) -> (Option<f64>, Option<f64>) {
    let mut all = Histogram::default();
    tracks.filter_map(Track::minute).for_each(|minute| all.merge(&minute));
    let millis = |per_mille| all.quantile(per_mille).map(|took: Duration| took.as_secs_f64() * 1000.0);
    (millis(500), millis(950))
}

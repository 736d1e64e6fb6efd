//! The node's pulse: what its counters did in the last minutes, and what its servers were held for in the last day.
//!
//! It is fed with a report every [`BEAT`] and writes what it remembers into reports that are about to be shown, so that
//! every view has the same rates. It reads no clock and asks nobody.
//!
//! The invariant: what it remembers of a listener, a pool or a server is of a fixed size, and goes when the configuration
//! no longer names it.

mod day;
mod track;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use evenkeel_model::Histogram;

use crate::report::{
    DnsLiveReport, DnsReport, LiveReport, ServerReport, StatusReport, TimelineReport, TimelineRow, TrafficReport,
};

use day::Day;
use track::Track;

/// How often it wants a report.
pub const BEAT: Duration = Duration::from_secs(LiveReport::STEP_S);

/// What is remembered.
#[derive(Debug, Default)]
pub struct Pulse {
    tracks: HashMap<Key, Track>,
    days: HashMap<(String, String), Day>,
}

/// Whose counters they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Node,
    Listener(String),
    Pool(String),
    Server(String, String),
    Dns,
    Rcode(String),
    Zone(String),
}

impl Pulse {
    /// Takes a report as of `now`, which never goes back, and `unix`, the time of day.
    pub fn beat(&mut self, now: Duration, unix: Duration, report: &StatusReport) {
        let mut named = HashSet::new();
        self.count(&mut named, Key::Node, now, (report.totals.requests, None));
        for listener in &report.listeners {
            let numbers = (listener.requests, listener.traffic.latency.as_ref());
            self.count(&mut named, Key::Listener(listener.name.clone()), now, numbers);
        }
        for pool in &report.pools {
            let numbers = (pool.requests, pool.traffic.latency.as_ref());
            self.count(&mut named, Key::Pool(pool.name.clone()), now, numbers);
            for server in &pool.servers {
                let numbers = (server.requests, server.traffic.latency.as_ref());
                self.count(&mut named, Key::Server(pool.name.clone(), server.name.clone()), now, numbers);
                self.see(unix, &pool.name, server);
            }
        }
        if let Some(dns) = &report.dns {
            self.count(&mut named, Key::Dns, now, (dns.udp.saturating_add(dns.tcp), None));
            for (rcode, answers) in &dns.rcodes {
                self.count(&mut named, Key::Rcode(rcode.clone()), now, (*answers, None));
            }
            for (zone, queries) in &dns.zones {
                self.count(&mut named, Key::Zone(zone.clone()), now, (*queries, None));
            }
        }
        self.tracks.retain(|key, _| named.contains(key));
        self.days.retain(|(pool, server), _| named.contains(&Key::Server(pool.clone(), server.clone())));
    }

    /// A server was held for this, for however short a time.
    pub fn held(&mut self, unix: Duration, pool: &str, server: &str, state: &str) {
        if let Some(day) = self.days.get_mut(&(pool.to_owned(), server.to_owned())) {
            day.see(unix, state);
        }
    }

    /// Writes rates and percentiles into a report.
    pub fn annotate(&self, report: &mut StatusReport) {
        report.live = self.live(&Key::Node);
        for listener in &mut report.listeners {
            self.fill(&mut listener.traffic, &Key::Listener(listener.name.clone()));
        }
        // A node's percentiles are those of all that its listeners carried.
        if let Some(live) = &mut report.live {
            let listeners = report.listeners.iter().filter_map(|it| self.tracks.get(&Key::Listener(it.name.clone())));
            (live.p50_ms, live.p95_ms) = track::percentiles(listeners);
        }
        if let Some(dns) = &mut report.dns {
            dns.live = self.dns(dns);
        }
        for pool in &mut report.pools {
            self.fill(&mut pool.traffic, &Key::Pool(pool.name.clone()));
            for server in &mut pool.servers {
                self.fill(&mut server.traffic, &Key::Server(pool.name.clone(), server.name.clone()));
            }
        }
    }

    /// What the servers of the report were held for in the last day.
    pub fn timeline(&self, unix: Duration, report: &StatusReport) -> TimelineReport {
        let mut rows = Vec::new();
        for pool in &report.pools {
            for server in &pool.servers {
                let day = self.days.get(&(pool.name.clone(), server.name.clone()));
                let steps = day.map_or_else(|| Day::default().steps(unix), |day| day.steps(unix));
                rows.push(TimelineRow { pool: pool.name.clone(), server: server.name.clone(), steps });
            }
        }
        TimelineReport { until: unix.as_secs(), step_s: day::STEP.as_secs(), rows }
    }

    fn count(
        &mut self,
        named: &mut HashSet<Key>,
        key: Key,
        now: Duration,
        (requests, latency): (u64, Option<&Histogram>),
    ) {
        self.tracks.entry(key.clone()).or_default().count(now, requests, latency);
        named.insert(key);
    }

    fn see(&mut self, unix: Duration, pool: &str, server: &ServerReport) {
        self.days.entry((pool.to_owned(), server.name.clone())).or_default().see(unix, &server.state);
    }

    fn fill(&self, traffic: &mut TrafficReport, key: &Key) {
        traffic.live = self.live(key);
    }

    fn dns(&self, dns: &DnsReport) -> Option<DnsLiveReport> {
        let LiveReport { requests_per_s, recent, .. } = self.live(&Key::Dns)?;
        let rate = |key| self.tracks.get(&key).map_or(0.0, Track::rate);
        Some(DnsLiveReport {
            queries_per_s: requests_per_s,
            recent,
            rcodes_per_s: dns.rcodes.keys().map(|rcode| (rcode.clone(), rate(Key::Rcode(rcode.clone())))).collect(),
            zones_per_s: dns.zones.keys().map(|zone| (zone.clone(), rate(Key::Zone(zone.clone())))).collect(),
        })
    }

    fn live(&self, key: &Key) -> Option<LiveReport> {
        self.tracks.get(key).and_then(Track::live)
    }
}

#[cfg(test)]
mod tests;

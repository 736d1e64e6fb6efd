//! Rates, percentiles and days from reports that are made up.

use super::*;
use crate::report::{ListenerReport, PoolReport, TotalsReport};

const DAY_OF_TEST: Duration = Duration::from_secs(1_800_000_000);

/// So many of 4 ms, of 40 ms and of 400 s.
fn latency(counts: [u64; 3]) -> Option<Histogram> {
    let mut steps = [0; Histogram::STEPS];
    for (count, millis) in counts.into_iter().zip([4, 40, 400_000]) {
        steps[Histogram::step(Duration::from_millis(millis))] = count;
    }
    Some(Histogram::new(steps, Duration::ZERO))
}

fn report(requests: u64, counts: [u64; 3], state: &str) -> StatusReport {
    let traffic = TrafficReport { latency: latency(counts), ..TrafficReport::default() };
    let server = ServerReport {
        name: "a".to_owned(),
        state: state.to_owned(),
        requests,
        traffic: traffic.clone(),
        ..ServerReport::default()
    };
    StatusReport {
        listeners: vec![ListenerReport { name: ":80".to_owned(), requests, traffic, ..ListenerReport::default() }],
        pools: vec![PoolReport { name: "shop".to_owned(), requests, servers: vec![server], ..PoolReport::default() }],
        totals: TotalsReport { requests, ..TotalsReport::default() },
        ..StatusReport::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn rates_come_from_two_countings_and_a_counter_that_begins_anew_is_no_negative_rate() {
    let mut pulse = Pulse::default();
    let mut shown = report(0, [0; 3], "up");
    pulse.beat(seconds(5), DAY_OF_TEST, &shown);
    pulse.annotate(&mut shown);
    assert_eq!(shown.live, None);

    pulse.beat(seconds(10), DAY_OF_TEST, &report(100, [0; 3], "up"));
    pulse.beat(seconds(15), DAY_OF_TEST, &report(50, [0; 3], "up"));
    pulse.annotate(&mut shown);
    assert_eq!(shown.live.unwrap().recent, [20.0, 10.0]);
    assert_eq!(shown.pools[0].servers[0].traffic.live.as_ref().unwrap().requests_per_s, 10.0);
}

#[test]
fn percentiles_are_those_of_the_last_minute() {
    let mut pulse = Pulse::default();
    // 1000 slow requests long ago, and 100 quick ones in the last minute, of which ten took longer.
    pulse.beat(seconds(5), DAY_OF_TEST, &report(0, [0, 0, 0], "up"));
    for step in 2..40 {
        pulse.beat(seconds(step * 5), DAY_OF_TEST, &report(1000, [0, 0, 1000], "up"));
    }
    pulse.beat(seconds(200), DAY_OF_TEST, &report(1100, [90, 10, 1000], "up"));
    let mut shown = report(1100, [0; 3], "up");
    pulse.annotate(&mut shown);
    let live = shown.pools[0].servers[0].traffic.live.clone().unwrap();
    let (p50, p95) = (live.p50_ms.unwrap(), live.p95_ms.unwrap());
    assert!((3.0..=4.0).contains(&p50) && (30.0..=40.0).contains(&p95), "{live:?}");
    assert_eq!(shown.live.unwrap().p50_ms, live.p50_ms);
}

#[test]
fn after_a_rest_the_old_requests_do_not_count() {
    let mut pulse = Pulse::default();
    pulse.beat(seconds(5), DAY_OF_TEST, &report(1000, [1000, 0, 0], "up"));
    pulse.beat(seconds(10), DAY_OF_TEST, &report(1010, [1000, 0, 10], "up"));
    pulse.beat(seconds(15), DAY_OF_TEST, &report(1020, [1000, 0, 20], "up"));
    let mut shown = report(1020, [0; 3], "up");
    pulse.annotate(&mut shown);
    assert_eq!(shown.listeners[0].traffic.live.as_ref().unwrap().p95_ms, Some(100_000.0));
}

#[test]
fn what_rests_takes_no_memory_and_shows_as_zero() {
    let mut pulse = Pulse::default();
    for at in 1..200 {
        pulse.beat(seconds(at * 5), DAY_OF_TEST, &report(u64::from(at > 20) * 10, [1, 0, 0], "up"));
    }
    let mut shown = report(10, [0; 3], "up");
    pulse.annotate(&mut shown);
    let live = shown.live.unwrap();
    assert_eq!((live.requests_per_s, live.recent.len()), (0.0, 60));
    let track = &pulse.tracks[&Key::Pool("shop".to_owned())];
    assert_eq!(format!("{track:?}").matches("Histogram").count(), 0, "{track:?}");
}

#[test]
fn a_step_shows_its_gravest_state_and_gaps_stay_empty() {
    let mut pulse = Pulse::default();
    let see = |pulse: &mut Pulse, at: u64, state: &str| {
        pulse.beat(seconds(at), DAY_OF_TEST + seconds(at), &report(0, [0; 3], state));
    };
    see(&mut pulse, 0, "up");
    pulse.held(DAY_OF_TEST + seconds(1), "shop", "a", "down");
    see(&mut pulse, 2, "up");
    see(&mut pulse, 300, "up");
    see(&mut pulse, 1200, "draining");
    let timeline = pulse.timeline(DAY_OF_TEST + seconds(1500), &report(0, [0; 3], "up"));
    assert_eq!(timeline.rows[0].steps.len(), 288);
    assert!(timeline.rows[0].steps.ends_with("-du--r-"), "{}", timeline.rows[0].steps);

    see(&mut pulse, 86_400 * 3, "up");
    let later = pulse.timeline(DAY_OF_TEST + seconds(86_400 * 3), &report(0, [0; 3], "up"));
    assert_eq!(later.rows[0].steps.trim_start_matches('-'), "u");
}

#[test]
fn queries_of_dns_have_rates_by_outcome_and_zone() {
    let dns = |queries: u64, missing: u64| DnsReport {
        udp: queries,
        tcp: queries,
        rcodes: [("NOERROR".to_owned(), queries), ("NXDOMAIN".to_owned(), missing)].into(),
        zones: [("example.org.".to_owned(), queries)].into(),
        ..DnsReport::default()
    };
    let mut pulse = Pulse::default();
    let with = |queries, missing| StatusReport { dns: Some(dns(queries, missing)), ..StatusReport::default() };
    pulse.beat(seconds(5), DAY_OF_TEST, &with(0, 0));
    let mut shown = with(0, 0);
    pulse.annotate(&mut shown);
    assert_eq!(shown.dns.unwrap().live, None);

    pulse.beat(seconds(10), DAY_OF_TEST, &with(100, 5));
    let mut shown = with(100, 5);
    pulse.annotate(&mut shown);
    let live = shown.dns.unwrap().live.unwrap();
    assert_eq!((live.queries_per_s, live.recent.as_slice()), (40.0, &[40.0][..]));
    assert_eq!((live.rcodes_per_s["NOERROR"], live.rcodes_per_s["NXDOMAIN"]), (20.0, 1.0));
    assert_eq!(live.zones_per_s["example.org."], 20.0);

    pulse.beat(seconds(15), DAY_OF_TEST, &StatusReport::default());
    assert_eq!(pulse.tracks.len(), 1, "without DNS nothing is remembered of it");
}

#[test]
fn what_the_configuration_no_longer_names_is_forgotten() {
    let mut pulse = Pulse::default();
    pulse.beat(seconds(5), DAY_OF_TEST, &report(0, [0; 3], "up"));
    pulse.beat(seconds(10), DAY_OF_TEST, &StatusReport::default());
    assert_eq!((pulse.tracks.len(), pulse.days.len()), (1, 0));
}

#[test]
fn rings_do_not_grow() {
    let mut pulse = Pulse::default();
    for at in 1..1000 {
        pulse.beat(seconds(at * 5), DAY_OF_TEST, &report(at, [at; 3], "up"));
    }
    let mut shown = report(0, [0; 3], "up");
    pulse.annotate(&mut shown);
    assert_eq!(shown.live.unwrap().recent.len(), evenkeel_model::caps::LIVE_RATES);
}

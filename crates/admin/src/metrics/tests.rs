//! The catalogue against the rules of the format, and the text against what was put in.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use evenkeel_model::Histogram;

use super::*;
use crate::report::{
    ListenerReport, PoolReport, RecordReport, ServerReport, SetReport, SheetReport, TrafficReport, ZonefileReport,
};

fn histogram(millis: &[u64]) -> Histogram {
    let mut counts = [0; Histogram::STEPS];
    let took: Vec<Duration> = millis.iter().map(|millis| Duration::from_millis(*millis)).collect();
    took.iter().for_each(|took| counts[Histogram::step(*took)] += 1);
    Histogram::new(counts, took.iter().sum())
}

fn traffic() -> TrafficReport {
    TrafficReport {
        bytes_in: 7,
        by_class: BTreeMap::from([("2xx".to_owned(), 3)]),
        latency: Some(histogram(&[4, 900, 11_596])),
        ..TrafficReport::default()
    }
}

fn zonefile() -> ZonefileReport {
    let record = RecordReport { state: "down".to_owned(), parked: true, ..RecordReport::default() };
    let set = SetReport { records: vec![record], ..SetReport::default() };
    let sheet = SheetReport { outcome: "unchanged".to_owned(), sets: vec![set], ..SheetReport::default() };
    ZonefileReport { sheets: vec![sheet], changes: 7, ..ZonefileReport::default() }
}

fn report(servers: usize) -> StatusReport {
    let server = |at: usize| ServerReport {
        name: format!("s{at}"),
        state: "up".to_owned(),
        requests: 1_000_000,
        traffic: traffic(),
        ..ServerReport::default()
    };
    StatusReport {
        version: "1.2.3".to_owned(),
        listeners: vec![ListenerReport { name: ":80".to_owned(), traffic: traffic(), ..ListenerReport::default() }],
        pools: vec![PoolReport {
            name: "shop".to_owned(),
            traffic: traffic(),
            servers: (0..servers).map(server).collect(),
            ..PoolReport::default()
        }],
        zonefiles: vec![zonefile()],
        ..StatusReport::default()
    }
}

#[test]
fn names_follow_the_rules() {
    let mut names = BTreeSet::new();
    for family in FAMILIES {
        let Family { name, kind, labels, help, .. } = family;
        assert!(names.insert(name), "{name} stands twice");
        assert!(name.starts_with("evenkeel_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(!["_count", "_sum", "_bucket", "_ms"].iter().any(|suffix| name.ends_with(suffix)), "{name}");
        assert!(help.len() > 10 && !help.ends_with('.') && !help.contains(['\n', '\\', '|']), "{name}: {help}");
        let of_nodes = ["transport", "rcode", "cause", "zone", "node", "group"];
        let allowed = ["version", "result", "code", "reason", "listener", "host", "pool", "server", "state", "source"];
        assert!(labels.iter().all(|label| allowed.contains(label) || of_nodes.contains(label)), "{name}: {labels:?}");
    }
}

#[test]
fn a_sample_has_the_labels_of_its_family() {
    let text = text(&report(2), Format::Prometheus);
    for wanted in [
        "# TYPE evenkeel_server_requests_total counter\n",
        "evenkeel_build_info{version=\"1.2.3\"} 1\n",
        "evenkeel_server_requests_total{pool=\"shop\",server=\"s1\"} 1000000\n",
        "evenkeel_pool_servers{pool=\"shop\",state=\"up\"} 2\n",
        "evenkeel_listener_responses_total{listener=\":80\",code=\"2xx\"} 3\n",
        "evenkeel_pool_request_duration_seconds_bucket{pool=\"shop\",le=\"0.005\"} 1\n",
        "evenkeel_pool_request_duration_seconds_bucket{pool=\"shop\",le=\"1.0\"} 2\n",
        "evenkeel_pool_request_duration_seconds_bucket{pool=\"shop\",le=\"+Inf\"} 3\n",
        "evenkeel_pool_request_duration_seconds_sum{pool=\"shop\"} 12.5\n",
        "evenkeel_config_last_reload_success 1\n",
        "evenkeel_zonefile_records{state=\"down\"} 1\n",
        "evenkeel_zonefile_parked_records 1\n",
        "evenkeel_zonefile_faulty_files 0\n",
        "evenkeel_zonefile_changes_total 7\n",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let family = FAMILIES.iter().find(|family| family.name == base).unwrap_or_else(|| panic!("{line}"));
        let labels = rest.matches("=\"").count() - usize::from(name.ends_with("_bucket"));
        assert_eq!(labels, family.labels.len(), "{line}");
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn openmetrics_names_families_without_total_and_ends() {
    let text = text(&report(1), Format::OpenMetrics);
    assert!(text.contains("# TYPE evenkeel_requests counter\nevenkeel_requests_total 0\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(Format::accepted(Some("application/openmetrics-text;version=1.0.0,*/*;q=0.1")), Format::OpenMetrics);
    assert_eq!(Format::accepted(Some("text/plain")), Format::Prometheus);
}

#[test]
fn no_name_begins_a_line_of_its_own() {
    let mut hostile = report(1);
    hostile.pools[0].servers[0].name = "a\"} 1\nevil{x=\"\\".to_owned();
    let text = text(&hostile, Format::Prometheus);
    assert!(!text.contains("\nevil"), "{text}");
    assert!(text.contains("server=\"a\\\"} 1\\nevil{x=\\\"\\\\\"}"), "{text}");
}

#[test]
fn a_server_has_few_series() {
    let lines = |servers: usize| text(&report(servers), Format::Prometheus).lines().count();
    assert!(lines(11) - lines(1) <= 250, "{} lines for ten servers", lines(11) - lines(1));
}

#[test]
fn the_manual_has_every_family() {
    let page = markdown();
    assert!(FAMILIES.iter().all(|family| page.contains(&format!("| `{}` |", family.name))));
}

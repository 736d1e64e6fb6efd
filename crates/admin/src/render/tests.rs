//! Whole screens, as an operator sees them.

use std::collections::BTreeMap;

use super::*;
use crate::report::{
    ClusterReport, ConfigReport, LastReload, ListenerReport, RecordReport, SetReport, SheetReport, ThenReport,
    TotalsReport, ZonefileReport,
};

const PLAIN: Look = Look { colour: Colour::Off, lines: 50 };

fn server(name: &str, state: &str) -> ServerReport {
    ServerReport {
        name: name.to_owned(),
        address: format!("10.0.0.11:80{}", name.len()),
        state: state.to_owned(),
        reason: if state == "up" { "check-passed" } else { "connect-refused" }.to_owned(),
        text: if state == "up" { "checks pass" } else { "3 checks in a row were refused" }.to_owned(),
        since_s: 192,
        weight: 1,
        in_flight: 2,
        requests: 1000,
        failures: 3,
        is_checked: true,
        ..ServerReport::default()
    }
}

fn report(servers: Vec<ServerReport>) -> StatusReport {
    StatusReport {
        version: "0.1.0".to_owned(),
        pid: 42,
        uptime_s: 93_784,
        node: "lb1".to_owned(),
        workers: 2,
        config: ConfigReport {
            path: "/etc/evenkeel/evenkeel.conf".to_owned(),
            generation: 4,
            ..ConfigReport::default()
        },
        listeners: vec![ListenerReport {
            name: ":80".to_owned(),
            connections: 12,
            requests: 2000,
            ..ListenerReport::default()
        }],
        pools: vec![PoolReport { name: "shop".to_owned(), servers, ..PoolReport::default() }],
        totals: TotalsReport {
            connections: 12,
            requests: 2000,
            by_class: BTreeMap::from([("2xx".to_owned(), 1990), ("5xx".to_owned(), 10)]),
            retries: 1,
            ..TotalsReport::default()
        },
        ..StatusReport::default()
    }
}

#[test]
fn a_well_node_says_so_first() {
    let text = status(&report(vec![server("a", "up"), server("bb", "up")]), PLAIN);
    assert_eq!(
        text,
        "lb1: all well, 2 servers up\n\
         \n\
         evenkeel 0.1.0 · process 42, up 1d02h · /etc/evenkeel/evenkeel.conf, generation 4\n\
         12 connections open · 2000 requests answered (1990 2xx, 10 5xx) · 1 retry\n\
         \n\
         LISTENER  CONNECTIONS  REQUESTS\n\
         :80                12      2000\n\
         \n\
         SERVER   ADDRESS        STATE  SINCE  WEIGHT  IN FLIGHT  REQUESTS  FAILURES\n\
         shop/a   10.0.0.11:801  up     3m12s       1          2      1000         3\n\
         shop/bb  10.0.0.11:802  up     3m12s       1          2      1000         3\n"
    );
}

#[test]
fn a_server_whose_first_checks_fail_is_not_well() {
    let mut failing = server("a", "unknown");
    failing.text = "1 check was refused, and 3 in a row would take it out".to_owned();
    let mut fresh = server("b", "unknown");
    fresh.text = evenkeel_model::Verdict::NOT_CHECKED.to_owned();
    let text = status(&report(vec![failing, fresh.clone(), server("c", "up")]), PLAIN);
    let first: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(first[0], "lb1: 1 of 3 servers up, 1 not checked yet");
    assert!(first[1].starts_with("  shop/a is unknown") && first[1].contains("would take it out"), "{first:?}");
    assert_eq!(first[2], "");
    // A start is no trouble, and not all well either.
    assert!(status(&report(vec![fresh]), PLAIN).starts_with("lb1: 0 of 1 server up, 1 not checked yet\n\n"));
}

#[test]
fn a_refused_reload_is_not_all_well() {
    let mut report = report(vec![server("a", "up")]);
    report.config.last_reload = Some(LastReload { ok: false, at: 1, error: None });
    assert!(status(&report, PLAIN).starts_with("lb1: all of 1 server up, and there is something to look at\n"));
}

#[test]
fn an_order_says_who_why_and_how_much_longer() {
    let mut drained = server("a", "draining");
    drained.reason = "operator".to_owned();
    drained.text = "an operator orders draining".to_owned();
    drained.intent = Some(IntentReport {
        by: "ops".to_owned(),
        why: Some("new kernel".to_owned()),
        left_s: Some(3600),
        is_kept: true,
        ..IntentReport::default()
    });
    drained.drain = Some(DrainReport { quiet_s: 5, is_over: false });
    let text = status(&report(vec![drained, server("b", "down")]), PLAIN);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[2].starts_with("  shop/b is down"), "{text}");
    assert!(
        lines[3].ends_with("orders draining; by ops, \"new kernel\", for 1h00m more; 2 requests in flight"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_comes_first_with_its_reason() {
    let mut down = server("bb", "down");
    down.last_answer = Some("HTTP/1.1 503 Service Unavailable".to_owned());
    let mut report = report(vec![server("a", "up"), down]);
    report.config.last_reload =
        Some(LastReload { ok: false, at: 1, error: Some("\n  error: unknown word `chek`\n more".to_owned()) });
    report.totals.log_lines_lost = 7;
    report.silent_worker = Some(1);
    let text = status(&report, PLAIN);
    let first: Vec<&str> = text.lines().take(6).collect();
    assert_eq!(
        first,
        [
            "lb1: 1 of 2 servers up",
            "  the last reload was refused, generation 4 serves: error: unknown word `chek`",
            "  shop/bb is down for 3m12s (connect-refused): 3 checks in a row were refused; \
             it last said: HTTP/1.1 503 Service Unavailable",
            "  worker 1 does not answer, and its part of the clients is not served: restart the process",
            "  7 log lines lost: the log's disk or reader is too slow or full",
            "",
        ]
    );
}

#[test]
fn a_pool_without_a_server_stands_above_its_servers() {
    let text = status(&report(vec![server("a", "down"), server("b", "maintenance")]), PLAIN);
    let lines: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(lines[..2], ["lb1: 0 of 2 servers up, 1 out by order", "  pool shop has no server that is up"]);
    assert!(
        lines[2].starts_with("  shop/a is down") && lines[3].starts_with("  by order: shop/b is maintenance"),
        "{lines:?}"
    );
}

#[test]
fn a_large_node_fits_the_screen_as_long_as_all_is_well() {
    let servers: Vec<ServerReport> = (0..300).map(|index| server(&format!("s{index}"), "up")).collect();
    let text = status(&report(servers), Look { lines: 24, ..PLAIN });
    assert!(text.lines().count() <= 24, "{text}");
    let row = text.lines().last().unwrap().split_ascii_whitespace().collect::<Vec<_>>();
    assert_eq!(row, ["shop/*", "300", "servers", "up", "600", "300000", "900"]);

    let broken_again = || (0..30).map(|index| server(&format!("s{index}"), "down")).collect();
    let broken: Vec<ServerReport> = broken_again();
    let text = status(&report(broken), Look { lines: 24, ..PLAIN });
    assert!(text.contains("\n  and 21 more\n"), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
    assert!(status(&report(broken_again()), PLAIN).contains("shop/s29 "));
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let mut evil = server("a", "down");
    evil.last_answer = Some("HTTP/1.1 200 \x1b]0;owned\x07\u{202e}".to_owned());
    evil.text = "line\nbreak".to_owned();
    let text = status(&report(vec![evil]), PLAIN);
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
    assert!(text.contains("line\u{fffd}break"), "{text:?}");
}

#[test]
fn colours_do_not_shift_the_columns() {
    let report = report(vec![server("a", "up"), server("b", "down")]);
    let coloured = status(&report, Look { colour: Colour::On, lines: 50 });
    assert!(coloured.contains("\x1b[32mup\x1b[0m") && coloured.contains("\x1b[31mdown\x1b[0m"), "{coloured:?}");
    let bare = coloured.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
    assert_eq!(bare, status(&report, PLAIN));
}

#[test]
fn a_reload_says_what_changed() {
    let report = ReloadReport {
        generation: 5,
        kept_as: 9,
        changes: vec!["pool a added".to_owned(), "server a/x added".to_owned()],
        warnings: vec!["a route is never reached".to_owned()],
    };
    assert_eq!(
        reload(&report),
        "generation 5 serves, 2 changes:\n  pool a added\n  server a/x added\nwarning: a route is never reached\n"
    );
    let same = ReloadReport { generation: 5, ..ReloadReport::default() };
    assert_eq!(reload(&same), "nothing changed, generation 5 serves\n");
}

#[test]
fn ages_and_counts_are_said_in_words() {
    for (seconds, expected) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (90_000, "1d01h"),
    ] {
        assert_eq!(age(seconds), expected);
    }
    assert_eq!(
        [count(1u64, "retry"), count(2u64, "retry"), count(0u64, "server")],
        ["1 retry", "2 retries", "0 servers"]
    );
}

#[test]
fn zone_files_stand_below_with_what_needs_a_look_above() {
    let record = |address: &str, state: &str, parked| RecordReport {
        address: address.to_owned(),
        port: 80,
        state: state.to_owned(),
        parked,
        ..RecordReport::default()
    };
    let records = vec![record("192.0.2.1", "up", false), record("192.0.2.22", "down", true)];
    let set = SetReport { owner: "www.example.org.".to_owned(), kind: "A".to_owned(), records, ..SetReport::default() };
    let sheet = |outcome: &str, problem: &str, sets| SheetReport {
        file: format!("/zones/{outcome}.db"),
        outcome: outcome.to_owned(),
        problems: vec![problem.to_owned()],
        sets,
        ..SheetReport::default()
    };
    let failure = Some("it ended with exit status 1".to_owned());
    let block = ZonefileReport {
        sheets: vec![sheet("changed", "its TTL is long", vec![set]), sheet("refused", "it is dynamic\u{1b}", vec![])],
        then: vec![ThenReport { command: "rndc reload".to_owned(), owed: true, failure, ..ThenReport::default() }],
        ..ZonefileReport::default()
    };
    let text = status(&StatusReport { zonefiles: vec![block], ..report(vec![server("a", "up")]) }, PLAIN);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines.get(1..3),
        Some(
            &[
                "  zone file /zones/refused.db: it is dynamic\u{fffd}",
                "  `rndc reload` is owed after a change: it ended with exit status 1",
            ][..]
        )
    );
    assert!(
        text.ends_with(
            "\nRECORD              ADDRESS             STATE  IN THE ZONE  FILE\n\
             www.example.org. A  192.0.2.1 port 80   up     yes          /zones/changed.db\n\
             www.example.org. A  192.0.2.22 port 80  down   parked       /zones/changed.db\n"
        ),
        "{text}"
    );
}

#[test]
fn a_concern_of_the_cluster_is_one_of_the_node() {
    let mut report = report(vec![server("a", "up")]);
    report.cluster =
        Some(ClusterReport { troubles: vec!["two nodes are called a".to_owned()], ..ClusterReport::default() });
    let text = status(&report, PLAIN);
    assert!(
        text.starts_with("lb1: all of 1 server up, and there is something to look at\n  cluster: two nodes"),
        "{text}"
    );
}

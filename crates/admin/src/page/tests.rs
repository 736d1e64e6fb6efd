//! Pages of reports that are made up: whole, closed, and deaf to hostile names.

use super::*;
use crate::report::{
    BalancedReport, ChosenReport, ClusterReport, ConfigDiff, ConfigText, DnsAnswerReport, DnsLiveReport, DnsReport,
    DnsViewReport, DrainReport, EventReport, GroupReport, HistoryEntry, IntentReport, ListenerReport, LiveReport,
    LogLine, MoveReport, NodeReport, OtherViewReport, PathReport, PoolReport, RecordReport, RouteReport, ServerReport,
    SessionListReport, SessionReport, SessionTableReport, SetReport, SheetReport, TextFile, ThenReport, TimelineRow,
    TrafficReport, ZoneReport, ZonefileReport,
};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\u{202e}";

fn sessions(name: &str) -> SessionFacts {
    let session = SessionReport {
        name: name.to_owned(),
        server: Some(name.to_owned()),
        client: name.to_owned(),
        ..SessionReport::default()
    };
    let table = SessionTableReport { pool: name.to_owned(), ..SessionTableReport::default() };
    let list = SessionListReport { sessions: vec![session], total: 1, at: 0 };
    SessionFacts { tables: vec![table], list, refused: None }
}

fn events(name: &str) -> Vec<EventReport> {
    let happened = |id: u64, state: &str| EventReport {
        id,
        kind: name.to_owned(),
        subject: format!("{name}/{name}"),
        text: name.to_owned(),
        state: state.to_owned(),
        ..EventReport::default()
    };
    vec![happened(1, "down"), happened(2, "")]
}

fn log(name: &str) -> LogFacts {
    let line = LogLine { number: 7, text: name.to_owned() };
    let request = format!("{{\"method\":{0:?},\"target\":{0:?},\"server\":{0:?},\"pool\":{0:?},\"end\":\"ok\"}}", name);
    let parsed = LogLine { number: 8, text: request };
    LogFacts { open: Some(parsed.clone()), lines: vec![line, parsed] }
}

fn cluster(name: &str) -> ClusterReport {
    let text = || name.to_owned();
    let path = |trouble| PathReport { address: Some(text()), age_ms: Some(3), trouble, ..PathReport::default() };
    let node = |state: &str| NodeReport {
        name: text(),
        state: state.to_owned(),
        paths: vec![path(None), path(Some(text()))],
        other_config: true,
        hears: vec![text()],
        deaf_to: vec![format!("{name}2")],
        sees_otherwise: vec![OtherViewReport { server: text(), state: text(), text: text(), here: text() }],
        share_trouble: (state == "up").then(text),
        shares: true,
        ..NodeReport::default()
    };
    let group = |owners: &[&str]| GroupReport {
        name: text(),
        role: "owner".to_owned(),
        owners: owners.iter().map(|_| text()).collect(),
        why: text(),
        next: Some(text()),
        takeover: text(),
        moves: vec![MoveReport { age_s: 5, ownerless_ms: 12, why: text() }],
        ..GroupReport::default()
    };
    ClusterReport {
        name: text(),
        node: text(),
        nodes: vec![node("up"), node("dead")],
        groups: vec![group(&[]), group(&["a"]), group(&["a", "b"])],
        troubles: vec![text()],
        ..ClusterReport::default()
    }
}

fn dns(name: &str) -> DnsFacts {
    let text = || name.to_owned();
    let chosen = |state: &str| ChosenReport {
        pool: text(),
        server: text(),
        addresses: vec![text()],
        state: state.to_owned(),
        text: text(),
        is_answered_with: true,
        ..ChosenReport::default()
    };
    let balanced = BalancedReport {
        name: text(),
        answer: text(),
        now: vec![text()],
        servers: vec![chosen("up"), chosen("down")],
        own: Some(text()),
        why: vec![text()],
        ..BalancedReport::default()
    };
    let zone = ZoneReport { name: text(), listeners: vec![text()], balanced: vec![balanced], ..ZoneReport::default() };
    let answer =
        DnsAnswerReport { question: text(), answer: vec![text()], why: vec![text()], ..DnsAnswerReport::default() };
    let live = DnsLiveReport { rcodes_per_s: [(text(), 1.0)].into(), ..DnsLiveReport::default() };
    let asked = DnsReport { rcodes: [(text(), 1)].into(), live: Some(live), ..DnsReport::default() };
    let view = DnsViewReport { asked: Some(asked), zones: vec![zone], ..DnsViewReport::default() };
    DnsFacts { view, answer: Some(Ok(answer)) }
}

fn config(name: &str) -> ConfigFacts {
    let text = || name.to_owned();
    let entry = |number, is_running| HistoryEntry { number, at: 7, by: text(), changes: vec![text()], is_running };
    let diff = ConfigDiff {
        from: "running".to_owned(),
        to: "1".to_owned(),
        text: format!("--- {name}\n+++ {name}\n-{name}\n+{name}\n {name}\n"),
        changes: vec![text()],
        errors: vec![text()],
    };
    let files = vec![TextFile { path: text(), text: text() }];
    ConfigFacts {
        diff: Ok(diff),
        text: (text(), Ok(ConfigText { files })),
        history: vec![entry(1, false), entry(2, true)],
    }
}

fn facts(name: &str, role: Role) -> Facts {
    let live = LiveReport { requests_per_s: 12.3, p50_ms: Some(3.0), p95_ms: Some(12.0), recent: vec![1.0, 2.0, 12.3] };
    let traffic = TrafficReport { live: Some(live.clone()), ..TrafficReport::default() };
    let server = |name: &str, state: &str| ServerReport {
        name: name.to_owned(),
        address: name.to_owned(),
        state: state.to_owned(),
        reason: "connect-refused".to_owned(),
        text: format!("3 checks in a row were refused by {name}"),
        last_answer: Some(name.to_owned()),
        intent: Some(IntentReport { why: Some(name.to_owned()), by: name.to_owned(), ..IntentReport::default() }),
        drain: Some(DrainReport::default()),
        ramp_percent: 100,
        is_checked: true,
        traffic: traffic.clone(),
        ..ServerReport::default()
    };
    let route = RouteReport {
        hosts: vec![name.to_owned()],
        pattern: name.to_owned(),
        also: Some(name.to_owned()),
        does: name.to_owned(),
        pool: Some(name.to_owned()),
    };
    let report = StatusReport {
        node: name.to_owned(),
        version: name.to_owned(),
        listeners: vec![ListenerReport {
            name: name.to_owned(),
            traffic: traffic.clone(),
            routes: vec![route],
            ..ListenerReport::default()
        }],
        pools: vec![PoolReport {
            name: name.to_owned(),
            servers: vec![server("a", "up"), server(name, "down"), server("c", "draining")],
            traffic,
            ..PoolReport::default()
        }],
        zonefiles: vec![zonefile(name)],
        cluster: Some(cluster(name)),
        dns: Some(DnsReport { rcodes: [(name.to_owned(), 1)].into(), ..DnsReport::default() }),
        live: Some(live),
        ..StatusReport::default()
    };
    let row = TimelineRow { pool: name.to_owned(), server: "a".to_owned(), steps: "--uudu".to_owned() };
    let timeline = TimelineReport { until: 0, step_s: 300, rows: vec![row] };
    Facts {
        report,
        timeline,
        sessions: Some(sessions(name)),
        events: events(name),
        log: Some(log(name)),
        dns: Some(dns(name)),
        config: Some(config(name)),
        role,
        user: name.to_owned(),
        is_signed_in: true,
    }
}

fn zonefile(name: &str) -> ZonefileReport {
    let text = || name.to_owned();
    let record = |state: &str, parked| RecordReport {
        address: text(),
        state: state.to_owned(),
        why: text(),
        since: 1,
        parked,
        ..RecordReport::default()
    };
    let records = vec![record("up", false), record("down", true)];
    let set = SetReport { owner: text(), kind: "A".to_owned(), records, ..SetReport::default() };
    let sheet =
        SheetReport { file: text(), outcome: "unchanged".to_owned(), sets: vec![set], ..SheetReport::default() };
    let then = ThenReport { command: text(), owed: true, last_run: Some(1), failure: Some(text()) };
    ZonefileReport {
        files: vec![text()],
        server: Some(text()),
        last_round: Some(1),
        sheets: vec![sheet],
        then: vec![then],
        ..ZonefileReport::default()
    }
}

fn all(name: &str, role: Role) -> Vec<String> {
    let server = ("server".to_owned(), format!("{name}/{name}"));
    let query = vec![server, ("q".to_owned(), String::new()), ("x".to_owned(), name.to_owned())];
    VIEWS.iter().map(|(view, ..)| page(&Asked { view: *view, query: query.clone() }, &facts(name, role))).collect()
}

/// The page without its own script and style.
fn body(page: &str) -> String {
    page.replace(SCRIPT, "").replace(STYLE, "")
}

#[test]
fn every_element_is_closed_in_order() {
    for page in all("shop", Role::Admin) {
        let body = body(&page);
        let mut open = Vec::new();
        for piece in body.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("{piece}"));
            let name = tag.split([' ', '\n']).next().unwrap();
            let is_void = ["meta", "link", "input", "!doctype"].contains(&name) || tag.ends_with('/');
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "at {piece}"),
                None if is_void => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn no_name_gets_out_of_its_text() {
    for page in all(HOSTILE, Role::Admin) {
        let body = body(&page);
        for trace in ["<script>alert", "<img", "</script><script", "onerror=alert(1)>", "\u{202e}", "\"'>"] {
            assert!(!body.contains(trace), "{trace:?} in {body}");
        }
        assert_eq!(body.matches("<script>").count(), 1);
        assert!(body.contains("&lt;script&gt;alert(1)"), "the name is shown as it is");
    }
}

#[test]
fn ids_are_unique_and_nothing_is_fetched_from_elsewhere() {
    for page in all("shop", Role::Admin) {
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        let foreign = page.matches("://").count() - page.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(foreign, 0);
        assert!(page.len() < 150 * 1024, "{} bytes", page.len());
        assert!(!body(&page).contains(" style="), "the policy forbids styles in attributes");
    }
}

#[test]
fn who_may_only_look_gets_no_buttons() {
    let buttons = |role: Role| all("shop", role)[0].contains("value=\"drain\"");
    assert!(!buttons(Role::Read) && buttons(Role::Operate) && buttons(Role::Admin));
}

#[test]
fn the_way_back_is_for_administrators_and_never_without_looking() {
    let shown = |role: Role, to: &str| {
        let mut facts = facts("shop", role);
        if let Some(Ok(diff)) = facts.config.as_mut().map(|config| &mut config.diff) {
            diff.to = to.to_owned();
        }
        page(&Asked { view: View::Config, query: Vec::new() }, &facts).contains("/api/v1/config/rollback")
    };
    assert!(shown(Role::Admin, "1") && !shown(Role::Operate, "1"));
    assert!(!shown(Role::Admin, "file") && !shown(Role::Admin, "2"), "what runs already, and what is not kept");
}

#[test]
fn a_text_that_is_too_long_is_cut_at_a_line_and_says_so() {
    let mut facts = facts("shop", Role::Read);
    let files = vec![TextFile { path: "big".to_owned(), text: "http :80 {\n".repeat(40_000) }];
    facts.config.as_mut().unwrap().text = ("running".to_owned(), Ok(ConfigText { files }));
    let page = page(&Asked { view: View::Config, query: Vec::new() }, &facts);
    assert!(page.len() < 150 * 1024 && page.contains("{\n</pre>") && page.contains("longer than this"), "{page}");
}

#[test]
fn the_servers_table_sorts_and_filters_by_the_url() {
    let show = |query: &[(&str, &str)]| {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let page = page(&Asked { view: View::Servers, query }, &facts("shop", Role::Read));
        let rows = page.split("data-keep=\"row-shop/").skip(1).filter_map(|rest| rest.split('"').next());
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(show(&[]), ["a", "shop", "c"]);
    assert_eq!(show(&[("sort", "state")]), ["shop", "c", "a"]);
    assert_eq!(show(&[("sort", "state"), ("order", "back")]), ["a", "c", "shop"]);
    assert_eq!(show(&[("q", "DOWN refused")]), ["shop"]);
    assert!(show(&[("q", "nowhere")]).is_empty());
}

#[test]
fn a_panel_of_a_server_that_is_gone_says_so() {
    let query = vec![("server".to_owned(), "shop/old".to_owned())];
    let page = page(&Asked { view: View::Overview, query }, &facts("shop", Role::Admin));
    assert!(page.contains("has no such server any more"), "{page}");
}

#[test]
fn the_head_says_all_well_where_no_view_has_a_concern_and_nowhere_else() {
    let mut facts = facts("shop", Role::Admin);
    let server = |name: &str, state: &str| ServerReport {
        name: name.to_owned(),
        state: state.to_owned(),
        ..ServerReport::default()
    };
    facts.report.pools[0].servers = vec![server("a", "up")];
    (facts.report.zonefiles, facts.report.certificates, facts.report.acme) = (Vec::new(), Vec::new(), Vec::new());
    facts.report.cluster = Some(ClusterReport::default());
    let page = |facts: &Facts, view| body(&page(&Asked { view, query: Vec::new() }, facts));
    assert_eq!(render::concerns(&facts.report), [""; 0]);
    for (view, ..) in VIEWS {
        let shown = page(&facts, view);
        assert!(shown.contains("all well, 1 server") && shown.contains("<title>✓ "), "{shown}");
    }
    facts.report.cluster =
        Some(ClusterReport { troubles: vec!["two nodes are called a".to_owned()], ..ClusterReport::default() });
    for (view, ..) in VIEWS {
        let shown = page(&facts, view);
        assert!(!shown.contains("all well") && shown.contains("something to look at, 1 server up"), "{shown}");
        assert!(shown.contains("<title>! ") && shown.contains("class=\"said doubtful\""), "{shown}");
        assert_eq!(shown.matches("two nodes are called a").count(), 1, "{shown}");
    }
    facts.report.pools[0].servers.push(server("b", "down"));
    assert!(page(&facts, View::Overview).contains("1 of 2 servers down"));
}

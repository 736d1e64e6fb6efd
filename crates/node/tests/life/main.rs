//! A node's life, in one process: start, traffic, reload, refusal, logs, stop. Real sockets on the loopback interface.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod dns;
mod origin;
mod renewal;
mod sessions;

use std::fs;
use std::time::Duration;

use evenkeel_config::Options;
use evenkeel_model::{Change, Reason, State};
use evenkeel_node::{ControlPlace, LiveText, Node, NodeStatus, Origin, SignalUse, Start, StartError};
use origin::{Scratch, Server, eventually, free_port, get};

/// A node with its text.
struct Running {
    node: Option<Node>,
    text: LiveText,
}

impl Running {
    fn start(text: &str) -> Self {
        Self::try_start(text, None).expect("it starts")
    }

    fn try_start(text: &str, state: Option<std::path::PathBuf>) -> Result<Self, StartError> {
        let live = LiveText::new(text.to_owned());
        let origin = Origin::Live { name: "test".to_owned(), text: live.clone() };
        let loading = origin.load(&Options::default());
        assert!(loading.loaded.config.is_some(), "{:?}", loading.loaded.diagnostics);
        let node = Node::start(Start {
            origin,
            loaded: loading.loaded,
            texts: loading.texts,
            is_last_good: false,
            state,
            control: ControlPlace::Nowhere,
            service: None,
            signals: SignalUse::Leave,
            node: None,
            guard: None,
        })?;
        Ok(Self { node: Some(node), text: live })
    }

    fn status(&self) -> NodeStatus {
        self.node.as_ref().expect("it runs").handle().status_blocking().expect("it runs")
    }

    fn reload(&self, text: &str) -> Result<Vec<Change>, String> {
        self.text.set(text.to_owned());
        let handle = self.node.as_ref().expect("it runs").handle();
        handle.reload_blocking("a test").map(|done| done.changes).map_err(|refusal| refusal.report)
    }

    fn stop(mut self) -> evenkeel_node::Ended {
        let node = self.node.take().expect("it runs");
        node.handle().stop_blocking("a test").expect("it runs");
        node.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            // Twice is at once.
            let _ = node.handle().stop_blocking("a test's end");
            let _ = node.handle().stop_blocking("a test's end");
            node.wait();
        }
    }
}

fn config(port: u16, server: &Server) -> String {
    format!(
        "state off\nlimits {{\n    workers 2\n    drain 2s\n}}\nhttp 127.0.0.1:{port} {{\n    route * to=shop\n}}\n\
         pool shop {{\n    check GET /check every=100ms rise=1 fall=1\n    server a 127.0.0.1:{}\n}}\n",
        server.port()
    )
}

#[test]
fn a_node_carries_requests_and_ends_when_told() {
    let server = Server::start("one");
    let port = free_port();
    let running = Running::start(&config(port, &server));
    for _ in 0..10 {
        assert_eq!(get(port, "/").unwrap(), (200, "one".to_owned()));
    }
    eventually("its server is up", || running.status().is_settled());
    let status = running.status();
    assert_eq!(status.workers, 2);
    assert_eq!(status.pools[0].servers[0].verdict.state, State::Up);
    assert_eq!(status.totals.requests, 10);
    let ended = running.stop();
    assert_eq!((ended.cut, ended.failed), (0, None));
    assert!(get(port, "/").is_err(), "nobody listens any more");
}

#[test]
fn a_reload_moves_listeners_and_servers_and_keeps_what_it_does_not_name() {
    let (one, two) = (Server::start("one"), Server::start("two"));
    let (port, other) = (free_port(), free_port());
    let first = config(port, &one);
    let running = Running::start(&first);
    eventually("its server is up", || running.status().is_settled());
    assert_eq!(running.reload(&first).unwrap(), []);
    assert_eq!(running.status().config.generation, 2);
    assert_eq!(running.status().pools[0].servers[0].verdict.state, State::Up, "the verdict is kept");

    let changes = running.reload(&config(other, &two)).unwrap();
    assert!(!changes.is_empty());
    assert_eq!(get(other, "/").unwrap(), (200, "two".to_owned()), "done means that traffic sees it");
    assert!(get(port, "/").is_err(), "the old address is let go");
}

#[test]
fn a_bad_configuration_is_refused_whole_and_the_old_one_serves_on() {
    let server = Server::start("one");
    let (port, other) = (free_port(), free_port());
    let running = Running::start(&config(port, &server));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = taken.local_addr().unwrap().port();
    let good = config(port, &server);
    let cases = [
        (format!("{good}nonsense\n"), "nonsense"),
        (
            format!("{good}http 127.0.0.1:{other} {{\n    errors /nonexistent/dir\n    to 127.0.0.1:1\n}}\n"),
            "/nonexistent/dir",
        ),
        (
            format!("{good}http 127.0.0.1:{other} {{\n    log /nonexistent/a.log\n    to 127.0.0.1:1\n}}\n"),
            "/nonexistent/a.log",
        ),
        // One address can be had and the other cannot: neither is kept.
        (
            format!(
                "{good}http 127.0.0.1:{other} {{\n    to 127.0.0.1:1\n}}\nhttp 127.0.0.1:{held} {{\n    to 127.0.0.1:1\n}}\n"
            ),
            "held by",
        ),
        (String::new(), ""),
    ];
    for (text, named) in cases {
        let refused = running.reload(&text).expect_err(&text);
        assert!(refused.contains(named), "{refused}");
        assert_eq!(get(port, "/").unwrap(), (200, "one".to_owned()));
        assert!(get(other, "/").is_err(), "nothing of a refused configuration stays: {text}");
        let status = running.status();
        assert_eq!(status.config.generation, 1);
        assert!(status.config.last_reload.is_some_and(|last| last.refused.is_some()));
    }
}

#[test]
fn a_reload_tells_of_a_changed_key_and_not_of_what_was_turned_back() {
    let dir = Scratch::new("told");
    let key = dir.path().join("key");
    fs::write(&key, "the first of two secrets").unwrap();
    let server = Server::start("a");
    let with = |limits: &str, port: u16| {
        let sticky = format!("sticky cookie S key=file:{}", key.display());
        format!(
            "state off\n{limits}http 127.0.0.1:{port} {{\n to 127.0.0.1:{}\n {sticky}\n check off\n}}\n",
            server.port()
        )
    };
    let port = free_port();
    let node = Running::start(&with("", port));
    let told = |limits: &str| node.reload(&with(limits, port)).unwrap().iter().map(ToString::to_string).collect();
    let waits: Vec<String> = told("limits {\n workers 7\n}\n");
    assert_eq!(waits, ["`limits.workers` changed, and takes effect at the next start"]);
    let back: Vec<String> = told("");
    assert_eq!(back, [""; 0], "it is what the process was started with");
    fs::write(&key, "the second of two secrets").unwrap();
    let renewed: Vec<String> = told("");
    assert_eq!(renewed, [format!("pool @127.0.0.1:{port} changed")]);
}

#[test]
fn a_reload_tells_of_error_pages_that_read_otherwise() {
    let dir = Scratch::new("pages");
    let page = dir.path().join("404.html");
    fs::write(&page, "nothing here").unwrap();
    let port = free_port();
    let text = format!("state off\nhttp 127.0.0.1:{port} {{\n errors {}\n respond 404\n}}\n", dir.path().display());
    let node = Running::start(&text);
    let told = || -> Vec<String> { node.reload(&text).unwrap().iter().map(ToString::to_string).collect() };
    assert_eq!(told(), [""; 0]);
    fs::write(&page, "nothing here any more").unwrap();
    assert_eq!(told(), [format!("listener 127.0.0.1:{port} changed")]);
}

#[test]
fn a_key_of_updates_that_cannot_be_read_stops_no_start() {
    let (server, dir) = (Server::start("one"), Scratch::new("update-key"));
    let (port, zone, key) = (free_port(), dir.path().join("example.org.zone"), dir.path().join("ddns.key"));
    let records = format!(
        "$TTL 60\n@ IN SOA ns root 1 2 3 4 5\n@ NS ns\n;; BALANCED_AUTOCHECK::{}\nwww 60 IN A 127.0.0.1\n",
        server.port()
    );
    fs::write(&zone, records).unwrap();
    let text = config(port, &server)
        + &format!(
            "zonefile {} every=1s {{\n    check tcp\n    update 127.0.0.1:1 zone=example.org key=file:{}\n}}\n",
            zone.display(),
            key.display()
        );
    let running = Running::start(&text);
    assert_eq!(get(port, "/").unwrap(), (200, "one".to_owned()));
    let problems = || {
        let status = running.status();
        status
            .zonefiles
            .iter()
            .flat_map(|report| &report.sheets)
            .flat_map(|sheet| sheet.problems.clone())
            .collect::<String>()
    };
    eventually("it says what fails", || problems().contains("the key cannot be read"));
    let refused = running.reload(&text).unwrap_err();
    assert!(refused.contains("E415") && refused.contains("no such file"), "{refused}");
    fs::write(&key, "key \"k\" { algorithm hmac-sha256; secret \"MTIzNDU2Nzg5MDEyMzQ1Ng==\"; };\n").unwrap();
    // Nobody listens where the update goes.
    eventually("the key is read", || problems().contains("refused"));
    running.reload(&text).unwrap();
}

#[test]
fn a_port_in_use_names_its_holder_and_leaves_nothing_bound() {
    let server = Server::start("one");
    let free = free_port();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = taken.local_addr().unwrap().port();
    let text = format!(
        "http 127.0.0.1:{free} {{\n    to 127.0.0.1:{0}\n}}\nhttp 127.0.0.1:{held} {{\n    to 127.0.0.1:{0}\n}}\nstate off\n",
        server.port()
    );
    let error = Running::try_start(&text, None).err().expect("the port is taken").to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    assert!(get(free, "/").is_err());
}

#[test]
fn a_server_that_dies_is_down_and_one_that_returns_is_up() {
    let server = Server::start("one");
    let (port, at) = (free_port(), server.port());
    let running = Running::start(&config(port, &server));
    let held = |state: State| running.status().pools[0].servers[0].verdict.state == state;
    eventually("it is up", || held(State::Up));
    drop(server);
    eventually("it is down", || held(State::Down));
    assert_eq!(running.status().pools[0].servers[0].verdict.reason, Reason::ConnectRefused);
    let _again = Server::start_at("again", at);
    eventually("it is up again", || held(State::Up));
    assert_eq!(get(port, "/").unwrap(), (200, "again".to_owned()));
}

#[test]
fn a_drain_by_configuration_is_seen_by_traffic() {
    let (one, two) = (Server::start("one"), Server::start("two"));
    let port = free_port();
    let text = |order: &str| {
        format!(
            "{}    server b 127.0.0.1:{}\n}}\n",
            config(port, &one).trim_end_matches("}\n").replace("server a", &format!("{order}server a")),
            two.port()
        )
    };
    let drained = text("")
        .replace(&format!("server a 127.0.0.1:{}", one.port()), &format!("server a 127.0.0.1:{} drain", one.port()));
    let running = Running::start(&text(""));
    let changes = running.reload(&drained).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    for _ in 0..10 {
        assert_eq!(get(port, "/").unwrap(), (200, "two".to_owned()));
    }
    assert_eq!(running.status().pools[0].servers[0].verdict.state, State::Draining);
}

#[test]
fn a_log_holds_a_line_for_each_request_across_a_reopening() {
    let server = Server::start("one");
    let dir = Scratch::new("log");
    let (port, log) = (free_port(), dir.path().join("a.log"));
    let text = config(port, &server).replace("    route", &format!("    log {}\n    route", log.display()));
    let running = Running::start(&text);
    for _ in 0..5 {
        get(port, "/before").unwrap();
    }
    let lines = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    eventually("five lines are written", || lines(&log) == 5);
    let moved = dir.path().join("a.log.1");
    fs::rename(&log, &moved).unwrap();
    let handle = running.node.as_ref().unwrap().handle();
    evenkeel_node::run_beside(async { handle.reopen_logs().await }).unwrap().unwrap();
    // An order is taken in turn: what is asked after it is answered after it.
    running.status();
    for _ in 0..5 {
        get(port, "/after").unwrap();
    }
    assert_eq!(running.stop().failed, None);
    assert_eq!((lines(&moved), lines(&log)), (5, 5));
}

#[test]
fn verdicts_and_keys_outlive_a_restart() {
    let dir = Scratch::new("state");
    let state = dir.path().join("state");
    let port = free_port();
    // Nobody listens there, and checks are so rare that only the saved verdict can say so the second time.
    let dead = free_port();
    let text = |every: &str| {
        format!(
            "http 127.0.0.1:{port} {{\n    route * to=shop\n}}\npool shop {{\n    sticky\n    check tcp every={every} fall=1\n    \
             server a 127.0.0.1:{dead}\n}}\n"
        )
    };
    let running = Running::try_start(&text("100ms"), Some(state.clone())).unwrap();
    eventually("it is down", || running.status().pools[0].servers[0].verdict.state == State::Down);
    let key = fs::read(state.join("sticky.key")).unwrap();
    running.stop();

    let running = Running::try_start(&text("1h"), Some(state.clone())).unwrap();
    assert_eq!(running.status().pools[0].servers[0].verdict.state, State::Down);
    assert_eq!(fs::read(state.join("sticky.key")).unwrap(), key);
    running.stop();
    assert_eq!(evenkeel_node::last_good(&state).map(|texts| texts.entry().to_owned()), Some(text("1h")));
}

#[test]
fn a_stop_waits_for_the_request_under_way() {
    let server = Server::slow("slow", Duration::from_millis(300));
    let port = free_port();
    let running = Running::start(&config(port, &server));
    let asking = std::thread::spawn(move || get(port, "/"));
    eventually("the request is under way", || running.status().connections > 0);
    let ended = running.stop();
    assert_eq!(asking.join().unwrap().unwrap(), (200, "slow".to_owned()));
    assert_eq!(ended.cut, 0);
}

#[test]
fn reloads_ordered_at_once_are_all_answered() {
    let server = Server::start("one");
    let port = free_port();
    let running = Running::start(&config(port, &server));
    let handle = running.node.as_ref().unwrap().handle();
    let orders: Vec<_> = (0..8)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || handle.reload_blocking("a test"))
        })
        .collect();
    for order in orders {
        order.join().unwrap().unwrap();
    }
    // Those that came while one was under way share the next.
    let generation = running.status().config.generation;
    assert!((2..=9).contains(&generation), "{generation}");
    assert_eq!(get(port, "/").unwrap(), (200, "one".to_owned()));
}

#[test]
fn a_server_given_by_name_is_found_and_one_without_an_address_is_down() {
    let server = Server::start("one");
    let port = free_port();
    let text = config(port, &server)
        .replace(
            &format!("server a 127.0.0.1:{}", server.port()),
            &format!("server a localhost:{}\n    server b nowhere.invalid:80", server.port()),
        )
        // A look-up that finds nothing must not take as long as the machine's own name servers please.
        .replace("state off\n", "state off\nresolver 127.0.0.1:9\n");
    let running = Running::start(&text);
    let held = |place: usize| running.status().pools[0].servers[place].verdict.clone();
    eventually("the one is up", || held(0).state == State::Up);
    eventually("the other is down", || held(1).state == State::Down);
    assert_eq!(held(1).reason, Reason::Dns);
    assert_eq!(get(port, "/").unwrap(), (200, "one".to_owned()));
}

//! What the nodes of a cluster know of each other: orders, verdicts, session tokens, and who is to be answered by DNS.
//!
//! Two nodes on addresses of the loopback, without a group, so that no address moves and no rights are needed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Output};

use evenkeel_e2e::balancer::{command, program, text};
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::{Scratch, address, free};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, wire};
use rustix::process::Signal;
use serde_json::Value;

/// Two nodes, each with its own listener; or more.
pub(crate) struct Twins {
    nodes: Vec<Option<Process>>,
    at: [SocketAddr; 2],
    pub(crate) scratch: Scratch,
    cluster: String,
}

/// The address of a node, which no other test has.
pub(crate) fn home(node: usize) -> IpAddr {
    let IpAddr::V4(own) = address() else { panic!("tests live on IPv4") };
    let [_, second, high, low] = own.octets();
    Ipv4Addr::new(127, second + 8 + 4 * node as u8, high, low).into()
}

impl Twins {
    /// Starts both, each with a listener of its own: `lines` is the rest of a node's file.
    fn start(lines: impl Fn(usize) -> String) -> Self {
        let at = [free(), free()];
        let listener = |node: usize| format!("http {} {{\n    route * to=shop\n}}\n", at[node]);
        Self { at, ..Self::start_bare(Scratch::new("sharing"), |node| listener(node) + &lines(node)) }
    }

    /// Starts both: `lines` is what a node's file has beside the cluster.
    pub(crate) fn start_bare(scratch: Scratch, lines: impl Fn(usize) -> String) -> Self {
        Self::start_all(2, scratch, lines)
    }

    /// Starts so many.
    pub(crate) fn start_all(count: usize, scratch: Scratch, lines: impl Fn(usize) -> String) -> Self {
        let port = free().port();
        let key = scratch.write("key", &"k".repeat(40));
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let named: String = (0..count).map(|node| format!("    node lb{} {}\n", node + 1, home(node))).collect();
        let cluster = format!(
            "limits workers=1 drain=2s\ncluster edge key=file:{} {{\n    port {port}\n{named}}}\n",
            key.display(),
        );
        let nodes = (0..count).map(|_| None).collect();
        let mut twins = Self { nodes, at: [free(), free()], scratch, cluster };
        (0..count).for_each(|node| twins.write(node, &lines(node)));
        (0..count).for_each(|node| twins.launch(node));
        twins.await_sharing();
        twins
    }

    /// Writes a node's file.
    pub(crate) fn write(&self, node: usize, lines: &str) {
        self.scratch.write(&format!("{node}.conf"), &(self.cluster.clone() + lines));
    }

    pub(crate) fn launch(&mut self, node: usize) {
        let path = |name: &str| self.scratch.file(&format!("{node}.{name}")).display().to_string();
        let (name, file) = (format!("lb{}", node + 1), path("conf"));
        let (state, control) = (path("state"), path("control"));
        let run = ["run", &file, "--node", &name, "--state", &state, "--control", &control];
        let output = self.scratch.file(&format!("{node}.output"));
        self.nodes[node] = Some(Process::start(&name, program(), &run, self.scratch.path(), output));
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].take().expect("it runs").kill();
    }

    fn stop(&mut self, node: usize) {
        let mut process = self.nodes[node].take().expect("it runs");
        process.signal(Signal::TERM);
        process.end(PATIENCE);
    }

    pub(crate) fn run(&self, node: usize, words: &[&str]) -> Output {
        let control = self.scratch.file(&format!("{node}.control")).display().to_string();
        command(&[words, &["--control", &control]].concat())
    }

    pub(crate) fn order(&self, node: usize, words: &[&str]) -> String {
        let output = self.run(node, words);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        text(&output)
    }

    pub(crate) fn json(&self, node: usize, words: &[&str]) -> Option<Value> {
        serde_json::from_slice(&self.run(node, &[words, &["--json"]].concat()).stdout).ok()
    }

    /// Waits until each that runs has the ear of the others that do.
    fn await_sharing(&self) {
        let running = || (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some());
        await_for("the nodes to share what they know", PATIENCE, || {
            for node in running() {
                let status = self.json(node, &["cluster", "status"])?;
                let shares = |other: &usize| {
                    let name = format!("lb{}", other + 1);
                    let all = status["nodes"].as_array();
                    all.is_some_and(|all| all.iter().any(|it| it["name"] == *name && it["shares"] == true))
                };
                running().filter(|other| *other != node).all(|other| shares(&other)).then_some(())?;
            }
            Some(())
        });
    }

    fn server(&self, node: usize, server: usize) -> Option<Value> {
        Some(self.json(node, &["status"])?["pools"][0]["servers"][server].clone())
    }

    fn await_state(&self, node: usize, server: usize, state: &str) -> Value {
        await_for(&format!("server {server} to be {state} on node {node}"), PATIENCE, || {
            self.server(node, server).filter(|server| server["state"] == state)
        })
    }
}

fn shop(servers: &[Origin], lines: &str) -> String {
    format!("pool shop {{\n    {lines}\n    server a {}\n    server b {}\n}}\n", servers[0].at, servers[1].at)
}

fn servers() -> [Origin; 2] {
    [Origin::start("a", Manner::Answer), Origin::start("b", Manner::Answer)]
}

#[test]
fn an_order_on_one_node_holds_on_both_and_so_does_its_lifting() {
    let servers = servers();
    let mut twins = Twins::start(|_| shop(&servers, "check every=200ms"));
    twins.await_state(1, 0, "up");
    twins.order(0, &["drain", "shop/a", "--why", "new kernel"]);
    let seen = twins.await_state(1, 0, "draining");
    let by = seen["intent"]["by"].as_str().unwrap_or_default();
    assert!(by.ends_with(" on node lb1") && seen["intent"]["why"] == "new kernel", "{seen}");
    twins.order(1, &["weight", "shop/b", "50%"]);
    await_for("the weight on the other node", PATIENCE, || {
        twins.server(0, 1).filter(|server| server["intent"]["weight"].is_number())
    });

    // Lifted while one of them is away, it does not come back with it.
    twins.kill(1);
    twins.order(0, &["ready", "shop/a"]);
    twins.launch(1);
    twins.await_sharing();
    twins.await_state(1, 0, "up");
    twins.await_state(0, 0, "up");
    // And what was not lifted outlives the restart of both.
    twins.stop(0);
    twins.stop(1);
    (0..2).for_each(|node| twins.launch(node));
    twins.await_sharing();
    for node in 0..2 {
        let server = await_for("the weight", PATIENCE, || twins.server(node, 1));
        assert!(server["intent"]["weight"].is_number(), "node {node}: {server}");
    }
}

#[test]
fn a_session_that_began_on_one_node_is_read_by_the_other() {
    let servers = servers();
    let mut twins = Twins::start(|_| shop(&servers, "sticky cookie SRV\n    check every=200ms"));
    for (node, server) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        await_for("a server to be up", PATIENCE, || (twins.server(node, server)?["state"] == "up").then_some(()));
    }
    let ask = |node: usize, cookie: &str| {
        let field = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let answer = wire::ask(twins.at[node], "GET", "/", &field, b"").unwrap();
        let cookie = answer.field("set-cookie").and_then(|set| set.split(';').next()).map(str::to_owned);
        (answer.text(), cookie)
    };
    // Each node made a secret of its own: within a moment both know both.
    let sessions: Vec<(usize, String, String)> = (0..8)
        .map(|turn| {
            let (server, cookie) = ask(turn % 2, "");
            (turn % 2, server, cookie.expect("a new client gets a cookie"))
        })
        .collect();
    assert!(sessions.iter().any(|session| session.1 != sessions[0].1), "they are all on one server");
    // Four in a row: who takes turns, because it cannot read them, hits both servers.
    let is_kept =
        |(begun, server, cookie): &(usize, String, String)| (0..4).all(|_| ask(1 - begun, cookie).0 == *server);
    await_for("the nodes to read each other's tokens", PATIENCE, || sessions.iter().all(is_kept).then_some(()));
    // A node that has lost its state directory takes up what the other knows.
    twins.stop(1);
    std::fs::remove_dir_all(twins.scratch.file("1.state")).unwrap();
    twins.launch(1);
    twins.await_sharing();
    let ask = |node: usize, cookie: &str| {
        wire::ask(twins.at[node], "GET", "/", &format!("Cookie: {cookie}\r\n"), b"").unwrap().text()
    };
    await_for("the new node to read every token", PATIENCE, || {
        let all = sessions.iter().all(|(_, server, cookie)| (0..4).all(|_| ask(1, cookie) == *server));
        all.then_some(())
    });
}

#[test]
fn what_another_node_sees_otherwise_is_shown() {
    let servers = servers();
    let dead = free();
    let twins = Twins::start(|node| {
        let first = if node == 0 { servers[0].at } else { dead };
        format!(
            "pool shop {{\n    check every=200ms fall=1\n    server a {first}\n    server b {}\n}}\n",
            servers[1].at
        )
    });
    let seen = await_for("the other node's view", PATIENCE, || {
        let report = twins.json(0, &["cluster", "status"])?;
        report["nodes"][0]["sees_otherwise"].as_array().filter(|seen| !seen.is_empty()).cloned()
    });
    assert_eq!(
        (&seen[0]["server"], &seen[0]["state"], &seen[0]["here"]),
        (&"shop/a".into(), &"down".into(), &"up".into())
    );
    let told = twins.order(0, &["cluster", "status"]);
    assert!(told.contains("! lb2 holds shop/a for down, this node for up"), "{told}");
}

#[test]
fn dns_answers_with_the_nodes_that_live_by_their_heartbeats() {
    let servers = servers();
    let ports = [free(), free()];
    // No check: nobody would notice but for the heartbeats.
    let mut twins = Twins::start(|node| {
        let peers =
            format!("pool nodes {{\n    check off\n    server lb1 {}:80\n    server lb2 {}:80\n}}\n", home(0), home(1));
        let zone = format!(
            "dns {} {{\n    rate off\n    zone api.test answer=self+peers peers=nodes address={} ttl=5s {{\n        \
             ns lb1.test={} lb2.test={}\n    }}\n}}\n",
            ports[node],
            home(node),
            home(0),
            home(1)
        );
        shop(&servers, "check every=200ms") + &peers + &zone
    });
    let (one, two) = (home(0).to_string(), home(1).to_string());
    let answers = |twins: &Twins, wanted: &[&String]| {
        await_for(&format!("an answer of {wanted:?}"), PATIENCE, || {
            let found = dig(ports[0]);
            (found.len() == wanted.len() && wanted.iter().all(|wanted| found.contains(*wanted))).then_some(())
        });
        assert!(twins.nodes[0].is_some());
    };
    answers(&twins, &[&one, &two]);
    twins.kill(1);
    answers(&twins, &[&one]);
    twins.launch(1);
    answers(&twins, &[&one, &two]);
    // It lives, but its operator drained it.
    let said = twins.order(1, &["drain", "--node", "--why", "new kernel"]);
    assert!(said.contains("this node is drained"), "{said}");
    answers(&twins, &[&one]);
    let zones = twins.order(0, &["dns", "zones", "--json"]);
    assert!(zones.contains("heartbeats"), "{zones}");
    twins.order(1, &["ready", "--node"]);
    answers(&twins, &[&one, &two]);
    // Nor is it answered where it is drained as a server of that pool, whatever its heartbeats say.
    twins.order(0, &["drain", "nodes/lb2"]);
    answers(&twins, &[&one]);
    twins.order(0, &["ready", "nodes/lb2"]);
    answers(&twins, &[&one, &two]);
    // The one that is asked: clients go to its peer.
    twins.order(0, &["drain", "--node"]);
    answers(&twins, &[&two]);
}

/// The addresses of the name, as a resolver gets them.
fn dig(at: SocketAddr) -> Vec<String> {
    let server = format!("@{}", at.ip());
    let port = at.port().to_string();
    let words = [&server, "-p", &port, "api.test", "A", "+short", "+tries=1", "+time=2"];
    let run = Command::new("dig").args(words).output().expect("dig is there");
    let lines = String::from_utf8_lossy(&run.stdout).into_owned();
    lines.lines().filter(|line| line.parse::<IpAddr>().is_ok()).map(str::to_owned).collect()
}

#[test]
fn a_drained_node_ends_connections_with_their_answers_and_stays_drained_over_a_restart() {
    let servers = servers();
    let mut twins = Twins::start(|_| shop(&servers, "check every=200ms"));
    let mut connection = wire::Connection::open(twins.at[0], PATIENCE).unwrap();
    let mut ask = || {
        connection.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        connection.answer("GET").unwrap()
    };
    assert!(!ask().closes());
    twins.order(0, &["drain", "--node", "--why", "new kernel"]);
    assert!(ask().closes(), "the client is told to come again elsewhere");
    drop(connection);
    let said = twins.order(0, &["drain", "--node", "--why", "new kernel", "--wait", "20s"]);
    assert!(said.contains("no connection is open"), "{said}");
    assert!(twins.order(0, &["status"]).contains("drained by "));
    twins.stop(0);
    twins.launch(0);
    twins.await_sharing();
    await_for("the other node to know", PATIENCE, || {
        (twins.json(1, &["cluster", "status"])?["nodes"][0]["drained"] == true).then_some(())
    });
    twins.order(0, &["ready", "--node"]);
    await_for("the other node to know that it is over", PATIENCE, || {
        (twins.json(1, &["cluster", "status"])?["nodes"][0]["drained"] == false).then_some(())
    });
}

//! Units of a real systemd in groups: started and stopped in order, watched, and what becomes of those that fail, hang or are
//! not there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use evenkeel_e2e::balancer::program;
use evenkeel_e2e::load::{Keeping, Load, Plan};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::systemd::Systemd;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

use crate::pair::{CLIENT, LISTENER, Pair, SERVICE, service_line};

/// Two nodes, each on a machine with a systemd of its own.
struct Units {
    managers: Vec<Systemd>,
    pair: Pair,
}

impl Units {
    /// With these lines in the group, and for each machine its units, by name and text. In a text `@CALLS` is a file in which
    /// it is written down what happens, `@NODE` the machine. `None`, said aloud, where no systemd can be had.
    fn start(test: &str, lines: &str, units: impl Fn(u8) -> Vec<(String, String)>) -> Option<Self> {
        let mut scene = Self::lay(test, lines, units)?;
        scene.launch();
        scene.pair.await_owner(1);
        Some(scene)
    }

    /// The same, with no node started yet.
    fn lay(test: &str, lines: &str, units: impl Fn(u8) -> Vec<(String, String)>) -> Option<Self> {
        if !is_root_or_skips(test, "for network namespaces") {
            return None;
        }
        let pair = Pair::lay(LISTENER, "", |_| lines.to_owned());
        let mut scene = Self { managers: Vec::new(), pair };
        for node in 1..=2 {
            match Systemd::start(&scene.pair.network, node, &scene.pair.scratch) {
                Ok(manager) => scene.managers.push(manager),
                Err(why) => {
                    println!("\nSKIPPED {test}: no systemd: {why}");
                    return None;
                }
            }
            for (name, text) in units(node) {
                scene.give(node, &name, &text);
            }
        }
        Some(scene)
    }

    fn launch(&mut self) {
        for node in 1..=2 {
            let process = self.launch_one(node);
            self.pair.nodes.push(process);
        }
    }

    fn launch_one(&self, node: u8) -> Process {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("PATH={}:{path}", self.manager(node).tools().display());
        self.pair.launch_under(node, &["env", &path])
    }

    fn give(&self, node: u8, name: &str, text: &str) {
        let calls = self.pair.scratch.file("calls").display().to_string();
        self.manager(node).give(name, &text.replace("@CALLS", &calls).replace("@NODE", &node.to_string()));
    }

    fn manager(&self, node: u8) -> &Systemd {
        &self.managers[usize::from(node) - 1]
    }

    fn state(&self, node: u8, unit: &str) -> String {
        self.manager(node).property(unit, "ActiveState")
    }

    fn await_state(&self, node: u8, unit: &str, wanted: &[&str]) {
        await_for(&format!("{unit} of lb{node} to be {wanted:?}"), PATIENCE, || {
            wanted.contains(&self.state(node, unit).as_str()).then_some(())
        });
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.pair.scratch.file("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Has node 2 take the group, or try to.
    fn to_second(&self) -> bool {
        self.pair.order(2, &["takeover", "web"])
    }

    /// The same, which nobody waits for.
    fn order_aside(&self) -> Process {
        let (control, output) = (self.pair.control(2), self.pair.scratch.file("order"));
        let words = ["cluster", "takeover", "web", "--control", &control];
        Process::start("the order", program(), &words, self.pair.scratch.path(), output)
    }

    /// Both nodes may try again whatever failed before.
    fn forgive(&self) {
        for node in 1..=2 {
            assert!(self.pair.order(node, &["ready", "web"]));
        }
    }

    /// How often the group came to a node.
    fn claim(&self) -> u64 {
        self.pair.report(1).unwrap()["groups"][0]["claim"].as_u64().unwrap()
    }

    fn role(&self, node: u8) -> Option<String> {
        self.pair.report(node)?["groups"][0]["role"].as_str().map(str::to_owned)
    }
}

/// A service, which writes down when it starts and stops.
fn service(name: &str, body: &str) -> (String, String) {
    let note = |what: &str| format!("/bin/sh -c 'echo {what} {name} on @NODE >> @CALLS'");
    let text = format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nExecStartPre={}\nExecStopPost={}\n{body}\n",
        note("start"),
        note("stop")
    );
    (format!("{name}.service"), text)
}

/// One that runs when it has said so, which takes it a moment.
fn slow(name: &str) -> (String, String) {
    service(
        name,
        "Type=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'sleep 0.5; systemd-notify --ready; exec sleep infinity'",
    )
}

fn lines(above: &str, below: &str, options: &str) -> String {
    format!("        unit {above} {options}\n        ip {SERVICE}/24\n        unit {below} {options}\n")
}

#[test]
fn units_start_and_stop_in_order_and_move_when_they_end() {
    let test = "units_start_and_stop_in_order_and_move_when_they_end";
    // One that is active with no process, and one with a process that has to be waited for.
    let disk = service("disk", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true");
    let units = |_| vec![disk.clone(), slow("web")];
    let Some(mut scene) = Units::start(test, &lines("disk", "web.service", "timeout=20s every=500ms"), units) else {
        return;
    };
    assert_eq!(scene.calls(), ["start disk on 1", "start web on 1"]);
    assert_eq!((scene.state(1, "web.service"), scene.state(1, "disk.service")), ("active".into(), "active".into()));
    assert!(scene.to_second());
    scene.pair.await_owner(2);
    let moved = ["stop web on 1", "stop disk on 1", "start disk on 2", "start web on 2"];
    assert_eq!(scene.calls()[2..], moved);

    // It is killed, it is stopped by somebody else: both are seen.
    for (node, next, words) in
        [(2, 1, &["kill", "--signal=SIGKILL", "web.service"][..]), (1, 2, &["stop", "web.service"])]
    {
        assert!(scene.manager(node).asks(words).status.success());
        scene.pair.await_owner(next);
        scene.await_state(node, "disk.service", &["inactive"]);
        scene.await_state(next, "web.service", &["active"]);
        scene.forgive();
    }
    assert!(scene.pair.nodes[1].output().contains("failed (failed), signal"), "{}", scene.pair.nodes[1].output());
    assert!(scene.pair.nodes[0].output().contains("inactive (dead)"), "{}", scene.pair.nodes[0].output());

    // The daemon is killed: its guard stops them before the other node starts them.
    scene.pair.node(2).kill();
    scene.pair.await_owner(1);
    assert_eq!(scene.state(2, "web.service"), "inactive");
    let calls = scene.calls();
    let tail = ["stop web on 2", "stop disk on 2", "start disk on 1", "start web on 1"];
    assert!(calls.ends_with(&tail.map(str::to_owned)), "{calls:?}");
}

#[test]
fn a_unit_that_its_manager_restarts_or_reloads_stays_where_it_is() {
    let test = "a_unit_that_its_manager_restarts_or_reloads_stays_where_it_is";
    let (name, text) = service(
        "web",
        "Type=exec\nExecStart=sleep infinity\nRestart=always\nRestartSec=200ms\nExecReload=/bin/sh -c 'echo reload web on \
         @NODE >> @CALLS; sleep 3'",
    );
    let web = (name, text.replace("[Service]", "StartLimitBurst=3\nStartLimitIntervalSec=1h\n[Service]"));
    // As long as a unit that is loaded names it, it is not forgotten how often it was started.
    let target = ("lab.target".to_owned(), "[Unit]\nDefaultDependencies=no\nAfter=web.service\n".to_owned());
    let Some(scene) = Units::start(test, &lines("web", "web2", "every=500ms"), |_| {
        vec![web.clone(), target.clone(), service("web2", "ExecStart=sleep infinity")]
    }) else {
        return;
    };
    let claim = scene.claim();
    assert!(scene.manager(1).asks(&["kill", "--signal=SIGKILL", "web.service"]).status.success());
    await_for("the manager to start it again", PATIENCE, || {
        let starts = scene.calls().iter().filter(|call| *call == "start web on 1").count();
        (starts == 2 && scene.state(1, "web.service") == "active").then_some(())
    });
    assert!(scene.manager(1).asks(&["reload", "web.service"]).status.success());
    assert!(scene.calls().contains(&"reload web on 1".to_owned()));
    scene.pair.await_owner(1);
    assert_eq!(scene.claim(), claim, "{}", scene.pair.nodes[0].output());
    // And where it was moved again and again, no bound on starts keeps it from the next.
    for round in 0..8 {
        let to = if round % 2 == 0 { 2 } else { 1 };
        assert!(scene.pair.order(to, &["takeover", "web"]), "{}", scene.pair.nodes[usize::from(to) - 1].output());
        scene.pair.await_owner(to);
    }
}

#[test]
fn a_unit_that_does_not_start_leaves_the_group_to_the_other_node() {
    let test = "a_unit_that_does_not_start_leaves_the_group_to_the_other_node";
    let run = || service("web", "Type=exec\nExecStart=sleep infinity");
    let Some(scene) =
        Units::start(test, &lines("base", "web", "timeout=3s every=500ms"), |_| vec![slow("base"), run()])
    else {
        return;
    };
    let cases = [
        ("exits", service("web", "Type=notify\nExecStart=/bin/false"), "control process exited with error code"),
        (
            "never ready",
            service("web", "Type=notify\nExecStart=sleep infinity\nTimeoutStartSec=infinity"),
            "was killed",
        ),
        ("masked", ("web.service".to_owned(), String::new()), "masked"),
        ("unknown", (String::new(), String::new()), "not found"),
        ("ends at once", service("web", "Type=oneshot\nExecStart=/bin/true"), "still it does not run"),
    ];
    for (what, (name, text), said) in cases {
        let place = scene.pair.scratch.file("units2").join("web.service");
        std::fs::remove_file(&place).unwrap();
        match (name.is_empty(), text.is_empty()) {
            (true, _) => scene.manager(2).reload(),
            (_, true) => {
                std::os::unix::fs::symlink("/dev/null", &place).unwrap();
                scene.manager(2).reload();
            }
            _ => scene.give(2, &name, &text),
        }
        // It comes back; the order is not fulfilled, and whoever gave it would wait for that.
        let order = scene.order_aside();
        let told = await_for(&format!("lb2 to fail: {what}"), PATIENCE, || {
            let told = scene.pair.nodes[1].output();
            told.contains(said).then_some(told)
        });
        assert_ne!(scene.role(2).as_deref(), Some("stuck"), "{what}: {told}");
        scene.pair.await_owner(1);
        scene.await_state(2, "base.service", &["inactive"]);
        // Nothing of it goes on behind our back: what was asked for and took too long is taken back.
        scene.await_state(2, "web.service", &["inactive", "failed"]);
        await_for("lb2 to be rid of the group", PATIENCE, || {
            matches!(scene.role(2)?.as_str(), "failed" | "idle").then_some(())
        });
        drop(order);
        scene.forgive();
        if what != "unknown" {
            continue;
        }
        // There is something again for the next case to take away.
        let (name, text) = run();
        scene.give(2, &name, &text);
    }
    let (name, text) = run();
    scene.give(2, &name, &text);
    assert!(scene.to_second());
    scene.pair.await_owner(2);
}

#[test]
fn a_unit_that_does_not_stop_is_killed_and_the_group_moves() {
    let test = "a_unit_that_does_not_stop_is_killed_and_the_group_moves";
    // Deaf to the polite signal, and with a command to stop it that hangs as well.
    let deaf = service(
        "web",
        "Type=exec\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nExecStop=sleep \
         infinity\nTimeoutStopSec=infinity\nRestart=always",
    );
    let Some(scene) =
        Units::start(test, &lines("base", "web", "timeout=2s every=500ms"), |_| vec![slow("base"), deaf.clone()])
    else {
        return;
    };
    let first = scene.manager(1).property("web.service", "MainPID");
    assert!(scene.to_second(), "{}", scene.pair.nodes[0].output());
    scene.pair.await_owner(2);
    scene.await_state(1, "web.service", &["inactive", "failed"]);
    assert_ne!(first, "0");
    assert_eq!(scene.manager(1).property("web.service", "MainPID"), "0", "it was not started again");
    let roles: BTreeSet<_> = [1, 2].map(|node| scene.role(node)).into();
    assert_eq!(roles, [Some("idle".to_owned()), Some("owner".to_owned())].into());
}

#[test]
fn what_runs_or_is_about_to_is_stopped_on_a_node_that_does_not_own_it() {
    let test = "what_runs_or_is_about_to_is_stopped_on_a_node_that_does_not_own_it";
    let (later, first) = (service("web", "Type=exec\nExecStart=sleep infinity"), slow("base"));
    let late = (later.0, later.1.replace("[Service]", "After=gate.service\n[Service]"));
    let gate = service(
        "gate",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'until [ -e @CALLS.open ]; do sleep 0.1; done'",
    );
    let Some(mut scene) = Units::lay(test, &lines("base", "web", "timeout=20s every=500ms"), |_| {
        vec![late.clone(), first.clone(), gate.clone()]
    }) else {
        return;
    };
    let process = scene.launch_one(1);
    scene.pair.nodes.push(process);
    scene.pair.await_owner(1);
    // As at a boot of a machine on which both are enabled: one runs already, one waits for something.
    let manager = scene.manager(2);
    assert!(manager.asks(&["start", "base.service"]).status.success());
    assert!(manager.asks(&["start", "--no-block", "gate.service", "web.service"]).status.success());
    await_for("the start to be queued", PATIENCE, || {
        let jobs = String::from_utf8_lossy(&manager.asks(&["list-jobs"]).stdout).into_owned();
        jobs.contains("web.service").then_some(())
    });
    let process = scene.launch_one(2);
    scene.pair.nodes.push(process);
    scene.await_state(2, "base.service", &["inactive"]);
    await_for("the start to be called off", PATIENCE, || {
        let jobs = String::from_utf8_lossy(&scene.manager(2).asks(&["list-jobs"]).stdout).into_owned();
        (!jobs.contains("web.service")).then_some(())
    });
}

#[test]
fn a_socket_unit_keeps_its_port_open_over_restarts() {
    let test = "a_socket_unit_keeps_its_port_open_over_restarts";
    if !is_root_or_skips(test, "for network namespaces") {
        return;
    }
    let pair = Pair::lay(LISTENER, "", service_line);
    let manager = match Systemd::start(&pair.network, 1, &pair.scratch) {
        Ok(manager) => manager,
        Err(why) => return println!("\nSKIPPED {test}: no systemd: {why}"),
    };
    let to: SocketAddr = "10.77.0.1:80".parse().unwrap();
    let (admin, log) = ("127.0.0.1:9901", pair.scratch.file("web.log"));
    let listening = |to: &str| {
        let head = format!("state off\ncontrol {}\nadmin {admin}\n", pair.control(1));
        pair.scratch.write("web.conf", &format!("{head}http {to} {{\n    respond 200\n}}\n"))
    };
    let run = format!("{} run {}", program().display(), listening(&to.to_string()).display());
    let ports = format!("ListenStream={to}\nListenStream={admin}\n");
    manager.give("web.socket", &format!("[Unit]\nDefaultDependencies=no\n[Socket]\n{ports}"));
    let unit = "[Unit]\nDefaultDependencies=no\nRequires=web.socket\nAfter=web.socket\n";
    let service = format!("Type=notify\nExecStart={run}\nTimeoutStopSec=60\nStandardError=append:{}\n", log.display());
    manager.give("web.service", &format!("{unit}[Service]\n{service}"));
    let does = |words: &[&str]| {
        let said = manager.asks(words);
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    };
    // Nothing runs yet: the first who comes has it started.
    does(&["start", "web.socket"]);
    let account = pair.within(CLIENT, || {
        let load = Load::start(&Plan { keeping: Keeping::OneEach, ..Plan::get(to, 4) });
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            load.await_more(50);
            seen.insert(manager.property("web.service", "MainPID"));
            does(&["restart", "web.service"]);
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
        load.await_more(50);
        load.stop()
    });
    assert!(account.failures().is_empty(), "{account}: {:?}", account.classes());
    let unserved = "the service manager listens on";
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("stopping") && !logged.contains(unserved), "{logged}");
    // What a reload gives up is still open, and whoever comes there would wait.
    listening("10.77.0.1:81");
    let reloaded = Command::new(program()).args(["reload", "--control", &pair.control(1)]).output().unwrap();
    let told = String::from_utf8_lossy(&reloaded.stdout) + String::from_utf8_lossy(&reloaded.stderr);
    assert!(reloaded.status.success() && told.contains(&format!("{unserved} {to} for us")), "{told}");
}

//! How does the program begin and end?

use std::path::Path;
use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, NO_DAEMON, command, program, text};
use evenkeel_e2e::load::{Load, Outcome, Plan};
use evenkeel_e2e::nginx::{LARGE, Nginx};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::wire::{self, Connection, Failure};
use evenkeel_e2e::{PATIENCE, await_for};
use rustix::process::Signal;

use crate::setting::{QUICK_CHECK, named, shop};

#[test]
fn term_lets_requests_finish_and_ends_with_0() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let mut download = Connection::open(at, PATIENCE).unwrap();
    download.send(&wire::request(at, "GET", "/trickle", "", b"")).unwrap();
    let mut idle = Connection::open(at, PATIENCE).unwrap();
    idle.send(&wire::request(at, "GET", "/", "", b"")).unwrap();
    assert!(!idle.answer("GET").unwrap().closes());
    balancer.signal(Signal::TERM);
    assert_eq!(idle.rest().unwrap(), b"", "an idle connection is closed");
    await_for("new connections to be refused", PATIENCE, || {
        (wire::get(at, "/").err() == Some(Failure::Refused)).then_some(())
    });
    let answer = download.answer("GET").unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
    assert_eq!(balancer.end(PATIENCE), 0, "{}", balancer.process().output());
}

#[test]
fn term_under_load_cuts_no_request() {
    let servers = Nginx::start_many(2);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let load = Load::start(&Plan::get(at, 6));
    load.await_more(200);
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.end(PATIENCE), 0, "{}", balancer.process().output());
    let account = load.stop();
    // After the end connections are refused; until then each request that was taken is answered. A request that
    // crosses the close of an idle connection may see it closed before any answer, and may be sent again.
    for record in &account.records {
        let is_fair = matches!(
            record.outcome,
            Outcome::Answered(200, _) | Outcome::Failed(Failure::Refused | Failure::ResetBefore)
        );
        assert!(is_fair, "{record:?}");
    }
    let crossed = account.classes().get("reset before the answer").copied().unwrap_or(0);
    assert!(crossed <= 6, "more than one for each client: {account}");
}

#[test]
fn a_second_term_ends_at_once() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let mut download = Connection::open(at, PATIENCE).unwrap();
    download.send(&wire::request(at, "GET", "/trickle", "", b"")).unwrap();
    download.exactly(20).unwrap();
    balancer.signal(Signal::TERM);
    await_for("new connections to be refused", PATIENCE, || {
        (wire::get(at, "/").err() == Some(Failure::Refused)).then_some(())
    });
    balancer.signal(Signal::TERM);
    balancer.end(Duration::from_secs(3));
    assert!(download.rest().unwrap().len() < LARGE);
}

#[test]
fn quit_does_what_term_does_and_signals_of_other_servers_do_nothing() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    for (signal, name) in [(Signal::USR2, "SIGUSR2"), (Signal::ALARM, "SIGALRM")] {
        balancer.signal(signal);
        let wanted = format!("{name} is ignored");
        await_for(&wanted, PATIENCE, || {
            balancer.process().expect_running();
            balancer.process().output().contains(&wanted).then_some(())
        });
    }
    let mut download = Connection::open(at, PATIENCE).unwrap();
    download.send(&wire::request(at, "GET", "/trickle", "", b"")).unwrap();
    download.exactly(20).unwrap();
    balancer.signal(Signal::QUIT);
    let rest = download.rest().unwrap();
    assert!(rest.len() >= LARGE, "{} bytes", rest.len());
    assert_eq!(balancer.end(PATIENCE), 0, "{}", balancer.process().output());
}

#[test]
fn stop_does_what_term_does() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let output = balancer.run("stop", &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(balancer.end(PATIENCE), 0);
    assert_eq!(balancer.run("status", &[]).status.code(), Some(NO_DAEMON));
}

#[test]
fn a_port_in_use_names_its_holder() {
    let server = Nginx::start("a");
    let mut balancer = Balancer::launch(&format!("http {} {{\n    respond 200 x\n}}\n", server.at));
    assert_eq!(balancer.end(PATIENCE), 1);
    let said = balancer.process().output();
    assert!(said.contains("nginx") && said.contains(&server.at.to_string()), "{said}");
}

#[test]
fn a_broken_file_starts_nothing_and_last_good_serves_what_was() {
    let at = free();
    let mut balancer = Balancer::start(&format!("http {at} {{\n    respond 200 good\n}}\n"));
    assert!(balancer.run("stop", &[]).status.success());
    balancer.end(PATIENCE);
    let scratch = balancer.scratch();
    let text_of = format!(
        "state {0}/state\ncontrol {0}/control.sock\nhttp {at} {{\n    respon 200 bad\n}}\n",
        scratch.path().display()
    );
    let path = scratch.write("evenkeel.conf", &text_of);
    let path = path.to_str().unwrap();
    let output = command(&["run", path]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("did you mean `respond`"), "{}", text(&output));
    // Where it is kept, the broken file itself says.
    let words = ["run", "--last-good", path];
    let mut again = Process::start("evenkeel", program(), &words, scratch.path(), scratch.file("again"));
    await_for("the last good answer", PATIENCE, || {
        again.expect_running();
        wire::get(at, "/").ok().filter(|answer| answer.text().starts_with("good"))
    });
    assert!(again.output().contains("respon"), "it says what is wrong: {}", again.output());
    again.kill();
    std::fs::remove_file(scratch.file("state").join("last-good.json")).unwrap();
    let without = command(&words);
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without).contains("no last good configuration"), "{}", text(&without));
}

#[test]
fn flags_alone_run_it_and_print_the_same_as_a_file() {
    let servers = Nginx::start_many(2);
    let at = free();
    let scratch = Scratch::new("flags");
    let to = format!("{},{}", servers[0].at, servers[1].at);
    let listen = at.to_string();
    let flags = ["run", "--listen", &listen, "--to", &to, "--sticky", "--check", "/check"];
    let mut words = flags.to_vec();
    words.push("--print-config");
    let output = command(&words);
    assert!(output.status.success(), "{}", text(&output));
    let file = scratch.write("printed.conf", &String::from_utf8_lossy(&output.stdout));
    let output = command(&["check", "--offline", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
    let control = scratch.file("control.sock");
    let mut words = flags.to_vec();
    words.extend(["--control", control.to_str().unwrap()]);
    let mut process = Process::start("evenkeel", program(), &words, scratch.path(), scratch.file("output"));
    let answer = await_for("an answer", PATIENCE, || {
        process.expect_running();
        wire::get(at, "/").ok()
    });
    assert_eq!(answer.status, 200);
    assert!(answer.field("set-cookie").is_some());
    for wanted in [listen.as_str(), &servers[0].at.to_string(), "--print-config"] {
        await_for(&format!("{wanted} in the first lines"), PATIENCE, || {
            process.output().contains(wanted).then_some(())
        });
    }
}

#[test]
fn the_demo_of_dns_moves_its_client_away_from_what_is_dead() {
    let scratch = Scratch::new("demo-dns");
    let arguments = ["demo", "--dns", "--tour"];
    let mut demo =
        Process::start("evenkeel demo", Path::new(program()), &arguments, scratch.path(), scratch.file("output"));
    let status = demo.end(Duration::from_secs(120));
    let said = demo.output();
    assert!(status.success(), "{status}\n{said}");
    for line in [
        "lb1 answers api.demo.test with 127.0.0.11 127.0.0.12",
        "amber is killed",
        "lb1 answers www.demo.test with 127.0.0.22 127.0.0.23",
        "lb1 is killed (kill -9)",
        "lb1 answers api.demo.test with nothing",
        "lb2 answers api.demo.test with 127.0.0.12\n",
        "lb2 is stopped in order",
    ] {
        assert!(said.contains(line), "`{line}` in\n{said}");
    }
    let total = said.split("in all: ").nth(1).unwrap();
    assert!(total.contains("; 0 failed; ") && total.contains("look-ups, 0 failed"), "{said}");
    let house = said.split("--control ").nth(1).and_then(|rest| rest.split("/lb1.sock").next()).unwrap();
    assert!(!Path::new(house).exists(), "{house}");
    // One after the other: two demos at the same time would look for the same ports.
    ends_with_its_nodes("--dns", &[Signal::TERM, Signal::HUP, Signal::INT, Signal::KILL]);
}

#[test]
fn the_demo_of_failover_moves_the_address_away_from_what_is_dead_or_stands_still() {
    let scratch = Scratch::new("demo-ha");
    let arguments = ["demo", "--ha", "--tour"];
    let mut demo =
        Process::start("evenkeel demo", Path::new(program()), &arguments, scratch.path(), scratch.file("output"));
    let status = demo.end(Duration::from_secs(120));
    let said = demo.output();
    assert!(status.success(), "{status}\n{said}");
    let mut rest = said.as_str();
    for line in [
        "lb1 is killed (kill -9)",
        "lb2 has 127.0.0.30",
        "lb1 is started again",
        "lb1 is to take the address over",
        "lb1 has 127.0.0.30",
        "lb1 stands still",
        "lb2 has 127.0.0.30",
        "lb1 goes on",
    ] {
        rest = rest.split_once(line).unwrap_or_else(|| panic!("`{line}` in\n{said}")).1;
    }
    let total = said.split("in all: ").nth(1).unwrap();
    assert!(total.contains(" by lb1") && total.contains(" by lb2"), "{said}");
    let house = said.split("--control ").nth(1).and_then(|rest| rest.split("/lb1.sock").next()).unwrap();
    assert!(!Path::new(house).exists(), "{house}");
    ends_with_its_nodes("--ha", &[Signal::TERM, Signal::KILL]);
}

/// Ends a demo of two nodes by these signals in turn, and waits until no process of it is left.
fn ends_with_its_nodes(kind: &str, signals: &[Signal]) {
    let scratch = Scratch::new("demo-ends");
    let room = scratch.path().display().to_string();
    // Its files lie there, so that the command lines of its nodes name it.
    let environment = [("TMPDIR", room.as_str())];
    let left = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.contains(&room)).collect::<Vec<_>>()
    };
    for signal in signals {
        let (arguments, output) = (["demo", kind], scratch.file("output"));
        let program = Path::new(program());
        let mut demo = Process::start_with("evenkeel demo", program, &arguments, scratch.path(), output, &environment);
        await_for("the demo's first words", PATIENCE, || {
            demo.expect_running();
            demo.output().contains("any command").then_some(())
        });
        assert!(left().len() >= 2, "{:?}", left());
        demo.signal(*signal);
        let status = demo.end(PATIENCE);
        assert_eq!(status.success(), *signal != Signal::KILL, "{signal:?}: {status}");
        await_for("its nodes to be gone", PATIENCE, || left().is_empty().then_some(()));
        let folders = std::fs::read_dir(scratch.path()).unwrap().flatten().filter(|entry| entry.path().is_dir());
        // Whoever is killed tidies nothing up.
        assert_eq!(folders.count() == 0, *signal != Signal::KILL, "{signal:?}");
    }
}

#[test]
fn the_demo_tour_ends_by_itself_and_leaves_nothing_behind() {
    let scratch = Scratch::new("demo");
    let mut demo =
        Process::start("evenkeel demo", Path::new(program()), &["demo"], scratch.path(), scratch.file("output"));
    let status = demo.end(Duration::from_secs(90));
    let said = demo.output();
    assert!(status.success(), "{status}\n{said}");
    assert!(said.contains("http://127.0.0.1:") && said.contains("dashboard: http://127.0.0.1:"), "{said}");
    assert!(said.contains("ordered, and every worker sees it: blue is draining"), "{said}");
    let house = said.split("--control ").nth(1).and_then(|rest| rest.split("/control.sock").next()).unwrap();
    assert!(!Path::new(house).exists(), "{house}");
    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["output"]);
}

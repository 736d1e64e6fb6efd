//! What moves and what is lost: open connections, units and scripts; and the failover lab in a short form.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use evenkeel_e2e::lab::fault::Fault;
use evenkeel_e2e::lab::system::System;
use evenkeel_e2e::lab::{Trial, trial};
use evenkeel_e2e::load::{Keeping, Load, Plan};
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::pair::{CLIENT, Pair, SERVICE};

/// A script that runs on a machine as long as a file is there, and writes down what it was asked for. It knows its machine
/// by the machine's own address.
const SCRIPT: &str = r#"#!/bin/sh
dir=$(dirname "$0")
node=$(ip -4 -o addr show dev eth0 | grep -q '10\.77\.0\.1/' && echo 1 || echo 2)
up="$dir/$1-up-$node"
case "$2" in
    start)
        echo "start $1 on $node" >> "$dir/calls"
        [ -e "$dir/$1-fails-on-$node" ] && { echo "no disk" >&2; exit 1; }
        [ -e "$dir/$1-hangs-on-$node" ] && sleep 600
        touch "$up" ;;
    stop)
        echo "stop $1 on $node" >> "$dir/calls"
        [ -e "$dir/$1-stays-on-$node" ] && { echo "busy" >&2; exit 1; }
        rm -f "$up" ;;
    status)
        [ -e "$up" ] && { echo "running"; exit 0; }
        [ -e "$dir/$1-talks" ] && { printf '%04000d\n' 7; exit 1; }
        echo "stopped"; exit 3 ;;
esac
"#;

/// Runs something in the client's network.
fn from_client<T: Send>(pair: &Pair, run: impl FnOnce() -> T + Send) -> T {
    pair.within(CLIENT, run)
}

#[test]
fn planned_moves_lose_no_request_also_on_connections_that_are_open() {
    if !is_root_or_skips("planned_moves_lose_no_request_also_on_connections_that_are_open", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let to = SocketAddr::new(SERVICE.parse().unwrap(), 80);
    let accounts = from_client(&pair, || {
        let post = Plan { method: "POST", body: vec![b'x'; 3000], ..Plan::get(to, 2) };
        let each = Plan { keeping: Keeping::OneEach, ..Plan::get(to, 4) };
        let loads = [Load::start(&Plan::get(to, 6)), Load::start(&each), Load::start(&post)];
        for round in 0..4 {
            loads[0].await_more(50);
            let node = if round % 2 == 0 { 2 } else { 1 };
            assert!(pair.order(node, &["takeover", "web"]));
            pair.await_owner(node);
        }
        loads[0].await_more(100);
        loads.map(Load::stop)
    });
    for account in accounts {
        assert!(account.records.len() > 50, "{}", account.records.len());
        assert!(account.failures().is_empty(), "{:?} of {}", account.classes(), account.records.len());
    }
}

/// A group of an address between two scripts.
fn with_scripts() -> Pair {
    Pair::start_group("", |scratch| {
        let path = scratch.write("service", SCRIPT);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let line = |name: &str| format!("        script {} {name} timeout=3s every=500ms\n", path.display());
        format!("{}        ip {SERVICE}/24\n{}", line("disk"), line("web"))
    })
}

fn calls(pair: &Pair) -> Vec<String> {
    let text = std::fs::read_to_string(pair.scratch.file("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn is_up(pair: &Pair, name: &str, node: u8) -> bool {
    pair.scratch.file(&format!("{name}-up-{node}")).exists()
}

#[test]
fn scripts_start_and_stop_in_order_and_end_with_their_node() {
    if !is_root_or_skips("scripts_start_and_stop_in_order_and_end_with_their_node", "for network namespaces") {
        return;
    }
    let mut pair = with_scripts();
    assert_eq!(calls(&pair), ["start disk on 1", "start web on 1"]);
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    let rest = ["stop web on 1", "stop disk on 1", "start disk on 2", "start web on 2"];
    assert_eq!(calls(&pair)[2..], rest);

    // The service dies, all else lives.
    std::fs::remove_file(pair.scratch.file("web-up-2")).unwrap();
    pair.await_owner(1);
    assert!(!is_up(&pair, "disk", 2), "{:?}", calls(&pair));

    // The same with a status that says much more than anybody reads.
    pair.scratch.write("web-talks", "");
    std::fs::remove_file(pair.scratch.file("web-up-1")).unwrap();
    pair.await_owner(2);
    std::fs::remove_file(pair.scratch.file("web-talks")).unwrap();
    assert!(pair.order(1, &["ready", "web"]) && pair.order(1, &["takeover", "web"]));
    pair.await_owner(1);

    // The daemon is killed: what it ran is stopped by its guard, before the other node starts it.
    pair.node(1).kill();
    assert!(pair.order(2, &["ready", "web"]));
    pair.await_owner(2);
    await_for("the scripts of the dead node to end", PATIENCE, || {
        (!is_up(&pair, "web", 1) && !is_up(&pair, "disk", 1)).then_some(())
    });
}

#[test]
fn a_killed_daemon_s_address_moves_at_once_and_its_script_when_it_is_stopped() {
    let name = "a_killed_daemon_s_address_moves_at_once_and_its_script_when_it_is_stopped";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start_group("", |scratch| {
        // It stops when it may.
        let slow =
            SCRIPT.replace(r#"rm -f "$up" ;;"#, r#"while [ ! -e "$dir/go" ]; do sleep 0.1; done; rm -f "$up" ;;"#);
        let path = scratch.write("service", &slow);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let script = format!("script {} data timeout=60s every=500ms", path.display());
        format!("        ip {SERVICE}/24\n    }}\n    group data prefer=lb1 {{\n        {script}\n")
    });
    await_for("the script to run", PATIENCE, || is_up(&pair, "data", 1).then_some(()));
    pair.node(1).kill();
    pair.await_owner(2);
    await_for("the script to be stopped", PATIENCE, || {
        calls(&pair).contains(&"stop data on 1".to_owned()).then_some(())
    });
    // Longer than a dead node is waited for otherwise.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(calls(&pair), ["start data on 1", "stop data on 1"]);
    pair.scratch.write("go", "");
    await_for("the script to run elsewhere", PATIENCE, || is_up(&pair, "data", 2).then_some(()));
    assert!(!is_up(&pair, "data", 1));
}

#[test]
fn a_start_that_fails_or_hangs_hands_the_group_over_and_back() {
    if !is_root_or_skips("a_start_that_fails_or_hangs_hands_the_group_over_and_back", "for network namespaces") {
        return;
    }
    let mut pair = with_scripts();
    for how in ["fails", "hangs"] {
        pair.scratch.write(&format!("web-{how}-on-2"), "");
        let before = calls(&pair).len();
        // It comes back; the order is not fulfilled.
        let _ = pair.order(2, &["takeover", "web"]);
        pair.await_owner(1);
        let since = calls(&pair)[before..].to_vec();
        assert!(since.contains(&"start web on 2".to_owned()), "{since:?}");
        assert_eq!(since.last().map(String::as_str), Some("start web on 1"), "{since:?}");
        assert!(is_up(&pair, "web", 1) && !is_up(&pair, "disk", 2), "{since:?}");
        std::fs::remove_file(pair.scratch.file(&format!("web-{how}-on-2"))).unwrap();
        assert!(pair.order(2, &["ready", "web"]));
    }
    let told = pair.node(2).output();
    assert!(told.contains("no disk") && told.contains("was killed"), "{told}");
    pair.node(1).signal(Signal::TERM);
    pair.await_owner(2);
    assert!(!is_up(&pair, "web", 1) && !is_up(&pair, "disk", 1));
}

#[test]
fn a_stop_that_fails_costs_the_address_alone_and_waits_for_an_operator() {
    let name = "a_stop_that_fails_costs_the_address_alone_and_waits_for_an_operator";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = with_scripts();
    pair.scratch.write("web-stays-on-1", "");
    let _ = pair.order(2, &["takeover", "web"]);
    // The address does not wait for what does not stop, and the other node serves.
    pair.await_owner(2);
    let report =
        await_for("the alarm", PATIENCE, || pair.report(1).filter(|report| report["groups"][0]["role"] == "stuck"));
    assert_eq!(calls(&pair).iter().filter(|call| *call == "stop web on 1").count(), 3, "{report}: {:?}", calls(&pair));
    assert!(is_up(&pair, "web", 1) && is_up(&pair, "disk", 1), "what stands below is not stopped: {:?}", calls(&pair));
    // It takes nothing again by itself, whatever becomes of the other.
    assert!(!pair.order(1, &["takeover", "web"]));
    std::fs::remove_file(pair.scratch.file("web-stays-on-1")).unwrap();
    assert!(pair.order(1, &["ready", "web"]));
    await_for("the rest to be stopped", PATIENCE, || {
        (!is_up(&pair, "web", 1) && !is_up(&pair, "disk", 1)).then_some(())
    });
    pair.node(2).kill();
    pair.await_owner(1);
}

#[test]
fn groups_and_addresses_come_and_go_by_reloads_and_the_rest_stays_as_it_is() {
    let name = "groups_and_addresses_come_and_go_by_reloads_and_the_rest_stays_as_it_is";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let client = pair.client();
    let first = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    let address = format!("        ip {SERVICE}/24\n");
    let wider = first
        .replace("    group web", "    group mail prefer=lb2 {\n        ip 10.77.0.60/24\n    }\n    group web")
        .replace(&address, &format!("        ip 10.77.0.51/24\n{address}        ip 10.77.0.52/24\n"));
    let owners = |addr: &str, wanted: &[u8]| {
        await_for(&format!("{wanted:?} to have {addr}"), PATIENCE, || {
            (pair.network.owners(addr) == wanted).then_some(())
        });
    };
    pair.scratch.write("evenkeel.conf", &wider);
    assert!(pair.command(2, &["reload"]));
    owners("10.77.0.60", &[2]);
    assert_eq!(pair.network.owners("10.77.0.51"), [0; 0], "its owner was not reloaded yet");
    assert!(pair.command(1, &["reload"]));
    ["10.77.0.51", "10.77.0.52", SERVICE].iter().for_each(|addr| owners(addr, &[1]));
    let report = pair.report(1).unwrap();
    assert_eq!((&report["groups"][0]["name"], &report["groups"][0]["owners"][0]), (&"mail".into(), &"lb2".into()));
    assert_eq!((&report["groups"][1]["claim"], report["groups"][1]["moves"].as_array().unwrap().len()), (&1.into(), 1));
    let status = std::process::Command::new(evenkeel_e2e::balancer::program())
        .args(["status", "--control", &pair.control(1)])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&status.stdout).contains("restart"), "{status:?}");

    // An address that has no place here would cost the whole group: it is refused before.
    pair.scratch.write("evenkeel.conf", &wider.replace("10.77.0.60/24", "10.77.0.60/24 dev=eth7"));
    assert!(!pair.command(2, &["reload"]));
    owners("10.77.0.60", &[2]);

    // They move as any other: also when the process dies, whose guard knows of them.
    assert!(pair.order(2, &["takeover", "web"]));
    ["10.77.0.51", "10.77.0.52", SERVICE].iter().for_each(|addr| owners(addr, &[2]));
    assert!(pair.order(1, &["takeover", "web"]));
    pair.scratch.write("evenkeel.conf", &first);
    for node in [1, 2] {
        assert!(pair.command(node, &["reload"]));
    }
    ["10.77.0.51", "10.77.0.52", "10.77.0.60"].iter().for_each(|addr| owners(addr, &[]));
    pair.await_owner(1);
    let seen = client.end();
    assert!(seen.answered > 100 && seen.failed <= 4 && seen.outage < Duration::from_secs(2), "{seen:?}");
}

#[test]
fn an_address_gets_another_prefix_or_device_by_a_reload_and_stays_with_its_owner() {
    let name = "an_address_gets_another_prefix_or_device_by_a_reload_and_stays_with_its_owner";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    // Another device, on which nobody else is.
    let other = "ip link add other0 type veth peer name other1 && ip link set other0 up && ip link set other1 up";
    [1, 2].iter().for_each(|node| pair.shell(*node, other));
    let client = pair.client();
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    let held = |node: u8| {
        let line = format!("ip -o -4 addr show to {SERVICE}");
        let space = pair.network.space(node);
        let run = std::process::Command::new("ip").args(["netns", "exec", &space, "sh", "-c", &line]).output().unwrap();
        let lines = String::from_utf8_lossy(&run.stdout).into_owned();
        let words = |line: &str| line.split_whitespace().skip(1).step_by(2).take(2).collect::<Vec<_>>().join(" ");
        lines.lines().map(words).collect::<Vec<_>>()
    };
    for (line, place) in [("32", "eth0 32"), ("24 dev=eth0", "eth0 24"), ("25", "eth0 25"), ("24", "eth0 24")] {
        pair.scratch.write("evenkeel.conf", &text.replace(&format!("{SERVICE}/24"), &format!("{SERVICE}/{line}")));
        for node in [1, 2] {
            assert!(pair.command(node, &["reload"]));
            // Longer than the kernel keeps what nobody renews.
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                assert_eq!(pair.network.owners(SERVICE), [1], "{line}, node {node}: {}", pair.nodes[0].output());
            }
        }
        let (device, prefix) = place.split_once(' ').unwrap();
        assert_eq!(held(1), [format!("{device} {SERVICE}/{prefix}")]);
    }
    let seen = client.end();
    assert!(seen.answered > 100 && seen.failed == 0, "{seen:?}");

    // To another device, and back.
    for (line, device) in [("24 dev=other0", "other0"), ("24", "eth0")] {
        pair.scratch.write("evenkeel.conf", &text.replace(&format!("{SERVICE}/24"), &format!("{SERVICE}/{line}")));
        for node in [1, 2] {
            assert!(pair.command(node, &["reload"]));
        }
        await_for("the address to go there", PATIENCE, || {
            (held(1) == [format!("{device} {SERVICE}/24")]).then_some(())
        });
    }
    pair.await_owner(1);
    let told = pair.nodes[0].output();
    assert!(!told.contains("taken away by another program") && !told.contains("cannot be kept"), "{told}");
    // It moves as before.
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
}

/// Whether the answer at that address leaves the connection open for the next request.
fn is_kept_open(pair: &Pair, addr: &str) -> Option<bool> {
    from_client(pair, || {
        let mut stream = TcpStream::connect((addr, 80)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: service.example\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 512];
            match stream.read(&mut piece).ok()? {
                0 => return None,
                length => answer.extend_from_slice(&piece[..length]),
            }
        }
        Some(!String::from_utf8_lossy(&answer).to_lowercase().contains("connection: close"))
    })
}

#[test]
fn what_leaves_is_seen_anew_after_a_reload() {
    if !is_root_or_skips("what_leaves_is_seen_anew_after_a_reload", "for network namespaces") {
        return;
    }
    let group = |web: &str, mail: &str| {
        format!("        ip 10.77.0.51/24\n{web}    }}\n    group mail prefer=lb1 {{\n        ip 10.77.0.60/24\n{mail}")
    };
    let moving = format!("        ip {SERVICE}/24\n");
    let pair = Pair::start_group("", |_| group(&moving, ""));
    let owners = |addr: &str, wanted: &[u8]| {
        await_for(&format!("{wanted:?} to have {addr}"), PATIENCE, || {
            (pair.network.owners(addr) == wanted).then_some(())
        });
    };
    let has_answer = |addr: &str, is_kept: bool| {
        await_for(&format!("an answer at {addr} that leaves the connection open: {is_kept}"), PATIENCE, || {
            (is_kept_open(&pair, addr)? == is_kept).then_some(())
        });
    };
    owners("10.77.0.60", &[1]);
    assert!(pair.order(1, &["standby", "web"]));
    pair.await_owner(2);
    // The address goes over to a group that is owned here: it leaves no more.
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    pair.scratch.write("evenkeel.conf", &text.replace(&group(&moving, ""), &group("", &moving)));
    // Its owner first: in between nobody has it, and never both.
    assert!(pair.command(2, &["reload"]));
    owners(SERVICE, &[]);
    assert!(pair.command(1, &["reload"]));
    owners(SERVICE, &[1]);
    owners("10.77.0.51", &[2]);
    has_answer(SERVICE, true);

    // A node that is drained stays so over a reload.
    assert!(pair.command(1, &["drain", "--node"]));
    owners(SERVICE, &[2]);
    has_answer("10.77.0.1", false);
    assert!(pair.command(1, &["reload"]));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(is_kept_open(&pair, "10.77.0.1"), Some(false));
    assert_eq!(pair.network.owners(SERVICE), [2]);
    assert!(pair.command(1, &["ready", "--node"]));
    has_answer("10.77.0.1", true);
}

/// Tries it; a machine that is too busy to bring a system up is no verdict.
fn tried(fault: Fault, system: System) -> Trial {
    let trial = trial(fault, system).or_else(|_| trial(fault, system));
    trial.unwrap_or_else(|why| panic!("{} with {}: {why}", fault.name(), system.name()))
}

#[test]
fn the_lab_sees_what_a_killed_worker_costs_each_system() {
    if !is_root_or_skips("the_lab_sees_what_a_killed_worker_costs_each_system", "for network namespaces") {
        return;
    }
    let ours = tried(Fault::KillWorker, System::Evenkeel);
    assert!(ours.is_served && !ours.is_still_two && ours.moves == 1, "{ours:?}");
    assert!(ours.outage < Duration::from_secs(1), "{ours:?}");
    if !System::Keepalived.program().exists() {
        println!("\nSKIPPED the_lab_sees_what_a_killed_worker_costs_each_system: keepalived is not installed");
        return;
    }
    let theirs = tried(Fault::Stop, System::KeepalivedTuned);
    assert!(theirs.is_served && theirs.moves == 1 && theirs.answered > 100, "{theirs:?}");
}

/// An application on the client's machine that begins a session for who has none, and names its server.
fn application(pair: &Pair, port: u16, name: &'static str) {
    let space = File::open(format!("/run/netns/{}", pair.network.space(3))).unwrap();
    // It ends with the test's process: nothing but that process knows its network.
    std::thread::spawn(move || {
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let listener = TcpListener::bind(("10.77.0.3", port)).unwrap();
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                let Ok(length) = stream.read(&mut bytes) else { return };
                let request = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
                let is_known = request.contains("appsession=");
                let cookie = format!("Set-Cookie: APPSESSION={name}-{number}-0123456789abcdef\r\n");
                let cookie = if is_known || length == 0 { String::new() } else { cookie };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n{cookie}\r\n{name}");
                let _ = stream.write_all(head.as_bytes());
            });
        }
    });
}

/// One request with these cookies: the server's name, and the session that it began.
fn visit(cookie: Option<&str>) -> Option<(String, Option<String>)> {
    let mut stream = TcpStream::connect((SERVICE, 80)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let cookie = cookie.map(|id| format!("Cookie: APPSESSION={id}\r\n")).unwrap_or_default();
    write!(stream, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{cookie}\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let began = text.lines().find_map(|line| line.strip_prefix("Set-Cookie: APPSESSION=")).map(str::to_owned);
    Some((text.get(text.len().checked_sub(1)?..)?.to_owned(), began))
}

/// Every user comes to the server that holds the session.
fn stay(pair: &Pair, users: &[(String, String)], when: &str) {
    from_client(pair, || {
        for (id, name) in users {
            let seen = await_for("an answer", PATIENCE, || visit(Some(id)));
            assert_eq!(seen.0, *name, "{when}: session {id}");
        }
    });
}

#[test]
fn a_move_keeps_every_user_on_the_server_that_holds_the_session() {
    if !is_root_or_skips("a_move_keeps_every_user_on_the_server_that_holds_the_session", "for network namespaces") {
        return;
    }
    let pool = "pool app {\n    sticky learn APPSESSION\n    server a 10.77.0.3:8081\n    server b 10.77.0.3:8082\n}\n";
    let listener = "http :80 {\n    route * to=app\n}\n";
    let mut pair = Pair::start_serving(&format!("{pool}{listener}"));
    application(&pair, 8081, "a");
    application(&pair, 8082, "b");
    let users: Vec<(String, String)> = from_client(&pair, || {
        await_for("the servers to be reached", PATIENCE, || visit(None).filter(|(name, _)| name == "a"));
        await_for("both of them", PATIENCE, || visit(None).filter(|(name, _)| name == "b"));
        (0..40).filter_map(|_| visit(None)).filter_map(|(name, began)| Some((began?, name))).collect()
    });
    assert!(users.len() > 20 && ["a", "b"].iter().all(|name| users.iter().any(|user| user.1 == *name)));
    let is_shared = |report: &serde_json::Value| report["nodes"][0]["shares"] == true;
    await_for("sessions to be told", PATIENCE, || {
        let told = pair.report(2).filter(is_shared)?["nodes"][0]["sessions_received"].as_u64()?;
        (told >= users.len() as u64).then_some(())
    });
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    stay(&pair, &users, "after a planned move");
    pair.node(2).kill();
    pair.await_owner(1);
    stay(&pair, &users, "after a death");
    let report =
        await_for("the end of the channel to be told", PATIENCE, || pair.report(1).filter(|report| !is_shared(report)));
    assert!(report["nodes"][0]["share_trouble"].is_string(), "{report}");
}

#[test]
fn keys_change_in_three_rounds_and_nobody_is_unheard() {
    if !is_root_or_skips("keys_change_in_three_rounds_and_nobody_is_unheard", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let old = pair.scratch.file("key").display().to_string();
    let new = pair.scratch.write("next", &"n".repeat(40));
    std::fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    let new = new.display().to_string();
    let first = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    let with = |key: &str, accept: &str| {
        let accept = if accept.is_empty() { String::new() } else { format!("    accept file:{accept}\n") };
        first.replace(&format!("key=file:{old} {{\n"), &format!("key=file:{key} {{\n{accept}"))
    };
    let client = pair.client();
    for text in [with(&old, &new), with(&new, &old), with(&new, "")] {
        assert_ne!(text, first);
        pair.scratch.write("evenkeel.conf", &text);
        for node in 1..=2 {
            assert!(pair.command(node, &["reload"]), "{text}");
            let heard =
                |node: u8| pair.report(node).filter(|report| report["nodes"][0]["paths"][0]["trouble"].is_null());
            for node in 1..=2 {
                let report = await_for("an answer", PATIENCE, || heard(node));
                assert_eq!(report["nodes"][0]["state"], "up", "{report}");
            }
        }
    }
    pair.await_owner(1);
    let seen = client.end();
    assert!(seen.answered > 50 && seen.failed <= 2, "{seen:?}");
    let told = pair.nodes.iter().map(evenkeel_e2e::process::Process::output).collect::<String>();
    assert!(!told.contains("was refused"), "{told}");
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
}

#[test]
fn a_node_that_is_made_anew_after_a_change_of_keys_names_sessions_as_the_others_do() {
    let name = "a_node_that_is_made_anew_after_a_change_of_keys_names_sessions_as_the_others_do";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pool = "pool app {\n    sticky learn APPSESSION\n    server a 10.77.0.3:8081\n}\n";
    let mut pair = Pair::start_serving(&format!("{pool}http :80 {{\n    route * to=app\n}}\n"));
    application(&pair, 8081, "a");
    let share =
        |pair: &Pair, node: u8| pair.report(node).filter(|report| report["nodes"][0]["shares"] == true).map(|_| ());
    await_for("sessions to be shared", PATIENCE, || share(&pair, 1).and_then(|()| share(&pair, 2)));
    // The same file says another key, and the second machine is a new one: by seconds, in which seeds are dated.
    std::thread::sleep(Duration::from_millis(1100));
    std::fs::write(pair.scratch.file("key"), "n".repeat(40)).unwrap();
    assert!(pair.command(1, &["reload"]));
    pair.node(2).kill();
    std::fs::remove_dir_all(pair.scratch.file("state2")).unwrap();
    let again = pair.launch(2);
    pair.nodes[1] = again;
    for (node, what) in [(1, "restart lb2"), (2, "restart this node")] {
        await_for(what, PATIENCE, || {
            let report = pair.report(node)?;
            report["nodes"][0]["share_trouble"].as_str()?.contains(what).then_some(())
        });
        assert_eq!(share(&pair, node), None);
    }
    pair.node(2).kill();
    let again = pair.launch(2);
    pair.nodes[1] = again;
    await_for("sessions to be shared again", PATIENCE, || share(&pair, 1).and_then(|()| share(&pair, 2)));
    let (_, began) = from_client(&pair, || await_for("an answer", PATIENCE, || visit(None)));
    assert!(began.is_some());
    await_for("the session to be told", PATIENCE, || {
        let received = |node: u8| pair.report(node)?["nodes"][0]["sessions_received"].as_u64();
        (received(1)? + received(2)? > 0).then_some(())
    });
}

//! Two nodes and one address: who has it, and what a client sees, while nodes are ordered, killed, stopped and cut off.
//!
//! How long an interruption is depends on the machine, and is measured elsewhere; the bounds here leave room for a busy one.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};
use rustix::process::Signal;

use crate::pair::{CLIENT, Pair, SERVICE, guard_of};

#[test]
fn a_group_moves_on_order_and_clients_hardly_notice() {
    if !is_root_or_skips("a_group_moves_on_order_and_clients_hardly_notice", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let client = pair.client();
    for round in 0..4 {
        let to = if round % 2 == 0 { 2 } else { 1 };
        assert!(pair.order(to, &["takeover", "web"]));
        pair.await_owner(to);
    }
    assert!(pair.order(1, &["standby"]));
    pair.await_owner(2);
    assert!(pair.order(1, &["ready"]));
    let seen = client.end();
    // A connection that is open at the moment of a move is lost with it; the next one is not.
    assert!(seen.answered > 100 && seen.failed <= 5, "{seen:?}");
    assert!(seen.outage < Duration::from_secs(2), "{seen:?}");
}

#[test]
fn a_killed_process_gives_its_address_up_at_once_and_a_killed_machine_soon() {
    let name = "a_killed_process_gives_its_address_up_at_once_and_a_killed_machine_soon";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let client = pair.client();
    pair.node(1).kill();
    // Its guard is still there: it takes the address away and tells the other node.
    pair.await_owner(2);
    let seen = client.end();
    assert!(seen.outage < Duration::from_secs(5), "{seen:?}");
    let told = pair.nodes[1].output();
    assert!(told.contains("node lb1 has resigned"), "{told}");

    let again = pair.launch(1);
    pair.nodes[0] = again;
    await_for("lb1 to be back", PATIENCE, || {
        pair.report(2).filter(|report| report["nodes"][0]["state"] == "up").map(|_| ())
    });
    // It stays where it is: `failback` is off.
    pair.await_owner(2);

    // Guard and process die together, as with the whole machine: nobody is left to say so.
    let guard = guard_of(pair.nodes[1].id());
    pair.node(2).signal(Signal::STOP);
    let _ = Command::new("kill").args(["-KILL", &guard.to_string()]).status();
    pair.node(2).kill();
    pair.await_owner(1);
}

#[test]
fn a_stopped_process_loses_the_address_and_does_not_take_it_back() {
    if !is_root_or_skips("a_stopped_process_loses_the_address_and_does_not_take_it_back", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let client = pair.client();
    pair.node(1).signal(Signal::STOP);
    let mut both = Duration::ZERO;
    let began = Instant::now();
    let mut last = Instant::now();
    await_for("lb2 to have the address", PATIENCE, || {
        let owners = pair.network.owners(SERVICE);
        if owners == [1, 2] {
            both += last.elapsed();
        }
        last = Instant::now();
        (owners == [2] && began.elapsed() > Duration::from_secs(3)).then_some(())
    });
    assert!(both < Duration::from_secs(3), "two owners for {both:?}");
    pair.node(1).signal(Signal::CONT);
    std::thread::sleep(Duration::from_secs(2));
    pair.await_owner(2);
    let seen = client.end();
    assert!(seen.outage < Duration::from_secs(8), "{seen:?}");
    assert!(pair.nodes[0].output().contains("this node was paused for"), "{}", pair.nodes[0].output());
}

#[test]
fn a_split_heals_with_one_owner_and_without_an_interruption() {
    if !is_root_or_skips("a_split_heals_with_one_owner_and_without_an_interruption", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    pair.network.cut(1, true);
    await_for("each side to own the group", PATIENCE, || (pair.network.owners(SERVICE) == [1, 2]).then_some(()));
    let client = pair.client();
    pair.network.cut(1, false);
    await_for("one owner", PATIENCE, || (pair.network.owners(SERVICE).len() == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    let seen = client.end();
    assert_eq!(pair.network.owners(SERVICE).len(), 1);
    assert!(seen.outage < Duration::from_secs(3), "{seen:?}");
}

#[test]
fn an_address_that_another_program_takes_is_put_back() {
    if !is_root_or_skips("an_address_that_another_program_takes_is_put_back", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    for _ in 0..3 {
        pair.network.take_address(1, &format!("{SERVICE}/24"));
        pair.await_owner(1);
    }
    assert!(pair.nodes[0].output().contains("was taken away by another program and is back"));
}

#[test]
fn times_and_preferences_change_by_a_reload_and_the_owner_goes_on() {
    let name = "times_and_preferences_change_by_a_reload_and_the_owner_goes_on";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let client = pair.client();
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    pair.scratch.write("evenkeel.conf", &text.replace("    node lb1", "    beat every=20ms dead=100ms\n    node lb1"));
    // One node after the other: until both have it, 100 ms would be less than the other's pause.
    assert!(!pair.command(1, &["reload"]), "nodes that live would be taken for dead");
    let step = text.replace("    node lb1", "    beat every=30ms dead=900ms\n    node lb1");
    pair.scratch.write("evenkeel.conf", &step.replace("prefer=lb1", "prefer=lb2 failback=2s"));
    for node in [1, 2] {
        assert!(pair.command(node, &["reload"]));
    }
    pair.await_owner(2);
    let seen = client.end();
    assert!(seen.failed <= 2 && seen.outage < Duration::from_secs(2), "{seen:?}");
    assert!(pair.report(1).is_some_and(|report| report["nodes"][0]["other_config"] == false));
}

#[test]
fn a_cable_that_is_pulled_moves_the_group() {
    if !is_root_or_skips("a_cable_that_is_pulled_moves_the_group", "for network namespaces") {
        return;
    }
    // So long that no pause of the machine is taken for a death.
    let dead = Duration::from_secs(3);
    let pair = Pair::start_by("beat dead=3s");
    let mut claims = pair.report(1).unwrap()["groups"][0]["claim"].as_u64().unwrap();
    // Also where the cable is back at the moment at which each node begins to take the other one for dead.
    for pause in [dead * 2, dead + dead / 30, dead, dead - dead / 30] {
        pair.network.set_carrier(1, false);
        std::thread::sleep(pause);
        pair.network.set_carrier(1, true);
        pair.await_owner(2);
        await_for("lb1 to be back, and able to take over", PATIENCE, || {
            let report = pair.report(2)?;
            let is_up = report["nodes"][0]["state"] == "up";
            (is_up && report["groups"][0]["next"] == "lb1").then_some(())
        });
        assert_eq!(pair.network.owners(SERVICE), [2], "{pause:?}");
        claims += 1;
        assert_eq!(pair.report(2).unwrap()["groups"][0]["claim"], claims, "{pause:?}: {}", pair.nodes[0].output());
        assert!(pair.order(1, &["takeover", "web"]));
        pair.await_owner(1);
        claims += 1;
    }
}

#[test]
fn a_device_that_is_switched_off_counts_as_gone_although_its_routes_went_with_it() {
    let name = "a_device_that_is_switched_off_counts_as_gone_although_its_routes_went_with_it";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let dead = Duration::from_secs(3);
    let pair = Pair::start_by("beat dead=3s");
    let claims = pair.report(1).unwrap()["groups"][0]["claim"].as_u64().unwrap();
    // The standby, which found its place by the routes alone: it may not claim what it only cannot hear of.
    pair.shell(2, "ip link set eth0 down");
    await_for("lb2 to miss the network", PATIENCE, || (pair.report(2)?["groups"][0]["role"] == "failed").then_some(()));
    std::thread::sleep(dead * 2);
    pair.shell(2, "ip link set eth0 up");
    await_for("lb2 to be back, and able to take over", PATIENCE, || {
        let (own, other) = (pair.report(2)?, pair.report(1)?);
        (own["groups"][0]["role"] == "idle" && other["groups"][0]["next"] == "lb2").then_some(())
    });
    assert_eq!(pair.network.owners(SERVICE), [1]);
    assert_eq!(pair.report(1).unwrap()["groups"][0]["claim"], claims, "{}", pair.nodes[1].output());
    // The owner.
    pair.shell(1, "ip link set eth0 down");
    await_for("lb2 to own it", PATIENCE, || (pair.report(2)?["groups"][0]["role"] == "owner").then_some(()));
    pair.shell(1, "ip link set eth0 up");
    pair.await_owner(2);
    await_for("lb1 to be back", PATIENCE, || (pair.report(2)?["groups"][0]["next"] == "lb1").then_some(()));
    assert_eq!(pair.report(2).unwrap()["groups"][0]["claim"], claims + 1, "{}", pair.nodes[0].output());
}

#[test]
fn a_node_with_another_key_is_named_as_that() {
    if !is_root_or_skips("a_node_with_another_key_is_named_as_that", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let key = pair.scratch.file("key");
    let old = pair.scratch.write("old", &std::fs::read_to_string(&key).unwrap());
    std::fs::set_permissions(&old, Permissions::from_mode(0o600)).unwrap();
    pair.node(2).kill();
    std::fs::write(&key, "another".repeat(8)).unwrap();
    let again = pair.launch(2);
    pair.nodes[1] = again;
    let trouble = await_for("the trouble to be told", PATIENCE, || {
        pair.report(1)?["nodes"][0]["paths"][0]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("key"), "{trouble}");
    let is_refused = |pair: &Pair| {
        let report = pair.report(2)?;
        report["nodes"][0]["share_trouble"].as_str().filter(|why| why.contains("another key")).map(drop)
    };
    await_for("the channel to be refused", PATIENCE, || is_refused(&pair));
    // It takes the other's key, and the other does not take its own.
    pair.node(2).kill();
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    let (key, old) = (key.display(), old.display());
    let accepting =
        text.replace(&format!("key=file:{key} {{\n"), &format!("key=file:{key} {{\n    accept file:{old}\n"));
    assert_ne!(accepting, text);
    pair.scratch.write("evenkeel.conf", &accepting);
    let again = pair.launch(2);
    pair.nodes[1] = again;
    await_for("the channel to be refused by the other", PATIENCE, || is_refused(&pair));
}

#[test]
fn a_process_without_rights_holds_addresses_through_its_guard() {
    if !is_root_or_skips("a_process_without_rights_holds_addresses_through_its_guard", "for network namespaces") {
        return;
    }
    let pair = Pair::start_with("user nobody\n");
    assert_eq!(pair.nodes[0].status("CapEff"), "0000000000000000");
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
}

#[test]
fn a_listener_on_the_moving_address_is_ready_before_it_comes() {
    if !is_root_or_skips("a_listener_on_the_moving_address_is_ready_before_it_comes", "for network namespaces") {
        return;
    }
    let pair = Pair::start_with(&format!("http {SERVICE}:8080 {{\n    respond 200\n}}\n"));
    let client = pair.network.observe(CLIENT, SocketAddr::new(SERVICE.parse().unwrap(), 8080));
    std::thread::sleep(Duration::from_millis(300));
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    std::thread::sleep(Duration::from_millis(300));
    let seen = client.end();
    assert!(seen.answered > 20 && seen.failed <= 2 && seen.outage < Duration::from_secs(2), "{seen:?}");
}

#[test]
fn a_node_that_stops_hands_over_first() {
    if !is_root_or_skips("a_node_that_stops_hands_over_first", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let client = pair.client();
    pair.node(1).signal(Signal::TERM);
    assert!(pair.node(1).end(PATIENCE).success());
    pair.await_owner(2);
    let seen = client.end();
    assert!(seen.failed <= 2 && seen.outage < Duration::from_secs(2), "{seen:?}");
    assert!(pair.nodes[1].output().contains("node lb1 has resigned"), "{}", pair.nodes[1].output());
}

#[test]
fn a_node_that_is_told_twice_to_end_still_says_its_last_word() {
    if !is_root_or_skips("a_node_that_is_told_twice_to_end_still_says_its_last_word", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    pair.node(1).signal(Signal::TERM);
    pair.node(1).signal(Signal::INT);
    pair.node(1).end(PATIENCE);
    pair.await_owner(2);
    await_for("lb2 to have heard of it", PATIENCE, || {
        let told = pair.nodes[1].output();
        (told.contains("node lb1 has resigned") || told.contains("node lb1 is dead")).then_some(())
    });
    let told = pair.nodes[1].output();
    assert!(told.contains("node lb1 has resigned"), "{told}");
}

#[test]
fn a_node_that_alone_loses_its_servers_hands_the_group_over() {
    if !is_root_or_skips("a_node_that_alone_loses_its_servers_hands_the_group_over", "for network namespaces") {
        return;
    }
    // Each node's own loopback, where a server of its own listens.
    let pair = Pair::start_with(
        "http :81 {\n    route * to=shop\n}\npool shop {\n    check tcp every=200ms timeout=2s rise=1 fall=2\n    \
         server a 127.0.0.1:82\n}\n",
    );
    let serve = |node: u8| {
        let space = pair.network.space(node);
        let serve = ["netns", "exec", &space, "python3", "-m", "http.server", "82", "--bind", "127.0.0.1"];
        let output = pair.scratch.file(&format!("served{node}"));
        Process::start(&format!("server{node}"), "ip".as_ref(), &serve, pair.scratch.path(), output)
    };
    let await_score = |node: u8, wanted: u64| {
        await_for(&format!("lb{node} to be known for {wanted} %"), PATIENCE, || {
            let score = pair.report(3 - node)?["nodes"][0]["score"].as_u64();
            (score == Some(wanted)).then_some(())
        });
    };
    // The owner's first, so that the group has no reason to go yet.
    let mut own = serve(1);
    await_score(1, 100);
    let _others = serve(2);
    await_score(2, 100);
    pair.await_owner(1);
    own.kill();
    pair.await_owner(2);
    await_score(1, 0);
}

#[test]
fn an_address_is_announced_anew_by_another_ethernet_address() {
    if !is_root_or_skips("an_address_is_announced_anew_by_another_ethernet_address", "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let mac = "02:00:00:00:77:01";
    pair.network.set_mac(1, mac);
    // The burst after a change lasts for five seconds, and a minute passes until the next announcement.
    assert!(pair.network.hears_claim(CLIENT, (SERVICE, mac), Duration::from_secs(20)), "it is not announced");
    pair.await_owner(1);
}

#[test]
fn a_node_that_cannot_announce_its_address_says_so() {
    if !is_root_or_skips("a_node_that_cannot_announce_its_address_says_so", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    pair.node(2).kill();
    let again = pair.launch_under(2, &["setpriv", "--bounding-set=-net_raw"]);
    pair.nodes[1] = again;
    await_for("lb2 to be back", PATIENCE, || {
        pair.report(1).filter(|report| report["nodes"][0]["state"] == "up").map(|_| ())
    });
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    let trouble =
        await_for("the trouble to be told", PATIENCE, || pair.report(2)?["troubles"][0].as_str().map(str::to_owned));
    assert!(trouble.contains("on eth0 cannot be announced") && trouble.contains("CAP_NET_RAW"), "{trouble}");
    assert!(pair.nodes[1].output().contains(&trouble), "{}", pair.nodes[1].output());
    assert!(pair.report(1).is_some_and(|report| report["troubles"].is_null()));
}

#[test]
fn a_node_that_is_killed_while_it_is_silent_answers_again_after_its_next_start() {
    let name = "a_node_that_is_killed_while_it_is_silent_answers_again_after_its_next_start";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let space = pair.network.space(1);
    let settings = || {
        let read = "cd /proc/sys/net/ipv4/conf/eth0 && cat arp_ignore arp_announce";
        let run = Command::new("ip").args(["netns", "exec", &space, "sh", "-c", read]).output().unwrap();
        String::from_utf8_lossy(&run.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let before = settings();
    assert_ne!(before, ["1", "2"]);
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    // Connections to the address may go on here for half a minute, and meanwhile it says nothing of it.
    await_for("lb1 to be silent", PATIENCE, || (settings() == ["1", "2"]).then_some(()));
    let guard = guard_of(pair.nodes[0].id());
    pair.node(1).signal(Signal::STOP);
    let _ = Command::new("kill").args(["-KILL", &guard.to_string()]).status();
    pair.node(1).kill();
    assert_eq!(settings(), ["1", "2"], "nobody was left to put it back");
    let again = pair.launch(1);
    pair.nodes[0] = again;
    await_for("lb1 to be as before", PATIENCE, || (settings() == before).then_some(()));
}

#[test]
fn a_session_of_tls_goes_on_at_the_other_node() {
    if !is_root_or_skips("a_session_of_tls_goes_on_at_the_other_node", "it makes network namespaces") {
        return;
    }
    // Each node has a certificate of its own making: what is shared is the key of the cluster alone.
    let pair = Pair::start_with("https :443 {\n    cert self\n    respond 200 \"$ssl_session_reused\"\n}\n");
    let ask = |node: u8, version: &str, session: &str| {
        let line = format!(
            "printf 'GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' | timeout 20 openssl s_client -connect 10.77.0.{node}:443 {version} -ign_eof {session}"
        );
        let space = pair.network.space(CLIENT);
        let run = Command::new("ip").args(["netns", "exec", &space, "sh", "-c", &line]).output().unwrap();
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr)
    };
    let resume = |version: &str| {
        let session = pair.scratch.file(version).display().to_string();
        let first = ask(1, version, &format!("-sess_out {session}"));
        assert!(first.contains("New, TLSv1"), "{first}");
        ask(2, version, &format!("-sess_in {session}"))
    };
    for version in ["-tls1_3", "-tls1_2"] {
        let again = resume(version);
        assert!(again.contains("Reused, TLSv1") && again.contains("\r\n\r\nr"), "{again}");
    }
    // With another key, which the first has by a reload and the second by its start.
    std::fs::write(pair.scratch.file("key"), "n".repeat(40)).unwrap();
    assert!(pair.command(1, &["reload"]));
    let again = resume("-tls1_3");
    assert!(again.contains("New, TLSv1"), "{again}");
    assert!(pair.command(2, &["reload"]));
    let again = resume("-tls1_3");
    assert!(again.contains("Reused, TLSv1"), "{again}");
}

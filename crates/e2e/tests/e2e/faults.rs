//! Faults of the failover table that only a node of ours can have, or that compare nothing: each once, with its outcome.
//!
//! How long an interruption is depends on the machine, and is measured elsewhere; here it only has to end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use evenkeel_e2e::balancer::{program, text};
use evenkeel_e2e::lab::owners::Owners;
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

use crate::pair::{CLIENT, LISTENER, Pair, SERVICE, guard_of};

/// The address of IPv6 that moves with the other one.
const SIXTH: &str = "fd77::50";

#[test]
fn a_ping_node_that_dies_for_both_moves_nothing_and_for_one_its_group() {
    let name = "a_ping_node_that_dies_for_both_moves_nothing_and_for_one_its_group";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start_by("ping 10.77.0.3 need=1");
    let reaches = |reach: [bool; 2]| {
        for (node, reach) in [(2, reach[0]), (1, reach[1])] {
            await_for(&format!("lb{} to reach it or not", 3 - node), PATIENCE, || {
                (pair.report(node)?["nodes"][0]["reaches"] == reach).then_some(())
            });
        }
    };
    reaches([true, true]);
    pair.shell(CLIENT, "sysctl -q net.ipv4.icmp_echo_ignore_all=1");
    reaches([false, false]);
    // Longer than a better node would be waited for.
    std::thread::sleep(Duration::from_secs(4));
    pair.await_owner(1);
    assert_eq!(pair.report(1).unwrap()["groups"][0]["claim"], 1, "{}", pair.nodes[0].output());

    pair.shell(CLIENT, "sysctl -q net.ipv4.icmp_echo_ignore_all=0");
    reaches([true, true]);
    pair.shell(
        1,
        "nft 'table ip mute { chain in { type filter hook input priority 0; icmp type echo-reply drop; } ; }'",
    );
    pair.await_owner(2);
    reaches([false, true]);
}

#[test]
fn an_address_of_ipv6_moves_and_comes_up_beside_one_that_still_has_it() {
    let name = "an_address_of_ipv6_moves_and_comes_up_beside_one_that_still_has_it";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start_group("", |_| format!("        ip {SERVICE}/24\n        ip {SIXTH}/64 dev=eth0\n"));
    pair.shell(CLIENT, "ip addr add fd77::3/64 dev eth0 nodad");
    let client = pair.network.observe(CLIENT, SocketAddr::new(SIXTH.parse().unwrap(), 80));
    let await_sixth = |pair: &Pair, node: u8| {
        pair.await_owner(node);
        await_for("one owner of the address of IPv6", PATIENCE, || {
            (pair.network.owners(SIXTH) == [node]).then_some(())
        });
        // Its client has to be answered there, and not only on the way: moves are over in a few requests' time.
        std::thread::sleep(Duration::from_secs(1));
    };
    await_sixth(&pair, 1);
    assert!(pair.order(2, &["takeover", "web"]));
    await_sixth(&pair, 2);
    pair.node(2).kill();
    await_sixth(&pair, 1);
    let seen = client.end();
    assert!(seen.answered > 50 && seen.outage < Duration::from_secs(8), "{seen:?}");

    // A station that will not let go of it: the address is found twice, and is of use all the same.
    pair.shell(2, &format!("ip addr add {SIXTH}/64 dev eth0 nodad"));
    pair.node(1).kill();
    await_for("the address to be away", PATIENCE, || (!pair.network.has(1, SIXTH)).then_some(()));
    let again = pair.launch(1);
    pair.nodes[0] = again;
    await_for("the address to be here again", PATIENCE, || pair.network.has(1, SIXTH).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    pair.shell(1, &format!("ip -6 addr show dev eth0 | grep {SIXTH} | grep -qv -e tentative -e dadfailed"));
    pair.shell(2, &format!("ip addr del {SIXTH}/64 dev eth0"));
    let client = pair.network.observe(CLIENT, SocketAddr::new(SIXTH.parse().unwrap(), 80));
    std::thread::sleep(Duration::from_secs(2));
    assert!(client.end().answered > 20, "its neighbours hear where it is");
}

#[test]
fn a_full_disk_and_a_log_that_nobody_reads_keep_no_node_from_its_group() {
    let name = "a_full_disk_and_a_log_that_nobody_reads_keep_no_node_from_its_group";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    pair.node(2).kill();
    let (state, log) = (pair.scratch.file("state2"), pair.scratch.file("log"));
    let (state, log) = (state.display().to_string(), log.display().to_string());
    // A disk of its own, and a pipe whose other end it holds itself.
    let line = format!(
        "mount -t tmpfs -o size=256k,mode=0700 tmpfs {state} && mkfifo {log} && exec 3<>{log} && exec \"$@\" >&3 2>&3"
    );
    pair.nodes[1] = pair.launch_under(2, &["unshare", "--mount", "sh", "-c", &line, "sh"]);
    await_for("lb2 to be back", PATIENCE, || {
        pair.report(1).filter(|report| report["nodes"][0]["state"] == "up").map(|_| ())
    });
    let inside = ["-t", &pair.nodes[1].id().to_string(), "-m", "sh", "-c"].map(str::to_owned);
    let fill =
        format!("cat /dev/zero > {state}/fill; timeout 2 sh -c 'cat /dev/zero > {log}'; df {state} | grep -q 100%");
    let filled = Command::new("nsenter").args(inside).arg(&fill).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    pair.node(1).kill();
    std::thread::sleep(Duration::from_secs(3));
    pair.await_owner(2);
}

#[test]
fn a_safe_group_has_never_two_owners_where_its_owner_is_cut_off() {
    let name = "a_safe_group_has_never_two_owners_where_its_owner_is_cut_off";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let lines = |_: &_| format!("        mode safe\n        ip {SERVICE}/24\n");
    let pair = Pair::start_file(LISTENER, "witness lb3 10.77.0.3", lines);
    let witness: Process = pair.launch(CLIENT);
    await_for("the witness to be heard", PATIENCE, || (pair.report(2)?["nodes"][1]["state"] == "up").then_some(()));
    // Whoever starts keeps its word to itself for as long as an owner might still go by it.
    std::thread::sleep(Duration::from_secs(4));
    let spaces = (1..=2).map(|node| File::open(format!("/run/netns/{}", pair.network.space(node))).unwrap());
    let owners = Owners::watch(spaces.collect(), SERVICE.parse::<Ipv4Addr>().unwrap());
    await_for("its owner to be seen", PATIENCE, || (owners.now() == [1]).then_some(()));
    owners.reset();
    pair.network.cut(1, true);
    await_for("the majority to own it", PATIENCE, || (owners.now() == [2]).then_some(()));
    pair.network.cut(1, false);
    std::thread::sleep(Duration::from_secs(3));
    let seen = owners.end();
    assert_eq!((seen.two, seen.moves, seen.now), (Duration::ZERO, 1, vec![2]), "{}", pair.nodes[0].output());
    drop(witness);
}

#[test]
fn the_machines_own_address_stays_where_the_service_address_came_before_it_and_goes() {
    let name = "the_machines_own_address_stays_where_the_service_address_came_before_it_and_goes";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    // As by a restart of the machine's network: of two addresses of one network the older one is the primary one.
    pair.shell(1, "ip address del 10.77.0.1/24 dev eth0 && ip address add 10.77.0.1/24 dev eth0");
    pair.await_owner(1);
    pair.shell(1, "ip -4 address show dev eth0 | grep -q '10.77.0.1/24.*secondary'");
    assert!(pair.order(2, &["takeover", "web"]));
    pair.await_owner(2);
    pair.shell(1, "ip -4 address show dev eth0 | grep -q 10.77.0.1/24");
    await_for("lb1 to be heard", PATIENCE, || (pair.report(2)?["groups"][0]["next"] == "lb1").then_some(()));
}

#[test]
fn a_guard_that_hangs_costs_its_node_the_group() {
    if !is_root_or_skips("a_guard_that_hangs_costs_its_node_the_group", "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let guard = guard_of(pair.nodes[0].id());
    let stopped = Command::new("kill").args(["-STOP", &guard.to_string()]).status().unwrap();
    assert!(stopped.success());
    pair.await_owner(2);
    assert!(!pair.node(1).end(PATIENCE).success());
    let told = pair.nodes[0].output();
    assert!(told.contains("the address guard has not answered for"), "{told}");
    assert!(!std::fs::exists(format!("/proc/{guard}")).unwrap(), "nobody else ends it");
    let again = pair.launch(1);
    pair.nodes[0] = again;
    await_for("lb1 to be back", PATIENCE, || (pair.report(2)?["groups"][0]["next"] == "lb1").then_some(()));
    pair.await_owner(2);
}

/// Holds the threads of a process that serve where they are, until it ends itself.
const HOLD_WORKERS: &str = r#"
import ctypes, os, signal, sys
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
tasks = f"/proc/{sys.argv[1]}/task"
workers = [int(task) for task in os.listdir(tasks) if open(f"{tasks}/{task}/comm").read().startswith("worker-")]
for worker in workers:
    assert ptrace(SEIZE, worker, None, None) == 0 and ptrace(INTERRUPT, worker, None, None) == 0
    os.waitpid(worker, WALL)
print("held", len(workers), flush=True)
signal.pause()
"#;

#[test]
fn a_node_whose_workers_hang_gives_its_group_away_and_says_so() {
    let name = "a_node_whose_workers_hang_gives_its_group_away_and_says_so";
    if !is_root_or_skips(name, "for network namespaces, and to hold threads") {
        return;
    }
    let mut pair = Pair::start();
    let node = pair.node(1).id().to_string();
    let output = pair.scratch.file("held");
    let words = ["-c", HOLD_WORKERS, node.as_str()];
    let mut holder = Process::start("python3", "python3".as_ref(), &words, pair.scratch.path(), output);
    await_for("the workers to be held", PATIENCE, || {
        holder.expect_running();
        holder.output().contains("held").then_some(())
    });
    pair.await_owner(2);
    let told = "does not answer: this node counts as one that cannot serve";
    let troubles = || pair.report(1).map(|report| report["troubles"].to_string()).unwrap_or_default();
    assert!(troubles().contains(told), "{}", troubles());

    drop(holder);
    await_for("the workers to answer again", PATIENCE, || (!troubles().contains(told)).then_some(()));
    assert!(pair.order(1, &["takeover", "web"]));
    pair.await_owner(1);
}

#[test]
fn an_order_that_cannot_be_followed_is_refused_at_once_with_its_reason() {
    let name = "an_order_that_cannot_be_followed_is_refused_at_once_with_its_reason";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let pair = Pair::start();
    let refused = |node: u8, words: &[&str], reason: &str| {
        let said = Command::new(program()).arg("cluster").args(words).args(["--control", &pair.control(node)]).output();
        let said = said.unwrap();
        assert_eq!(said.status.code(), Some(1), "{words:?}: {}", text(&said));
        assert!(text(&said).contains(reason), "{words:?}: no {reason:?} in {}", text(&said));
    };
    refused(1, &["takeover", "wbe"], "there is no group `wbe`; there are `web`");
    assert!(pair.command(2, &["drain", "--node"]));
    refused(2, &["takeover", "web"], "this node is drained: order it ready first, by `evenkeel ready --node`");
    await_for("lb1 to know that lb2 is drained", PATIENCE, || {
        (pair.report(1)?["nodes"][0]["drained"] == true).then_some(())
    });
    refused(1, &["standby", "web"], "no other node can take it at the moment; `evenkeel cluster status` says why");
    pair.await_owner(1);
    assert_ne!(pair.report(1).unwrap()["groups"][0]["standby"], true, "what was refused changes nothing");
}

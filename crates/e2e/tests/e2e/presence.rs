//! A node whose own address is not on its machine: a typing error, a network that is late, a lease that ended.

use std::thread::sleep;
use std::time::Duration;

use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

use crate::pair::{LISTENER, Pair, SERVICE, service_line};

/// Longer than a node listens before it claims something.
const LISTENED: Duration = Duration::from_secs(5);

fn troubles(pair: &Pair, node: u8) -> Option<String> {
    Some(pair.report(node)?["troubles"].to_string())
}

fn await_hearing(pair: &Pair, node: u8) {
    await_for(&format!("lb{node} to hear and be heard"), PATIENCE, || {
        let report = pair.report(node)?;
        let other = &report["nodes"][0];
        (other["state"] == "up" && other["hears_us"] == true).then_some(())
    });
}

#[test]
fn a_node_whose_own_address_is_not_there_says_so_and_claims_nothing_until_it_is() {
    let name = "a_node_whose_own_address_is_not_there_says_so_and_claims_nothing_until_it_is";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::lay(LISTENER, "", service_line);
    pair.network.take_address(2, "10.77.0.2/24");
    pair.launch_both();
    let said = "10.77.0.2 of node lb2 is on no device of this machine";
    await_for("lb2 to say what is missing", PATIENCE, || {
        troubles(&pair, 2).filter(|troubles| troubles.contains(said)).map(drop)
    });
    sleep(LISTENED);
    assert_eq!(pair.network.owners(SERVICE), [1]);
    assert_eq!(pair.report(2).unwrap()["phase"], "listening");
    assert!(!pair.order(2, &["takeover", "web"]), "nobody would hear of it");
    // Not even when nobody else has it: it does not know.
    pair.node(1).kill();
    await_for("the address to go", PATIENCE, || pair.network.owners(SERVICE).is_empty().then_some(()));
    sleep(Duration::from_secs(2));
    assert_eq!(pair.network.owners(SERVICE), [0; 0]);
    assert_eq!(pair.nodes[1].output().matches(said).count(), 1, "{}", pair.nodes[1].output());
    pair.shell(2, "ip addr add 10.77.0.2/24 dev eth0");
    pair.await_owner(2);
    assert_eq!(troubles(&pair, 2).as_deref(), Some("null"));
}

#[test]
fn an_owner_that_loses_its_own_address_leaves_the_group_to_who_takes_it_and_keeps_what_nobody_takes() {
    let name = "an_owner_that_loses_its_own_address_leaves_the_group_to_who_takes_it_and_keeps_what_nobody_takes";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    await_hearing(&pair, 1);
    pair.network.take_address(1, "10.77.0.1/24");
    pair.await_owner(2);
    let told = pair.nodes[0].output();
    assert!(told.contains("group web is being stopped here: no own address of this node"), "{told}");
    assert!(told.contains("too; it is left to it") && !told.contains("it is announced again"), "{told}");
    pair.shell(1, "ip addr add 10.77.0.1/24 dev eth0");
    await_hearing(&pair, 1);
    sleep(LISTENED);
    pair.await_owner(2);
    // The last one goes on with what it has.
    pair.node(1).kill();
    await_for("lb2 to be alone", PATIENCE, || {
        let report = pair.report(2)?;
        matches!(report["nodes"][0]["state"].as_str(), Some("left" | "dead")).then_some(())
    });
    pair.network.take_address(2, "10.77.0.2/24");
    await_for("lb2 to say what is missing", PATIENCE, || {
        troubles(&pair, 2).filter(|troubles| troubles.contains("10.77.0.2 of node lb2")).map(drop)
    });
    sleep(LISTENED);
    assert_eq!(pair.network.owners(SERVICE), [2]);
    // Another one comes, hears nobody, and takes it: that is seen.
    pair.nodes[0] = pair.launch(1);
    pair.await_owner(1);
    let told = pair.nodes[1].output();
    assert!(told.contains("group web is being stopped here: no own address of this node"), "{told}");
}

#[test]
fn an_owner_that_loses_its_own_address_sees_who_takes_a_group_of_ipv6_alone() {
    let name = "an_owner_that_loses_its_own_address_sees_who_takes_a_group_of_ipv6_alone";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let service = "2001:db8:77::50";
    let listener = "http :80 {\n    respond 200\n}\n";
    let mut pair = Pair::lay(listener, "", |_| format!("        ip {service}/64 dev=eth0\n"));
    pair.nodes = vec![pair.launch(1), pair.launch(2)];
    let owned = |pair: &Pair, node: u8| {
        await_for(&format!("lb{node} alone to have the address"), PATIENCE, || {
            (pair.network.owners(service) == [node]).then_some(())
        });
    };
    owned(&pair, 1);
    await_hearing(&pair, 1);
    pair.network.take_address(1, "10.77.0.1/24");
    owned(&pair, 2);
    let told = pair.nodes[0].output();
    assert!(told.contains("group web is being stopped here: no own address of this node"), "{told}");
}

#[test]
fn a_node_of_another_cluster_another_name_or_our_own_is_named_as_that() {
    let name = "a_node_of_another_cluster_another_name_or_our_own_is_named_as_that";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let mut pair = Pair::start();
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    let other_way_round = text.replace("lb1 10.77.0.1", "lb1 10.77.0.9").replace("lb2 10.77.0.2", "lb2 10.77.0.1");
    let cases = [
        (text.replace("cluster edge", "cluster egde"), 2, "of a cluster of another name"),
        (text.replace("lb2", "lb9"), 9, "from a node that no `node` line here names"),
        (other_way_round.replace("10.77.0.9", "10.77.0.2"), 1, "another machine says that it is this very node"),
    ];
    for (text, node, said) in cases {
        pair.node(2).kill();
        pair.scratch.write("other.conf", &text);
        pair.nodes[1] = pair.launch_so(2, &[], "other.conf", &format!("lb{node}"));
        await_for(said, PATIENCE, || {
            let trouble = pair.report(1)?["nodes"][0]["paths"][0]["trouble"].as_str()?.to_owned();
            trouble.contains(said).then_some(())
        });
        let told = pair.nodes[0].output();
        assert!(told.contains("a packet of node lb2 on path 1 was refused: "), "{told}");
    }
}

//! The ways on which nodes hear each other: by multicast and by broadcast, over both families, and after a device was gone.

use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

use crate::pair::{LISTENER, Pair, SERVICE, service_line};

/// The address over IPv6 of a machine.
fn six(host: u8) -> String {
    format!("fd77::{host}")
}

/// Its address on another network.
fn other_six(host: u8) -> String {
    format!("fd88::{host}")
}

/// Two nodes that hear each other by nothing but that line of the cluster's block, over IPv6 if it is of that, and with two
/// networks if it names one of them.
fn pair_that_hears_by(line: &str) -> Pair {
    let mut pair = Pair::lay(LISTENER, line, service_line);
    if line.contains(':') {
        let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
        let own = |node| match line.contains("path=") {
            true => format!("lb{node} {} {}", six(node), other_six(node)),
            false => format!("lb{node} {}", six(node)),
        };
        let over_six = text.replace("lb1 10.77.0.1", &own(1)).replace("lb2 10.77.0.2", &own(2));
        pair.scratch.write("evenkeel.conf", &over_six);
    }
    for node in 1..=2 {
        // A group of IPv6 is the business of one device, of which there are two.
        pair.shell(node, "ip link add spare type veth peer name spare-end && ip link set spare up");
        pair.network.refuse_datagrams(node, 6940);
        for own in [six(node), other_six(node)] {
            pair.shell(node, &format!("ip addr add {own}/64 dev eth0 nodad"));
            pair.shell(node, &format!("nft add rule inet mute in ip6 daddr {own} udp dport 6940 drop"));
        }
    }
    pair.launch_both();
    pair
}

/// Waits until each of them hears the other, and is heard.
fn await_hearing(pair: &Pair, why: &str) {
    for node in 1..=2 {
        await_for(&format!("lb{node} to hear and be heard {why}"), PATIENCE, || {
            let report = pair.report(node)?;
            let other = &report["nodes"][0];
            (other["state"] == "up" && other["hears_us"] == true).then_some(())
        });
    }
}

#[test]
fn heartbeats_go_by_multicast_and_by_broadcast_as_well() {
    if !is_root_or_skips("heartbeats_go_by_multicast_and_by_broadcast_as_well", "for network namespaces") {
        return;
    }
    let lines = [
        "multicast 239.192.0.94",
        "broadcast 10.77.0.255",
        "multicast ff02::94",
        "multicast ff15::94",
        "multicast ff15::94 path=1",
        "multicast ff15::94 path=2",
    ];
    for line in lines {
        let mut pair = pair_that_hears_by(line);
        await_hearing(&pair, line);
        pair.await_owner(1);
        pair.node(1).kill();
        pair.await_owner(2);
        let told = pair.nodes[1].output();
        assert!(told.contains("node lb1 has resigned"), "{line}: {told}");
    }
}

#[test]
fn a_device_that_is_made_anew_is_in_its_multicast_group_again() {
    if !is_root_or_skips("a_device_that_is_made_anew_is_in_its_multicast_group_again", "for network namespaces") {
        return;
    }
    for line in ["multicast 239.192.0.94", "multicast ff02::94"] {
        let mut pair = pair_that_hears_by(line);
        await_hearing(&pair, line);
        let others = |pair: &Pair, node: u8| Some(pair.report(node)?["nodes"][0]["state"] == "up");
        for node in [2, 1] {
            // Gone for so long that the other one is taken for dead.
            pair.network.plug_away(node);
            await_for("the nodes to miss each other", PATIENCE, || {
                (!others(&pair, 1)? && !others(&pair, 2)?).then_some(())
            });
            pair.network.plug(node);
            pair.shell(node, &format!("ip addr add {}/64 dev eth0 nodad", six(node)));
            await_hearing(&pair, &format!("by {line} after the device of lb{node} was made anew"));
            let told = pair.node(node).output();
            assert!(told.contains("go on from the device that has"), "{told}");
        }
        // The address alone goes and comes.
        let own = if line.contains(':') { format!("{}/64", six(2)) } else { "10.77.0.2/24".to_owned() };
        pair.shell(2, &format!("ip addr del {own} dev eth0 && sleep 0.3 && ip addr add {own} dev eth0"));
        await_hearing(&pair, "after the address was gone");
        await_for("one owner", PATIENCE, || (pair.network.owners(SERVICE).len() == 1).then_some(()));
        // The last word of the guard goes the new way as well.
        let owner = pair.network.owners(SERVICE)[0];
        pair.node(owner).kill();
        pair.await_owner(3 - owner);
        let told = pair.node(3 - owner).output();
        assert!(told.contains(&format!("node lb{owner} has resigned")), "{line}: {told}");
    }
}

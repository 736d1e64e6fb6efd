//! Addresses and units that a cluster could never use, though each is well written.
//!
//! Not here: what nodes and groups have to agree on. The invariant: what is said here would fail, or deceive, on every
//! machine.

use std::net::IpAddr;

use evenkeel_model::config::Cluster;

use crate::Code;
use crate::entry::Entry;
use crate::meaning::Building;
use crate::value::Value;

/// Letters of the names of units beside letters and digits (systemd.unit(5)).
const UNIT_LETTERS: &[u8] = b":-_.\\@";
/// The longest name of a unit (systemd.unit(5)).
const UNIT_BYTES: usize = 255;

pub(super) fn complain(building: &mut Building<'_>, entry: &Entry, cluster: &Cluster) {
    for node in entry.all("node").chain(entry.all("witness")) {
        complain_of_node(building, node);
    }
    if let Some(ping) = entry.entry("ping") {
        complain_of_ping(building, ping, cluster);
    }
    for group in entry.all("group") {
        for unit in group.all("unit") {
            complain_of_unit(building, unit);
        }
    }
}

fn addresses(entry: &Entry) -> impl Iterator<Item = IpAddr> {
    entry.read_values().filter_map(|value| match value {
        Value::Ip(addr) => Some(*addr),
        _ => None,
    })
}

fn complain_of_node(building: &mut Building<'_>, entry: &Entry) {
    for addr in addresses(entry) {
        let (what, help) = match addr {
            IpAddr::V6(own) if own.is_unicast_link_local() => (
                format!("{addr} is an address of one link, and heartbeats would not know of which"),
                "give one that is good without the name of a device, such as one of fd00::/8",
            ),
            _ if addr.is_unspecified() || addr.is_multicast() => {
                (format!("{addr} is no address of one machine"), "give the machine's own; `ip addr` shows it")
            }
            _ => continue,
        };
        building.out.report(Code::E419, entry.span, what).help(help);
    }
}

fn complain_of_ping(building: &mut Building<'_>, entry: &Entry, cluster: &Cluster) {
    for addr in addresses(entry) {
        let node = cluster.nodes.iter().find(|node| node.addrs.contains(&addr));
        let is_moving = || cluster.service_addresses().any(|address| address.addr == addr);
        let what = match node {
            Some(node) => format!("{addr} is the address of `{}`, which always reaches itself", node.name),
            None if is_moving() => format!("{addr} is an address that moves: its owner always reaches it"),
            None => continue,
        };
        let help = "name a machine beside the nodes, such as the router: who does not reach it has lost the network";
        building.out.report(Code::E419, entry.span, what).help(help);
    }
}

fn complain_of_unit(building: &mut Building<'_>, entry: &Entry) {
    let Some(Value::Text(unit)) = entry.value(0) else { return };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || UNIT_LETTERS.contains(&byte);
    let is_name = unit.bytes().next().is_some_and(|first| !b"-.".contains(&first));
    if !is_name || unit.len() > UNIT_BYTES || !unit.bytes().all(is_letter) {
        let what =
            if unit.is_empty() { "the unit has no name".to_owned() } else { format!("`{unit}` is no name of a unit") };
        building
            .out
            .report(Code::E419, entry.span, what)
            .help("`systemctl list-units` shows those that there are: `unit nginx.service`");
    }
}

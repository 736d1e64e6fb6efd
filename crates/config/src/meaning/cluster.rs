//! `cluster`: nodes that stand in for one another.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::config::{
    Beat, Cluster, ClusterNode, Group, GroupMode, GroupResource, Ping, ResourceKind, SecretRef, ServiceAddress, Spread,
};
use evenkeel_model::{caps, defaults};

use super::Building;
use crate::Code;
use crate::entry::Entry;
use crate::print;
use crate::value::Value;

mod nonsense;

pub(super) fn cluster(building: &mut Building<'_>) {
    let Some(entry) = building.all("cluster").next() else { return };
    let Some(Value::Text(name)) = entry.value(0) else { return };
    let Some(key) = key(building, entry) else { return };
    let serving = entry.all("node").filter_map(|entry| node(entry, false));
    let nodes: Vec<ClusterNode> = serving.chain(entry.all("witness").filter_map(|entry| node(entry, true))).collect();
    let port = match entry.option("port") {
        Some(Value::Integer(port)) => u16::try_from(*port).unwrap_or(defaults::CLUSTER_PORT),
        _ => defaults::CLUSTER_PORT,
    };
    let groups = entry.all("group").filter_map(|entry| group(building, entry, &nodes)).collect();
    let cluster = Cluster {
        name: Arc::from(name.as_str()),
        key,
        accept: entry.all("accept").flat_map(Entry::read_values).filter_map(secret).collect(),
        beat: beat(building, entry),
        ping: entry.entry("ping").map(|entry| ping(building, entry)),
        spread: spread(building, entry, &nodes),
        nodes,
        port,
        groups,
    };
    complain(building, entry, &cluster);
    building.places.cluster = Some(entry.span);
    building.config.cluster = Some(cluster);
}

fn key(building: &mut Building<'_>, entry: &Entry) -> Option<SecretRef> {
    let Some(key) = entry.entry("key") else {
        if !entry.flawed {
            building
                .out
                .report(Code::E418, entry.span, "this cluster has no key")
                .help("make one on the first node: `evenkeel cluster key > /etc/evenkeel/cluster.key`, then `chmod 0600` it")
                .help("copy it to the others, and name it: `key=file:/etc/evenkeel/cluster.key`");
        }
        return None;
    };
    key.value(0).and_then(secret)
}

fn secret(value: &Value) -> Option<SecretRef> {
    match value {
        Value::Secret(secret) => Some(secret.clone()),
        _ => None,
    }
}

fn addresses(entry: &Entry) -> Vec<IpAddr> {
    let ip = |value: &Value| match value {
        Value::Ip(addr) => Some(*addr),
        _ => None,
    };
    entry.read_values().filter_map(ip).collect()
}

fn node(entry: &Entry, is_witness: bool) -> Option<ClusterNode> {
    let Some(Value::Text(name)) = entry.value(0) else { return None };
    Some(ClusterNode { name: Arc::from(name.as_str()), addrs: addresses(entry), is_witness })
}

/// Where heartbeats of a path go that are told to all nodes at once.
fn spread(building: &mut Building<'_>, cluster: &Entry, nodes: &[ClusterNode]) -> Vec<Spread> {
    let mut all: Vec<Spread> = Vec::new();
    let entries = cluster.entries.iter().filter(|entry| matches!(entry.directive.name, "multicast" | "broadcast"));
    for entry in entries.filter(|_| !nodes.is_empty()) {
        let Some(Value::Ip(to)) = entry.value(0) else { continue };
        let number = match entry.option("path") {
            Some(Value::Integer(number)) => usize::try_from(*number).unwrap_or(1),
            _ => 1,
        };
        let path = number.saturating_sub(1);
        let own = nodes.first().and_then(|node| node.addrs.get(path));
        let is_taken = all.iter().any(|other| other.path == path);
        let wrong = match own {
            None => Some((
                format!("there is no path {number}"),
                "path 1 is that of the first address of each node, and so on",
            )),
            Some(own) => not_for_all(entry.directive.name, *to, *own)
                .or_else(|| other_family(number, *to, *own))
                .or_else(|| is_taken.then(|| taken(number))),
        };
        match wrong {
            Some((what, help)) => drop(building.out.report(Code::E419, entry.span, what).help(help)),
            None => all.push(Spread { path, to: *to }),
        }
    }
    all
}

/// What is wrong with an address that all nodes are to hear, and what to do.
type Wrong = (String, &'static str);

fn not_for_all(word: &str, to: IpAddr, own: IpAddr) -> Option<Wrong> {
    match (word, to) {
        ("multicast", IpAddr::V4(group)) if !group.is_multicast() => Some((
            format!("{group} is no multicast group"),
            "groups begin with 224 to 239; 239.192.0.0/14 is for use within an organisation",
        )),
        ("multicast", IpAddr::V6(group)) if !group.is_multicast() => Some((
            format!("{group} is no multicast group"),
            "groups begin with ff; ff12::/16 is for those that a network has made for itself",
        )),
        // RFC 4291 section 2.7: the scope stands in the last four bits of the second byte; 1 is the interface itself.
        ("multicast", IpAddr::V6(group)) if group.octets().get(1).is_some_and(|second| second & 0xf <= 1) => Some((
            format!("what goes to {group} does not leave the machine"),
            "ff12::94 reaches the nodes of a network",
        )),
        ("broadcast", IpAddr::V6(_)) => {
            Some(("IPv6 has no broadcast addresses".to_owned(), "a group does the same: `multicast ff12::94`"))
        }
        ("broadcast", IpAddr::V4(_)) if own.is_ipv6() => None,
        ("broadcast", IpAddr::V4(addr)) if addr.is_multicast() || addr.is_loopback() || addr.is_unspecified() => {
            Some((format!("{addr} is no broadcast address"), "`ip addr` shows the network's own after the word `brd`"))
        }
        _ => None,
    }
}

fn other_family(number: usize, to: IpAddr, own: IpAddr) -> Option<Wrong> {
    (to.is_ipv4() != own.is_ipv4()).then(|| match own {
        IpAddr::V4(_) => (
            format!("path {number} is over IPv4, and {to} is a group of IPv6"),
            "take one such as `multicast 239.192.0.94`, or name the path of the IPv6 addresses by `path=`",
        ),
        IpAddr::V6(_) => (
            format!("path {number} is over IPv6, and {to} is of IPv4"),
            "take a group such as `multicast ff12::94`, or name the path of the IPv4 addresses by `path=`",
        ),
    })
}

fn taken(number: usize) -> Wrong {
    (format!("path {number} has an address for all nodes already"), "one is enough; name another path by `path=`")
}

fn beat(building: &mut Building<'_>, cluster: &Entry) -> Beat {
    let entry = cluster.entry("beat");
    let time = |name: &'static str| match entry.and_then(|entry| entry.option(name)) {
        Some(Value::Duration(time)) => Some(*time),
        _ => None,
    };
    let every = time("every").unwrap_or(defaults::BEAT_EVERY);
    let dead = time("dead").unwrap_or_else(|| defaults::BEAT_DEAD.max(every * 5));
    let warn = time("warn").unwrap_or_else(|| defaults::BEAT_WARN.clamp(every * 2, dead.max(every * 2)).min(dead));
    let init = time("init").unwrap_or(dead * defaults::BEAT_INIT_DEAD_TIMES);
    let beat = Beat { every, warn, dead, init };
    if let Some(entry) = entry {
        complain_of_beat(building, entry, beat);
    }
    beat
}

fn complain_of_beat(building: &mut Building<'_>, entry: &Entry, beat: Beat) {
    let Beat { every, warn, dead, init } = beat;
    let show = print::duration;
    let mut wrong = |what: String, help: String| {
        building.out.report(Code::E419, entry.span, what).help(help);
    };
    if dead < every * 3 {
        wrong(
            format!(
                "`dead` is {} with heartbeats every {}: one lost packet or two would move everything",
                show(dead),
                show(every)
            ),
            format!("give it at least {}", show(every * 3)),
        );
    } else if warn <= every || warn > dead {
        wrong(
            format!(
                "`warn` is {}, and has to lie between `every` ({}) and `dead` ({})",
                show(warn),
                show(every),
                show(dead)
            ),
            "leave it out, and it follows the others".to_owned(),
        );
    } else if init < dead {
        wrong(
            format!(
                "`init` is {} and shorter than `dead` ({}): a node that starts could not hear the others first",
                show(init),
                show(dead)
            ),
            format!("give it at least {}", show(dead)),
        );
    }
}

fn ping(building: &mut Building<'_>, entry: &Entry) -> Ping {
    let addrs = addresses(entry);
    let need = match entry.option("need") {
        Some(Value::Integer(need)) => usize::try_from(*need).unwrap_or(usize::MAX),
        _ => 1,
    };
    if need > addrs.len() && entry.is_sound() {
        let count = addrs.len();
        building
            .out
            .report(Code::E419, entry.span, format!("`need` is {need}, and the addresses are {count}"))
            .help(format!("say `need={count}`, or give more addresses"));
    }
    Ping { addrs, need }
}

fn group(building: &mut Building<'_>, entry: &Entry, nodes: &[ClusterNode]) -> Option<Group> {
    let Some(Value::Text(name)) = entry.value(0) else { return None };
    let mut prefer = Vec::new();
    for preferred in entry.all("prefer") {
        for (value, argument) in preferred.read_values().zip(&preferred.values) {
            let Value::Text(wanted) = value else { continue };
            match nodes.iter().position(|node| *node.name == **wanted) {
                Some(place) if nodes.get(place).is_some_and(|node| node.is_witness) => {
                    building
                        .out
                        .report(Code::E421, argument.word.span, format!("`{wanted}` is a witness and owns nothing"))
                        .help("prefer a node that is none");
                }
                Some(place) => prefer.push(place),
                None => no_node(building, argument.word.span, wanted, nodes),
            }
        }
    }
    let failback = match entry.option("failback") {
        Some(Value::Duration(hold)) => Some(*hold),
        _ => None,
    };
    let mode = match entry.option("mode") {
        Some(Value::Choice("safe")) => GroupMode::Safe,
        _ => GroupMode::Available,
    };
    let resources: Vec<GroupResource> = entry.entries.iter().filter_map(resource).collect();
    if resources.is_empty() && entry.is_sound() {
        building
            .out
            .report(Code::E420, entry.span, format!("group `{name}` has nothing that could move"))
            .help("give it an address: `ip 10.8.0.1/24`");
    }
    Some(Group { name: Arc::from(name.as_str()), prefer, failback, mode, resources })
}

fn no_node(building: &mut Building<'_>, span: crate::Span, wanted: &str, nodes: &[ClusterNode]) {
    let names: Vec<&str> = nodes.iter().map(|node| &*node.name).collect();
    let report = building.out.report(Code::E421, span, format!("there is no node `{wanted}`"));
    if let Some(near) = crate::value::nearest(wanted, names.iter().copied()) {
        report.help(format!("did you mean `{near}`?"));
    }
    if !names.is_empty() {
        report.note(format!("nodes: {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")));
    }
}

/// What moves, if the statement says so.
fn resource(entry: &Entry) -> Option<GroupResource> {
    match entry.directive.name {
        "ip" => address(entry),
        "unit" => {
            let Some(Value::Text(unit)) = entry.value(0) else { return None };
            // As `systemctl` reads it.
            let name = if unit.contains('.') { unit.clone() } else { format!("{unit}.service") };
            Some(service(entry, ResourceKind::Unit(name)))
        }
        "script" => {
            let Some(Value::Path(path)) = entry.value(0) else { return None };
            let text = |value: &Value| match value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            };
            let args = entry.read_values().skip(1).filter_map(text).collect();
            Some(service(entry, ResourceKind::Script { path: path.clone(), args }))
        }
        _ => None,
    }
}

fn service(entry: &Entry, kind: ResourceKind) -> GroupResource {
    let timeout = match entry.option("timeout") {
        Some(Value::Duration(time)) => *time,
        _ => defaults::RESOURCE_TIMEOUT,
    };
    let every = match entry.option("every") {
        Some(Value::Duration(time)) => Some(*time),
        Some(Value::Off) => None,
        _ => Some(defaults::RESOURCE_EVERY),
    };
    GroupResource { kind, timeout, every }
}

fn address(entry: &Entry) -> Option<GroupResource> {
    let Some(Value::ServiceAddress(addr, prefix)) = entry.value(0) else { return None };
    let device = match entry.option("dev") {
        Some(Value::Text(device)) => Some(device.clone()),
        _ => None,
    };
    let kind = ResourceKind::Address(ServiceAddress { addr: *addr, prefix: *prefix, device });
    Some(GroupResource { kind, timeout: defaults::ADDRESS_TIMEOUT, every: None })
}

fn complain(building: &mut Building<'_>, entry: &Entry, cluster: &Cluster) {
    if !entry.is_sound() {
        return;
    }
    let count = cluster.nodes.len();
    if !(2..=caps::CLUSTER_NODES).contains(&count) {
        building
            .out
            .report(
                Code::E419,
                entry.span,
                format!("a cluster has 2 to {} nodes, and this one has {count}", caps::CLUSTER_NODES),
            )
            .help("name every node with its address: `node lb1 192.168.1.1`");
    }
    complain_of_names(building, entry, cluster);
    complain_of_paths(building, entry, cluster);
    nonsense::complain(building, entry, cluster);
    complain_of_groups(building, entry);
    complain_of_keys(building, entry, cluster);
    let is_pair = count == 2;
    for group in entry.all("group").filter(|_| is_pair) {
        let is_safe = matches!(group.option("mode"), Some(Value::Choice("safe")));
        if is_safe {
            building
                .out
                .report(Code::E419, group.span, "two nodes have no majority, which `mode safe` needs")
                .help("add a third one that only votes: `witness w1 192.168.2.9`")
                .help("or take `mode available`: each side of a split then serves");
        }
    }
    let seen: Vec<(IpAddr, &Group)> = cluster
        .groups
        .iter()
        .flat_map(|group| group.resources.iter().map(move |resource| (resource, group)))
        .filter_map(|(resource, group)| match &resource.kind {
            ResourceKind::Address(address) => Some((address.addr, group)),
            ResourceKind::Unit(_) | ResourceKind::Script { .. } => None,
        })
        .collect();
    for (at, (addr, group)) in seen.iter().enumerate() {
        if let Some((_, other)) = seen.iter().take(at).find(|(other, _)| other == addr) {
            building
                .out
                .report(
                    Code::E419,
                    entry.span,
                    format!("{addr} stands in group `{}` and in group `{}`", other.name, group.name),
                )
                .help("an address moves with one group");
        }
    }
}

/// A name is one node, whether it serves or only votes, and an address is one node's.
fn complain_of_names(building: &mut Building<'_>, cluster_entry: &Entry, cluster: &Cluster) {
    let entries: Vec<&Entry> = cluster_entry.all("node").chain(cluster_entry.all("witness")).collect();
    for (at, (entry, node)) in entries.iter().zip(&cluster.nodes).enumerate() {
        let before = || cluster.nodes.iter().take(at);
        if let Some(place) = before().position(|other| other.name == node.name) {
            let first = entries.get(place).map(|entry| entry.span);
            let report = building.out.report(Code::E419, entry.span, format!("`{}` is a node already", node.name));
            if let Some(first) = first {
                report.also(first, "first named here");
            }
            report.help("give each node and each witness a name of its own: the machine's, as `uname -n` prints it");
        }
        let twin = |addr: &IpAddr| before().find(|other| other.addrs.contains(addr)).map(|other| (*addr, other));
        if let Some((addr, other)) = node.addrs.iter().find_map(twin) {
            building
                .out
                .report(Code::E419, entry.span, format!("{addr} is the address of `{}` already", other.name))
                .help("nodes know each other by their addresses: give each its own");
        }
        let twice =
            node.addrs.iter().enumerate().find(|(at, addr)| node.addrs.iter().take(*at).any(|other| other == *addr));
        if let Some((_, addr)) = twice {
            building
                .out
                .report(Code::E419, entry.span, format!("`{}` has the address {addr} twice", node.name))
                .help("one for each network that the nodes share");
        }
    }
}

/// Heartbeats tell of every group, and have to fit a packet.
fn complain_of_groups(building: &mut Building<'_>, cluster: &Entry) {
    if let Some(group) = cluster.all("group").nth(caps::CLUSTER_GROUPS) {
        let count = cluster.all("group").count();
        building
            .out
            .report(
                Code::E419,
                group.span,
                format!("a cluster has at most {} groups, and this one has {count}", caps::CLUSTER_GROUPS),
            )
            .help("resources that always move together can be one group");
    }
    for group in cluster.all("group") {
        let resources = group.entries.iter().filter(|entry| matches!(entry.directive.name, "ip" | "unit" | "script"));
        if let Some(extra) = resources.clone().nth(caps::GROUP_RESOURCES) {
            let count = resources.count();
            building
                .out
                .report(
                    Code::E419,
                    extra.span,
                    format!("a group has at most {} resources, and this one has {count}", caps::GROUP_RESOURCES),
                )
                .help("they start one after the other: make two groups of them");
        }
    }
}

fn complain_of_keys(building: &mut Building<'_>, cluster_entry: &Entry, cluster: &Cluster) {
    let count = cluster.accept.len() + 1;
    if count > caps::CLUSTER_KEYS {
        let span = cluster_entry.all("accept").last().map_or(cluster_entry.span, |entry| entry.span);
        building
            .out
            .report(
                Code::E419,
                span,
                format!("a cluster knows at most {} keys at once, and these are {count}", caps::CLUSTER_KEYS),
            )
            .help("take out those that no node seals with any more");
    }
}

/// Every node needs the same number of addresses, of the same families in the same places, each once.
fn complain_of_paths(building: &mut Building<'_>, cluster_entry: &Entry, cluster: &Cluster) {
    let Some(first) = cluster.nodes.first() else { return };
    let shape = |node: &ClusterNode| node.addrs.iter().map(IpAddr::is_ipv4).collect::<Vec<_>>();
    for (entry, node) in cluster_entry.all("node").chain(cluster_entry.all("witness")).zip(&cluster.nodes) {
        if node.addrs.len() > caps::CLUSTER_PATHS {
            building
                .out
                .report(
                    Code::E419,
                    entry.span,
                    format!(
                        "`{}` has {} addresses, and {} are possible",
                        node.name,
                        node.addrs.len(),
                        caps::CLUSTER_PATHS
                    ),
                )
                .help("one for each network that the nodes share");
        } else if shape(node) != shape(first) {
            building
                .out
                .report(
                    Code::E419,
                    entry.span,
                    format!("`{}` and `{}` do not have the same paths", first.name, node.name),
                )
                .help("give each node as many addresses, of the same kinds in the same order");
        }
        let moving = cluster.service_addresses().find(|address| node.addrs.contains(&address.addr));
        if let Some(address) = moving {
            building
                .out
                .report(
                    Code::E419,
                    entry.span,
                    format!("{} is this node's own address and one that moves", address.addr),
                )
                .help("nodes hear each other under addresses that stay: give the node's own");
        }
    }
    let silence = cluster.beat.dead > Duration::from_secs(30);
    if silence {
        let span = cluster_entry.entry("beat").map_or(cluster_entry.span, |entry| entry.span);
        let dead = print::duration(cluster.beat.dead);
        building
            .out
            .report(Code::W512, span, format!("clients wait for {dead} when a node dies"))
            .help("heartbeats are small: `beat every=200ms dead=1s` is the default");
    }
}

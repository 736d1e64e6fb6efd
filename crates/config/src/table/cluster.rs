//! Words of clusters. A catalogue.

use std::time::Duration;

use evenkeel_model::{caps, defaults};

use super::{Context, Directive, Kind, ROW, Repeat, any, many, one};
use crate::print;

/// Times of heartbeats: shorter ones are noise of the machine's own scheduling, longer ones are no failover.
const BEATS: Kind = Kind::Duration(Duration::from_millis(10), Duration::from_secs(600));

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "cluster",
        within: &[Context::Top],
        args: &[one("NAME", Kind::Name)],
        opens: Some(Context::Cluster),
        otherwise: "none: this node stands alone",
        doc: "Nodes that stand in for one another: an address that clients use moves to a node that lives.",
        more: "The block is the same on every node; each finds itself by the machine's name, or by `--node`. Nodes tell each other with every \
               heartbeat whom they hear, and what they own. A reload takes other keys, times (not where a group is `mode safe`), ping nodes, preferences and \
               `failback`, and groups of nothing but addresses: new ones come up, what is in none any more goes, the rest stays as it is. Other nodes and paths, and groups with \
               units or scripts or `mode safe`, need a restart.",
        example: "cluster edge key=file:/etc/evenkeel/cluster.key {\n    node lb1 192.168.1.1\n    node lb2 192.168.1.2\n    group web {\n        ip 192.168.1.10/24\n    }\n}",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Cluster],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "needed",
        doc: "The secret under which heartbeats are sealed.",
        more: "`evenkeel cluster key` makes one. A file of it must be readable by its owner alone (mode 0600). The same on every node.",
        example: "key file:/etc/evenkeel/cluster.key",
        ..ROW
    },
    Directive {
        name: "accept",
        within: &[Context::Cluster],
        args: &[many("SECRET", Kind::Secret)],
        otherwise: "none",
        doc: "Secrets that are accepted beside `key`, while it is changed.",
        more: "In three rounds over the nodes, each reloaded in turn: accept the new one; make it the `key` and accept the old one; accept the \
               old one no more. Nobody is unheard meanwhile. The files have to be readable by the `user` that evenkeel has become.",
        example: "accept file:/etc/evenkeel/cluster-next.key",
        ..ROW
    },
    Directive {
        name: "node",
        within: &[Context::Cluster],
        args: &[one("NAME", Kind::Name), many("ADDRESS", Kind::Ip)],
        repeat: Repeat::Named,
        otherwise: "needed, twice at least",
        doc: "A node, and its own addresses: one for each path on which nodes hear each other.",
        more: "The first addresses of all nodes make the first path, the second ones the second. Use two networks where there are two. These are \
               the nodes' own addresses, not the ones that move.",
        example: "node lb1 192.168.1.1 10.0.0.1",
        ..ROW
    },
    Directive {
        name: "witness",
        within: &[Context::Cluster],
        args: &[one("NAME", Kind::Name), many("ADDRESS", Kind::Ip)],
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "A node that only votes, and owns no group.",
        more: "The third vote for groups with `mode safe` where two nodes serve. It needs neither their addresses nor their servers.",
        example: "witness w1 192.168.2.9",
        ..ROW
    },
    Directive {
        name: "port",
        within: &[Context::Cluster],
        args: &[one("PORT", Kind::Integer(1, 65535))],
        default: Some(|| defaults::CLUSTER_PORT.to_string()),
        doc: "The UDP port of heartbeats, the same on every node.",
        more: "Let it pass between the nodes in every firewall. Heartbeat used 694.",
        example: "port 694",
        ..ROW
    },
    Directive {
        name: "beat",
        within: &[Context::Cluster],
        opens: Some(Context::Beat),
        otherwise: "as its options say",
        doc: "When a node counts as late, dead, ready.",
        more: "An address is back after the dead time and a moment when its node dies without a word, and at once when the process alone dies.",
        example: "beat every=200ms warn=600ms dead=1s",
        ..ROW
    },
    Directive {
        name: "every",
        within: &[Context::Beat],
        args: &[one("DURATION", BEATS)],
        default: Some(|| print::duration(defaults::BEAT_EVERY)),
        doc: "The pause between two heartbeats.",
        more: "While something is wrong or moves they come four times as often.",
        example: "beat every=50ms warn=150ms dead=250ms",
        ..ROW
    },
    Directive {
        name: "warn",
        within: &[Context::Beat],
        args: &[one("DURATION", BEATS)],
        default: Some(|| print::duration(defaults::BEAT_WARN)),
        doc: "A node that is silent for so long is late, which is logged.",
        more: "It does nothing else: it shows that `dead` is near to what the network or the machines do anyway.",
        example: "beat warn=500ms",
        ..ROW
    },
    Directive {
        name: "dead",
        within: &[Context::Beat],
        args: &[one("DURATION", BEATS)],
        default: Some(|| print::duration(defaults::BEAT_DEAD)),
        doc: "A node that is silent for so long is dead, and another takes what it owned.",
        more: "At least three times `every`: one lost packet is no death.",
        example: "beat dead=2s",
        ..ROW
    },
    Directive {
        name: "init",
        within: &[Context::Beat],
        args: &[one("DURATION", BEATS)],
        otherwise: "three times `dead`",
        doc: "How long a node that starts waits for the others before it claims anything.",
        more: "It goes on at once when all of them are heard. Make it longer where the network comes up late.",
        example: "beat init=10s",
        ..ROW
    },
    Directive {
        name: "multicast",
        within: &[Context::Cluster],
        args: &[one("GROUP", Kind::Ip)],
        opens: Some(Context::Spread),
        repeat: Repeat::Many,
        otherwise: "heartbeats go to each node by itself",
        doc: "Heartbeats of a path go to this multicast group, once for all nodes.",
        more: "For networks in which that is how it is done; of the family of the path's addresses, and on the device that has them, also after it \
               was gone and came back. They stay in their network (TTL and hop limit 1). What the nodes share beside heartbeats goes from node to node all \
               the same.",
        example: "multicast 239.192.0.94",
        ..ROW
    },
    Directive {
        name: "broadcast",
        within: &[Context::Cluster],
        args: &[one("ADDRESS", Kind::Ip)],
        opens: Some(Context::Spread),
        repeat: Repeat::Many,
        otherwise: "heartbeats go to each node by itself",
        doc: "Heartbeats of a path go to this broadcast address, once for all nodes.",
        more: "As `ip addr` shows it for the path's network, which is of IPv4. Every machine of the network hears them, and can read whom a node hears, but \
               forge nothing.",
        example: "broadcast 192.168.1.255 path=1",
        ..ROW
    },
    Directive {
        name: "path",
        within: &[Context::Spread],
        args: &[one("NUMBER", Kind::Integer(1, caps::CLUSTER_PATHS as u64))],
        default: Some(|| "1".to_owned()),
        doc: "Which path: 1 for the first address of each node.",
        more: "Paths that are not named go on from node to node.",
        example: "broadcast 192.168.1.255 path=1",
        ..ROW
    },
    Directive {
        name: "ping",
        within: &[Context::Cluster],
        args: &[many("ADDRESS", Kind::Ip)],
        opens: Some(Context::Ping),
        otherwise: "none",
        doc: "Addresses that a node has to reach to be worth as much as one that does: a router, say.",
        more: "The group goes to the node that reaches them. If no node does, nothing moves.",
        example: "ping 192.168.1.254 192.168.1.253 need=1",
        ..ROW
    },
    Directive {
        name: "need",
        within: &[Context::Ping],
        args: &[one("COUNT", Kind::Integer(1, 16))],
        default: Some(|| "1".to_owned()),
        doc: "How many of the addresses have to answer.",
        more: "Each is asked four times in the dead time, and has answered if it did so once in it.",
        example: "ping 192.168.1.254 192.168.1.253 need=2",
        ..ROW
    },
    Directive {
        name: "group",
        within: &[Context::Cluster],
        args: &[one("NAME", Kind::Name)],
        opens: Some(Context::Group),
        repeat: Repeat::Named,
        otherwise: "none: the nodes only watch each other",
        doc: "Resources that move together, and always run on one node.",
        more: "They start from top to bottom and stop from bottom to top.",
        example: "group web prefer=lb1 {\n    ip 10.8.0.1/24 dev=eth1\n}",
        ..ROW
    },
    Directive {
        name: "prefer",
        within: &[Context::Group],
        args: &[many("NODE", Kind::Name)],
        otherwise: "the order of the nodes",
        doc: "The nodes that should own it, the most wanted first.",
        more: "It decides where the nodes are equally well. Whether the group comes back to it after a failure is `failback`'s matter.",
        example: "group web prefer=lb1 {\n    ip 10.8.0.1/24\n}",
        ..ROW
    },
    Directive {
        name: "failback",
        within: &[Context::Group],
        args: &[one("DURATION", Kind::DurationOrOff(Duration::from_secs(1), Duration::from_secs(86_400)))],
        default: Some(|| "off".to_owned()),
        doc: "After how long of good health the preferred node gets the group back.",
        more: "`off` leaves it where it is, so that a node which comes back causes no second interruption.",
        example: "group web prefer=lb1 failback=60s {\n    ip 10.8.0.1/24\n}",
        ..ROW
    },
    Directive {
        name: "mode",
        within: &[Context::Group],
        args: &[one("MODE", Kind::Choice(&["available", "safe"]))],
        default: Some(|| "available".to_owned()),
        doc: "What matters more when nodes cannot hear each other.",
        more: "`available`: that somebody serves; each side of a split owns the group, and one gives way when it heals. `safe`: that never two do; \
               only the side with most nodes owns it, so that it takes three nodes, of which one may be a `witness`.",
        example: "group db mode=safe {\n    ip 10.8.0.2/24\n}",
        ..ROW
    },
    Directive {
        name: "ip",
        within: &[Context::Group],
        args: &[one("ADDRESS", Kind::ServiceAddress)],
        opens: Some(Context::ServiceIp),
        repeat: Repeat::Many,
        otherwise: "needed",
        doc: "An address that moves with the group, IPv4 or IPv6.",
        more: "Prefix and device are those of the route to it where they are not given. The kernel drops it within about a second when the node's \
               process dies, hangs or is stopped. Neighbours are told by gratuitous ARP or neighbour advertisements.",
        example: "ip 10.8.0.1/24 dev=eth1",
        ..ROW
    },
    Directive {
        name: "unit",
        within: &[Context::Group],
        args: &[one("UNIT", Kind::Text)],
        opens: Some(Context::GroupService),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "A unit of systemd that runs where the group is.",
        more: "Started, stopped and looked at by `systemctl`. Do not enable it: a unit that runs on a node that does not own the group is stopped when \
               evenkeel starts. One that ends by itself moves the group, unless systemd starts it again by its own `Restart=`. One of `Type=oneshot` needs \
               `RemainAfterExit=yes`. It is stopped when evenkeel ends, also when it is killed; one that does not stop in its time is killed.",
        example: "unit nginx.service timeout=30s",
        ..ROW
    },
    Directive {
        name: "script",
        within: &[Context::Group],
        args: &[one("PATH", Kind::Path), any("ARGUMENT", Kind::Text)],
        opens: Some(Context::GroupService),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "A program that starts, stops and tells its status, and runs where the group is.",
        more: "It is called with its arguments and then `start`, `stop` or `status`. In a directory `resource.d` its output says whether it runs (`running`, \
               `OK`), as Heartbeat reads it; below a directory `ocf` it is an OCF agent, whose arguments are `\"name=value\"`; elsewhere its exit status says so \
               (LSB: 0 runs, 3 does not). It runs as root, in an environment of its own, and has to be root's alone to change.",
        example: "script /etc/ha.d/resource.d/apache /etc/apache2/apache2.conf timeout=30s",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::GroupService],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), Duration::from_secs(3600)))],
        default: Some(|| print::duration(defaults::RESOURCE_TIMEOUT)),
        doc: "How long a start or stop may take.",
        more: "What takes longer is killed with everything that it started, and has failed. A start that fails stops the group here, and another node gets it; here \
               it is tried again after 5 s, then 10 s, and so on. A stop that fails three times takes the addresses away first, and waits for an operator.",
        example: "unit nginx.service timeout=30s",
        ..ROW
    },
    Directive {
        name: "every",
        within: &[Context::GroupService],
        args: &[one("DURATION", Kind::DurationOrOff(Duration::from_millis(500), Duration::from_secs(3600)))],
        default: Some(|| print::duration(defaults::RESOURCE_EVERY)),
        doc: "How often it is looked at while it runs.",
        more: "`off` for what has no status: it is believed. What cannot be told three times in a row counts as broken.",
        example: "script /etc/ha.d/resource.d/apache every=10s",
        ..ROW
    },
    Directive {
        name: "dev",
        within: &[Context::ServiceIp],
        args: &[one("DEVICE", Kind::Text)],
        otherwise: "that of the route to the address",
        doc: "The network device that gets the address.",
        more: "Its state is watched: without a carrier the group goes to another node.",
        example: "ip 10.8.0.1/24 dev=eth1",
        ..ROW
    },
];

//! A cluster: nodes that stand in for one another, and the groups of resources that move between them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::SecretRef;

/// `cluster NAME key=SECRET { … }`. The same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name. Heartbeats of another cluster are none of ours.
    pub name: Arc<str>,
    /// `key=`: the secret under which heartbeats are sealed.
    pub key: SecretRef,
    /// `accept=`: secrets that are accepted beside it, while keys are changed.
    pub accept: Vec<SecretRef>,
    /// Every node, in written order. At least two.
    pub nodes: Vec<ClusterNode>,
    /// `multicast`, `broadcast`: where heartbeats of a path go instead of to each node.
    pub spread: Vec<Spread>,
    /// `port`: the UDP port of heartbeats, the same on every node.
    pub port: u16,
    /// `beat`: when a node counts as late, dead, ready.
    pub beat: Beat,
    /// `ping`: what a node must reach to be worth as much as one that does.
    pub ping: Option<Ping>,
    /// The groups, in written order.
    pub groups: Vec<Group>,
}

impl Cluster {
    /// The place of the node of that name among the nodes.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| &*node.name == name)
    }

    /// Whether the other block can follow this one while all goes on: the same nodes, other keys, times, ping nodes,
    /// preferences, or other groups of nothing but addresses. Groups with units or scripts stay in their places, and so do those
    /// whose nodes vote; times stay, too, where nodes vote, whose words last as long as the times say.
    pub fn becomes(&self, next: &Self) -> bool {
        self.waiting(next).is_empty()
    }

    /// The words for which the other block waits for the next start, and the whole of it but for keys with them.
    pub fn waiting(&self, next: &Self) -> Vec<&'static str> {
        let has_votes = self.groups.iter().chain(&next.groups).any(|group| group.mode == GroupMode::Safe);
        let count = self.groups.len().max(next.groups.len());
        let words = [
            ("cluster", self.name != next.name),
            ("cluster.node", self.nodes != next.nodes || self.spread != next.spread),
            ("cluster.port", self.port != next.port),
            ("cluster.beat", has_votes && self.beat != next.beat),
            ("cluster.group", !(0..count).all(|at| is_followed(self.groups.get(at), next.groups.get(at)))),
        ];
        words.into_iter().filter(|(_, differs)| *differs).map(|(word, _)| word).collect()
    }

    /// Every service address of every group.
    pub fn service_addresses(&self) -> impl Iterator<Item = &ServiceAddress> {
        self.groups.iter().flat_map(|group| &group.resources).filter_map(|resource| match &resource.kind {
            ResourceKind::Address(address) => Some(address),
            ResourceKind::Unit(_) | ResourceKind::Script { .. } => None,
        })
    }
}

/// Whether what stands in a place among the groups may be followed by what stands there next.
fn is_followed(now: Option<&Group>, next: Option<&Group>) -> bool {
    let needs_its_place = |group: &Group| !group.is_of_addresses() || group.mode == GroupMode::Safe;
    if !now.into_iter().chain(next).any(needs_its_place) {
        return true;
    }
    let lasting = |group: &Group| (group.name.clone(), group.mode, group.resources.clone());
    now.map(lasting) == next.map(lasting)
}

/// `node NAME ADDRESS…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name: the machine's own, as `uname -n` gives it, or what `--node` says.
    pub name: Arc<str>,
    /// Its addresses, one for each path. The first of each node make the first path, and so on.
    pub addrs: Vec<IpAddr>,
    /// `witness` instead of `node`: it only votes, and owns nothing.
    pub is_witness: bool,
}

/// `multicast GROUP path=N`, `broadcast ADDRESS path=N`: one address that all nodes of a path hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The path, from 0.
    pub path: usize,
    /// The group, or the broadcast address; of the family of the path's addresses.
    pub to: IpAddr,
}

/// `beat every= warn= dead= init=`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Between two heartbeats.
    pub every: Duration,
    /// After this much silence a node is late.
    pub warn: Duration,
    /// After this much silence a node is dead.
    pub dead: Duration,
    /// How long a node that starts waits for the others.
    pub init: Duration,
}

/// `ping ADDRESS… need=N`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// Addresses that answer echo requests, a router for instance.
    pub addrs: Vec<IpAddr>,
    /// How many of them have to answer.
    pub need: usize,
}

/// What matters more when nodes cannot hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupMode {
    /// That somebody serves.
    Available,
    /// That never two do.
    Safe,
}

/// `group NAME { … }`: resources that move together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// `prefer`: places of nodes, the most wanted first.
    pub prefer: Vec<usize>,
    /// `failback`: after how long of good health the preferred node gets the group back; `None` where it stays.
    pub failback: Option<Duration>,
    /// `mode`
    pub mode: GroupMode,
    /// In the order in which they start.
    pub resources: Vec<GroupResource>,
}

impl Group {
    /// Whether nothing but addresses moves.
    pub fn is_of_addresses(&self) -> bool {
        self.resources.iter().all(|resource| matches!(resource.kind, ResourceKind::Address(_)))
    }
}

/// One resource of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupResource {
    /// What it is.
    pub kind: ResourceKind,
    /// `timeout=`: how long a start or stop may take.
    pub timeout: Duration,
    /// `every=`: how often a unit or script is looked at while it runs; `None`: never. Addresses are watched all the
    /// time.
    pub every: Option<Duration>,
}

/// What moves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// `ip`
    Address(ServiceAddress),
    /// `unit`: a unit of systemd.
    Unit(String),
    /// `script`: a program that is called with its own arguments and `start`, `stop` or `status`.
    Script {
        /// The program.
        path: PathBuf,
        /// Its own arguments.
        args: Vec<String>,
    },
}

impl ResourceKind {
    /// What it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Address(address) => address.addr.to_string(),
            Self::Unit(unit) => unit.clone(),
            Self::Script { path, args } => {
                args.iter().fold(path.display().to_string(), |words, arg| format!("{words} {arg}"))
            }
        }
    }
}

/// `ip ADDRESS[/PREFIX] [dev=DEVICE]`: an address that moves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAddress {
    /// The address.
    pub addr: IpAddr,
    /// Its prefix; `None`: that of the route to it.
    pub prefix: Option<u8>,
    /// `dev=`: its device; `None`: that of the route to it.
    pub device: Option<String>,
}

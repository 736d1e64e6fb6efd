//! What a node knows of its cluster before anything happens: members, times, groups.
//!
//! It is the same on every node but for [`Settings::me`]. The invariant: a `Settings` that was made has distinct names
//! and ids, times in their order, and no group that asks for a majority where there can be none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;

/// How long after a resource's own time its end is still awaited.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// The id of a name on the wire: the first four bytes of its BLAKE3 hash, never zero.
pub fn name_id(name: &str) -> u32 {
    let [a, b, c, d, ..] = *blake3::hash(name.as_bytes()).as_bytes();
    u32::from_be_bytes([a, b, c, d]).max(1)
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it only votes, and never owns a group.
    pub is_witness: bool,
}

/// When a node counts as late, dead, ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats, while all is well.
    pub every: Duration,
    /// After this much silence a node is late: a warning.
    pub warn: Duration,
    /// After this much silence a node is dead, and others take what it owned.
    pub dead: Duration,
    /// How long a node that starts waits for the others before it claims anything.
    pub init: Duration,
    /// For how long the kernel keeps an address that nobody renews.
    pub lifetime: Duration,
}

/// What matters more when nodes cannot talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// That somebody serves: each side of a split owns the group, and one of them gives way when it heals.
    Available,
    /// That never two nodes own the group: only who has the votes of most members may.
    Safe,
}

/// One resource of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is called in messages.
    pub name: Arc<str>,
    /// Whether it is a service address, which can be withdrawn at once and out of order.
    pub is_address: bool,
    /// The longest that a start or stop may take.
    pub timeout: Duration,
}

/// Resources that move together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// Indexes of members, the preferred first. Those that are not named follow in the members' order.
    pub prefer: Vec<usize>,
    /// After how long of good health the preferred node gets the group back. `None`: it stays where it is.
    pub failback: Option<Duration>,
    /// What matters more in a split.
    pub mode: Mode,
    /// In the order in which they start.
    pub resources: Vec<Resource>,
}

impl Group {
    /// Whether nothing but addresses moves, so that the next owner may begin before the last one ends.
    pub(crate) fn overlaps(&self) -> bool {
        self.mode == Mode::Available && self.resources.iter().all(|resource| resource.is_address)
    }

    /// What all nodes must agree on to move this group between them.
    pub(crate) fn digest(&self) -> u32 {
        name_id(&format!("{self:?}"))
    }
}

/// A cluster, as one of its nodes sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(crate) cluster: u32,
    pub(crate) me: usize,
    pub(crate) members: Vec<Member>,
    pub(crate) ids: Vec<u32>,
    pub(crate) timing: Timing,
    pub(crate) groups: Vec<Group>,
    pub(crate) group_ids: Vec<u32>,
    pub(crate) group_digests: Vec<u32>,
    pub(crate) digest: u64,
}

impl Settings {
    /// The settings of the member `me` of the cluster of that name.
    ///
    /// # Errors
    /// Where names repeat or their ids meet, a cap is exceeded, times are out of order, or a safe group has fewer than
    /// three voters.
    pub fn new(
        cluster: &str,
        me: usize,
        members: Vec<Member>,
        timing: Timing,
        groups: Vec<Group>,
    ) -> Result<Self, InvalidCluster> {
        let ids: Vec<u32> = members.iter().map(|member| name_id(&member.name)).collect();
        let group_ids: Vec<u32> = groups.iter().map(|group| name_id(&group.name)).collect();
        check_members(me, &members, &ids)?;
        check_times(timing)?;
        check_groups(&members, &groups, &group_ids)?;
        let group_digests: Vec<u32> = groups.iter().map(Group::digest).collect();
        let whole = format!("{cluster} {members:?} {timing:?} {group_digests:?}");
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(whole.as_bytes()).as_bytes();
        let digest = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Ok(Self { cluster: name_id(cluster), me, members, ids, timing, groups, group_ids, group_digests, digest })
    }

    /// The same, for nodes that have to agree on these details of each group as well, in the order of the groups.
    #[must_use]
    pub fn agreeing_on(mut self, details: &[String]) -> Self {
        for (digest, detail) in self.group_digests.iter_mut().zip(details) {
            *digest = name_id(&format!("{digest} {detail}"));
        }
        let whole = format!("{} {:?}", self.digest, self.group_digests);
        if let Some(first) = blake3::hash(whole.as_bytes()).as_bytes().first_chunk() {
            self.digest = u64::from_be_bytes(*first);
        }
        self
    }

    /// Which group of these each group of the other settings goes on as, by its name, if those may follow while all goes on:
    /// the same node and members, and the same groups but for those of nothing but addresses.
    pub(crate) fn origins(&self, next: &Self) -> Option<Vec<Option<usize>>> {
        let lasting = |group: &Group| (group.name.clone(), group.mode, group.resources.clone());
        let is_kept = |(at, group): (usize, &Group)| {
            let next = next.groups.get(at);
            group.overlaps() && next.is_none_or(Group::overlaps) || next.map(lasting) == Some(lasting(group))
        };
        let is_new = |group: &Group| group.overlaps();
        let is_same = (self.cluster, self.me, &self.members) == (next.cluster, next.me, &next.members)
            && self.groups.iter().enumerate().all(is_kept)
            && next.groups.iter().skip(self.groups.len()).all(is_new);
        let origin = |group: &Group| self.groups.iter().position(|known| known.name == group.name);
        is_same.then(|| next.groups.iter().map(origin).collect())
    }

    /// How many votes are most of the members'.
    pub(crate) fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// How long it may take at the most until the units and scripts of a dead process are stopped: one after the other, each
    /// in its own time, and a grace for each.
    pub(crate) fn stop_time(&self) -> Duration {
        let services = self.groups.iter().flat_map(|group| &group.resources).filter(|resource| !resource.is_address);
        services.map(|service| service.timeout + STOP_GRACE).sum()
    }

    /// For how long a voter keeps its word to an owner that it no longer hears: the owner's own lease, then what the
    /// kernel needs to drop an address, with what its clock was measured to add.
    pub(crate) fn vote_hold(&self) -> Duration {
        // The kernel removed addresses up to 0.35 s after their lifetime; a thousandth covers clocks that run apart.
        let held = self.timing.dead + self.timing.lifetime + Duration::from_millis(500);
        held + held / 1000
    }

    /// The member's place in the group's order of preference.
    pub(crate) fn place(&self, group: usize, member: usize) -> usize {
        let prefer = self.groups.get(group).map_or(&[][..], |group| &group.prefer);
        prefer.iter().position(|preferred| *preferred == member).unwrap_or(prefer.len() + member)
    }
}

fn check_members(me: usize, members: &[Member], ids: &[u32]) -> Result<(), InvalidCluster> {
    if members.len() < 2 || members.len() > caps::CLUSTER_NODES {
        return Err(InvalidCluster::Nodes(members.len()));
    }
    if members.get(me).is_none() {
        return Err(InvalidCluster::Stranger);
    }
    for (at, id) in ids.iter().enumerate() {
        if let Some(other) = ids.iter().take(at).position(|other| other == id) {
            let [first, second] = [other, at].map(|at| members.get(at).map(|member| member.name.clone()));
            return Err(InvalidCluster::Twins(first.unwrap_or_default(), second.unwrap_or_default()));
        }
    }
    Ok(())
}

fn check_times(timing: Timing) -> Result<(), InvalidCluster> {
    let Timing { every, warn, dead, init, lifetime } = timing;
    // Two heartbeats have to fit into the dead time, or one lost packet moves everything.
    let in_order = !every.is_zero() && warn > every && dead >= warn && dead >= every * 3 && init >= dead;
    if in_order && !lifetime.is_zero() { Ok(()) } else { Err(InvalidCluster::Times(timing)) }
}

fn check_groups(members: &[Member], groups: &[Group], ids: &[u32]) -> Result<(), InvalidCluster> {
    if groups.len() > caps::CLUSTER_GROUPS {
        return Err(InvalidCluster::Groups(groups.len()));
    }
    for (at, group) in groups.iter().enumerate() {
        if let Some(other) = ids.iter().take(at).position(|other| ids.get(at) == Some(other)) {
            let first = groups.get(other).map(|group| group.name.clone()).unwrap_or_default();
            return Err(InvalidCluster::Twins(first, group.name.clone()));
        }
        let is_owner = |index: &usize| members.get(*index).is_some_and(|member| !member.is_witness);
        if !group.prefer.iter().all(is_owner) {
            return Err(InvalidCluster::Preference(group.name.clone()));
        }
        if group.resources.is_empty() || group.resources.len() > caps::GROUP_RESOURCES {
            return Err(InvalidCluster::Resources(group.name.clone(), group.resources.len()));
        }
        if group.mode == Mode::Safe && members.len() < 3 {
            return Err(InvalidCluster::NoMajority(group.name.clone()));
        }
    }
    Ok(())
}

/// A cluster that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidCluster {
    /// Too few or too many nodes.
    Nodes(usize),
    /// Too many groups.
    Groups(usize),
    /// This node is none of them.
    Stranger,
    /// Two names are the same, or their ids are.
    Twins(Arc<str>, Arc<str>),
    /// Times that do not fit each other.
    Times(Timing),
    /// A group prefers what cannot own it.
    Preference(Arc<str>),
    /// A group has no resource, or too many.
    Resources(Arc<str>, usize),
    /// A safe group, and nobody to make a majority.
    NoMajority(Arc<str>),
}

impl fmt::Display for InvalidCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(count) => write!(f, "{count} nodes: a cluster has 2 to {}", caps::CLUSTER_NODES),
            Self::Groups(count) => write!(f, "{count} groups: a cluster has at most {}", caps::CLUSTER_GROUPS),
            Self::Stranger => {
                write!(f, "this node is none of the cluster's: name it with `node`, or say `--node NAME`")
            }
            Self::Twins(first, second) if first == second => write!(f, "`{first}` is named twice"),
            Self::Twins(first, second) => {
                write!(f, "`{first}` and `{second}` have the same id on the wire: rename one of them")
            }
            Self::Times(Timing { every, warn, dead, init, lifetime }) => write!(
                f,
                "heartbeats every {every:?}, warn {warn:?}, dead {dead:?}, init {init:?}, lifetime {lifetime:?}: dead has \
                 to be at least three times every, warn between every and dead, init at least dead"
            ),
            Self::Preference(group) => write!(f, "group `{group}` prefers a node that cannot own it"),
            Self::Resources(group, count) => {
                write!(f, "group `{group}` has {count} resources: 1 to {} are possible", caps::GROUP_RESOURCES)
            }
            Self::NoMajority(group) => write!(
                f,
                "group `{group}` is `mode=safe`, and two nodes have no majority: add a witness, or say `mode=available`"
            ),
        }
    }
}

impl std::error::Error for InvalidCluster {}

//! Who may be chosen: the servers of one pool, sorted into tiers by configuration and verdicts.
//!
//! A plan is a value without state. It is built at each change of configuration, verdict or weight, and shared by all
//! workers; what a worker remembers between two choices is its [`Picker`](crate::Picker)'s. The invariant: a server
//! that is in no tier is never chosen for a new session, and one that [`Plan::may_keep`] refuses never serves at all.

use std::sync::Arc;

use evenkeel_model::config::Balance;
use evenkeel_model::defaults::WEIGHT_MAX;
use evenkeel_model::{ServerName, State};

use crate::hashing::{self, Maglev, RENDEZVOUS_MOST};
use crate::{ServerIndex, ServerUid};

#[cfg(test)]
mod tests;

/// The whole share of a server, in the unit of [`Member::ramp`].
pub const FULL_RAMP: u16 = 1000;

/// One server, as a plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name: what hashes and memories hang on.
    pub id: ServerName,
    /// The weight in force ([`Health::weight`](crate::Health::weight)), 0 to 1000. With 0 it keeps its sessions and
    /// gets no new ones.
    pub weight: u16,
    /// Used only when no primary server is left.
    pub backup: bool,
    /// What it is held for.
    pub state: State,
    /// Whether there is an address to connect to. Without one (its name does not resolve, or not yet) nobody can.
    pub has_address: bool,
    /// How much of its weight counts at present, in per mille: below 1000 during slow start.
    pub ramp: u16,
}

impl Member {
    fn is_live(&self) -> bool {
        self.has_address && matches!(self.state, State::Up | State::Unknown)
    }

    /// Whether a pool that fails open may try it: down, and neither taken out by an operator nor without address.
    fn is_last_resort(&self) -> bool {
        self.state == State::Down && self.has_address
    }

    /// What counts of its weight, at least a thousandth, so that slow start begins with some traffic.
    fn share(&self) -> u32 {
        u32::from(self.weight.min(WEIGHT_MAX)) * u32::from(self.ramp.clamp(1, FULL_RAMP))
    }
}

/// Who may be chosen, in which order of preference, and by which rule.
#[derive(Debug)]
pub struct Plan {
    pub(crate) rule: Rule,
    /// The tiers that have somebody to choose: primaries, then backups. A later one is asked only when a request has
    /// tried all of the earlier one.
    pub(crate) tiers: Vec<Tier>,
    /// Names in order, for pickers that carry their memory from one plan to the next.
    pub(crate) names: Vec<ServerName>,
    /// Equal for two plans exactly where their lists of names are (but for one chance in 2^64).
    pub(crate) names_print: u64,
    keeps: Vec<bool>,
    uids: Vec<(ServerUid, ServerIndex)>,
    fails_open: bool,
    tables: [Option<Arc<Maglev>>; 2],
}

/// How one of a tier is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    RoundRobin,
    LeastConn,
    TwoChoices,
    Hash { bound: Option<u16> },
}

/// Servers of equal preference. Never empty.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) active: Vec<Active>,
    pub(crate) table: Option<Table>,
}

/// A server that may be chosen.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) index: ServerIndex,
    pub(crate) share: u32,
    pub(crate) ramp: u16,
    /// The keyed hash of its name.
    pub(crate) identity: u64,
}

/// A tier's table of hashing, for more servers than are worth weighing one by one.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) maglev: Arc<Maglev>,
    /// For each rank of the table, the place in `active`, unless that server is out at present.
    pub(crate) places: Vec<Option<u16>>,
}

impl Plan {
    /// A plan for the servers of a pool, in the pool's order. `hash_seed` is a secret of the cluster: balancers that
    /// share it send the same key to the same server, and nobody else can tell which keys meet.
    pub fn new(members: &[Member], balance: &Balance, fail_open: bool, hash_seed: [u8; 16]) -> Self {
        Self::build(members, balance, fail_open, &hash_seed, &[None, None])
    }

    /// The same, taking over the big hash tables of the plan before where names, weights and tiers are unchanged.
    pub fn following(
        previous: &Self,
        members: &[Member],
        balance: &Balance,
        fail_open: bool,
        hash_seed: [u8; 16],
    ) -> Self {
        Self::build(members, balance, fail_open, &hash_seed, &previous.tables)
    }

    /// The servers that a new session may get: those of the first tier that has any.
    pub fn eligible(&self) -> impl Iterator<Item = ServerIndex> {
        self.tiers.first().into_iter().flat_map(|tier| tier.active.iter().map(|active| active.index))
    }

    /// Whether every server is down and all are tried all the same.
    pub fn fails_open(&self) -> bool {
        self.fails_open
    }

    /// Whether a session that the server has may stay: it is up, unknown, draining or of weight 0, or it is down and
    /// the pool fails open. Never in maintenance, never for a position outside the pool.
    pub fn may_keep(&self, index: ServerIndex) -> bool {
        self.keeps.get(index.at()).copied().unwrap_or(false)
    }

    /// Where the server with that identity stands, if the pool has it.
    pub fn server(&self, uid: ServerUid) -> Option<ServerIndex> {
        let place = self.uids.binary_search_by_key(&uid, |(held, _)| *held).ok()?;
        self.uids.get(place).map(|(_, index)| *index)
    }

    /// The name of the server at that position.
    pub fn name(&self, index: ServerIndex) -> Option<&ServerName> {
        self.names.get(index.at())
    }

    /// How many servers the pool has, whatever their state.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the pool has no server at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn build(
        members: &[Member],
        balance: &Balance,
        fail_open: bool,
        seed: &[u8; 16],
        known: &[Option<Arc<Maglev>>; 2],
    ) -> Self {
        let is_any_live = members.iter().any(|member| member.is_live() && member.weight > 0);
        let fails_open = fail_open && !is_any_live && members.iter().any(Member::is_last_resort);
        let is_chosen =
            |member: &Member| member.weight > 0 && if fails_open { member.is_last_resort() } else { member.is_live() };
        let rule = Rule::of(balance);
        let tables = [false, true].map(|backup| match rule {
            Rule::Hash { .. } => table_of(members, backup, seed, known),
            _ => None,
        });
        let tiers = [(false, &tables[0]), (true, &tables[1])]
            .into_iter()
            .filter_map(|(backup, maglev)| Tier::of(members, backup, is_chosen, seed, maglev.as_ref()))
            .collect();
        let mut uids: Vec<_> = indexed(members).map(|(index, member)| (ServerUid::of(&member.id), index)).collect();
        uids.sort_unstable();
        Self {
            rule,
            tiers,
            names: members.iter().map(|member| member.id.clone()).collect(),
            names_print: hashing::print_of_names(members.iter().map(|member| &member.id)),
            keeps: members.iter().map(|member| keeps(member, fails_open)).collect(),
            uids,
            fails_open,
            tables,
        }
    }
}

impl Rule {
    fn of(balance: &Balance) -> Self {
        match balance {
            Balance::RoundRobin => Self::RoundRobin,
            Balance::LeastConn => Self::LeastConn,
            Balance::Random => Self::TwoChoices,
            Balance::Hash { bound, .. } => Self::Hash { bound: *bound },
        }
    }
}

impl Tier {
    fn of(
        members: &[Member],
        backup: bool,
        is_chosen: impl Fn(&Member) -> bool,
        seed: &[u8; 16],
        maglev: Option<&Arc<Maglev>>,
    ) -> Option<Self> {
        let active: Vec<Active> = indexed(members)
            .filter(|(_, member)| member.backup == backup && is_chosen(member))
            .map(|(index, member)| Active {
                index,
                share: member.share(),
                ramp: member.ramp,
                identity: hashing::identity(seed, &member.id),
            })
            .collect();
        if active.is_empty() {
            return None;
        }
        let table = maglev.map(|maglev| Table { maglev: Arc::clone(maglev), places: maglev.places(&active) });
        Some(Self { active, table })
    }
}

/// Members with their positions. A pool has at most [`evenkeel_model::caps::SERVERS_PER_POOL`] servers, so that
/// no position is cut off.
fn indexed(members: &[Member]) -> impl Iterator<Item = (ServerIndex, &Member)> {
    (0..=u16::MAX).map(ServerIndex).zip(members)
}

fn keeps(member: &Member, fails_open: bool) -> bool {
    match member.state {
        State::Up | State::Unknown | State::Draining => member.has_address,
        State::Down => member.has_address && fails_open,
        State::Maintenance => false,
    }
}

/// The hash table of a tier that is too big to weigh one by one. It is made of all servers with a weight, whatever
/// their state: a server that dies moves its own keys and no others, and neither does the size of the living rest
/// switch the pool from one way of hashing to the other.
fn table_of(
    members: &[Member],
    backup: bool,
    seed: &[u8; 16],
    known: &[Option<Arc<Maglev>>; 2],
) -> Option<Arc<Maglev>> {
    let weights: Vec<(u64, u16)> = members
        .iter()
        .filter(|member| member.backup == backup && member.weight > 0)
        .map(|member| (hashing::identity(seed, &member.id), member.weight))
        .collect();
    if weights.len() <= RENDEZVOUS_MOST {
        return None;
    }
    let weights = hashing::in_stable_order(weights);
    let same = known.iter().flatten().find(|table| table.weights() == weights);
    Some(same.map_or_else(|| Arc::new(Maglev::new(weights)), Arc::clone))
}

//! Balanced answers: which addresses a name has now (modes `self`, `self+peers`, `peers`, `pool`).
//!
//! Pure: states, the client and a drawn number go in. The invariant: whatever the states, a set whose
//! configuration has an address of a family is never answered empty in that family.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_model::{PoolName, State, caps};

use super::respond::Asker;
use crate::kind::Type;
use crate::rdata::Rdata;

/// Whose addresses are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// This node's own.
    OwnAddress,
    /// This node's own first, and the healthy peers' so that a client may try another without asking again.
    OwnAndPeers,
    /// The healthy peers': for a node that drains, or whose own pool is empty.
    Peers,
    /// The healthy servers of a pool.
    Pool(PoolName),
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OwnAddress => f.write_str("self"),
            Self::OwnAndPeers => f.write_str("self+peers"),
            Self::Peers => f.write_str("peers"),
            Self::Pool(pool) => write!(f, "pool pool={pool}"),
        }
    }
}

/// This node's own addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// The address that the query arrived at; `else_use` for the other family, which a query over one family
    /// cannot show. Where nothing is given there, the other family is answered as not there.
    Arrival {
        /// Addresses for the family that the query did not arrive by.
        else_use: Vec<IpAddr>,
    },
    /// Configured addresses: needed where addresses are translated on the way.
    Fixed(Vec<IpAddr>),
}

/// What is answered where too few are alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnAllDown {
    /// All of them, as if health were not known.
    All,
    /// Those that were last known to be good; all, where none are noted.
    LastGood(Vec<IpAddr>),
}

/// How the addresses of one answer are chosen from many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Anew at each query.
    Rotate,
    /// The same for the same client (an IPv4 address, an IPv6 /64).
    Hash,
}

/// How the addresses of a name are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balanced {
    /// Whose they are.
    pub mode: Mode,
    /// This node's own addresses.
    pub own: Own,
    /// The pools of which one must have a server left for this node to answer with itself; empty where it always may.
    pub needs: Vec<PoolName>,
    /// The pool whose servers are the other nodes; `None` for those of the health view.
    pub peers: Option<PoolName>,
    /// Most addresses in one answer, 1 to [`caps::DNS_BALANCED_ADDRESSES`].
    pub at_most: usize,
    /// Fewest that must be alive before health is believed.
    pub min_alive: usize,
    /// Least percentage of all that must be alive before health is believed.
    pub min_alive_percent: u8,
    /// What is answered below that.
    pub on_all_down: OnAllDown,
    /// How they are chosen.
    pub spread: Spread,
    /// Seconds that an answer may be kept while nothing changes.
    pub ttl: u32,
    /// Seconds that it may be kept at least.
    pub ttl_min: u32,
}

/// Someone whose address may be answered: a peer node, a server of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The address.
    pub address: IpAddr,
    /// What we hold it for.
    pub state: State,
    /// Which tier it is in; a higher one is used where no lower one is alive.
    pub tier: u8,
    /// Its share; 0 gets none while others are alive.
    pub weight: u16,
    /// Whether it was alive when enough of them last were.
    pub was_good: bool,
}

impl Member {
    fn is_alive(&self) -> bool {
        matches!(self.state, State::Up | State::Unknown)
    }

    fn is_ordered_away(&self) -> bool {
        matches!(self.state, State::Draining | State::Maintenance)
    }
}

/// What is known of health at the moment of a query.
#[derive(Debug, Clone)]
pub struct Health<'a> {
    /// Whether there is a view at all; before that, balanced names are answered SERVFAIL.
    pub ready: bool,
    /// This node's own state: down where its own pool is empty, draining by order.
    pub own: State,
    /// The peers that run the same names.
    pub peers: &'a [Member],
    /// The servers of each pool.
    pub pools: &'a HashMap<PoolName, Vec<Member>>,
    /// How long until a state may change next, where that is known.
    pub next_change: Option<Duration>,
}

/// The addresses chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// The records' data, best first.
    pub data: Vec<Rdata>,
    /// Seconds that they may be kept.
    pub ttl: u32,
    /// What the choice went by.
    pub basis: Basis,
}

/// What a choice went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Health: those that are alive, of the best tier that has one.
    Alive {
        /// How many are alive.
        alive: usize,
        /// How many there are.
        all: usize,
        /// The tier; 0 for the first.
        tier: u8,
    },
    /// Too few are alive, so that those are answered which were alive when enough last were.
    LastGood {
        /// How many are alive.
        alive: usize,
        /// How many would have to be.
        needed: usize,
    },
    /// Too few are alive, so that everybody is answered who was not ordered away.
    Everyone {
        /// How many are alive.
        alive: usize,
        /// How many would have to be.
        needed: usize,
    },
}

impl Balanced {
    /// One for tests: as a configuration has it that says nothing more.
    #[cfg(test)]
    pub(crate) fn usual(mode: Mode, own: Own) -> Self {
        Self {
            mode,
            own,
            needs: Vec::new(),
            peers: None,
            at_most: 8,
            min_alive: 1,
            min_alive_percent: 0,
            on_all_down: OnAllDown::All,
            spread: Spread::Rotate,
            ttl: 30,
            ttl_min: 5,
        }
    }

    /// Chooses the addresses of a family (A or AAAA). Empty only where the configuration has none of that family.
    pub fn pick(&self, family: Type, health: &Health<'_>, asker: &Asker) -> Picked {
        let all = self.of_family(family, health, asker);
        let (members, basis) = self.choose(&all);
        let chosen = self.draw(&members, &self.own_first(health, asker), asker);
        let data = chosen.iter().map(|address| match address {
            IpAddr::V4(v4) => Rdata::a(*v4),
            IpAddr::V6(v6) => Rdata::aaaa(*v6),
        });
        Picked { data: data.collect(), ttl: self.ttl_now(health), basis }
    }

    /// The addresses that [`Balanced::pick`] chooses with each of these numbers drawn.
    pub(super) fn draws(
        &self,
        family: Type,
        health: &Health<'_>,
        asker: &Asker,
        lucks: std::ops::Range<u64>,
    ) -> Vec<Vec<IpAddr>> {
        let all = self.of_family(family, health, asker);
        let (members, _) = self.choose(&all);
        let own = self.own_first(health, asker);
        lucks.map(|luck| self.draw(&members, &own, &Asker { luck, ..*asker })).collect()
    }

    /// Whether there is anyone at all to answer with, of either family and in whatever state. Where nobody is, the
    /// view is not complete, and saying that the name has no address would be wrong.
    pub fn has_candidates(&self, health: &Health<'_>, asker: &Asker) -> bool {
        !self.candidates(health, asker).is_empty()
    }

    /// Every pool that the choice goes by.
    pub fn pools(&self) -> Vec<&PoolName> {
        let own = if let Mode::Pool(pool) = &self.mode { Some(pool) } else { None };
        own.into_iter().chain(&self.peers).chain(&self.needs).collect()
    }

    /// Those whose addresses are answered beside this node's own: the servers of the pool, or the peers.
    pub(super) fn members<'h>(&self, health: &'h Health<'_>) -> &'h [Member] {
        let pool = if let Mode::Pool(pool) = &self.mode { Some(pool) } else { self.peers.as_ref() };
        pool.map_or(health.peers, |pool| health.pools.get(pool).map_or(&[], Vec::as_slice))
    }

    fn of_family(&self, family: Type, health: &Health<'_>, asker: &Asker) -> Vec<Member> {
        let is_of = |member: &Member| member.address.is_ipv4() == (family == Type::A);
        self.candidates(health, asker).into_iter().filter(is_of).collect()
    }

    fn candidates(&self, health: &Health<'_>, asker: &Asker) -> Vec<Member> {
        if let Mode::Pool(_) = self.mode {
            return self.members(health).to_vec();
        }
        let tier = if self.mode == Mode::Peers { u8::MAX } else { 0 };
        let own = self.own_members(health, asker, tier);
        // A node alone answers with itself as long as it answers at all, unless it is to be left and someone else can
        // take over.
        if self.mode == Mode::OwnAddress && !self.steps_aside(health) {
            return own;
        }
        // The same lines on all nodes make each of them one of its peers: it is what it knows of itself, and not what its
        // check says, which finds a node that drains in good health.
        let is_other = |peer: &&Member| !own.iter().any(|own| own.address == peer.address);
        let peers: Vec<Member> = self.members(health).iter().filter(is_other).cloned().collect();
        match self.mode {
            Mode::OwnAddress => {
                // A later tier: the peers count only while this node is not alive.
                let later = |peer: Member| Member { tier: peer.tier.saturating_add(1), ..peer };
                own.into_iter().chain(peers.into_iter().map(later)).collect()
            }
            // Drained by its mode: its own address only where no peer is alive.
            Mode::Peers => {
                let own = own.into_iter().map(|member| Member { state: State::Draining, ..member });
                peers.into_iter().chain(own).collect()
            }
            Mode::OwnAndPeers | Mode::Pool(_) => own.into_iter().chain(peers).collect(),
        }
    }

    /// Whether this node is to be left, or has nothing to serve with.
    fn steps_aside(&self, health: &Health<'_>) -> bool {
        !matches!(self.own_state(health), State::Up | State::Unknown)
    }

    /// Addresses beside which it matters at which one a query arrived: peers, of which this node may be one itself.
    pub(super) fn apart(&self, health: &Health<'_>) -> Vec<IpAddr> {
        let is_alone = match self.mode {
            Mode::Pool(_) => true,
            Mode::OwnAddress => !self.steps_aside(health),
            Mode::OwnAndPeers | Mode::Peers => false,
        };
        if is_alone || matches!(self.own, Own::Fixed(_)) {
            return Vec::new();
        }
        self.members(health).iter().map(|member| member.address).collect()
    }

    fn own_members(&self, health: &Health<'_>, asker: &Asker, tier: u8) -> Vec<Member> {
        let addresses: Vec<IpAddr> = match &self.own {
            Own::Fixed(addresses) => addresses.clone(),
            Own::Arrival { else_use } => {
                let arrival = asker.arrived_at;
                let others = else_use.iter().copied().filter(|a| arrival.is_none_or(|b| a.is_ipv4() != b.is_ipv4()));
                arrival.into_iter().chain(others).collect()
            }
        };
        let state = self.own_state(health);
        addresses.into_iter().map(|address| Member { address, state, tier, weight: 1, was_good: false }).collect()
    }

    /// What this node is held for under this name: what was ordered, else whether any server of its pools is left.
    pub fn own_state(&self, health: &Health<'_>) -> State {
        let has_one = |pool: &PoolName| health.pools.get(pool).is_some_and(|all| all.iter().any(Member::is_alive));
        let is_served = self.needs.is_empty() || self.needs.iter().any(has_one);
        match health.own {
            State::Up | State::Unknown if !is_served => State::Down,
            state => state,
        }
    }

    /// Which of them an answer is drawn from.
    fn choose<'m>(&self, all: &'m [Member]) -> (Vec<&'m Member>, Basis) {
        let needed = all.len().saturating_mul(usize::from(self.min_alive_percent)).div_ceil(100);
        // At least one must be alive, and never more are asked for than there are.
        let needed = needed.max(self.min_alive).clamp(1, all.len().max(1));
        let alive: Vec<&Member> = all.iter().filter(|member| member.is_alive()).collect();
        let count = alive.len();
        if count >= needed {
            let best = alive.iter().map(|member| member.tier).min();
            let tier: Vec<&Member> = alive.into_iter().filter(|member| Some(member.tier) == best).collect();
            return (tier, Basis::Alive { alive: count, all: all.len(), tier: best.unwrap_or(0) });
        }
        if let OnAllDown::LastGood(good) = &self.on_all_down {
            let kept: Vec<&Member> = all.iter().filter(|m| m.was_good || good.contains(&m.address)).collect();
            if !kept.is_empty() {
                return (kept, Basis::LastGood { alive: count, needed });
            }
        }
        // What an operator ordered away stays away as long as there is anything else.
        let willing: Vec<&Member> = all.iter().filter(|member| !member.is_ordered_away()).collect();
        let chosen = if willing.is_empty() { all.iter().collect() } else { willing };
        (chosen, Basis::Everyone { alive: count, needed })
    }

    /// One answer, the addresses of `own` before all others.
    fn draw(&self, members: &[&Member], own: &[IpAddr], asker: &Asker) -> Vec<IpAddr> {
        let mut chosen = self.spread(members, asker);
        if !own.is_empty() {
            chosen.sort_by_key(|address| !own.contains(address));
        }
        chosen
    }

    /// In `self+peers` a client that takes the first address comes to the node that its resolver reached.
    fn own_first(&self, health: &Health<'_>, asker: &Asker) -> Vec<IpAddr> {
        if self.mode != Mode::OwnAndPeers {
            return Vec::new();
        }
        let own = self.own_members(health, asker, 0).into_iter();
        own.filter(Member::is_alive).map(|member| member.address).collect()
    }

    /// Weighted choice without repetition: each draws a number that grows with its weight, the largest come first
    /// (Efraimidis and Spirakis 2006).
    fn spread(&self, members: &[&Member], asker: &Asker) -> Vec<IpAddr> {
        let seed = match self.spread {
            Spread::Rotate => asker.luck,
            Spread::Hash => client_number(asker.client),
        };
        let weighted = members.iter().any(|member| member.weight > 0);
        let mut drawn: Vec<(f64, IpAddr)> = members
            .iter()
            .filter(|member| member.weight > 0 || !weighted)
            .map(|member| (draw(seed, member.address, member.weight.max(1)), member.address))
            .collect();
        drawn.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        if let Some(first) = self.first(members, weighted, asker.luck) {
            drawn.sort_by_key(|(_, address)| *address != first);
        }
        let mut addresses: Vec<IpAddr> = drawn.into_iter().map(|(_, address)| address).collect();
        // Servers of a pool may share an address and differ in port.
        let mut seen: Vec<IpAddr> = Vec::with_capacity(addresses.len());
        addresses.retain(|address| {
            !seen.contains(address) && {
                seen.push(*address);
                true
            }
        });
        addresses.truncate(self.at_most.clamp(1, caps::DNS_BALANCED_ADDRESSES));
        addresses
    }

    /// Who stands first where answers rotate: exactly by weight over numbers drawn in a row, since their bits are read
    /// backwards (van der Corput), so that a few prepared answers share as fairly as many drawn ones.
    fn first(&self, members: &[&Member], weighted: bool, luck: u64) -> Option<IpAddr> {
        if self.spread != Spread::Rotate {
            return None;
        }
        let weight = |member: &Member| if weighted { u64::from(member.weight) } else { 1 };
        let total: u64 = members.iter().map(|member| weight(member)).sum();
        let mut at = (u128::from(luck.reverse_bits()).wrapping_mul(u128::from(total))) >> 64;
        for member in members {
            let weight = u128::from(weight(member));
            if at < weight {
                return Some(member.address);
            }
            at = at.saturating_sub(weight);
        }
        None
    }

    /// Never beyond the next possible change, and within the configured bounds.
    pub(super) fn ttl_now(&self, health: &Health<'_>) -> u32 {
        let until = health.next_change.map_or(self.ttl, |d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
        until.max(self.ttl_min).min(self.ttl)
    }
}

/// The logarithm of a uniform number, divided by the weight: larger for larger weights.
fn draw(seed: u64, address: IpAddr, weight: u16) -> f64 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let high = u64::try_from(bits >> 64).unwrap_or(0);
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    let mixed = mix(mix(seed ^ low) ^ high);
    // 52 bits fit a mantissa; the half keeps the number off 0 and 1.
    let uniform = ((mixed >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    uniform.ln() / f64::from(weight)
}

/// The client as a number: the whole IPv4 address, or the /64 of an IPv6 one, which is what one client holds.
fn client_number(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(v4) => mix(u64::from(u32::from(v4))),
        IpAddr::V6(v6) => mix(u64::try_from(u128::from(v6) >> 64).unwrap_or(0) ^ 0x6),
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit changes half of the output.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

//! What threads answer from: blocks with their zones, and what is healthy.
//!
//! The invariant: a view never changes; whoever holds one answers consistently until the next one comes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_dns::answer::{Health, Live, Member, RateRules};
use evenkeel_model::config::{Config, DnsAnswer, LogTarget, Pool, ZoneSource};
use evenkeel_model::{ListenerName, PoolName, ServerId, State};
use evenkeel_proxy::ServerView;
use evenkeel_proxy::log::LogSink;

use super::load::Block;

/// What is known of health.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HealthView {
    pub(crate) ready: bool,
    own: State,
    pools: HashMap<PoolName, Vec<Member>>,
    next_change: Option<Duration>,
}

impl Default for HealthView {
    fn default() -> Self {
        Self { ready: false, own: State::Up, pools: HashMap::new(), next_change: None }
    }
}

impl HealthView {
    /// From what the data plane is told. `last_good` is kept from one view to the next.
    pub(super) fn of(
        config: &Config,
        views: &HashMap<ServerId, ServerView>,
        own: State,
        last_good: &mut HashMap<PoolName, HashSet<IpAddr>>,
        (ready, next_change): (bool, Option<Duration>),
    ) -> Self {
        let mut pools = HashMap::new();
        for pool in &config.pools {
            let mut members = members(pool, views);
            let alive = |member: &&Member| matches!(member.state, State::Up | State::Unknown);
            let count = members.iter().filter(alive).count();
            if count >= needed(config, &pool.name, members.len()) {
                let good = members.iter().filter(alive).map(|member| member.address).collect();
                last_good.insert(pool.name.clone(), good);
            }
            if let Some(good) = last_good.get(&pool.name) {
                members.iter_mut().for_each(|member| member.was_good = good.contains(&member.address));
            }
            pools.insert(pool.name.clone(), members);
        }
        last_good.retain(|pool, _| pools.contains_key(pool));
        Self { ready, own, pools, next_change }
    }

    /// The servers of a pool.
    pub(super) fn members(&self, pool: &PoolName) -> &[Member] {
        self.pools.get(pool).map_or(&[], Vec::as_slice)
    }

    /// As the answers take it.
    pub(super) fn borrow(&self) -> Health<'_> {
        Health { ready: self.ready, own: self.own, peers: &[], pools: &self.pools, next_change: self.next_change }
    }
}

fn members(pool: &Pool, views: &HashMap<ServerId, ServerView>) -> Vec<Member> {
    let mut members = Vec::new();
    for server in &pool.servers {
        let id = ServerId { pool: pool.name.clone(), server: server.name.clone() };
        let Some(view) = views.get(&id) else { continue };
        for addr in view.addrs.iter() {
            members.push(Member {
                address: addr.ip().to_canonical(),
                state: view.state,
                tier: u8::from(server.backup),
                weight: view.weight,
                was_good: false,
            });
        }
    }
    members
}

/// How many of a pool must be alive for what is alive to be called good: what the strictest name asks for.
fn needed(config: &Config, pool: &PoolName, all: usize) -> usize {
    let zones = || config.dns.iter().flat_map(|dns| &dns.zones);
    let made = zones().filter_map(|zone| match &zone.source {
        ZoneSource::Made(made) => Some(&made.answer),
        ZoneSource::File(_) => None,
    });
    let answers = made.chain(zones().flat_map(|zone| zone.names.iter().map(|name| &name.answer)));
    let is_of = |answer: &&DnsAnswer| answer.pool.as_ref() == Some(pool) || answer.peers.as_ref() == Some(pool);
    let needs = |answer: &DnsAnswer| {
        let share = all.saturating_mul(usize::from(answer.min_percent)).div_ceil(100);
        share.max(usize::from(answer.min))
    };
    answers.filter(is_of).map(needs).max().unwrap_or(1).clamp(1, all.max(1))
}

/// What is answered at one address.
pub(super) struct Answers {
    /// Which block it is, and its own parts.
    pub(super) blocks: Arc<Vec<Block>>,
    pub(super) at: usize,
    pub(super) live: Live,
    pub(super) health: Arc<HealthView>,
    pub(super) log: Option<(LogSink, u8)>,
}

impl Answers {
    /// The block. It is there by construction; `None` would answer nothing.
    pub(super) fn block(&self) -> Option<&Block> {
        self.blocks.get(self.at)
    }
}

/// What is answered at every address.
#[derive(Default)]
pub(crate) struct View {
    pub(super) by_listener: HashMap<ListenerName, Arc<Answers>>,
}

impl View {
    pub(super) fn build(
        blocks: &Arc<Vec<Block>>,
        health: &Arc<HealthView>,
        logs: &HashMap<LogTarget, LogSink>,
    ) -> Self {
        let mut by_listener = HashMap::new();
        for (at, block) in blocks.iter().enumerate() {
            let log = block.log.as_ref().and_then(|log| Some((logs.get(&log.to)?.clone(), log.keep_percent)));
            let live = Live::compile(&block.zones, &health.borrow());
            let answers = Answers { blocks: Arc::clone(blocks), at, live, health: Arc::clone(health), log };
            let answers = Arc::new(answers);
            for name in &block.listeners {
                by_listener.insert(name.clone(), Arc::clone(&answers));
            }
        }
        Self { by_listener }
    }

    /// Whether any block limits responses by these rules.
    pub(super) fn uses(&self, rules: RateRules) -> bool {
        let blocks = self.by_listener.values().filter_map(|answers| answers.block());
        blocks.into_iter().any(|block| block.rate == Some(rules))
    }
}

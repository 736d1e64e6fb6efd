//! What threads answer from: blocks with their zones, and what is healthy.
//!
//! The invariant: a view never changes; whoever holds one answers consistently until the next one comes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_dns::answer::{Health, Live, Member, RateRules, Texts};
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
    /// Servers that are nodes of our cluster, and what those are held for.
    nodes: HashMap<ServerId, State>,
    next_change: Option<Duration>,
}

impl Default for HealthView {
    fn default() -> Self {
        Self { ready: false, own: State::Up, pools: HashMap::new(), nodes: HashMap::new(), next_change: None }
    }
}

impl HealthView {
    /// From what the data plane is told, and what is known of nodes. `last_good` is kept from one view to the next.
    pub(super) fn of(
        config: &Config,
        (views, nodes): (&HashMap<ServerId, ServerView>, HashMap<ServerId, State>),
        own: State,
        last_good: &mut HashMap<PoolName, HashSet<IpAddr>>,
        (ready, next_change): (bool, Option<Duration>),
    ) -> Self {
        let mut pools = HashMap::new();
        for pool in &config.pools {
            let mut members = members(pool, views, &nodes);
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
        Self { ready, own, pools, nodes, next_change }
    }

    /// The servers of a pool.
    pub(super) fn members(&self, pool: &PoolName) -> &[Member] {
        self.pools.get(pool).map_or(&[], Vec::as_slice)
    }

    /// What a server is held for that is a node of our cluster; `None` where it is none.
    pub(super) fn of_node(&self, id: &ServerId) -> Option<State> {
        self.nodes.get(id).copied()
    }

    /// As the answers take it.
    pub(super) fn borrow(&self) -> Health<'_> {
        Health { ready: self.ready, own: self.own, peers: &[], pools: &self.pools, next_change: self.next_change }
    }
}

fn members(pool: &Pool, views: &HashMap<ServerId, ServerView>, nodes: &HashMap<ServerId, State>) -> Vec<Member> {
    let mut members = Vec::new();
    for server in &pool.servers {
        let id = pool.id_of(server);
        let Some(view) = views.get(&id) else { continue };
        for addr in view.addrs.iter() {
            members.push(Member {
                address: addr.ip().to_canonical(),
                state: nodes.get(&id).copied().unwrap_or(view.state),
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
    let is_of = |answer: &&DnsAnswer| answer.pool.as_ref() == Some(pool) || answer.peers.as_ref() == Some(pool);
    let needs = |answer: &DnsAnswer| {
        let share = all.saturating_mul(usize::from(answer.min_percent)).div_ceil(100);
        share.max(usize::from(answer.min))
    };
    answers(config).filter(is_of).map(needs).max().unwrap_or(1).clamp(1, all.max(1))
}

/// Every rule by which names are answered.
fn answers(config: &Config) -> impl Iterator<Item = &DnsAnswer> {
    let zones = || config.dns.iter().flat_map(|dns| &dns.zones);
    let made = zones().filter_map(|zone| match &zone.source {
        ZoneSource::Made(made) => Some(&made.answer),
        ZoneSource::File(_) => None,
    });
    made.chain(zones().flat_map(|zone| zone.names.iter().map(|name| &name.answer)))
}

/// The pools whose servers are the other nodes that DNS answers with.
pub(crate) fn peer_pools(config: &Config) -> HashSet<&PoolName> {
    answers(config).filter_map(|answer| answer.peers.as_ref()).collect()
}

/// What is answered at one address.
pub(super) struct Answers {
    /// Which block it is, and its own parts.
    pub(super) blocks: Arc<Vec<Block>>,
    pub(super) at: usize,
    /// The choices of names by `health`; kept where neither the blocks nor that has changed.
    pub(super) live: Arc<Live>,
    pub(super) health: Arc<HealthView>,
    /// What is answered beside the zones.
    pub(super) texts: Arc<Texts>,
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
    /// Of these blocks, beside what is answered up to now.
    pub(super) fn build(
        old: &Self,
        blocks: &Arc<Vec<Block>>,
        health: &Arc<HealthView>,
        texts: &Arc<Texts>,
        logs: &HashMap<LogTarget, LogSink>,
    ) -> Self {
        let mut by_listener = HashMap::new();
        for (at, block) in blocks.iter().enumerate() {
            let log = block.log.as_ref().and_then(|log| Some((logs.get(&log.to)?.clone(), log.keep_percent)));
            let known = block.listeners.first().and_then(|name| old.by_listener.get(name));
            let live = match known.filter(|known| Arc::ptr_eq(&known.blocks, blocks) && known.at == at) {
                Some(known) if Arc::ptr_eq(&known.health, health) => Arc::clone(&known.live),
                Some(known) => Arc::new(known.live.following(&block.zones, &health.borrow())),
                None => Arc::new(Live::compile(&block.zones, &health.borrow())),
            };
            let (blocks, health, texts) = (Arc::clone(blocks), Arc::clone(health), Arc::clone(texts));
            let answers = Answers { blocks, at, live, health, texts, log };
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

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};

    use super::super::load::load;
    use super::*;

    #[test]
    fn choices_are_made_anew_only_where_health_or_the_blocks_are_others() {
        let text = "http 127.0.0.1:8080 {\n    to 127.0.0.1:1\n}\n\
                    dns 127.0.0.1:5300 {\n    zone a.example {\n        ns lb1.example.com\n    }\n}\n";
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let config = loaded.config.as_ref().expect("it is sound");
        let blocks = || Arc::new(load(config, b"", &loaded, &[]).expect("it can be used"));
        let build = |old: &View, blocks: &Arc<Vec<Block>>, health: &Arc<HealthView>, texts: Texts| {
            View::build(old, blocks, health, &Arc::new(texts), &HashMap::new())
        };
        let live = |view: &View| Arc::clone(&view.by_listener.values().next().expect("one address").live);
        let (first, health) = (blocks(), Arc::new(HealthView { ready: true, ..HealthView::default() }));
        let view = build(&View::default(), &first, &health, Texts::default());
        let mut texts = Texts::default();
        texts.add("a.example", "token").expect("it is a name");
        let shown = build(&view, &first, &health, texts.clone());
        assert!(Arc::ptr_eq(&live(&view), &live(&shown)));
        assert_eq!(*shown.by_listener.values().next().expect("one address").texts, texts);
        let unwell = Arc::new(HealthView { own: State::Draining, ..(*health).clone() });
        assert!(!Arc::ptr_eq(&live(&view), &live(&build(&view, &first, &unwell, Texts::default()))));
        assert!(!Arc::ptr_eq(&live(&view), &live(&build(&view, &blocks(), &health, Texts::default()))));
    }
}

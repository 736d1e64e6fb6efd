//! The health keeper: what we hold every server for, across every configuration.
//!
//! Outcomes of probes, failures of live traffic and answers of name servers come in; transitions for the log and
//! views for the next snapshot come out. It does no I/O and reads no clock.
//! The invariant: a verdict hangs on a server's name and address, so that a reload that touches neither keeps it.

mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::{Census, CheckOutcome, Health, Policy, Resolution, TrafficFailure, Transition};
use evenkeel_model::config::{Config, Host, Pool, Server, ServerAddr, Standing};
use evenkeel_model::{PoolName, Reason, ServerId, State, Verdict};
use evenkeel_proxy::ServerView;

pub(crate) use record::SavedVerdicts;

/// A change of state, to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) id: ServerId,
    pub(crate) from: State,
    pub(crate) verdict: Verdict,
}

/// What an answer tells of a name that had addresses already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameNews {
    /// It has other addresses, these.
    Moved(Vec<IpAddr>),
    /// It does not resolve any more, for this reason; its servers keep the addresses that they have.
    Stale(String),
    /// It resolves again.
    Fresh,
}

/// The keeper.
#[derive(Default)]
pub(crate) struct Keeper {
    servers: HashMap<ServerId, Kept>,
    /// What is known of the hosts that were given by name.
    names: BTreeMap<String, Vec<IpAddr>>,
    /// Those of them whose last answer was none.
    stale: BTreeSet<String>,
    /// What an earlier process left, used once, when its server first appears.
    saved: SavedVerdicts,
    /// The servers of each pool.
    members: HashMap<PoolName, Vec<ServerId>>,
    /// When each server's next timeout is due: what is asked after each event must not cost a look at every server.
    due: BTreeSet<(Duration, ServerId)>,
    /// Servers of which the data plane may have to see another view.
    touched: BTreeSet<ServerId>,
    /// Servers that drain.
    draining: BTreeSet<ServerId>,
    /// Servers that wait for their first check.
    awaited: BTreeSet<ServerId>,
    /// Servers whose last checks disagree with what they are held for, and how long until they may turn that.
    wavering: BTreeMap<ServerId, Duration>,
}

struct Kept {
    server: Server,
    health: Health,
    /// The share that an operator ordered.
    ordered_weight: Option<u16>,
    addrs: Arc<[SocketAddr]>,
    /// Where it stands in `due`.
    due: Option<Duration>,
    /// The pause between two checks, where there are any.
    every: Option<Duration>,
}

impl Keeper {
    /// A keeper that remembers what an earlier process knew.
    pub(crate) fn new(saved: SavedVerdicts) -> Self {
        Self { saved, ..Self::default() }
    }

    /// Makes the kept servers those of the configuration: new ones begin as unknown, moved ones anew.
    pub(crate) fn adopt(&mut self, config: &Config, now: Duration) -> Vec<Noted> {
        let mut before = std::mem::take(&mut self.servers);
        let mut noted = Vec::new();
        for pool in &config.pools {
            for server in &pool.servers {
                let id = pool.id_of(server);
                let known = before.remove(&id).filter(|kept| kept.server.addr == server.addr);
                let kept = match known {
                    Some(mut kept) => {
                        let changes = [
                            kept.health.set_policy(now, Policy::of(pool)),
                            kept.health.set_standing(now, server.standing),
                        ];
                        noted.extend(changes.into_iter().flatten().map(|change| Noted::new(&id, change)));
                        kept.server = server.clone();
                        kept.every = pool.check.as_ref().map(|check| check.every);
                        kept
                    }
                    None => self.begin(pool, server, &id, now),
                };
                self.servers.insert(id, kept);
            }
        }
        self.count_anew(config);
        let named = self.hosts();
        self.names.retain(|name, _| named.contains(name));
        self.stale.retain(|name| named.contains(name));
        noted
    }

    /// Makes the tables beside `servers` anew.
    fn count_anew(&mut self, config: &Config) {
        let ids = |pool: &Pool| {
            let id = |server: &Server| pool.id_of(server);
            (pool.name.clone(), pool.servers.iter().map(id).collect())
        };
        self.members = config.pools.iter().map(ids).collect();
        self.touched = self.servers.keys().cloned().collect();
        self.due.clear();
        self.draining.clear();
        for (id, kept) in &mut self.servers {
            if kept.health.verdict().state == State::Draining {
                self.draining.insert(id.clone());
            }
            kept.due = kept.health.poll_timeout();
            self.due.extend(kept.due.map(|at| (at, id.clone())));
        }
        let awaited = self.servers.iter().filter(|(_, kept)| kept.health.is_awaited());
        self.awaited = awaited.map(|(id, _)| id.clone()).collect();
        let wavering = self.servers.iter().filter_map(|(id, kept)| Some((id.clone(), kept.next_change()?)));
        self.wavering = wavering.collect();
    }

    /// Changes what is kept of one server. Every change goes through here, so that the tables beside `servers` stay
    /// true.
    fn change<T>(&mut self, id: &ServerId, change: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let kept = self.servers.get_mut(id)?;
        let before = kept.seen();
        let outcome = change(kept);
        let after = kept.seen();
        let due = kept.health.poll_timeout();
        if due != kept.due {
            if let Some(at) = kept.due {
                self.due.remove(&(at, id.clone()));
            }
            kept.due = due;
            self.due.extend(due.map(|at| (at, id.clone())));
        }
        if !kept.health.is_awaited() {
            self.awaited.remove(id);
        }
        match kept.next_change() {
            Some(until) => self.wavering.insert(id.clone(), until),
            None => self.wavering.remove(id),
        };
        if before != after {
            match after.0 {
                State::Draining => self.draining.insert(id.clone()),
                _ => self.draining.remove(id),
            };
            self.touched.insert(id.clone());
        }
        Some(outcome)
    }

    fn begin(&mut self, pool: &Pool, server: &Server, id: &ServerId, now: Duration) -> Kept {
        let policy = Policy::of(pool);
        let health = match self.saved.take(id, &server.addr) {
            Some((record, age)) => Health::restore(policy, server.standing, record, age, now),
            None => Health::new(policy, server.standing, now),
        };
        let addrs = self.addresses(&server.addr);
        let every = pool.check.as_ref().map(|check| check.every);
        Kept { server: server.clone(), health, ordered_weight: None, addrs, due: None, every }
    }

    /// A probe has ended.
    pub(crate) fn checked(&mut self, id: &ServerId, outcome: CheckOutcome, now: Duration) -> Option<Noted> {
        self.change(id, |kept| kept.health.on_check(now, outcome))?.map(|change| Noted::new(id, change))
    }

    /// Live traffic failed on a server.
    pub(crate) fn failed(
        &mut self,
        id: &ServerId,
        (reason, status): (Reason, Option<u16>),
        requests: u64,
        now: Duration,
    ) -> Option<Noted> {
        let census = self.census(&id.pool);
        let change = |kept: &mut Kept| {
            let at = kept.addrs.first().map_or_else(|| kept.server.addr.to_string(), SocketAddr::to_string);
            let failure = TrafficFailure { reason, at, detail: status.map(|status| status.to_string()), requests };
            kept.health.on_traffic(now, &failure, census)
        };
        self.change(id, change)?.map(|change| Noted::new(id, change))
    }

    /// What an answer tells of a name that is worth a line: other addresses in whatever order, and the first failure
    /// and the first success of a row. To be asked before the answer is [`resolved`](Self::resolved).
    pub(crate) fn news(&mut self, host: &str, answer: &Result<Vec<IpAddr>, String>) -> Option<NameNews> {
        let known = self.names.get(host)?;
        match answer {
            Ok(addrs) if !addrs.is_empty() => {
                let was_stale = self.stale.remove(host);
                let same = addrs.iter().collect::<BTreeSet<_>>() == known.iter().collect();
                if same { was_stale.then_some(NameNews::Fresh) } else { Some(NameNews::Moved(addrs.clone())) }
            }
            Ok(_) => self.stale.insert(host.to_owned()).then(|| NameNews::Stale("it has no address".to_owned())),
            Err(cause) => self.stale.insert(host.to_owned()).then(|| NameNews::Stale(cause.clone())),
        }
    }

    /// A name server has answered, or has not. What was known of a name stays known when it cannot be asked.
    pub(crate) fn resolved(&mut self, host: &str, answer: Result<Vec<IpAddr>, String>, now: Duration) -> Vec<Noted> {
        let resolution = match answer {
            Ok(addrs) if !addrs.is_empty() => {
                self.names.insert(host.to_owned(), addrs);
                Resolution::Found
            }
            _ if self.names.contains_key(host) => return Vec::new(),
            Ok(_) => Resolution::Missing { detail: format!("`{host}` has no address") },
            Err(detail) => Resolution::Missing { detail },
        };
        let addrs = self.names.get(host).cloned().unwrap_or_default();
        let mut noted = Vec::new();
        for id in self.servers_of(host) {
            let change = |kept: &mut Kept| {
                let now_at = addrs.iter().map(|&ip| SocketAddr::new(ip, kept.server.addr.port)).collect();
                if kept.addrs != now_at {
                    kept.addrs = now_at;
                }
                kept.health.on_resolve(now, resolution.clone())
            };
            noted.extend(self.change(&id, change).flatten().map(|change| Noted::new(&id, change)));
        }
        noted
    }

    /// Follows what an operator orders of a server: its state and its share; `None` leaves it to the configuration.
    pub(crate) fn steer(
        &mut self,
        id: &ServerId,
        (standing, weight): (Option<Standing>, Option<u16>),
        now: Duration,
    ) -> Option<Noted> {
        let change = |kept: &mut Kept| {
            kept.ordered_weight = weight;
            kept.health.set_intent(now, standing)
        };
        self.change(id, change)?.map(|change| Noted::new(id, change))
    }

    /// The servers that drain.
    pub(crate) fn draining(&self) -> &BTreeSet<ServerId> {
        &self.draining
    }

    /// Time has passed: an ejection or a step of a slow start may be over.
    pub(crate) fn elapsed(&mut self, now: Duration) -> Vec<Noted> {
        let due: Vec<ServerId> = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id.clone()).collect();
        let mut noted = Vec::new();
        for id in due {
            // A step of a slow start changes the view and nothing else.
            self.touched.insert(id.clone());
            let change = self.change(&id, |kept| kept.health.on_timeout(now)).flatten();
            noted.extend(change.map(|change| Noted::new(&id, change)));
        }
        noted
    }

    /// When [`Keeper::elapsed`] is due next.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether every server that is checked has its first result, or cannot have one.
    pub(crate) fn is_settled(&self) -> bool {
        self.awaited.is_empty()
    }

    /// How long until a verdict may change at the earliest, where a check has begun to say something else than it.
    pub(crate) fn next_possible_change(&self) -> Option<Duration> {
        self.wavering.values().min().copied()
    }

    /// What the data plane is to be told.
    pub(crate) fn views(&self, now: Duration) -> HashMap<ServerId, ServerView> {
        self.servers.iter().map(|(id, kept)| (id.clone(), kept.view(now))).collect()
    }

    /// The views of the servers that may look otherwise since this was last asked.
    pub(crate) fn touched_views(&mut self, now: Duration) -> HashMap<ServerId, ServerView> {
        let touched = std::mem::take(&mut self.touched);
        touched
            .into_iter()
            .filter_map(|id| self.servers.get(&id).map(|kept| kept.view(now)).map(|view| (id, view)))
            .collect()
    }

    /// What we hold a server for.
    pub(crate) fn verdict(&self, id: &ServerId) -> Option<&Verdict> {
        self.servers.get(id).map(|kept| kept.health.verdict())
    }

    /// Where a server is, as far as known.
    pub(crate) fn addrs(&self, id: &ServerId) -> Arc<[SocketAddr]> {
        self.servers.get(id).map_or_else(|| Arc::from([]), |kept| kept.addrs.clone())
    }

    /// The servers of a host given by name.
    pub(crate) fn servers_of(&self, host: &str) -> Vec<ServerId> {
        let named = |kept: &Kept| matches!(&kept.server.addr.host, Host::Name(name) if name == host);
        self.servers.iter().filter(|(_, kept)| named(kept)).map(|(id, _)| id.clone()).collect()
    }

    /// The hosts that were given by name, each once.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self
            .servers
            .values()
            .filter_map(|kept| match &kept.server.addr.host {
                Host::Name(name) => Some(name.clone()),
                Host::Ip(_) => None,
            })
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// What the next process should know, as of `unix`.
    pub(crate) fn save(&self, now: Duration, unix: Duration) -> SavedVerdicts {
        let each = self.servers.iter().map(|(id, kept)| (id, &kept.server.addr, kept.health.record(now)));
        SavedVerdicts::of(each, unix)
    }

    fn addresses(&self, addr: &ServerAddr) -> Arc<[SocketAddr]> {
        match &addr.host {
            Host::Ip(ip) => Arc::from([SocketAddr::new(*ip, addr.port)]),
            Host::Name(name) => {
                self.names.get(name).into_iter().flatten().map(|&ip| SocketAddr::new(ip, addr.port)).collect()
            }
        }
    }

    fn census(&self, pool: &PoolName) -> Census {
        let ids = self.members.get(pool).map(Vec::as_slice).unwrap_or_default();
        Census::of(ids.iter().filter_map(|id| self.servers.get(id)).map(|kept| &kept.health))
    }
}

impl Kept {
    /// What traffic sees of it, but for the steps of a slow start.
    fn seen(&self) -> (State, u16, Arc<[SocketAddr]>) {
        (self.health.verdict().state, self.weight(), Arc::clone(&self.addrs))
    }

    fn weight(&self) -> u16 {
        self.health.weight(self.ordered_weight.unwrap_or(self.server.weight))
    }

    /// How long until checks may turn what it is held for, where the last ones disagree with it.
    fn next_change(&self) -> Option<Duration> {
        Some(self.every?.saturating_mul(self.health.checks_to_change()?))
    }

    fn view(&self, now: Duration) -> ServerView {
        ServerView {
            state: self.health.verdict().state,
            weight: self.weight(),
            ramp_per_mille: self.health.ramp(now),
            addrs: self.addrs.clone(),
        }
    }
}

impl Noted {
    fn new(id: &ServerId, change: Transition) -> Self {
        Self { id: id.clone(), from: change.from, verdict: change.verdict }
    }

    /// Writes the change to the log, once: as a warning where traffic loses a server.
    pub(crate) fn log(&self) {
        let Self { id, from, verdict } = self;
        let Verdict { state, reason, text, .. } = verdict;
        if *state == State::Down {
            tracing::warn!(server = %id, %from, reason = %reason, "server {id} is {state}: {text}");
        } else {
            tracing::info!(server = %id, %from, reason = %reason, "server {id} is {state}: {text}");
        }
    }
}

impl NameNews {
    /// Writes it to the log.
    pub(crate) fn log(&self, host: &str) {
        match self {
            Self::Moved(addrs) => {
                let addrs: Vec<String> = addrs.iter().map(IpAddr::to_string).collect();
                tracing::info!("`{host}` now resolves to {}", addrs.join(", "));
            }
            Self::Stale(cause) => {
                tracing::warn!("`{host}` does not resolve any more, its servers keep their last addresses: {cause}");
            }
            Self::Fresh => tracing::info!("`{host}` resolves again, to the same addresses"),
        }
    }
}

#[cfg(test)]
mod tests;

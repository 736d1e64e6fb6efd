//! From probes to verdicts, over the rounds of one block.
//!
//! The invariant: a verdict turns after `fall` or `rise` probes in a row and no sooner; what cannot be told keeps a
//! record as it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_dns::checker::{Probe, SetOptions, Tally, Target};
use evenkeel_model::config::Zonefile;
use evenkeel_model::{PoolName, ServerId, State, caps};
use evenkeel_proxy::ServerView;
use tokio::time::Instant;

use super::ask::ask;
use super::sheet::Sheet;

/// The servers' verdicts, by pool: where each server is, and what it is held for.
pub(crate) type PoolVerdicts = HashMap<PoolName, Vec<(SocketAddr, State)>>;

/// The verdicts of these servers, by pool.
pub(crate) fn pool_verdicts(views: &HashMap<ServerId, ServerView>) -> PoolVerdicts {
    let mut verdicts = PoolVerdicts::new();
    for (id, view) in views {
        let of_pool = verdicts.entry(id.pool.clone()).or_default();
        of_pool.extend(view.addrs.iter().map(|addr| (*addr, view.state)));
    }
    // In an order of their own, so that two that are equal compare so.
    verdicts.values_mut().for_each(|servers| servers.sort_by_key(|(addr, _)| *addr));
    verdicts
}

/// The longest pause before a target is asked again within a round.
const PAUSE: Duration = Duration::from_secs(1);

/// A target's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) state: State,
    pub(super) why: String,
    /// Seconds since 1970.
    pub(super) since: u64,
}

/// What is known of the targets of one block.
#[derive(Debug, Default)]
pub(super) struct Judge {
    tallies: HashMap<Target, Tally>,
    held: HashMap<Target, Held>,
}

impl Judge {
    /// Asks the targets of the sheets until each is decided, at most until `patience` is over.
    pub(super) async fn judge(
        &mut self,
        block: &Zonefile,
        sheets: &[Sheet],
        pools: &PoolVerdicts,
        patience: Duration,
    ) -> HashMap<Target, State> {
        let wanted = wanted(sheets);
        self.tallies.retain(|target, _| wanted.contains_key(target));
        self.held.retain(|target, _| wanted.contains_key(target));
        let mut pending: Vec<Target> = Vec::new();
        for target in wanted.keys() {
            match server_state(target, block, pools) {
                Some(state) => self.hold(target, state, "the pool's verdict".to_owned()),
                None => pending.push(target.clone()),
            }
        }
        let deadline = Instant::now() + patience;
        for _ in 0..caps::ZONEFILE_REPEATS {
            let asked = ask(&pending, block).await;
            pending.clear();
            for (target, asked) in asked {
                let Some((options, is_parked)) = wanted.get(&target) else { continue };
                let tally = self.tallies.entry(target.clone()).or_insert_with(|| Tally::new(*is_parked));
                let mut state = tally.take(asked.probe, options);
                if !tally.is_settled() {
                    // Half decided is not decided: the record stays as it is.
                    state = State::Unknown;
                    if asked.probe != Probe::CannotTell {
                        pending.push(target.clone());
                    }
                }
                self.hold(&target, state, asked.why);
            }
            let pause = block.timeout.min(PAUSE);
            if pending.is_empty() || Instant::now() + pause + block.timeout > deadline {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        self.held.iter().map(|(target, held)| (target.clone(), held.state)).collect()
    }

    /// What a target is held for.
    pub(super) fn held(&self, target: &Target) -> Option<&Held> {
        self.held.get(target)
    }

    fn hold(&mut self, target: &Target, state: State, why: String) {
        let now = evenkeel_net::clock::unix_now().as_secs();
        let since = self.held.get(target).filter(|held| held.state == state).map_or(now, |held| held.since);
        self.held.insert(target.clone(), Held { state, why, since });
    }
}

/// Every target with the strictest options of the sets that it is in, and whether it is parked in all of them.
fn wanted(sheets: &[Sheet]) -> HashMap<Target, (SetOptions, bool)> {
    let mut wanted: HashMap<Target, (SetOptions, bool)> = HashMap::new();
    for set in sheets.iter().filter(|sheet| sheet.is_usable()).flat_map(|sheet| &sheet.survey.sets) {
        for member in &set.members {
            let entry = wanted.entry(member.target.clone()).or_insert_with(|| (set.options.clone(), true));
            entry.0.rise = entry.0.rise.max(set.options.rise);
            entry.0.fall = entry.0.fall.max(set.options.fall);
            entry.1 &= member.is_parked;
        }
    }
    wanted
}

/// The verdict of the pool's server with the target's address: of the one with its port too, else of the best of those
/// with its address.
fn server_state(target: &Target, block: &Zonefile, pools: &PoolVerdicts) -> Option<State> {
    let servers = pools.get(block.pool.as_ref()?)?;
    let exact = SocketAddr::new(target.address, target.port);
    if let Some((_, state)) = servers.iter().find(|(addr, _)| *addr == exact) {
        return Some(*state);
    }
    let same = servers.iter().filter(|(addr, _)| addr.ip() == target.address).map(|(_, state)| *state);
    same.min_by_key(|state| match state {
        State::Up => 0,
        State::Unknown => 1,
        State::Draining => 2,
        State::Maintenance => 3,
        State::Down => 4,
    })
}

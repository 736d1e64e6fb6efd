//! How many sessions live on each server: those in tokens that showed themselves, and those in the tables.
//!
//! The keeper's thread counts from time to time, everybody else reads what it counted last. The invariant: who reads waits
//! for nothing but a copy of a few numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_balance::ServerUid;
use evenkeel_balance::sessions::ServerSessions;
use evenkeel_balance::sticky::Counted;
use evenkeel_model::config::{CookieValue, Pool, Sticky, StickyMethod};
use evenkeel_model::{PoolName, ServerId};
use evenkeel_net::clock;
use evenkeel_proxy::Shared;

/// The sessions of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionsOn {
    /// How many there are. Who has a token and a learned id is one.
    pub live: u64,
    /// Whether it is a count, and not an estimate from a part of many.
    pub is_exact: bool,
}

/// What was counted last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    counted: Arc<Mutex<Numbers>>,
}

#[derive(Debug, Default)]
struct Numbers {
    tokens: HashMap<PoolName, Counted>,
    learned: HashMap<PoolName, BTreeMap<ServerUid, ServerSessions>>,
}

impl Left {
    /// Counts. It looks through every table.
    pub(crate) fn count(&self, shared: &Shared) {
        let now = clock::unix_now().as_secs();
        let tokens = shared.tokens_seen(now);
        let learned = shared.session_tables().into_iter().map(|(pool, table)| (pool, table.by_server(now))).collect();
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Numbers { tokens, learned };
    }

    /// The sessions that live on a server; `None` where the pool keeps clients in a way that leaves nothing to count.
    pub(crate) fn on(&self, pool: &Pool, id: &ServerId) -> Option<SessionsOn> {
        if !pool.sticky.iter().any(|sticky| has_token(sticky) || is_learned(sticky)) {
            return None;
        }
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = ServerUid::of(&id.server);
        let tokens = counted.tokens.get(&id.pool);
        let learned = counted.learned.get(&id.pool).and_then(|servers| servers.get(&uid)).map_or(0, |it| it.live);
        let live = tokens.map_or(0, |tokens| tokens.on(uid)).max(learned);
        Some(SessionsOn { live, is_exact: tokens.is_none_or(|tokens| tokens.each == 1) })
    }
}

/// Whether every session of the pool is in its table, so that what is not there is over.
pub(crate) fn are_all_learned(pool: &Pool) -> bool {
    !pool.sticky.is_empty() && pool.sticky.iter().all(is_learned)
}

fn is_learned(sticky: &Sticky) -> bool {
    matches!(sticky.method, StickyMethod::Learned(_))
}

fn has_token(sticky: &Sticky) -> bool {
    sticky.cookie().is_some_and(|cookie| cookie.knows(|form| form == CookieValue::Token))
}

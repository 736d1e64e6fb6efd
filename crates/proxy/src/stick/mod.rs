//! Keeping a client on its server: what its request says of that, and what its answer is to say.
//!
//! `part` is what a snapshot holds for each method, `see` reads requests, `settle` writes answers, `wait` stands by for a
//! server that is down. Not here: what tokens and other values are (`evenkeel_balance`). The invariant: any fault of a
//! value counts as none, so that a client learns nothing by making values up.

mod part;
mod see;
mod settle;
mod wait;

use std::time::Duration;

use evenkeel_balance::sticky::{Bond, By, StickyOutcome, Why, is_over};
use evenkeel_balance::{HashKeyValue, ServerIndex, hash_key};
use evenkeel_model::config::{StickyMethod, WhenDown};
use evenkeel_net::clock;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::hold::{HeldPool, PoolHold};
use crate::learn::Recalled;
use crate::serve::h1::Client;
use crate::snapshot::PoolPart;

pub(crate) use part::{MethodPart, parts};
pub(crate) use see::{Purpose, Reading, Seen};
pub(crate) use settle::settle;

/// What a request's methods said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stuck {
    /// What the method that counts read.
    pub(crate) seen: Seen,
    /// Which of the pool's methods that is.
    method: Option<usize>,
    /// The methods that leave this request alone, a bit each.
    skipped: u32,
    /// What the client's address hashes to, where the pool falls back to that.
    pub(crate) client_key: Option<u64>,
    /// Why another server serves this request alone, while the bond stays as it is.
    lent: Option<Why>,
    /// How it went, once a server has answered.
    pub(crate) outcome: StickyOutcome,
    /// When the request was read, in seconds since 1970.
    read_at: u64,
}

impl Stuck {
    /// Nothing was said.
    pub(crate) const NOTHING: Self = Self {
        seen: Seen::NOTHING,
        method: None,
        skipped: 0,
        client_key: None,
        lent: None,
        outcome: StickyOutcome::None,
        read_at: 0,
    };

    /// The server that is to serve the request.
    pub(crate) fn bound(&self) -> Option<ServerIndex> {
        match self.seen.bond {
            Bond::Bound(index) if self.lent.is_none() => Some(index),
            _ => None,
        }
    }

    /// The server that lends the request to another.
    pub(crate) fn spared(&self) -> Option<ServerIndex> {
        self.lent.and(self.seen.bond.server())
    }

    /// What told, for logs.
    pub(crate) fn by(&self) -> By {
        match (self.seen.bond, self.client_key) {
            (Bond::Unbound, Some(_)) => By::Client,
            _ => self.seen.by,
        }
    }

    /// Why it went as it did, for logs.
    pub(crate) fn why(&self) -> Why {
        match (self.outcome, self.lent) {
            (StickyOutcome::Moved, Some(why)) => why,
            (StickyOutcome::Moved, None) => Why::Failed,
            _ => self.seen.why,
        }
    }

    /// The learned session that the request brought, unless another server serves it for once alone.
    pub(crate) fn recalled(&self) -> Option<Recalled> {
        self.seen.recalled.filter(|_| self.lent.is_none())
    }

    fn is_skipped(&self, method: usize) -> bool {
        self.skipped >> method & 1 == 1
    }
}

/// Finds out where the client belongs. The first method that knows a server which may serve counts; where none does, the
/// first that knows any.
pub(crate) fn recognise(desk: &Desk, exchange: &mut Exchange, pool: &HeldPool) {
    if pool.sticky.is_empty() {
        return;
    }
    let (now, is_secure) = (clock::unix_now().as_secs(), exchange.is_over_tls(desk));
    let client = exchange.client;
    let stuck = read(Reading { purpose: Purpose::Serving, desk, pool, now, is_secure, client });
    exchange.stuck = Stuck { read_at: now, ..stuck };
}

/// Counts the session of a token where it lives.
pub(crate) fn count(exchange: &Exchange, pool: &HeldPool) {
    let stuck = &exchange.stuck;
    let Some(token) = stuck.seen.token else { return };
    match stuck.outcome {
        StickyOutcome::Hit => {
            let part = stuck.method.and_then(|place| pool.sticky.get(place));
            let idle = part.map_or(0, |part| part.config.idle().as_secs());
            pool.shared.census().note(token.client, token.server, exchange.client, (stuck.read_at, idle));
        }
        // It was bound anew, under another number.
        StickyOutcome::Lost => pool.shared.census().forget(token.client),
        StickyOutcome::Moved if stuck.lent.is_none() => pool.shared.census().forget(token.client),
        StickyOutcome::Moved | StickyOutcome::New | StickyOutcome::None => {}
    }
}

/// What the request says.
pub(crate) fn read(reading: Reading<'_>) -> Stuck {
    let Reading { purpose, desk, pool, now, client, .. } = reading;
    // Of every method, those too that are not asked any more: each may write into the answer.
    let skipped = pool.sticky.iter().enumerate().filter(|(_, part)| see::is_skipped(desk, part));
    let mut stuck = Stuck { skipped: skipped.fold(0, |bits, (place, _)| bits | 1 << place), ..Stuck::NOTHING };
    for (place, part) in pool.sticky.iter().enumerate() {
        if stuck.is_skipped(place) {
            continue;
        }
        if part.config.method == StickyMethod::Client {
            stuck.client_key = Some(hash_key(&pool.hash_seed, HashKeyValue::Client(client)));
            break;
        }
        let seen = see::see(reading, part);
        if stuck.method.is_none() || stuck.seen.bond == Bond::Unbound || matches!(seen.bond, Bond::Bound(_)) {
            // An absent value tells less than a bad one.
            let tells = seen.bond != Bond::Unbound || stuck.seen.why == Why::Plain;
            if tells {
                stuck.seen = seen;
                stuck.method = Some(place);
            }
        }
        if matches!(seen.bond, Bond::Bound(_)) {
            break;
        }
    }
    lend(&mut stuck, pool, now, purpose);
    stuck
}

/// Lets another server serve the request where its own would be flooded. How often a token may be used cannot be asked
/// without counting.
fn lend(stuck: &mut Stuck, pool: &PoolPart, now: u64, purpose: Purpose) {
    let Some(part) = stuck.method.and_then(|place| pool.sticky.get(place)) else { return };
    let Bond::Bound(index) = stuck.seen.bond else { return };
    let rate = part.config.cookie().and_then(|cookie| cookie.rate);
    if let Some((most, token)) = rate.zip(stuck.seen.token)
        && purpose == Purpose::Serving
        && !pool.shared.rate().admit(token.client, now, most)
    {
        stuck.lent = Some(Why::Rate);
    } else if part.config.bound.is_some_and(|percent| is_over(&pool.plan, index, pool, percent)) {
        stuck.lent = Some(Why::Busy);
    }
}

/// What the pool does for a client whose own server is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vigil {
    /// The server.
    pub(crate) server: ServerIndex,
    /// How long it is waited for.
    pub(crate) patience: Duration,
    /// What comes then.
    pub(crate) then: WhenDown,
}

/// What is done about the request's own server, if that is down. Who was sent away by an operator goes elsewhere at once.
pub(crate) fn vigil(stuck: &Stuck, pool: &PoolPart) -> Option<Vigil> {
    let Bond::Lost(Some(server)) = stuck.seen.bond else { return None };
    let part = pool.sticky.get(stuck.method?)?;
    (stuck.seen.why == Why::Down).then_some(Vigil { server, patience: part.config.wait, then: part.config.down })
}

/// Stands by for the client's own server where the pool is told to, and refuses where only that one may serve. The pool
/// that comes back is the one to choose from: it may have changed meanwhile.
pub(crate) async fn stand_by(
    client: &mut Client,
    exchange: &mut Exchange,
    pool: PoolHold,
) -> Result<PoolHold, ProxyError> {
    let Some(Vigil { server, patience, then }) = vigil(&exchange.stuck, &pool) else { return Ok(pool) };
    if !patience.is_zero()
        && let Some(changed) = Box::pin(wait::for_server(client, exchange, &pool, server, patience)).await?
    {
        // All who waited come at once, to a server that has just begun.
        lend(&mut exchange.stuck, &changed, clock::unix_now().as_secs(), Purpose::Serving);
        return Ok(changed);
    }
    match then {
        WhenDown::Elsewhere => Ok(pool),
        WhenDown::Fail => Err(Kind::SessionDown.into()),
    }
}

/// Whether only the client's own server may serve the request.
pub(crate) fn is_exclusive(exchange: &Exchange, pool: &PoolPart) -> bool {
    let part = exchange.stuck.method.and_then(|place| pool.sticky.get(place));
    part.is_some_and(|part| part.config.down == WhenDown::Fail) && exchange.stuck.bound().is_some()
}

//! Orders for servers: drain, maintenance, ready, weight. They are kept, and whoever ordered is answered when every worker sees it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use evenkeel_model::ServerId;
use evenkeel_model::config::Server;
use evenkeel_net::clock;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Supervisor, Turn};
use crate::crew::Silent;
use crate::intents::{Lifted, Ordered, Wish, cut};
use crate::sessions::are_all_learned;
use crate::status::ServerStatus;

/// How long workers may take to see an order.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the last request the count of its sessions is the latest.
const SETTLED: Duration = Duration::from_secs(6);

/// How often a server that drains is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried to write down orders that the disk did not take.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// An order for a server.
#[derive(Debug, Clone)]
pub struct Steering {
    /// The pool's name.
    pub pool: String,
    /// The server's name.
    pub server: String,
    /// What is ordered.
    pub wish: Wish,
    /// Who orders it.
    pub by: String,
    /// What the server's [`ServerStatus::version`] must be, if that matters.
    pub expected: Option<u64>,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteerError {
    /// There is no such pool.
    NoPool,
    /// The pool has no such server.
    NoServer,
    /// It has changed meanwhile.
    Stale,
    /// The process is stopping.
    Stopping,
    /// This worker has not taken it up in time; it will.
    Silent(usize),
}

pub(crate) type Reply = oneshot::Sender<Result<ServerStatus, SteerError>>;

/// What is known of a server that drains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draining {
    requests: u64,
    last: Instant,
    is_told: bool,
}

impl Supervisor {
    pub(super) fn steer(&mut self, order: &Steering, reply: Reply, turn: &mut Turn) {
        match self.carry_out(order, turn) {
            Ok((status, acks)) => {
                tokio::task::spawn_local(async move {
                    let answered = match acks {
                        Ok(acks) => acks.all(PATIENCE).await,
                        Err(silent) => Err(silent),
                    };
                    // Whoever ordered may have left.
                    let _ = reply.send(answered.map(|()| status).map_err(|Silent(index)| SteerError::Silent(index)));
                });
            }
            Err(refused) => {
                let _ = reply.send(Err(refused));
            }
        }
    }

    fn carry_out(
        &mut self,
        order: &Steering,
        turn: &mut Turn,
    ) -> Result<(ServerStatus, Result<crate::crew::Acks, Silent>), SteerError> {
        if turn.end_at.is_some() {
            return Err(SteerError::Stopping);
        }
        let config = std::sync::Arc::clone(&self.running.config);
        let pool = config.pools.iter().find(|pool| pool.name.as_str() == order.pool).ok_or(SteerError::NoPool)?;
        let server = pool.servers.iter().find(|it| it.name.as_str() == order.server).ok_or(SteerError::NoServer)?;
        let id = pool.id_of(server);
        if order.expected.is_some_and(|expected| expected != self.version(&id, server)) {
            return Err(SteerError::Stale);
        }
        let (before, all) = (self.intents.of(&id).cloned(), self.intents.clone());
        let wish = Wish { why: order.wish.why.as_deref().map(cut), ..order.wish.clone() };
        self.intents.order(&id, server, &wish, &order.by, clock::unix_now());
        let after = self.intents.of(&id).cloned();
        // What could not be written last time is tried again.
        if all != self.intents || turn.keep_at.is_some() {
            self.keep_intents(turn);
            self.tell_intents();
        }
        if before != after {
            let why = after.as_ref().and_then(|intent| intent.why.as_deref()).map(|why| format!(": {why}"));
            let words = after.as_ref().map_or_else(|| "ready".to_owned(), |intent| intent.words());
            let text = format!("{} orders {words} for {id}{}", order.by, why.unwrap_or_default());
            tracing::info!(server = %id, "{text}");
            self.journal.note("intent", id.to_string(), text);
        }
        self.follow_intent(&id, turn);
        self.gather();
        turn.publish_at = None;
        let acks = self.crew.ping(&self.running.snapshot);
        if acks.is_err() {
            // Whoever had no room is tried again until it has.
            turn.is_lagging = true;
            turn.publish_soon();
        }
        Ok((self.describe_server(pool, server, turn), acks))
    }

    /// Brings every server in line with what is ordered of it.
    pub(super) fn follow_intents(&mut self, turn: &mut Turn) {
        let config = std::sync::Arc::clone(&self.running.config);
        for id in config.server_ids() {
            self.follow_intent(&id, turn);
        }
    }

    fn follow_intent(&mut self, id: &ServerId, turn: &mut Turn) {
        let intent = self.intents.of(id);
        let ordered = (intent.and_then(|it| it.state).map(Ordered::standing), intent.and_then(|it| it.weight));
        let noted = self.keeper.steer(id, ordered, clock::now());
        self.note(noted, turn);
        turn.publish_soon();
    }

    /// Says which intents have ended by themselves, and keeps the rest.
    pub(super) fn lifted(&mut self, lifted: &[Lifted], turn: &mut Turn) {
        if lifted.is_empty() {
            return;
        }
        for Lifted { id, why } in lifted {
            tracing::warn!(server = %id, "what an operator ordered for {id} is lifted: {why}");
            self.journal.note("intent", id.clone(), format!("what was ordered for {id} is lifted: {why}"));
        }
        self.keep_intents(turn);
        self.tell_intents();
        self.follow_intents(turn);
    }

    /// Has what is ordered outlive the process. What the disk does not take is tried again until it does.
    pub(super) fn keep_intents(&self, turn: &mut Turn) {
        if !self.state.is_kept() {
            return;
        }
        match self.state.save_intents(&self.intents) {
            Ok(()) => {
                if turn.keep_at.take().is_some() {
                    tracing::info!("what operators ordered is written down now, and outlives a restart");
                }
            }
            Err(cause) => {
                // Once: a full disk stays full for a while.
                if turn.keep_at.is_none() {
                    tracing::warn!("{cause}; a restart forgets what operators ordered until that is mended");
                }
                turn.keep_at = Some(Instant::now() + KEEP_AGAIN);
            }
        }
    }

    /// What time brings: intents that end, and servers that have drained.
    pub(super) fn watch_intents(&mut self, turn: &mut Turn) {
        let lifted = self.intents.expire(clock::unix_now());
        self.lifted(&lifted, turn);
        if turn.look_at.is_some_and(|due| due > Instant::now()) {
            return;
        }
        let draining = self.keeper.draining();
        turn.draining.retain(|id, _| draining.contains(id));
        turn.look_at = (!draining.is_empty()).then(|| Instant::now() + LOOK);
        for id in draining {
            let stats = self.shared.server_stats(id).unwrap_or_default();
            let requests = stats.traffic.requests;
            let known =
                turn.draining.entry(id.clone()).or_insert(Draining { requests, last: Instant::now(), is_told: false });
            if known.requests != requests || stats.in_flight > 0 {
                *known = Draining { requests, last: Instant::now(), is_told: false };
            }
            let (quiet, was_told) = (known.last.elapsed(), known.is_told);
            if (quiet >= self.session_idle(id) || (quiet >= SETTLED && self.has_no_session(id))) && !was_told {
                tracing::info!(server = %id, "server {id} is drained: no request and no session is left");
                self.journal.note(
                    "intent",
                    id.to_string(),
                    format!("{id} is drained: no request and no session is left"),
                );
                if let Some(known) = turn.draining.get_mut(id) {
                    known.is_told = true;
                }
            }
        }
    }

    /// When the next look is due.
    pub(super) fn intents_due(&self, turn: &Turn) -> Option<Instant> {
        let now = clock::unix_now();
        let end = self.intents.next_end().map(|end| Instant::now() + Duration::from_secs(end).saturating_sub(now));
        let is_draining = !self.keeper.draining().is_empty();
        let look = is_draining.then(|| turn.look_at.unwrap_or_else(Instant::now));
        [end, look].into_iter().flatten().min()
    }

    /// How a drain stands: how long no request has come, and whether that is long enough.
    pub(super) fn drain_of(&self, id: &ServerId, turn: &Turn) -> Option<(Duration, bool)> {
        let known = turn.draining.get(id)?;
        Some((known.last.elapsed(), known.is_told))
    }

    /// Whether no session lives there, for certain: where a client could bring one that nobody here has seen, only time tells.
    fn has_no_session(&self, id: &ServerId) -> bool {
        let pool = self.running.config.pool(&id.pool).filter(|pool| are_all_learned(pool));
        let left = pool.and_then(|pool| self.sessions.left.on(pool, id));
        left.is_some_and(|left| left.live == 0)
    }

    /// How long a session of the pool may sleep: until then a user may come back to a draining server.
    fn session_idle(&self, id: &ServerId) -> Duration {
        let pool = self.running.config.pool(&id.pool);
        pool.into_iter().flat_map(|pool| &pool.sticky).map(|sticky| sticky.idle()).max().unwrap_or(LOOK)
    }

    /// A number for what is configured and ordered of a server: another one when any of it changes.
    pub(super) fn version(&self, id: &ServerId, server: &Server) -> u64 {
        let mut hasher = DefaultHasher::new();
        (server.standing, server.weight).hash(&mut hasher);
        if let Some(intent) = self.intents.of(id) {
            (intent.state, intent.weight, intent.until, &intent.why).hash(&mut hasher);
        }
        hasher.finish()
    }
}

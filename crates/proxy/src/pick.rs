//! Which server a request gets, and the wait where all are full.
//!
//! Not here: the rules of balancing (`evenkeel_balance`) and the line itself (`queue`). The invariant: a request that
//! leaves here holds a slot of its server, and gives it back exactly once.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_balance::{Ask, HashKeyValue, Pick, ServerIndex, ServerSet, hash_key};
use evenkeel_http::{cookie, uri};
use evenkeel_model::config::{Balance, HashKey};
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::hold::PoolHold;
use crate::queue::Ticket;
use crate::serve::h1::Client;
use crate::snapshot::PoolPart;
use crate::stick;
use crate::timer::Timer;
use crate::wire::Stream;
use crate::worker::Worker;

/// A slot of a server.
pub(crate) struct Seat {
    pub(crate) index: ServerIndex,
    pool: PoolHold,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(server) = self.pool.server(self.index) {
            // The slot first: whoever is woken must find it free.
            server.shared.load.release();
            self.pool.shared.queue.on_free(server.uid);
        }
    }
}

/// What one look around came to.
enum Look {
    Seat(Seat),
    Full,
    Nobody,
}

/// Who asks for a slot, and what it waits with.
pub(crate) struct Asker<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) timer: &'a mut Timer,
    pub(crate) stream: &'a Stream,
}

/// Takes a slot for the request, of the server that it belongs to or of the one whose turn it is; waits where all
/// are full.
pub(crate) async fn seat(
    client: &mut Client,
    desk: &Desk,
    exchange: &mut Exchange,
    pool: &PoolHold,
    tried: &ServerSet,
) -> Result<Seat, ProxyError> {
    let seeker = Seeker {
        pool,
        tried,
        bound: exchange.stuck.bound().filter(|index| !tried.contains(*index)),
        spared: exchange.stuck.spared(),
        by_client: exchange.stuck.client_key.is_some(),
        key: exchange.stuck.client_key.or_else(|| key(desk, exchange.client, pool)),
    };
    if seeker.bound.is_none() && stick::is_exclusive(exchange, pool) {
        return Err(Kind::SessionDown.into());
    }
    let asker = Asker { worker: &client.worker, timer: &mut client.timer, stream: &client.stream };
    find(asker, &mut exchange.times.queue, &seeker).await
}

/// Takes a slot for what the seeker stands for, and adds the time that it waited in line to `queued`.
pub(crate) async fn find(asker: Asker<'_>, queued: &mut Duration, seeker: &Seeker<'_>) -> Result<Seat, ProxyError> {
    // Whoever waits already comes first.
    let look = match seeker.bound.is_none() && seeker.pool.shared.queue.is_waited_in() {
        true => Look::Full,
        false => seeker.look(asker.worker),
    };
    match look {
        Look::Seat(seat) => Ok(seat),
        Look::Nobody => Err(nobody(seeker.pool)),
        Look::Full => Box::pin(wait(asker, queued, seeker)).await,
    }
}

/// Stands in line until there is a slot.
async fn wait(asker: Asker<'_>, queued: &mut Duration, seeker: &Seeker<'_>) -> Result<Seat, ProxyError> {
    let pool = seeker.pool;
    let wants = seeker.bound.and_then(|index| pool.server(index)).map(|server| server.uid);
    let Some(ticket) = pool.shared.queue.join(pool.config.queue.max, wants) else {
        pool.counts().queue_full.add(1);
        return Err(Kind::QueueFull.into());
    };
    let begun = Instant::now();
    let left = pool.config.queue.timeout.saturating_sub(*queued);
    let seat = stand(asker, seeker, &ticket, begun + left).await;
    let waited = begun.elapsed();
    *queued += waited;
    pool.counts().waits.add(waited);
    seat
}

async fn stand(asker: Asker<'_>, seeker: &Seeker<'_>, ticket: &Ticket, deadline: Instant) -> Result<Seat, ProxyError> {
    loop {
        match seeker.look(asker.worker) {
            Look::Seat(seat) => return Ok(seat),
            Look::Nobody => return Err(nobody(seeker.pool)),
            Look::Full => {}
        }
        match asker.timer.until(deadline, called_or_left(ticket, asker.stream)).await {
            Ok(Stood::Called) => {}
            Ok(Stood::Left) => return Err(Kind::ClientGone.into()),
            Err(_) => {
                seeker.pool.counts().queue_timeouts.add(1);
                return Err(Kind::QueueTimeout.into());
            }
        }
    }
}

/// How a wait in line ended.
enum Stood {
    Called,
    /// The client broke its connection: its place is for somebody else.
    Left,
}

async fn called_or_left(ticket: &Ticket, client: &Stream) -> Stood {
    let mut called = pin!(ticket.called());
    poll_fn(|cx| match called.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Stood::Called),
        Poll::Pending => client.poll_broken(cx).map(|()| Stood::Left),
    })
    .await
}

/// One request or connection in search of a server.
pub(crate) struct Seeker<'a> {
    pub(crate) pool: &'a PoolHold,
    pub(crate) tried: &'a ServerSet,
    pub(crate) bound: Option<ServerIndex>,
    /// The server that has enough of the client's requests; any other comes first.
    pub(crate) spared: Option<ServerIndex>,
    /// Whether the key is the client's, for a pool that balances by another rule.
    pub(crate) by_client: bool,
    pub(crate) key: Option<u64>,
}

impl Seeker<'_> {
    fn look(&self, worker: &Worker) -> Look {
        if let Some(index) = self.bound {
            return self.take(index).map_or(Look::Full, Look::Seat);
        }
        if let Some(index) = self.spared {
            let mut tried = self.tried.clone();
            tried.insert(index);
            if let seat @ Look::Seat(_) = self.look_beside(worker, &tried) {
                return seat;
            }
        }
        self.look_beside(worker, self.tried)
    }

    /// The server whose turn it is, beside those.
    fn look_beside(&self, worker: &Worker, tried: &ServerSet) -> Look {
        let ask = Ask { key: self.key, tried, loads: self.pool.part() };
        let plan = self.pool.client_plan.as_ref().filter(|_| self.by_client).unwrap_or(&self.pool.plan);
        // Another worker may take the slot between the choice and the taking; after as many tries as there are
        // servers the pool is as good as full.
        for _ in 0..=self.pool.servers.len() {
            let pick = worker.with_picker(self.pool, |picker, rng| picker.pick(plan, &ask, rng));
            match pick {
                Pick::Server(index) => match self.take(index) {
                    Some(seat) => return Look::Seat(seat),
                    None => continue,
                },
                Pick::AllFull => return Look::Full,
                Pick::None => return Look::Nobody,
            }
        }
        Look::Full
    }

    fn take(&self, index: ServerIndex) -> Option<Seat> {
        let server = self.pool.server(index)?;
        let is_taken = server.shared.load.try_take(server.max_conns);
        is_taken.then(|| Seat { index, pool: Rc::clone(self.pool) })
    }
}

fn nobody(pool: &PoolPart) -> ProxyError {
    if pool.is_in_maintenance { Kind::Maintenance.into() } else { Kind::NoServer.into() }
}

/// What the pool hashes of the request, if it does and the request has it.
pub(crate) fn key(desk: &Desk, client: IpAddr, pool: &PoolPart) -> Option<u64> {
    let Balance::Hash { key, .. } = &pool.config.balance else { return None };
    let (request, buf) = (&desk.request, desk.input.written());
    let value = match key {
        HashKey::Client => HashKeyValue::Client(client),
        HashKey::Field(name) => HashKeyValue::Bytes(request.fields().find(buf, name.as_bytes())?),
        HashKey::Cookie(name) => HashKeyValue::Bytes(cookie::values(request.fields(), buf, name.as_bytes()).next()?),
        HashKey::Query(name) => HashKeyValue::Bytes(uri::query_value(request.query(buf)?, name.as_bytes())?),
        HashKey::Path => HashKeyValue::Bytes(request.path(buf)),
    };
    Some(hash_key(&pool.hash_seed, value))
}

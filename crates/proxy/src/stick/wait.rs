//! Standing by for a client's own server that is down.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_balance::ServerIndex;
use evenkeel_balance::sticky::{Bond, Why, keep};
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::hold::PoolHold;
use crate::serve::h1::Client;
use crate::wire::Stream;

/// How a wait for another snapshot ended.
enum Waited {
    Changed,
    /// The client broke its connection.
    Left,
}

/// Waits until the server may serve, at most so long; the pool as it then is, or `None` where it stayed down.
pub(super) async fn for_server(
    client: &mut Client,
    exchange: &mut Exchange,
    pool: &PoolHold,
    index: ServerIndex,
    patience: Duration,
) -> Result<Option<PoolHold>, ProxyError> {
    let Some(uid) = pool.server(index).map(|server| server.uid) else { return Ok(None) };
    let worker = Rc::clone(&client.worker);
    let begun = Instant::now();
    let found = loop {
        // The ear before the look: a change in between is heard.
        let changed = worker.applied.notified();
        // A request keeps its snapshot; what became of its pool since is asked of the newest.
        let newest =
            worker.snapshot().and_then(|snapshot| snapshot.pool(snapshot.pool_place(&pool.config.name)?).cloned());
        let Some(newest) = newest else { break None };
        let Some(place) = newest.plan.server(uid) else { break None };
        if let bond @ Bond::Bound(_) = keep(place, &newest.plan)
            && newest.config.sticky == pool.config.sticky
        {
            exchange.stuck.seen.bond = bond;
            exchange.stuck.seen.why = Why::Plain;
            break Some(newest);
        }
        match client.timer.until(begun + patience, changed_or_left(changed, &client.stream)).await {
            Ok(Waited::Changed) => {}
            Ok(Waited::Left) => return Err(Kind::ClientGone.into()),
            Err(_) => break None,
        }
    };
    exchange.times.queue += begun.elapsed();
    Ok(found)
}

async fn changed_or_left(changed: Notified<'_>, client: &Stream) -> Waited {
    let mut changed = pin!(changed);
    poll_fn(|cx| match changed.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Waited::Changed),
        Poll::Pending => client.poll_broken(cx).map(|_| Waited::Left),
    })
    .await
}

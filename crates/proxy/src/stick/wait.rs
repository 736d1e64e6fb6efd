//! Standing by for a client's own server that is down.

use std::future::poll_fn;
use std::time::Duration;

use evenkeel_balance::ServerIndex;
use evenkeel_balance::sticky::{Bond, Why, keep};
use tokio::time::Instant;

use crate::error::{Kind, ProxyError};
use crate::exchange::Exchange;
use crate::hold::PoolHold;
use crate::serve::h1::Client;
use crate::wire::Stream;

/// From one look to the next: short next to the two seconds in which checks notice a server that is back.
const STEP: Duration = Duration::from_millis(50);

/// Waits until the server may serve, at most so long; the pool as it then is, or `None` where it stayed down.
pub(super) async fn for_server(
    client: &mut Client,
    exchange: &mut Exchange,
    pool: &PoolHold,
    index: ServerIndex,
    patience: Duration,
) -> Result<Option<PoolHold>, ProxyError> {
    let Some(uid) = pool.server(index).map(|server| server.uid) else { return Ok(None) };
    let begun = Instant::now();
    let deadline = begun + patience;
    let found = loop {
        let now = Instant::now();
        if now >= deadline {
            break None;
        }
        let step = (now + STEP).min(deadline);
        if client.timer.until(step, broken(&client.stream)).await.is_ok() {
            return Err(Kind::ClientGone.into());
        }
        // A request keeps its snapshot; what became of its pool since is asked of the newest.
        let newest = client
            .worker
            .snapshot()
            .and_then(|snapshot| snapshot.pool(snapshot.pool_place(&pool.config.name)?).cloned());
        let Some(newest) = newest else { break None };
        let Some(place) = newest.plan.server(uid) else { break None };
        if let bond @ Bond::Bound(_) = keep(place, &newest.plan)
            && newest.config.sticky == pool.config.sticky
        {
            exchange.stuck.seen.bond = bond;
            exchange.stuck.seen.why = Why::Plain;
            break Some(newest);
        }
    };
    exchange.times.queue += begun.elapsed();
    Ok(found)
}

async fn broken(client: &Stream) {
    poll_fn(|cx| client.poll_broken(cx).map(|_| ())).await;
}

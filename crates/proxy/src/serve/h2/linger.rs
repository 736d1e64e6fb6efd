//! The end of an HTTP/2 connection whose client was told all: it is read on, until the client has what was sent.
//!
//! What comes to a closed socket is answered with a reset, which has the system throw away what it still holds for the
//! client; and clients grant windows and answer pings while they read. So the socket stays open until the client's system
//! has acknowledged all of it, and a moment more for the client itself, as with HTTP/1.1 (RFC 9112 section 9.6).
//!
//! The invariant: who takes nothing for `timeout send` is not waited for, nor anybody past the deadline of a drain; the
//! connection counts among its listener's, and makes room like one that is silent.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::trunk::Trunk;
use crate::patience::Rest;
use crate::timer::Timer;
use crate::wire::{LINGER, LINGER_BYTES};
use crate::worker::Worker;

/// How often the system is asked what the client has acknowledged: it does not tell by itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Reads on, and throws away what comes, while the client takes what the system has for it.
pub(super) async fn linger<'w>(
    trunk: &Trunk,
    worker: &'w Worker,
    mut turned: Pin<&mut Notified<'w>>,
    mut timer: Timer,
) {
    trunk.return_window();
    let (begun, timeouts) = (Instant::now(), trunk.timeouts.get());
    let nap = worker.sleepers.lie_down(&trunk.bed, begun);
    let mut rest = Rest::new(trunk.wire.unacknowledged().into(), timeouts.rate, begun);
    let mut left = LINGER_BYTES;
    let mut acknowledged = None;
    poll_fn(|cx| {
        // What is beyond the bound stays unread, which does no harm before the socket is closed.
        while left > 0 {
            match trunk.wire.poll_discard(cx, &mut worker.scratch.borrow_mut()) {
                Poll::Ready(Ok(count)) if count > 0 => left = left.saturating_sub(count as u64),
                // Who has ended sends nothing that could be answered with a reset: the system does the rest alone.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while turned.as_mut().poll(cx).is_ready() {
            turned.set(worker.turn.notified());
        }
        loop {
            let now = Instant::now();
            let deadline = match trunk.wire.unacknowledged() {
                0 if left == 0 => now,
                0 => *acknowledged.get_or_insert(now) + LINGER,
                count => rest.deadline(count.into(), timeouts.send, now),
            };
            if deadline <= now || worker.is_cut() || nap.is_over(cx) {
                return Poll::Ready(());
            }
            ready!(timer.poll_passed(cx, deadline.min(now + LOOK_EVERY)));
        }
    })
    .await;
}

//! One timer for each connection, armed lazily.
//!
//! Deadlines of a busy connection move with every byte. Here a later deadline is only remembered: the timer fires at
//! the old one, sees that it is early, and arms itself anew. So a connection under load touches the timer wheel every
//! few seconds, not at every read. The invariant: it never reports a deadline early, nor later than the wheel's step.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// A connection's timer.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    /// A timer that first wakes at `deadline` or before.
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline)) }
    }

    /// Ready once `deadline` has passed; wakes the task then.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// The future's output, unless the deadline passes first.
    pub(crate) async fn until<F: Future>(&mut self, deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_passed(cx, deadline).map(|()| Err(Elapsed))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_is_not_reported_early() {
        let start = Instant::now();
        let mut timer = Timer::new(start + Duration::from_secs(1));
        for seconds in [5, 3, 20, 1] {
            let before = Instant::now();
            let passed = timer.until(before + Duration::from_secs(seconds), std::future::pending::<()>()).await;
            assert_eq!(passed, Err(Elapsed));
            let took = before.elapsed();
            assert!(took >= Duration::from_secs(seconds), "{took:?} for {seconds} s");
            assert!(took < Duration::from_secs(seconds) + Duration::from_millis(10), "{took:?} for {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_ready_wins_over_a_passed_deadline() {
        let mut timer = Timer::new(Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(timer.until(Instant::now(), std::future::ready(7)).await, Ok(7));
    }
}

//! Orders to end a demo: Ctrl-C, a terminal that is closed, `kill`, `timeout`.
//!
//! The invariant: from the moment that somebody listens none of them ends the process by itself, so that everything that
//! the demo started is taken down in order.

use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What listens.
pub(super) struct Ending {
    signals: Vec<Signal>,
}

impl Ending {
    /// Listens from now on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the system has no descriptor to give.
    pub(super) fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { signals: kinds.into_iter().map(signal).collect::<io::Result<_>>()? })
    }

    /// Waits for an order.
    pub(super) async fn ordered(&mut self) {
        poll_fn(|context| {
            let is_ordered = self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_ordered { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Does something unless the order comes before it is done: then it is left off.
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ordered() => None,
            done = work => Some(done),
        }
    }
}

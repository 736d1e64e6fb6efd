//! What the demos of two nodes share: how they are shown, where they listen, and their client's count.
//!
//! What a client meets and what a stage shows is the matter of each demo. The invariant: a client ends with its demo.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::ending::Ending;
use super::play::{Meanings, Show, Tour, play};
use crate::args::DemoArgs;
use crate::exit::Exit;
use crate::output;

/// How many ports are tried.
const PORTS: u16 = 100;

/// Where a demo of two nodes plays.
pub(super) trait Stage: Show {
    /// What is said before.
    fn welcome(&self) -> String;

    /// What the client saw in all.
    fn total(&self) -> String;
}

/// Shows a demo from its first words to its last.
pub(super) async fn show<S: Stage>(
    set: impl Future<Output = Result<S, String>>,
    args: &DemoArgs,
    tour: Tour<S::Act>,
    meanings: Meanings<S::Act>,
) -> Exit {
    let mut ending = match Ending::listen() {
        Ok(ending) => ending,
        Err(error) => return output::fail(error),
    };
    let mut stage = match ending.or(set).await {
        Some(Ok(stage)) => stage,
        Some(Err(cause)) => return output::fail(cause),
        None => return Exit::Done,
    };
    output::print(stage.welcome());
    let played = play(&mut stage, (args, &mut ending), tour, meanings).await;
    output::print(format_args!("\nin all: {}", stage.total()));
    match played {
        Ok(()) => Exit::Done,
        Err(cause) => output::fail(cause),
    }
}

/// The first port from `first` on that is free wherever it is wanted, which is at `addresses`.
pub(super) fn free_port(first: u16, addresses: &str, is_free: impl Fn(u16) -> bool) -> Result<u16, String> {
    let mut ports = first..first.saturating_add(PORTS);
    ports.find(|port| is_free(*port)).ok_or_else(|| format!("no port from {first} on is free on {addresses}"))
}

/// What a client met, since it was asked last and in all. Cheap to clone: clones are the same.
#[derive(Clone, Default)]
pub(super) struct Seen<T>(Arc<Mutex<(T, T)>>);

impl<T: Clone + Default> Seen<T> {
    /// Counts something.
    pub(super) fn count(&self, change: impl Fn(&mut T)) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut seen.0);
        change(&mut seen.1);
    }
}

/// A running client. It ends when this is dropped.
pub(super) struct Client<T> {
    seen: Seen<T>,
    task: JoinHandle<()>,
}

impl<T> Drop for Client<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Clone + Default> Client<T> {
    /// Starts one, which counts what it meets. Must be called within a tokio runtime.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(Seen<T>) -> F) -> Self {
        let seen = Seen::default();
        Self { task: tokio::spawn(run(seen.clone())), seen }
    }

    /// What it met since this was asked last.
    pub(super) fn take(&self) -> T {
        std::mem::take(&mut self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// What it met since the start.
    pub(super) fn total(&self) -> T {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

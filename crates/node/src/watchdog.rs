//! The watchdog: tells the service manager that we are well, as long as every worker answers.
//!
//! A process that still runs but serves nobody is worse than one that is gone, because nobody restarts it. The
//! invariant: the service manager hears of us only after every worker has answered within the time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use evenkeel_net::process::{self, Notice};
use tokio::time::Instant;

use crate::crew::{Acks, Silent};
use crate::origin::words;

/// How often workers are asked where no service manager sets a pace.
const PACE: Duration = Duration::from_secs(5);

/// How long a worker may take to answer. Its longest turn is a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the watchdog is waiting for: an answer of every worker, or the time to ask.
type Waiting = Pin<Box<dyn Future<Output = Result<(), Silent>>>>;

/// The watchdog.
pub(crate) struct Watchdog {
    pace: Duration,
    notified: bool,
    waiting: Waiting,
    asked: bool,
    /// The worker that was silent last time, so that it is reported once.
    silent: Option<usize>,
}

impl Watchdog {
    /// A watchdog at the service manager's pace.
    pub(crate) fn new() -> Self {
        let interval = process::watchdog_interval();
        let pace = interval.unwrap_or(PACE);
        Self { pace, notified: interval.is_some(), waiting: Box::pin(after(pace)), asked: false, silent: None }
    }

    /// Waits until workers are to be asked, or until one is found silent.
    pub(crate) async fn due(&mut self) -> Result<(), Silent> {
        loop {
            let outcome = self.waiting.as_mut().await;
            let asked = std::mem::replace(&mut self.asked, false);
            match outcome {
                // They have answered. Well until the next time.
                Ok(()) if asked => {
                    self.silent = None;
                    if self.notified {
                        tell(Notice::Alive);
                    }
                    self.waiting = Box::pin(after(self.pace));
                }
                Ok(()) => {
                    self.waiting = Box::pin(after(self.pace));
                    return Ok(());
                }
                Err(silent) => {
                    self.waiting = Box::pin(after(self.pace));
                    return Err(silent);
                }
            }
        }
    }

    /// Waits for these answers from now on.
    pub(crate) fn ask(&mut self, asked: Result<Acks, Silent>) {
        match asked {
            Ok(acks) => {
                self.asked = true;
                self.waiting = Box::pin(acks.all(PATIENCE));
            }
            Err(silent) => self.silent(silent),
        }
    }

    /// A worker has not answered: the service manager hears nothing until it does.
    pub(crate) fn silent(&mut self, Silent(index): Silent) {
        if self.silent.replace(index) != Some(index) {
            tracing::error!("worker {index} has not answered for {} s", PATIENCE.as_secs());
        }
    }

    /// Says that start or reload is done.
    pub(crate) fn ready(&self) {
        tell(Notice::Ready("serving"));
    }

    /// Says that a reload begins.
    pub(crate) fn reloading(&self) {
        tell(Notice::Reloading);
    }

    /// Says that the stop begins.
    pub(crate) fn stopping(&self) {
        tell(Notice::Stopping);
    }
}

async fn after(pace: Duration) -> Result<(), Silent> {
    tokio::time::sleep_until(Instant::now() + pace).await;
    Ok(())
}

/// Nothing depends on it but the service manager's own view of us.
fn tell(notice: Notice<'_>) {
    if let Err(error) = process::notify(notice) {
        tracing::debug!("the service manager was not told: {}", words(&error));
    }
}

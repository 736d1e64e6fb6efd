//! The watchdog: tells the service manager that we are well, as long as every worker answers, and who does not.
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

/// How often workers are asked at the least.
const PACE: Duration = Duration::from_secs(1);

/// How long a worker may take to answer. Its longest turn is a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions in a row that a silent worker leaves without an answer. After a pause of the whole process the first is
/// over before any worker could answer it.
const QUESTIONS: u32 = 2;

/// What the watchdog is waiting for: an answer of every worker, or the time to ask.
type Waiting = Pin<Box<dyn Future<Output = Result<(), Silent>>>>;

/// What the watchdog wants of whoever owns the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Workers are to be asked.
    Question,
    /// A worker does not answer, or all do again.
    News,
}

/// The watchdog.
pub(crate) struct Watchdog {
    pace: Duration,
    patience: Duration,
    notified: bool,
    waiting: Waiting,
    asked: bool,
    /// Questions in a row that had no answer of every worker.
    missed: u32,
    /// The worker that is silent.
    silent: Option<usize>,
}

impl Watchdog {
    /// A watchdog at the service manager's pace.
    pub(crate) fn new() -> Self {
        let interval = process::watchdog_interval();
        let pace = interval.unwrap_or(PACE).min(PACE);
        let waiting = Box::pin(after(pace));
        Self { pace, patience: PATIENCE, notified: interval.is_some(), waiting, asked: false, missed: 0, silent: None }
    }

    /// Waits until workers are to be asked, or until one falls silent or is so no more.
    pub(crate) async fn due(&mut self) -> Due {
        loop {
            let outcome = self.waiting.as_mut().await;
            let asked = std::mem::replace(&mut self.asked, false);
            self.waiting = Box::pin(after(self.pace));
            match outcome {
                // They have answered. Well until the next time.
                Ok(()) if asked => {
                    self.missed = 0;
                    if self.notified {
                        tell(Notice::Alive);
                    }
                    if let Some(index) = self.silent.take() {
                        tracing::info!("worker {index} answers again");
                        return Due::News;
                    }
                }
                Ok(()) => return Due::Question,
                Err(silent) if self.miss(silent) => return Due::News,
                Err(_) => return Due::Question,
            }
        }
    }

    /// Counts a question that one worker did not answer. Whether that is news.
    fn miss(&mut self, Silent(index): Silent) -> bool {
        self.missed = self.missed.saturating_add(1);
        if self.missed < QUESTIONS || self.silent.replace(index) == Some(index) {
            return false;
        }
        tracing::error!("worker {index} has not answered for {} s", (self.patience * QUESTIONS).as_secs());
        true
    }

    /// Waits for these answers from now on.
    pub(crate) fn ask(&mut self, asked: Result<Acks, Silent>) {
        match asked {
            Ok(acks) => {
                self.asked = true;
                self.waiting = Box::pin(acks.all(self.patience));
            }
            // Its channel is full: it has not taken a command for long.
            Err(silent) => self.waiting = Box::pin(later(self.patience, silent)),
        }
    }

    /// The worker that does not answer: connections that it has or gets are not served.
    pub(crate) fn silent(&self) -> Option<usize> {
        self.silent
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

async fn later(patience: Duration, silent: Silent) -> Result<(), Silent> {
    tokio::time::sleep(patience).await;
    Err(silent)
}

/// Nothing depends on it but the service manager's own view of us.
fn tell(notice: Notice<'_>) {
    if let Err(error) = process::notify(notice) {
        tracing::debug!("the service manager was not told: {}", words(&error));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::run_beside;

    /// What the watchdog says of itself when asked so often, where nobody answers or everybody does.
    async fn ask(watchdog: &mut Watchdog, times: usize, answers: bool) -> Vec<Due> {
        let mut said = Vec::new();
        for _ in 0..times {
            let (done, ack) = oneshot::channel();
            watchdog.ask(Ok(Acks::of(vec![ack])));
            let _held = if answers { done.send(()).err().map(|()| None) } else { Some(Some(done)) };
            said.push(watchdog.due().await);
        }
        said
    }

    #[test]
    fn a_worker_is_silent_after_two_questions_and_until_it_answers() {
        let run = async {
            let short = Duration::from_millis(1);
            let waiting = Box::pin(after(short));
            let mut watchdog = Watchdog { pace: short, patience: short, waiting, ..Watchdog::new() };
            assert_eq!(watchdog.due().await, Due::Question);
            // One alone may be the pause of a whole process.
            assert_eq!(ask(&mut watchdog, 1, false).await, [Due::Question]);
            assert_eq!(watchdog.silent(), None);
            assert_eq!(ask(&mut watchdog, 1, true).await, [Due::Question]);
            assert_eq!(ask(&mut watchdog, 3, false).await, [Due::Question, Due::News, Due::Question]);
            assert_eq!(watchdog.silent(), Some(0));
            assert_eq!(ask(&mut watchdog, 1, true).await, [Due::News]);
            assert_eq!(watchdog.silent(), None);

            for _ in 0..QUESTIONS {
                watchdog.ask(Err(Silent(3)));
                watchdog.due().await;
            }
            assert_eq!(watchdog.silent(), Some(3), "one whose channel is full has not answered either");
        };
        run_beside(run).unwrap();
    }
}

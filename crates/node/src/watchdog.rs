//! The watchdog: tells the service manager that we are well, as long as every worker answers, and who does not.
//!
//! A process that still runs but serves nobody is worse than one that is gone, because nobody restarts it. The
//! invariant: the service manager hears of us only after every worker has answered within the time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use evenkeel_net::process::{self, Notice};
use tokio::time::Instant;

use crate::crew::Asked;
use crate::origin::words;

/// How often workers are asked at the least.
const PACE: Duration = Duration::from_secs(1);

/// How long a worker may take to answer. Its longest turn is a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions in a row that a silent worker leaves without an answer. After a pause of the whole process the first is
/// over before any worker could answer it.
const QUESTIONS: u32 = 2;

/// What the watchdog is waiting for: the workers that do not answer, or the time to ask.
type Waiting = Pin<Box<dyn Future<Output = Vec<usize>>>>;

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
    /// Questions in a row that each worker has not answered.
    missed: Vec<u32>,
    /// The worker that is silent.
    silent: Option<usize>,
}

impl Watchdog {
    /// A watchdog at the service manager's pace.
    pub(crate) fn new() -> Self {
        let interval = process::watchdog_interval();
        let pace = interval.unwrap_or(PACE).min(PACE);
        let waiting = Box::pin(after(pace));
        Self {
            pace,
            patience: PATIENCE,
            notified: interval.is_some(),
            waiting,
            asked: false,
            missed: Vec::new(),
            silent: None,
        }
    }

    /// Waits until workers are to be asked, or until one falls silent or is so no more.
    pub(crate) async fn due(&mut self) -> Due {
        loop {
            let unanswered = self.waiting.as_mut().await;
            let asked = std::mem::replace(&mut self.asked, false);
            self.waiting = Box::pin(after(self.pace));
            if !asked {
                return Due::Question;
            }
            if unanswered.is_empty() && self.notified {
                // They have answered. Well until the next time.
                tell(Notice::Alive);
            }
            match self.judge(&unanswered) {
                true => return Due::News,
                false if unanswered.is_empty() => {}
                false => return Due::Question,
            }
        }
    }

    /// Counts a question that these workers did not answer. Whether it makes one silent, or one that was silent no more.
    fn judge(&mut self, unanswered: &[usize]) -> bool {
        let workers = unanswered.iter().map(|index| index + 1).max().unwrap_or(0).max(self.missed.len());
        self.missed.resize(workers, 0);
        for (index, missed) in self.missed.iter_mut().enumerate() {
            *missed = if unanswered.contains(&index) { missed.saturating_add(1) } else { 0 };
        }
        let is_silent = |index: &usize| self.missed.get(*index).is_some_and(|missed| *missed >= QUESTIONS);
        let silent = self.silent.filter(is_silent).or_else(|| (0..workers).find(is_silent));
        let before = std::mem::replace(&mut self.silent, silent);
        match (before, silent) {
            (before, silent) if before == silent => return false,
            (_, Some(index)) => {
                tracing::error!("worker {index} has not answered for {} s", (self.patience * QUESTIONS).as_secs());
            }
            (Some(index), None) => tracing::info!("worker {index} answers again"),
            (None, None) => {}
        }
        true
    }

    /// Waits for these answers from now on.
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.asked = true;
        self.waiting = Box::pin(asked.silent(self.patience));
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

async fn after(pace: Duration) -> Vec<usize> {
    tokio::time::sleep_until(Instant::now() + pace).await;
    Vec::new()
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

    /// A watchdog that has no patience.
    fn hasty() -> Watchdog {
        let short = Duration::from_millis(1);
        Watchdog { pace: short, patience: short, waiting: Box::pin(after(short)), ..Watchdog::new() }
    }

    /// What the watchdog says when workers are asked, of which these answer.
    async fn ask(watchdog: &mut Watchdog, answers: &[bool]) -> Due {
        let mut held = Vec::new();
        let mut ask = |answers: bool| {
            let (done, answer) = oneshot::channel();
            held.extend(if answers { done.send(()).err().map(|()| None) } else { Some(Some(done)) });
            Some(answer)
        };
        watchdog.ask(Asked::of(answers.iter().map(|answers| ask(*answers)).collect()));
        watchdog.due().await
    }

    #[test]
    fn a_worker_is_silent_after_two_questions_and_until_it_answers() {
        let run = async {
            let mut watchdog = hasty();
            assert_eq!(watchdog.due().await, Due::Question);
            // One alone may be the pause of a whole process.
            assert_eq!(ask(&mut watchdog, &[false]).await, Due::Question);
            assert_eq!(watchdog.silent(), None);
            assert_eq!(ask(&mut watchdog, &[true]).await, Due::Question);
            for due in [Due::Question, Due::News, Due::Question] {
                assert_eq!(ask(&mut watchdog, &[false]).await, due);
            }
            assert_eq!(watchdog.silent(), Some(0));
            assert_eq!(ask(&mut watchdog, &[true]).await, Due::News);
            assert_eq!(watchdog.silent(), None);

            for _ in 0..QUESTIONS {
                watchdog.ask(Asked::of(vec![None]));
                watchdog.due().await;
            }
            assert_eq!(watchdog.silent(), Some(0), "one whose channel is full has not answered either");
        };
        run_beside(run).unwrap();
    }

    #[test]
    fn what_one_worker_misses_does_not_count_against_another() {
        let run = async {
            let mut watchdog = hasty();
            for round in 0..10 {
                assert_eq!(ask(&mut watchdog, &[round % 2 == 0, round % 2 == 1]).await, Due::Question);
                assert_eq!(watchdog.silent(), None);
            }
            assert_eq!(ask(&mut watchdog, &[true, true]).await, Due::Question);
            // One that others hide now and then is found none the less.
            assert_eq!(ask(&mut watchdog, &[false, false]).await, Due::Question);
            assert_eq!(ask(&mut watchdog, &[true, false]).await, Due::News);
            assert_eq!(watchdog.silent(), Some(1));
            // It stays the one that is told of, as long as it is silent; then the other one is.
            assert_eq!(ask(&mut watchdog, &[false, false]).await, Due::Question);
            assert_eq!(ask(&mut watchdog, &[false, false]).await, Due::Question);
            assert_eq!(ask(&mut watchdog, &[false, true]).await, Due::News);
            assert_eq!(watchdog.silent(), Some(0));
        };
        run_beside(run).unwrap();
    }
}

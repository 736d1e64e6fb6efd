//! The command after a change: run, bounded, and owed until it succeeds, over restarts too.
//!
//! The invariant: a debt is on disk before the change that makes it, and leaves it only after a success.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_dns::checker::{Follow, fill_command};
use evenkeel_model::config::Then;
use evenkeel_net::{clock, files};
use serde::{Deserialize, Serialize};

use super::report::ThenReport;
use crate::command::{self, Invocation};
use crate::origin::words;

/// Most bytes of the file of debts: a thousand commands with long paths.
const MOST_BYTES: usize = 1024 * 1024;

/// A command with its words filled in, and how it stands.
#[derive(Debug, Clone)]
struct Debt {
    /// As in the configuration: tells which block it belongs to after a restart.
    template: Vec<String>,
    words: Vec<String>,
    timeout: Duration,
    follow: Follow,
    last_run: Option<u64>,
    failure: Option<String>,
}

/// What is kept of a debt.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    template: Vec<String>,
    words: Vec<String>,
}

/// The commands that were run or are owed.
#[derive(Debug, Default)]
pub(super) struct Debts {
    list: Vec<Debt>,
    /// Where they are kept; `None` keeps them as long as the process.
    place: Option<PathBuf>,
}

impl Debts {
    /// What is owed from before, of the commands that are still configured.
    pub(super) fn load(place: Option<PathBuf>, configured: &[&Then]) -> Self {
        let text = place.as_ref().and_then(|place| files::read_bounded(place, MOST_BYTES).ok());
        let kept: Vec<Kept> = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let owed = kept.into_iter().filter_map(|kept| {
            let then = configured.iter().find(|then| then.words == kept.template)?;
            let mut follow = Follow::default();
            follow.owe(clock::now());
            Some(Debt {
                template: kept.template,
                words: kept.words,
                timeout: then.timeout,
                follow,
                last_run: None,
                failure: None,
            })
        });
        Self { list: owed.collect(), place }
    }

    /// Takes over from before a reload what is still configured.
    pub(super) fn keep(&mut self, configured: &[&Then]) {
        self.list.retain(|debt| configured.iter().any(|then| then.words == debt.template));
        self.save();
    }

    /// Notes that the file is about to be changed. What comes back undoes it, if it then is not.
    pub(super) fn owe(&mut self, then: &Then, zone: &str, file: &str) -> Undo {
        let words = fill_command(&then.words, zone, file);
        let now = clock::now();
        let before = match self.list.iter_mut().find(|debt| debt.words == words) {
            Some(debt) => {
                let before = debt.follow;
                debt.follow.owe(now);
                Some(before)
            }
            None => {
                let mut follow = Follow::default();
                follow.owe(now);
                let template = then.words.clone();
                self.list.push(Debt {
                    template,
                    words: words.clone(),
                    timeout: then.timeout,
                    follow,
                    last_run: None,
                    failure: None,
                });
                None
            }
        };
        self.save();
        Undo { words, before }
    }

    /// The change was not made after all.
    pub(super) fn undo(&mut self, undo: &Undo) {
        match undo.before {
            None => self.list.retain(|debt| debt.words != undo.words),
            Some(before) => {
                if let Some(debt) = self.list.iter_mut().find(|debt| debt.words == undo.words) {
                    debt.follow = before;
                }
            }
        }
        self.save();
    }

    /// When a command is next due, on the clock of [`clock::now`].
    pub(super) fn next(&self) -> Option<Duration> {
        self.list.iter().filter_map(|debt| debt.follow.next()).min()
    }

    /// Runs what is due. Says whether nothing failed.
    pub(super) async fn run_due(&mut self) -> bool {
        let mut all = true;
        for at in 0..self.list.len() {
            let Some(debt) = self.list.get_mut(at).filter(|debt| debt.follow.is_due(clock::now())) else { continue };
            let outcome = run(&debt.words, debt.timeout).await;
            let command = shown(&debt.words);
            debt.last_run = Some(clock::unix_now().as_secs());
            debt.follow.ran(outcome.is_ok(), clock::now());
            match &outcome {
                Ok(()) => tracing::info!("`{command}` succeeded"),
                Err(why) => tracing::warn!("`{command}` failed and will be tried again: {why}"),
            }
            all &= outcome.is_ok();
            debt.failure = outcome.err();
            self.save();
        }
        all
    }

    /// How they stand.
    pub(super) fn report(&self, then: &Then) -> Vec<ThenReport> {
        let own = self.list.iter().filter(|debt| debt.template == then.words);
        own.map(|debt| ThenReport {
            command: shown(&debt.words),
            owed: debt.follow.next().is_some(),
            last_run: debt.last_run,
            failure: debt.failure.clone(),
        })
        .collect()
    }

    /// A disk that is full costs what a crash would have to remember, and nothing else.
    fn save(&self) {
        let Some(place) = &self.place else { return };
        let owed = self.list.iter().filter(|debt| debt.follow.next().is_some());
        let kept: Vec<Kept> =
            owed.map(|debt| Kept { template: debt.template.clone(), words: debt.words.clone() }).collect();
        let outcome = serde_json::to_vec(&kept).map_err(Into::into).and_then(|text| {
            let is_same = files::read_bounded(place, MOST_BYTES).is_ok_and(|known| known == text);
            if is_same { Ok(()) } else { files::write_atomic(place, &text, 0o600) }
        });
        if let Err(error) = outcome {
            tracing::warn!(
                "`{}` cannot be written, so that a command that is owed is forgotten at a crash: {}",
                place.display(),
                words(&error)
            );
        }
    }
}

/// How things stood before a debt was made.
#[derive(Debug)]
pub(super) struct Undo {
    words: Vec<String>,
    before: Option<Follow>,
}

/// A command as people would type it.
fn shown(words: &[String]) -> String {
    words.join(" ")
}

/// Runs a command to its end.
///
/// # Errors
/// Why it did not succeed, with the end of what it said.
async fn run(words: &[String], timeout: Duration) -> Result<(), String> {
    let ended = command::run(Invocation::of(words), timeout).await?;
    if ended.status.success() { Ok(()) } else { Err(ended.sentence()) }
}

#[cfg(test)]
mod tests;

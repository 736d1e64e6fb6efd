//! The command after a change: run, bounded, and owed until it succeeds, over restarts too.
//!
//! The invariant: a debt is on disk before the change that makes it, and leaves it only after a success.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use evenkeel_dns::checker::{Follow, fill_command};
use evenkeel_model::caps;
use evenkeel_model::config::Then;
use evenkeel_net::{clock, files, process};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};

use super::report::ThenReport;
use crate::origin::words;

/// Most bytes of the file of debts: a thousand commands with long paths.
const MOST_BYTES: usize = 1024 * 1024;

/// How long to read on after a command has ended, for its last words.
const LAST_WORDS: Duration = Duration::from_millis(50);

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

/// Runs a command to its end. After `timeout` it is killed, with everything that it started.
///
/// # Errors
/// Why it did not succeed, with the end of what it said.
async fn run(command: &[String], timeout: Duration) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("there is no command".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {}", words(&error)))?;
    let Some(mut stderr) = child.stderr.take() else { return Err("it has no standard error".to_owned()) };
    let mut said = Vec::new();
    let ended = tokio::time::timeout(timeout, ended(&mut child, &mut stderr, &mut said)).await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(words(&error)),
        Err(_) => {
            let count = child.id().map_or(0, process::kill_tree);
            let _ = child.wait().await;
            let late = timeout.as_secs_f64();
            return Err(with_words(format!("it ran for more than {late} s and was killed ({count} processes)"), &said));
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut piece = [0; 1024];
    if let Ok(Ok(count)) = tokio::time::timeout(LAST_WORDS, stderr.read(&mut piece)).await {
        said.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    Err(with_words(format!("it ended with {status}").replace("exit status: ", "exit status "), &said))
}

/// Waits for the end, and reads along: a program whose pipe is full would wait for us. What it leaves behind may hold the
/// pipe open for ever, so that the pipe's end is not waited for.
async fn ended(child: &mut Child, stderr: &mut ChildStderr, said: &mut Vec<u8>) -> std::io::Result<ExitStatus> {
    let mut piece = [0; 1024];
    let mut is_open = true;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            read = stderr.read(&mut piece), if is_open => match read {
                Ok(count) if count > 0 => {
                    let room = caps::THEN_STDERR_BYTES.saturating_sub(said.len()).min(count);
                    said.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
                _ => is_open = false,
            }
        }
    }
}

fn with_words(what: String, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    match said.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) => format!("{what}: {last}"),
        None => what,
    }
}

#[cfg(test)]
mod tests;

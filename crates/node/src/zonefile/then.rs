//! The command after a change: run, bounded, and owed until it succeeds, over restarts and other spellings of it too.
//!
//! The invariant: a debt is on disk before the change that makes it, and leaves it only after a success, or once nothing
//! is to follow changes of its files any more.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_dns::checker::{Follow, fill_command};
use evenkeel_model::config::{Then, Zonefile};
use evenkeel_net::{clock, files};
use serde::{Deserialize, Serialize};

use super::find::find;
use super::report::ThenReport;
use crate::command::{self, Invocation};
use crate::origin::words;

/// Most bytes of the file of debts: a command for each of the most files that a block may have, with long paths.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// A command with its words filled in, and how it stands.
#[derive(Debug, Clone)]
struct Debt {
    kept: Kept,
    timeout: Duration,
    follow: Follow,
    last_run: Option<u64>,
    failure: Option<String>,
}

/// What is kept of a debt.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    /// As in the configuration: tells which block it belongs to after a restart.
    template: Vec<String>,
    words: Vec<String>,
    /// What it follows. Where the command is mended, the new one is owed for the same.
    #[serde(default)]
    changed: Vec<Changed>,
}

/// A file that was changed since the command succeeded last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    zone: String,
    file: String,
}

impl Debt {
    /// One that is owed from now on.
    fn new(then: &Then, words: Vec<String>, changed: Vec<Changed>) -> Self {
        let mut follow = Follow::default();
        follow.owe(clock::now());
        let kept = Kept { template: then.words.clone(), words, changed };
        Self { kept, timeout: then.timeout, follow, last_run: None, failure: None }
    }

    fn is_owed(&self) -> bool {
        self.follow.next().is_some()
    }
}

/// What becomes of a debt that no block that is known would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Strange {
    /// The blocks are all that there are: nothing is to follow those changes any more.
    #[default]
    Drop,
    /// A command line knows only itself: it belongs to another one.
    Leave,
}

/// The commands of the blocks, each with the files that it follows.
#[derive(Debug, Default)]
struct Commands {
    list: Vec<(Then, Vec<String>)>,
    strange: Strange,
}

impl Commands {
    fn of(blocks: &[&Zonefile], strange: Strange) -> Self {
        let command = |block: &&Zonefile| {
            let files = find(&block.files).0.into_iter().map(|found| found.path.display().to_string());
            Some((block.then.clone()?, files.collect()))
        };
        Self { list: blocks.iter().filter_map(command).collect(), strange }
    }

    fn spelled(&self, template: &[String]) -> Option<&Then> {
        self.list.iter().map(|(then, _)| then).find(|then| then.words == template)
    }

    fn after(&self, file: &str) -> Option<&Then> {
        self.list.iter().find(|(_, files)| files.iter().any(|own| own == file)).map(|(then, _)| then)
    }

    /// What is left of a debt for others: nothing of a command of ours, and no file of ours.
    fn without_own(&self, mut kept: Kept) -> Option<Kept> {
        if self.spelled(&kept.template).is_some() {
            return None;
        }
        let had_none = kept.changed.is_empty();
        kept.changed.retain(|changed| self.after(&changed.file).is_none());
        (had_none || !kept.changed.is_empty()).then_some(kept)
    }
}

/// The commands that were run or are owed.
#[derive(Debug, Default)]
pub(super) struct Debts {
    list: Vec<Debt>,
    commands: Commands,
    /// Where they are kept; `None` keeps them as long as the process.
    place: Option<PathBuf>,
}

impl Debts {
    /// What is owed from before.
    pub(super) fn load(place: Option<PathBuf>, blocks: &[&Zonefile], strange: Strange) -> Self {
        let mut debts = Self { list: Vec::new(), commands: Commands::of(blocks, strange), place };
        for kept in debts.read() {
            match debts.commands.spelled(&kept.template).cloned() {
                Some(then) => debts.list.push(Debt::new(&then, kept.words, kept.changed)),
                None => debts.take_over(kept),
            }
        }
        debts
    }

    /// Goes on by the blocks of a reload.
    pub(super) fn keep(&mut self, blocks: &[&Zonefile]) {
        self.commands = Commands::of(blocks, self.commands.strange);
        for mut debt in std::mem::take(&mut self.list) {
            match self.commands.spelled(&debt.kept.template) {
                Some(then) => {
                    debt.timeout = then.timeout;
                    self.list.push(debt);
                }
                None if debt.is_owed() => self.take_over(debt.kept),
                None => {}
            }
        }
        self.save();
    }

    /// Has the changes followed by the commands that there are for their files now.
    fn take_over(&mut self, kept: Kept) {
        let before = kept.words.clone();
        for changed in &kept.changed {
            let Some(then) = self.commands.after(&changed.file).cloned() else { continue };
            let words = self.add(&then, changed);
            tracing::info!("`{}` is owed for {} in place of `{}`", shown(&words), changed.file, shown(&before));
        }
        if self.commands.strange == Strange::Drop
            && let Some(lost) = self.commands.without_own(kept)
        {
            let files: Vec<&str> = lost.changed.iter().map(|changed| changed.file.as_str()).collect();
            let files = if files.is_empty() { "files that changed".to_owned() } else { files.join(", ") };
            tracing::warn!(
                "`{}` is owed for {files} and is not run any more: no `zonefile` block has a `then` for that; if the name \
                 server has not loaded them since, order it to",
                shown(&before)
            );
        }
    }

    /// Owes the command for a changed file. Gives its words.
    fn add(&mut self, then: &Then, changed: &Changed) -> Vec<String> {
        let words = fill_command(&then.words, &changed.zone, &changed.file);
        match self.list.iter_mut().find(|debt| debt.kept.words == words) {
            Some(debt) => {
                debt.follow.owe(clock::now());
                if !debt.kept.changed.contains(changed) {
                    debt.kept.changed.push(changed.clone());
                }
            }
            None => self.list.push(Debt::new(then, words.clone(), vec![changed.clone()])),
        }
        words
    }

    /// Notes that the file is about to be changed. What comes back undoes it, if it then is not.
    pub(super) fn owe(&mut self, then: &Then, zone: &str, file: &str) -> Undo {
        let words = fill_command(&then.words, zone, file);
        let before = self.list.iter().find(|debt| debt.kept.words == words).cloned();
        self.add(then, &Changed { zone: zone.to_owned(), file: file.to_owned() });
        self.save();
        Undo { words, before }
    }

    /// The change was not made after all.
    pub(super) fn undo(&mut self, undo: Undo) {
        let at = self.list.iter().position(|debt| debt.kept.words == undo.words);
        match (at, undo.before) {
            (Some(at), None) => drop(self.list.remove(at)),
            (Some(at), Some(before)) => {
                if let Some(debt) = self.list.get_mut(at) {
                    *debt = before;
                }
            }
            (None, _) => {}
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
            let outcome = run(&debt.kept.words, debt.timeout).await;
            let command = shown(&debt.kept.words);
            debt.last_run = Some(clock::unix_now().as_secs());
            debt.follow.ran(outcome.is_ok(), clock::now());
            match &outcome {
                Ok(()) => {
                    debt.kept.changed.clear();
                    tracing::info!("`{command}` succeeded");
                }
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
        let own = self.list.iter().filter(|debt| debt.kept.template == then.words);
        own.map(|debt| ThenReport {
            command: shown(&debt.kept.words),
            owed: debt.is_owed(),
            last_run: debt.last_run,
            failure: debt.failure.clone(),
        })
        .collect()
    }

    /// What is kept of debts. A file that cannot be read holds none.
    fn read(&self) -> Vec<Kept> {
        let text = self.place.as_ref().and_then(|place| files::read_bounded(place, MOST_BYTES).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// A disk that is full costs what a crash would have to remember, and nothing else.
    fn save(&self) {
        let Some(place) = &self.place else { return };
        let others = match self.commands.strange {
            Strange::Drop => Vec::new(),
            // Read anew: another command line may have owed something meanwhile.
            Strange::Leave => self.read(),
        };
        let others = others.into_iter().filter_map(|kept| self.commands.without_own(kept));
        let own = self.list.iter().filter(|debt| debt.is_owed()).map(|debt| debt.kept.clone());
        let kept: Vec<Kept> = others.chain(own).collect();
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
    before: Option<Debt>,
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

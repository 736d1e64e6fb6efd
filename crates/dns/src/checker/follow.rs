//! The command after a change (`then rndc reload`): owed until it succeeds, over restarts too.
//!
//! Not the running of it. The invariant: a change that was written is followed by a successful command, or by
//! tries for ever at growing distances.

use std::time::Duration;

/// The longest distance between two tries.
const LONGEST: Duration = Duration::from_secs(300);

/// Whether the command is still to run. Kept in a file as [`Follow::to_text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Follow {
    /// Failed tries since the change; `None` where nothing is owed.
    failures: Option<u32>,
    /// When the next try is due, on the caller's clock.
    due: Duration,
}

impl Follow {
    /// Notes that a file was written.
    pub fn owe(&mut self, now: Duration) {
        *self = Self { failures: Some(0), due: now };
    }

    /// Notes how a run of the command ended.
    pub fn ran(&mut self, succeeded: bool, now: Duration) {
        let Some(failures) = self.failures else { return };
        if succeeded {
            *self = Self::default();
            return;
        }
        // 1, 2, 4 ... seconds: a name server that restarts is back within a few.
        let wait = Duration::from_secs(1_u64.checked_shl(failures.min(16)).unwrap_or(u64::MAX)).min(LONGEST);
        *self = Self { failures: Some(failures.saturating_add(1)), due: now.saturating_add(wait) };
    }

    /// Whether the command is to be run now.
    pub fn is_due(&self, now: Duration) -> bool {
        self.failures.is_some() && now >= self.due
    }

    /// When to look again; `None` where nothing is owed.
    pub fn next(&self) -> Option<Duration> {
        self.failures.map(|_| self.due)
    }

    /// What to keep on disk; empty where nothing is owed.
    pub fn to_text(&self) -> &'static str {
        if self.failures.is_some() { "owed\n" } else { "" }
    }

    /// What was kept on disk. A debt is due at once.
    pub fn from_text(text: &str, now: Duration) -> Self {
        if text.trim() == "owed" { Self { failures: Some(0), due: now } } else { Self::default() }
    }
}

/// The words of the command with `{zone}` and `{file}` replaced. Words stay words: no shell reads them.
pub fn fill_command(words: &[String], zone: &str, file: &str) -> Vec<String> {
    words.iter().map(|word| word.replace("{zone}", zone).replace("{file}", file)).collect()
}

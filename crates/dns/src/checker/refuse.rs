//! Files that must not be edited: another program owns them and would undo or lose the edit.
//!
//! The invariant: a refusal names the way out.

use super::survey::Survey;
use crate::zone::ZoneText;

/// Why a file is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is no zone file but a journal, a signed copy or an editor's backup.
    NotAZoneFile,
    /// It holds no header: nothing to do.
    NoHeader,
    /// A journal stands beside it: the server writes this file itself and drops its comments.
    Dynamic,
    /// It holds signatures: every change would break them.
    Signed,
}

impl Refusal {
    /// What it is and what to do, as a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotAZoneFile => "this is a journal, a signed copy or a backup; name the zone file itself",
            Self::NoHeader => "there is no `;; BALANCED_AUTOCHECK::PORT` line in this file",
            Self::Dynamic => {
                "the zone is dynamic: the server rewrites the file from its journal and drops comments; use dynamic update (RFC 2136) instead"
            }
            Self::Signed => {
                "the file holds signatures that an edit would break; edit the unsigned file, or use dynamic update (RFC 2136)"
            }
        }
    }

    /// Whether it is worth a message when a whole directory is walked.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::NotAZoneFile | Self::NoHeader)
    }
}

/// Names that servers and editors give to what is no zone file.
const NOT_ZONES: [&str; 9] = [".jnl", ".jbk", ".signed", ".private", ".key", ".state", ".bak", ".swp", "~"];

/// Judges a file by its name, the names beside it and its text. `None` where it may be edited.
pub fn refusal(name: &str, beside: &[&str], bytes: &[u8], survey: &Survey) -> Option<Refusal> {
    if NOT_ZONES.iter().any(|end| name.ends_with(end)) || name.starts_with('.') || bytes.contains(&0) {
        return Some(Refusal::NotAZoneFile);
    }
    if survey.sets.is_empty() && survey.problems.iter().all(|problem| problem.code != "checker-header") {
        return Some(Refusal::NoHeader);
    }
    let has = |end: &str| beside.iter().any(|other| other.strip_suffix(end) == Some(name));
    if has(".jnl") || has(".signed") {
        return Some(Refusal::Dynamic);
    }
    let signed = ZoneText::new(bytes)
        .lines
        .iter()
        .any(|line| line.words().any(|word| word.of(bytes).eq_ignore_ascii_case(b"RRSIG")));
    signed.then_some(Refusal::Signed)
}

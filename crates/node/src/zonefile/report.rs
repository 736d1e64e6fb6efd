//! What the zone-file checker says of itself: sets with their records, what changed, what is owed.
//!
//! It is a copy of one moment. The invariant: every word in it can be shown to people as it is.

use std::net::IpAddr;

use serde::Serialize;

/// One `zonefile` block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ZonefileReport {
    /// What it looks at, as written.
    pub files: Vec<String>,
    /// The live server that changes go to, where the files are not edited.
    pub server: Option<String>,
    /// Rounds so far.
    pub rounds: u64,
    /// When the last round ended, in seconds since 1970.
    pub last_round: Option<u64>,
    /// Whether every target of every set fails, so that nothing is changed.
    pub blind: bool,
    /// Records parked or put back so far.
    pub changes: u64,
    /// What is wrong with the block as a whole.
    pub problems: Vec<String>,
    /// The files that hold a header.
    pub sheets: Vec<SheetReport>,
    /// Commands that were run, or are owed.
    pub then: Vec<ThenReport>,
}

/// One zone file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SheetReport {
    /// Its path.
    pub file: String,
    /// The zone, where it can be told.
    pub zone: Option<String>,
    /// What became of it in the last round.
    pub outcome: Outcome,
    /// Why it was left alone, and what else is wrong with it, a sentence each.
    pub problems: Vec<String>,
    /// Sets that verdicts would have emptied, and what was kept.
    pub held: Vec<String>,
    /// The records that the last round parked or put back.
    pub changes: Vec<String>,
    /// The lines that differ, as a difference shows them.
    pub diff: Vec<String>,
    /// The serial before and after the last round.
    pub serial: Option<(u32, u32)>,
    /// When it was last changed, in seconds since 1970.
    pub last_change: Option<u64>,
    /// Its balanced sets.
    pub sets: Vec<SetReport>,
}

/// What became of a file in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it should be.
    Unchanged,
    /// It was changed, or the live server was.
    Changed,
    /// It would be changed.
    WouldChange,
    /// It is left alone: everything fails, or somebody else has it open. The next round looks again.
    Held,
    /// It was named and holds no header.
    NoHeader,
    /// It cannot be used as it is.
    Refused,
    /// A step failed.
    Failed,
}

impl Outcome {
    /// Whether the file is as its verdicts want it, or would be.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Unchanged | Self::Changed | Self::WouldChange)
    }

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::WouldChange => "would change",
            Self::Held => "held",
            Self::NoHeader => "without header",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One balanced set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetReport {
    /// The owner of its records.
    pub owner: String,
    /// `A` or `AAAA`.
    pub kind: String,
    /// The line of its header.
    pub line: usize,
    /// Fewest records that stay.
    pub min: usize,
    /// Its records in the order of the file.
    pub records: Vec<RecordReport>,
}

/// One record of a balanced set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordReport {
    /// Its address.
    pub address: IpAddr,
    /// The port that is asked.
    pub port: u16,
    /// What it is held for.
    pub state: String,
    /// Why.
    pub why: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Whether it is parked.
    pub parked: bool,
}

/// A command after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThenReport {
    /// The command.
    pub command: String,
    /// Whether it is still to succeed.
    pub owed: bool,
    /// When it was last run, in seconds since 1970.
    pub last_run: Option<u64>,
    /// Why it failed the last time.
    pub failure: Option<String>,
}

//! What the zone-file checker says of itself: files, balanced sets, commands. Times count from 1970-01-01 UTC in seconds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One `zonefile` block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZonefileReport {
    /// What it looks at, as written.
    pub files: Vec<String>,
    /// The live server that changes go to, where the files are not edited.
    pub server: Option<String>,
    /// Rounds so far.
    pub rounds: u64,
    /// When the last round ended.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SheetReport {
    /// Its path.
    pub file: String,
    /// The zone, where it can be told.
    pub zone: Option<String>,
    /// What became of it in the last round: `unchanged`, `changed`, `held`, `without header`, `refused`, `failed`.
    pub outcome: String,
    /// Why it was left alone, and what else is wrong with it, a sentence each.
    pub problems: Vec<String>,
    /// Sets that verdicts would have emptied, and what was kept.
    pub held: Vec<String>,
    /// The records that the last round parked or put back.
    pub changes: Vec<String>,
    /// When it was last changed.
    pub last_change: Option<u64>,
    /// Its balanced sets.
    pub sets: Vec<SetReport>,
}

/// One balanced set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetReport {
    /// The owner of its records.
    pub owner: String,
    /// `A` or `AAAA`.
    pub kind: String,
    /// The line of its header.
    pub line: u64,
    /// Fewest records that stay.
    pub min: u64,
    /// Its records in the order of the file.
    pub records: Vec<RecordReport>,
}

/// One record of a balanced set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordReport {
    /// Its address.
    pub address: String,
    /// The port that is asked.
    pub port: u16,
    /// What it is held for.
    pub state: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: u64,
    /// Whether it is parked: commented out of the zone.
    pub parked: bool,
}

/// A command after a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThenReport {
    /// The command.
    pub command: String,
    /// Whether it is still to succeed.
    pub owed: bool,
    /// When it was last run.
    pub last_run: Option<u64>,
    /// Why it failed the last time.
    pub failure: Option<String>,
}

impl ZonefileReport {
    /// Every record of every set.
    pub fn records(&self) -> impl Iterator<Item = &RecordReport> {
        self.sheets.iter().flat_map(|sheet| &sheet.sets).flat_map(|set| &set.records)
    }
}

impl SheetReport {
    /// Whether the file is as its verdicts want it.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome.as_str(), "unchanged" | "changed")
    }
}

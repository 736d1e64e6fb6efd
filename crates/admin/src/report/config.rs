//! Configurations as texts: the one that runs, those of the history, and what lies between two.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a configuration was made of, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigText {
    /// Each file, the entry first.
    pub files: Vec<TextFile>,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextFile {
    /// Its path, or what the text is called.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Two configurations beside each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigDiff {
    /// The first: `running`, `file` or a number of the history.
    pub from: String,
    /// The second.
    pub to: String,
    /// The texts' difference in the unified form; empty where there is none.
    pub text: String,
    /// What it comes to, as a reload would say it; empty where one of them has errors.
    pub changes: Vec<String>,
    /// What is wrong with the second, a line each.
    pub errors: Vec<String>,
}

/// A configuration of the history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// Its number; they grow, also over restarts.
    pub number: u64,
    /// When it was applied.
    pub at: u64,
    /// By whom or what.
    pub by: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// Whether it runs.
    pub is_running: bool,
}

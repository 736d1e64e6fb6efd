//! The certificates that listeners show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A certificate that a listener shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateReport {
    /// The listener.
    pub listener: String,
    /// Where it comes from: a file, `self`, or `installed`.
    pub source: String,
    /// The hosts and addresses that it is for.
    pub names: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// From when it is valid.
    pub not_before: u64,
    /// Until when it is valid.
    pub not_after: u64,
    /// For how long it still is, in seconds; below zero since when it is not.
    pub left_s: i64,
}

impl CertificateReport {
    /// Whether it has expired, or soon will.
    pub fn is_ending(&self) -> bool {
        evenkeel_model::is_ending(self.left_s, self.not_after.saturating_sub(self.not_before))
    }
}

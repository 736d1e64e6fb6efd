//! The certificates that listeners show, and those that authorities are asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A certificate that a listener shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateReport {
    /// The listener.
    pub listener: String,
    /// Where it comes from: a file, `self`, `acme:` and its first host, or `stand-in:` and that until it is there.
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

/// A certificate that an authority is asked for, and for how that stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AcmeReport {
    /// The listener.
    pub listener: String,
    /// The hosts that it is for.
    pub hosts: Vec<String>,
    /// The authority's directory.
    pub directory: String,
    /// How the authority is shown that the hosts are ours: `http`, `alpn` or `dns`.
    pub challenge: String,
    /// Until when it is valid; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// When it was had; absent where that was in an earlier process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_at: Option<u64>,
    /// The node of the cluster that had it; absent where that was this one, or in an earlier process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The node that orders for the cluster; absent without one, and where that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orderer: Option<String>,
    /// Whether a restart finds it.
    pub is_kept: bool,
    /// When it is ordered next.
    pub next_try: u64,
    /// In how many seconds that is.
    pub next_try_in_s: u64,
    /// Whether the authority said when.
    pub by_authority: bool,
    /// Whether an order is under way.
    pub is_ordering: bool,
    /// Orders that failed since the last one that did not.
    pub failures: u32,
    /// Why the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

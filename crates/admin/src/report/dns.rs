//! What a node says of its DNS.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What DNS was asked and has answered since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsReport {
    /// Queries over UDP.
    pub udp: u64,
    /// Queries over TCP.
    pub tcp: u64,
    /// Messages without an answer, being none that can be answered.
    pub dropped: u64,
    /// Answers that were not sent because their client was past its allowance.
    pub limited: u64,
    /// Answers that were cut for that reason, so that an honest client comes over TCP.
    pub slipped: u64,
    /// Answers that were cut, for whatever reason.
    pub truncated: u64,
    /// Zones transferred to secondary servers.
    pub transfers: u64,
    /// Answers by response code.
    pub rcodes: BTreeMap<String, u64>,
    /// Queries by zone.
    pub zones: BTreeMap<String, u64>,
}

/// A zone and how it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneReport {
    /// Its name.
    pub name: String,
    /// The addresses at which it is answered.
    pub listeners: Vec<String>,
    /// Its serial.
    pub serial: u32,
    /// How many names it has.
    pub names: u64,
    /// The names whose addresses are chosen by health, with what they are answered with now.
    pub balanced: Vec<BalancedReport>,
}

/// A name whose addresses are chosen by health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalancedReport {
    /// The name.
    pub name: String,
    /// How its addresses are chosen: `self`, `self+peers`, `peers` or `pool`.
    pub answer: String,
    /// The addresses that may be answered now.
    pub now: Vec<String>,
    /// Seconds that an answer may be kept now.
    pub ttl: u32,
}

/// What a query gets now, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsAnswerReport {
    /// The name and the type that were asked for.
    pub question: String,
    /// The zone that answers; absent where none here does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The response code.
    pub rcode: String,
    /// The records of the answer, as in a zone file.
    pub answer: Vec<String>,
    /// Those of the authority section.
    pub authority: Vec<String>,
    /// Why it is so, a sentence each.
    pub why: Vec<String>,
}

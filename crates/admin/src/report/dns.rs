//! What a node says of its DNS.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ZonefileReport;

/// What DNS was asked and has answered since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Transfers refused, since no line of the configuration allows them.
    #[serde(default)]
    pub refused_transfers: u64,
    /// Answers by response code.
    pub rcodes: BTreeMap<String, u64>,
    /// Queries by zone.
    pub zones: BTreeMap<String, u64>,
    /// Queries a second at the moment; absent until they were watched for a few seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<DnsLiveReport>,
}

/// How queries come at the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DnsLiveReport {
    /// Queries a second, over the last few seconds.
    pub queries_per_s: f64,
    /// The same in the last minutes, the latest last, one for each 5 seconds.
    pub recent: Vec<f64>,
    /// Answers a second by response code.
    pub rcodes_per_s: BTreeMap<String, f64>,
    /// Queries a second by zone.
    pub zones_per_s: BTreeMap<String, f64>,
}

/// DNS at one moment: what was asked, what is answered now and why, and the zone files that are kept in step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DnsViewReport {
    /// What was asked and answered; absent without a `dns` block.
    pub asked: Option<DnsReport>,
    /// The zones.
    pub zones: Vec<ZoneReport>,
    /// The zone files that are kept in step, by block.
    pub zonefiles: Vec<ZonefileReport>,
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
    /// The addresses that may be answered now, but for the one that a query arrives at.
    pub now: Vec<String>,
    /// Whether the address that a query arrives at may be answered now.
    #[serde(default)]
    pub is_arrival: bool,
    /// Seconds that an answer may be kept now.
    pub ttl: u32,
    /// What this node is held for under this name; absent where its own address is never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The servers that the choice goes by, in written order.
    #[serde(default)]
    pub servers: Vec<ChosenReport>,
    /// Why it is so, a sentence each.
    #[serde(default)]
    pub why: Vec<String>,
}

impl BalancedReport {
    /// What may be answered now, in words.
    pub fn answered(&self) -> String {
        let arrival = self.is_arrival.then_some("the address that is asked");
        let all: Vec<&str> = arrival.into_iter().chain(self.now.iter().map(String::as_str)).collect();
        if all.is_empty() { "no address".to_owned() } else { all.join(", ") }
    }
}

/// A server that the choice of a name's addresses goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChosenReport {
    /// Its pool.
    pub pool: String,
    /// Its name in the pool.
    pub server: String,
    /// Its addresses; none while its name does not resolve.
    pub addresses: Vec<String>,
    /// What it is held for: `up`, `down`, `draining`, `maintenance` or `unknown`.
    pub state: String,
    /// Why, as a sentence; empty where only the zones are asked for.
    #[serde(default)]
    pub text: String,
    /// Whether its addresses are those that are answered, or it only decides whether this node answers with itself.
    pub is_answered_with: bool,
    /// Whether one of its addresses is answered now.
    pub is_answered: bool,
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

//! The cluster as a node sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cluster as this node sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterReport {
    /// The cluster's name.
    pub name: String,
    /// This node's name in it.
    pub node: String,
    /// How far this node is: `listening`, `active`, `doubting`, `leaving`; `silent` where its heartbeat thread does not
    /// answer.
    pub phase: String,
    /// Whether an operator drained this node.
    #[serde(default)]
    pub drained: bool,
    /// The other nodes, in written order.
    pub nodes: Vec<NodeReport>,
    /// The groups, in written order.
    pub groups: Vec<GroupReport>,
    /// What hinders this node's own service addresses, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
}

/// Another node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// How well it is heard: `never`, `up`, `late`, `dead`, `left`.
    pub state: String,
    /// How long ago it surely lived, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Whether it hears this node.
    pub hears_us: bool,
    /// How far it is, by its own word.
    pub phase: String,
    /// Whether an operator drained it.
    #[serde(default)]
    pub drained: bool,
    /// Percent of its capacity that it can serve with.
    pub score: u8,
    /// Whether it reaches its ping nodes.
    pub reaches: bool,
    /// Whether its `cluster` block is another one than ours.
    pub other_config: bool,
    /// Heartbeats of it that were too old to count: replayed, or much delayed.
    pub refused: u64,
    /// Whether sessions, orders, verdicts and token keys are shared with it at the moment.
    #[serde(default)]
    pub shares: bool,
    /// Why they are not; none for a witness, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_trouble: Option<String>,
    /// Sessions that were told to it since the channel began.
    #[serde(default)]
    pub sessions_sent: u64,
    /// Sessions that it told.
    #[serde(default)]
    pub sessions_received: u64,
    /// Whether it runs another configuration file than this node, as far as it said.
    #[serde(default)]
    pub other_file: bool,
    /// Servers that it holds for something else than this node does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sees_otherwise: Vec<OtherViewReport>,
    /// The other nodes that it hears, by its own word; none from one that is not heard itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hears: Vec<String>,
    /// The other nodes that it does not hear, by its own word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaf_to: Vec<String>,
    /// Its paths in written order.
    pub paths: Vec<PathReport>,
}

/// A server that another node holds for something else than this one does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherViewReport {
    /// Which server: POOL/SERVER.
    pub server: String,
    /// What the other node holds it for.
    pub state: String,
    /// Why, in its words.
    pub text: String,
    /// What this node holds it for.
    pub here: String,
}

/// One path from another node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathReport {
    /// The other node's address on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How long ago a heartbeat came, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Percent of the latest heartbeats that did not come.
    pub loss: u32,
    /// Whether nothing has come for the dead time.
    #[serde(default)]
    pub silent: bool,
    /// What is wrong with what comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// This node's part: `idle`, `asking`, `starting`, `owner`, `yielding`, `doubting`, `stopping`, `failed`, `stuck`.
    pub role: String,
    /// For how long it has had it.
    pub since_s: u64,
    /// Who owns it, as far as is heard here. Two names: both think so.
    pub owners: Vec<String>,
    /// The highest claim that is known.
    pub claim: u64,
    /// Why this node's part is what it is.
    pub why: String,
    /// Whether an operator sent it away from here.
    pub standby: bool,
    /// Whether it is on its way from one node to another, or from rest, as far as is heard here.
    #[serde(default)]
    pub moving: bool,
    /// Who would own it if its owner died at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What `takeover` would do here at this moment, in a sentence.
    #[serde(default)]
    pub takeover: String,
    /// The last times that it came to this node, the latest first.
    #[serde(default)]
    pub moves: Vec<MoveReport>,
}

/// A group's coming to this node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoveReport {
    /// How many seconds ago.
    pub age_s: u64,
    /// For how many milliseconds it had no owner before, as far as this node can know.
    pub ownerless_ms: u64,
    /// Why it came.
    pub why: String,
}

//! What the nodes of a cluster tell each other as a whole: orders, verdicts, the secrets of session tokens, and certificates
//! of authorities.
//!
//! Orders count here as if they had been given here. Verdicts are what another node sees, and change nothing here but what
//! is shown. The invariant: what cannot be read is left alone, and costs no more than itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::{ServerId, State};
use evenkeel_net::clock;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Supervisor, Turn};
use crate::cluster::{Heard, Held, Paper, Topic};
use crate::intents::ToldIntents;
use crate::secrets::OwnSecrets;

/// Verdicts that change within this time are told together.
const GATHER: Duration = Duration::from_millis(500);

/// What other nodes told.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Their orders: a server that comes by a reload may have some.
    intents: BTreeMap<Arc<str>, ToldIntents>,
    /// What they hold servers for.
    seen: BTreeMap<Arc<str>, BTreeMap<String, Seen>>,
    /// What each node is held for by its heartbeats, by its place in the cluster's block.
    pub(super) held: Held,
    /// When they are told our verdicts, if those have changed.
    pub(super) tell_at: Option<Instant>,
}

/// What a node holds a server for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    state: String,
    text: String,
}

/// A server that another node holds for something else than this one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherView {
    /// Which server.
    pub server: ServerId,
    /// What that node holds it for.
    pub state: String,
    /// Why, in its words.
    pub text: String,
    /// What this one holds it for.
    pub here: State,
}

impl Supervisor {
    /// Tells the other nodes everything that they should know.
    pub(crate) fn tell_all(&self) {
        self.tell_config();
        self.tell_intents();
        self.tell_secrets();
        self.tell_verdicts();
    }

    /// Tells them what is ordered here.
    pub(super) fn tell_intents(&self) {
        let Some(cluster) = &self.cluster else { return };
        if let Ok(bytes) = serde_json::to_vec(&self.intents.told()) {
            cluster.lay(Topic::Intents, bytes);
        }
    }

    fn tell_secrets(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.lay(Topic::TokenSecrets, self.own_secrets.to_json());
        }
    }

    /// Has them told what servers are held for, soon.
    pub(super) fn tell_verdicts_soon(&mut self) {
        if self.cluster.is_some() {
            self.others.tell_at.get_or_insert_with(|| Instant::now() + GATHER);
        }
    }

    pub(super) fn tell_verdicts(&self) {
        let Some(cluster) = &self.cluster else { return };
        let config = &self.running.config;
        let ids = config.server_ids();
        let seen: BTreeMap<String, Seen> = ids
            .filter_map(|id| {
                let verdict = self.keeper.verdict(&id)?;
                Some((id.to_string(), Seen { state: verdict.state.to_string(), text: verdict.text.clone() }))
            })
            .collect();
        if let Ok(bytes) = serde_json::to_vec(&seen) {
            cluster.lay(Topic::Verdicts, bytes);
        }
    }

    pub(super) fn hear_shared(&mut self, heard: Heard, turn: &mut Turn) {
        let Paper { from, topic, bytes } = match heard {
            Heard::Told(paper) => paper,
            Heard::Over(node) => {
                self.others.seen.remove(&node);
                self.show_for_node(self.acme.lose(&node));
                return;
            }
        };
        let outcome = match topic {
            Topic::Intents => serde_json::from_slice(&bytes).map(|told: ToldIntents| {
                self.others.intents.insert(Arc::clone(&from), told);
                self.merge_intents(turn);
            }),
            Topic::Verdicts => serde_json::from_slice(&bytes).map(|seen| {
                self.others.seen.insert(Arc::clone(&from), seen);
            }),
            Topic::TokenSecrets => {
                OwnSecrets::from_json(&bytes).map(|secrets| self.merge_secrets(&from, &secrets, turn))
            }
            Topic::Certificates => self.acme.hear_orders(&from, &bytes),
            Topic::Proofs => self.acme.hear_proofs(&from, &bytes).map(|showing| self.show_for_node(showing)),
        };
        if let Err(error) = outcome {
            tracing::warn!("what node {from} tells of {topic:?} cannot be read: {error}");
        }
    }

    /// Takes up what other nodes ordered, of servers that are new here as well.
    pub(super) fn merge_intents(&mut self, turn: &mut Turn) {
        let config = Arc::clone(&self.running.config);
        let before = self.intents.clone();
        for (from, told) in &self.others.intents {
            for merged in self.intents.merge(told, from, &config) {
                tracing::info!(server = %merged.id, "{}", merged.text);
                self.journal.note("intent", merged.id, merged.text);
            }
        }
        if before == self.intents {
            return;
        }
        self.keep_intents(turn);
        self.tell_intents();
        self.follow_intents(turn);
    }

    fn merge_secrets(&mut self, from: &str, secrets: &OwnSecrets, turn: &mut Turn) {
        if !self.own_secrets.merge(secrets) {
            return;
        }
        tracing::info!("session tokens of node {from} are read here as well");
        self.state.save_sticky_secrets(&self.own_secrets);
        self.tell_secrets();
        self.follow_secrets(turn);
    }

    /// Has tokens made and read under the secrets that are known now.
    pub(super) fn follow_secrets(&mut self, turn: &mut Turn) {
        if self.running.keys.are_of(&self.own_secrets) {
            return;
        }
        match self.running.keys.with_own(&self.running.config, &self.own_secrets) {
            Ok(keys) => self.running.keys = keys,
            Err(missing) => {
                let causes: Vec<&str> = missing.iter().map(|key| key.cause.as_str()).collect();
                tracing::warn!("other nodes' tokens are read from the next reload on: {}", causes.join("; "));
                return;
            }
        }
        let views = self.keeper.views(clock::now());
        self.running.snapshot = self.build(views);
        if self.crew.ping(&self.running.snapshot).is_err() {
            // Whoever had no room is tried again until it has.
            turn.is_lagging = true;
            turn.publish_soon();
        }
    }

    /// What another node holds servers for, where this one holds them for something else.
    pub(super) fn other_views(&self) -> BTreeMap<Arc<str>, Vec<OtherView>> {
        let differing = |seen: &BTreeMap<String, Seen>| {
            self.running
                .config
                .server_ids()
                .filter_map(|id| {
                    let (theirs, here) = (seen.get(&id.to_string())?, self.keeper.verdict(&id)?.state);
                    let (state, text) = (theirs.state.clone(), theirs.text.clone());
                    // Who has just started knows nothing yet.
                    let is_known = state != State::Unknown.as_str() && here != State::Unknown;
                    (is_known && state != here.as_str()).then_some(OtherView { server: id, state, text, here })
                })
                .collect()
        };
        self.others.seen.iter().map(|(node, seen)| (Arc::clone(node), differing(seen))).collect()
    }
}

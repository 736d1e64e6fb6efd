//! This node as a whole, drained by an operator: its groups go to other nodes, DNS answers with those, and clients'
//! connections end with their answers.
//!
//! Who comes all the same is served: a node may be the only one left. The invariant: it lasts, over restarts too, until
//! an operator orders the node ready.

use evenkeel_cluster::Change;
use evenkeel_net::clock;
use tokio::sync::oneshot;

use super::{SteerError, Supervisor, Turn};
use crate::intents::{NodeDrain, cut};

/// What is ordered of the node.
#[derive(Debug, Clone)]
pub struct NodeOrder {
    /// Whether clients are to go elsewhere.
    pub is_drained: bool,
    /// Why.
    pub why: Option<String>,
    /// Who orders it.
    pub by: String,
}

impl Supervisor {
    pub(super) fn order_node(
        &mut self,
        order: NodeOrder,
        reply: oneshot::Sender<Result<(), SteerError>>,
        turn: &mut Turn,
    ) {
        let outcome = if turn.end_at.is_some() { Err(SteerError::Stopping) } else { Ok(()) };
        if outcome.is_ok() {
            self.carry_out_node(order, turn);
        }
        // Whoever ordered may have left.
        let _ = reply.send(outcome);
    }

    fn carry_out_node(&mut self, order: NodeOrder, turn: &mut Turn) {
        let NodeOrder { is_drained, why, by } = order;
        let why = why.as_deref().map(cut);
        let words = if is_drained { "drains this node" } else { "orders this node ready" };
        let text = format!("{by} {words}{}", why.as_deref().map(|why| format!(": {why}")).unwrap_or_default());
        let since = clock::unix_now().as_secs();
        let has_changed = self.intents.order_node(is_drained.then_some(NodeDrain { by, why, since }));
        // What could not be written last time is tried again.
        if has_changed || turn.keep_at.is_some() {
            self.keep_intents(turn);
        }
        if has_changed {
            tracing::info!("{text}");
            self.journal.note("intent", "", text);
        }
        self.follow_node();
    }

    /// Brings everything in line with what is ordered of the node.
    pub(crate) fn follow_node(&mut self) {
        let is_drained = self.intents.node().is_some();
        if let Some(cluster) = &self.cluster
            && !cluster.change(Change::Aside(is_drained))
        {
            tracing::error!("the heartbeat thread takes no orders; groups stay where they are");
        }
        self.shared.set_all_leaving(is_drained);
        self.dns.stand_aside(is_drained);
        self.follow_health();
    }
}

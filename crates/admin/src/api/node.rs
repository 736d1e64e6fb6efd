//! This node as a whole: whether clients are to go elsewhere.

use evenkeel_model::config::Role;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Gives, Needs, Operation, ROW, Reply, Shape, json};
use crate::control::NodeOrder;
use crate::problem::{Code, Problem};
use crate::report::AsideReport;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/node",
        id: "getNode",
        noun: "node",
        doc: "Whether this node is drained, and what is left on it.",
        gives: Gives::Json(Shape::of::<AsideReport>()),
        run: |call| Box::pin(async move { Ok(json(&aside(&call).await)) }),
        ..ROW
    },
    Operation {
        method: Method::PATCH,
        path: "/api/v1/node",
        id: "orderNode",
        noun: "node",
        doc: "Drains this node (its groups go to other nodes, DNS answers with those, connections end with their answers) or has it ready again; \
              answers with what is left on it.",
        needs: Needs::Role(Role::Operate),
        takes: Some(Shape::of::<NodeWish>()),
        gives: Gives::Json(Shape::of::<AsideReport>()),
        problems: &[Code::A403],
        run: |call| Box::pin(order(call)),
        ..ROW
    },
];

/// What is wished of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeWish {
    /// Whether clients are to go elsewhere.
    pub drained: bool,
    /// Why, for whoever looks later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

async fn order(call: Call<'_>) -> Reply {
    let NodeWish { drained, why } = call.body()?;
    let order = NodeOrder { drained, why, by: call.caller.name.clone() };
    if call.control.order_node(order).await {
        return Ok(json(&aside(&call).await));
    }
    Err(Problem::new(Code::A403, "the node takes no orders any more"))
}

async fn aside(call: &Call<'_>) -> AsideReport {
    let status = call.control.status().await;
    let cluster = call.control.cluster().report().await;
    let is_here = |role: &str| !matches!(role, "idle" | "failed" | "asking");
    let groups = cluster.into_iter().flat_map(|report| report.groups).filter(|group| is_here(&group.role));
    AsideReport {
        drained: status.drained,
        unkept: status.unkept,
        connections: status.totals.connections,
        groups: groups.map(|group| group.name).collect(),
    }
}

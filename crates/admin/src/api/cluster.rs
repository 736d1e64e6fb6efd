//! The cluster: how this node sees it, and what is ordered of its groups.

use evenkeel_model::config::Role;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Gives, Needs, Operation, ROW, Reply, Shape, json};
use crate::control::{GroupOrder, GroupRefused};
use crate::problem::{Code, Problem};
use crate::report::ClusterReport;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/cluster",
        id: "getCluster",
        noun: "cluster",
        doc: "The cluster as this node sees it.",
        gives: Gives::Json(Shape::of::<ClusterReport>()),
        problems: &[Code::A306],
        run: |call| Box::pin(async move { cluster(&call).await.map(|report| json(&report)) }),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/cluster/groups/{group}",
        id: "orderGroup",
        noun: "cluster",
        doc: "Orders a group here, away from here, or lifts that; answers with the cluster at that moment. `moving` says whether it is under way.",
        needs: Needs::Role(Role::Operate),
        takes: Some(Shape::of::<GroupWish>()),
        gives: Gives::Json(Shape::of::<ClusterReport>()),
        problems: &[Code::A306, Code::A307, Code::A308, Code::A403],
        run: |call| Box::pin(order(call)),
        ..ROW
    },
];

/// What is wished of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupWish {
    /// What is to happen.
    pub order: WishedMove,
}

/// An order for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WishedMove {
    /// This node is to own it.
    Takeover,
    /// Another node is to own it.
    Standby,
    /// What was ordered or has failed here counts no more.
    Ready,
}

async fn cluster(call: &Call<'_>) -> Result<ClusterReport, Problem> {
    let report = call.control.cluster().report().await;
    report.ok_or_else(|| Problem::new(Code::A306, "the configuration has no `cluster` block"))
}

async fn order(call: Call<'_>) -> Reply {
    let GroupWish { order } = call.body()?;
    let order = match order {
        WishedMove::Takeover => GroupOrder::Takeover,
        WishedMove::Standby => GroupOrder::Standby,
        WishedMove::Ready => GroupOrder::Ready,
    };
    let group = call.path("group").to_owned();
    match call.control.cluster().order(group.clone(), order, call.caller.name.clone()).await {
        Err(GroupRefused::Refused(why)) => {
            Err(Problem::new(Code::A308, format!("the order for group {group} is refused: {why}")))
        }
        Ok(()) => cluster(&call).await.map(|report| json(&report)),
        Err(GroupRefused::NoCluster) => Err(Problem::new(Code::A306, "the configuration has no `cluster` block")),
        Err(GroupRefused::NoGroup) => {
            let known = cluster(&call).await?.groups;
            let names: Vec<String> = known.iter().map(|group| format!("`{}`", group.name)).collect();
            Err(Problem::new(Code::A307, format!("there is no group `{group}`; there are {}", names.join(", "))))
        }
        Err(GroupRefused::Silent) => Err(Problem::new(Code::A403, "the node takes no orders at the moment")),
    }
}

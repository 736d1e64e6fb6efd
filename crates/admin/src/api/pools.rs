//! Pools, with their servers.

use super::{Call, Gives, Operation, ROW, Reply, Shape, json};
use crate::problem::{Code, Problem};
use crate::report::{PoolReport, StatusReport};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/pools",
        id: "listPools",
        noun: "pools",
        doc: "The pools in written order, with their servers.",
        gives: Gives::Json(Shape::of::<Vec<PoolReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.status().await.pools)) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/pools/{pool}",
        id: "getPool",
        noun: "pools",
        doc: "One pool with its servers.",
        gives: Gives::Json(Shape::of::<PoolReport>()),
        problems: &[Code::A302],
        run: |call| Box::pin(one(call)),
        ..ROW
    },
];

async fn one(call: Call<'_>) -> Reply {
    let status = call.control.status().await;
    pool(&status, call.path("pool")).map(json)
}

/// The pool of that name.
pub(super) fn pool<'a>(status: &'a StatusReport, name: &str) -> Result<&'a PoolReport, Problem> {
    status.pools.iter().find(|pool| pool.name == name).ok_or_else(|| {
        let names: Vec<String> = status.pools.iter().map(|pool| format!("`{}`", pool.name)).collect();
        let there = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
        Problem::new(Code::A302, format!("there is no pool `{name}`; pools: {there}"))
    })
}

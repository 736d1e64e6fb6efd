//! The node as a whole.

use super::{Gives, Operation, ROW, Shape, json};
use crate::report::StatusReport;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/status",
    id: "getStatus",
    noun: "status",
    doc: "The node with its configuration, listeners, pools, servers and counters.",
    gives: Gives::Json(Shape::of::<StatusReport>()),
    run: |call| Box::pin(async move { Ok(json(&call.control.status().await)) }),
    ..ROW
}];

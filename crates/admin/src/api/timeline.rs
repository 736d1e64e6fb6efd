//! What servers were held for in the last day.

use super::{Gives, Operation, ROW, Shape, json};
use crate::report::TimelineReport;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/timeline",
    id: "getTimeline",
    noun: "timeline",
    doc: "What every server was held for in the last day, in steps of five minutes.",
    gives: Gives::Json(Shape::of::<TimelineReport>()),
    run: |call| Box::pin(async move { Ok(json(&call.control.timeline(&call.control.counters().await))) }),
    ..ROW
}];

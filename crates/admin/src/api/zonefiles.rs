//! Zone files that are kept in step.

use super::{Gives, Operation, ROW, Shape, json};
use crate::report::ZonefileReport;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/zonefiles",
    id: "listZonefiles",
    noun: "zonefiles",
    doc: "The zone files that are kept in step: sets with their records and verdicts, what changed, commands that are owed.",
    gives: Gives::Json(Shape::of::<Vec<ZonefileReport>>()),
    run: |call| Box::pin(async move { Ok(json(&call.control.status().await.zonefiles)) }),
    ..ROW
}];

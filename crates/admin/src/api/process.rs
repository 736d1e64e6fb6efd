//! What is ordered of the process as a whole: reload and stop.

use evenkeel_model::config::Role;
use hyper::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Gives, Needs, Operation, ROW, Reply, Shape, json};
use crate::payload;
use crate::problem::{Code, Problem};
use crate::report::ReloadReport;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::POST,
        path: "/api/v1/reload",
        id: "reload",
        noun: "process",
        doc: "Reads the configuration anew; answers when traffic sees it, or when it was refused whole.",
        needs: Needs::Role(Role::Admin),
        gives: Gives::Json(Shape::of::<ReloadReport>()),
        problems: &[Code::A401, Code::A403],
        run: |call| Box::pin(reload(call)),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/stop",
        id: "stop",
        noun: "process",
        doc: "Begins to stop: no new connections, open ones may finish.",
        needs: Needs::Role(Role::Admin),
        gives: Gives::Accepted(Shape::of::<Stopping>()),
        run: |call| Box::pin(stop(call)),
        ..ROW
    },
];

/// A stop that has begun.
#[derive(Serialize, JsonSchema)]
struct Stopping {
    /// Always true.
    stopping: bool,
}

async fn reload(call: Call<'_>) -> Reply {
    match call.control.reload().await {
        Ok(report) => Ok(json(&report)),
        Err(_) if call.control.status().await.stopping => {
            Err(Problem::new(Code::A403, "it takes no configuration any more"))
        }
        Err(refused) => {
            let detail = format!("generation {} goes on serving, untouched", refused.generation);
            Err(Problem { refused: Some(refused), ..Problem::new(Code::A401, detail) })
        }
    }
}

async fn stop(call: Call<'_>) -> Reply {
    call.control.stop().await;
    Ok(payload::json(StatusCode::ACCEPTED, "application/json", &Stopping { stopping: true }))
}

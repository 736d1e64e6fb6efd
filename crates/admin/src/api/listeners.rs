//! Where traffic comes in.

use super::{Call, Gives, Operation, ROW, Reply, Shape, json};
use crate::problem::{Code, Problem};
use crate::report::ListenerReport;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/listeners",
        id: "listListeners",
        noun: "listeners",
        doc: "The listeners in written order.",
        gives: Gives::Json(Shape::of::<Vec<ListenerReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.status().await.listeners)) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/listeners/{listener}",
        id: "getListener",
        noun: "listeners",
        doc: "One listener, by its address as written.",
        gives: Gives::Json(Shape::of::<ListenerReport>()),
        problems: &[Code::A303],
        run: |call| Box::pin(one(call)),
        ..ROW
    },
];

async fn one(call: Call<'_>) -> Reply {
    let name = call.path("listener");
    let listeners = call.control.status().await.listeners;
    match listeners.iter().find(|listener| listener.name == name) {
        Some(listener) => Ok(json(listener)),
        None => {
            let names: Vec<String> = listeners.iter().map(|listener| format!("`{}`", listener.name)).collect();
            Err(Problem::new(Code::A303, format!("there is no listener `{name}`; there are {}", names.join(", "))))
        }
    }
}

//! Whether the node is there, and whether it serves: for other balancers and service managers, who need no name.

use hyper::StatusCode;

use super::{Gives, Needs, Operation, ROW, Reply};
use crate::payload;
use crate::problem::Code;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/healthz",
        id: "isAlive",
        noun: "health",
        doc: "Says that the process answers.",
        needs: Needs::Nobody,
        gives: Gives::Text,
        run: |_| Box::pin(async { text("ok\n") }),
        ..ROW
    },
    Operation {
        path: "/readyz",
        id: "isReady",
        noun: "health",
        doc: "Says whether traffic is wanted: a configuration is applied, and the node is neither drained nor stopping.",
        needs: Needs::Nobody,
        gives: Gives::Text,
        problems: &[Code::A403],
        run: |call| {
            Box::pin(async move {
                let status = call.control.status().await;
                let unready = |word| Ok(payload::typed(StatusCode::SERVICE_UNAVAILABLE, PLAIN, word));
                match (status.stopping, status.drained) {
                    (true, _) => unready("stopping\n"),
                    (false, Some(_)) => unready("drained\n"),
                    (false, None) => text("ready\n"),
                }
            })
        },
        ..ROW
    },
];

const PLAIN: &str = "text/plain; charset=utf-8";

fn text(text: &'static str) -> Reply {
    Ok(payload::typed(StatusCode::OK, PLAIN, text))
}

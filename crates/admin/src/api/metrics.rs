//! Metrics, for Prometheus and whoever reads its format.

use hyper::StatusCode;
use hyper::header::ACCEPT;

use super::{Call, Gives, Operation, ROW, Reply};
use crate::metrics::{self, Format};
use crate::payload;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/metrics",
    id: "getMetrics",
    noun: "metrics",
    doc: "Every metric, in Prometheus's text format, or in OpenMetrics where `Accept` asks for it.",
    gives: Gives::Text,
    run: |call| Box::pin(all(call)),
    ..ROW
}];

async fn all(call: Call<'_>) -> Reply {
    let format = Format::accepted(call.head.get(ACCEPT).and_then(|value| value.to_str().ok()));
    let text = metrics::text(&call.control.counters().await, format);
    Ok(payload::typed(StatusCode::OK, format.content_type(), text))
}

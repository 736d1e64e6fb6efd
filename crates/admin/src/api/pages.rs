//! The dashboard's views, and the table of numbers for tools that read HAProxy's.

use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};

use super::{Call, Gives, Operation, ROW, Reply};
use crate::page::{self, Asked, Facts, View};
use crate::payload;

/// The fields that keep a page to itself, beside the policy.
const GUARDS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
];

const PAGE: Operation = Operation { noun: "pages", gives: Gives::Text, ..ROW };

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/",
        id: "showOverview",
        doc: "The dashboard: listeners, routes, pools and servers, as a page.",
        run: |call| Box::pin(show(call, View::Overview)),
        ..PAGE
    },
    Operation {
        path: "/servers",
        id: "showServers",
        doc: "Every server in one table, as a page.",
        run: |call| Box::pin(show(call, View::Servers)),
        ..PAGE
    },
    Operation {
        path: "/health",
        id: "showHealth",
        doc: "What every server was held for in the last day, as a page.",
        run: |call| Box::pin(show(call, View::Health)),
        ..PAGE
    },
    Operation {
        path: "/;csv",
        id: "getCsv",
        doc: "Listeners, servers and pools in the columns of HAProxy's statistics.",
        run: |call| Box::pin(csv(call)),
        ..PAGE
    },
    Operation {
        path: "/stats;csv",
        id: "getStatsCsv",
        doc: "The same as `/;csv`, at the path that tools ask by habit.",
        run: |call| Box::pin(csv(call)),
        ..PAGE
    },
];

async fn show(call: Call<'_>, view: View) -> Reply {
    let facts = Facts {
        report: call.control.status().await,
        timeline: call.control.timeline().await,
        role: call.caller.role,
        user: call.caller.to_string(),
    };
    let text = page::page(&Asked { view, query: call.query }, &facts);
    let mut response = payload::typed(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = HeaderValue::from_static(page::content_policy());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in GUARDS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

async fn csv(call: Call<'_>) -> Reply {
    let text = page::csv::text(&call.control.status().await);
    Ok(payload::typed(StatusCode::OK, "text/plain; charset=utf-8", text))
}

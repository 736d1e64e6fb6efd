//! The latest lines of the access logs.

use evenkeel_model::caps;
use evenkeel_model::config::Role;

use super::{Call, Gives, Needs, Operation, Parameter, ROW, Reply, Shape, json};
use crate::lines::Wanted;
use crate::problem::{Code, Problem};
use crate::report::LogLine;

/// Who may see lines: a URL may hold a session's id, so that looking is not enough.
pub(super) const NEEDS: Needs = Needs::Role(Role::Operate);

const QUERY: &[Parameter] = &[
    Parameter { name: "after", doc: "Only lines with a larger number.", shape: Shape::of::<u64>(), required: false },
    Parameter { name: "q", doc: "Words that a line must all have.", shape: Shape::of::<String>(), required: false },
    Parameter {
        name: "only",
        doc: "`failed` or `slow`, of logs in JSON: requests that did not end well, or took a second and more.",
        shape: Shape::of::<String>(),
        required: false,
    },
];

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/log",
    id: "getLog",
    noun: "log",
    doc: "The latest lines of all access logs, oldest first, 200 at most; ask again with the last one's number as `after`.",
    needs: NEEDS,
    query: QUERY,
    gives: Gives::Json(Shape::of::<Vec<LogLine>>()),
    run: |call| Box::pin(latest(call)),
    ..ROW
}];

async fn latest(call: Call<'_>) -> Reply {
    let after = match call.query("after") {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| Problem::new(Code::A103, "`after` is the number of a line, 0 or more"))?
        }
    };
    let wanted = Wanted::new(call.query("q").unwrap_or_default(), call.query("only").unwrap_or_default())
        .ok_or_else(|| Problem::new(Code::A103, "`only` is `failed` or `slow`"))?;
    Ok(json(&call.control.log(after, caps::LOG_TAIL_LINES, &|line| wanted.fits(line))))
}

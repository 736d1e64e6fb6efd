//! Configurations: what runs, what the file says, what was before. The API reads the file and never writes it.

use evenkeel_model::config::Role;
use hyper::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Call, Gives, Needs, Operation, Parameter, ROW, Reply, Shape, json};
use crate::control::{NoConfig, Which};
use crate::problem::{Code, Problem};
use crate::report::{ConfigDiff, ConfigReport, ConfigText, HistoryEntry, ReloadReport};

const WHICH: &str = "`running`, `file` or a number of the history.";

const FROM_AND_TO: &[Parameter] = &[
    Parameter { name: "from", doc: WHICH, shape: Shape::of::<String>(), required: false },
    Parameter { name: "to", doc: WHICH, shape: Shape::of::<String>(), required: false },
];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/config",
        id: "getConfig",
        noun: "config",
        doc: "What runs: where it came from, since when, and how the last reload ended.",
        gives: Gives::Json(Shape::of::<ConfigReport>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.status().await.config)) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/config/text/{which}",
        id: "getConfigText",
        noun: "config",
        doc: "What a configuration was made of, byte for byte: `running`, `file` or a number of the history.",
        gives: Gives::Json(Shape::of::<ConfigText>()),
        problems: &[Code::A103, Code::A402, Code::A403],
        run: |call| Box::pin(text(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/config/diff",
        id: "diffConfig",
        noun: "config",
        doc: "Two configurations beside each other; by default what a reload would change.",
        query: FROM_AND_TO,
        gives: Gives::Json(Shape::of::<ConfigDiff>()),
        problems: &[Code::A402, Code::A403],
        run: |call| Box::pin(diff(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/config/history",
        id: "listHistory",
        noun: "config",
        doc: "The configurations that were applied and are still kept, oldest first.",
        gives: Gives::Json(Shape::of::<Vec<HistoryEntry>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.configs().history().await)) }),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/config/rollback",
        id: "rollBack",
        noun: "config",
        doc: "Applies a configuration of the history again; answers when all traffic sees it. The file stays as it is.",
        needs: Needs::Role(Role::Admin),
        takes: Some(Shape::of::<Rollback>()),
        gives: Gives::Json(Shape::of::<ReloadReport>()),
        problems: &[Code::A401, Code::A402, Code::A403],
        run: |call| Box::pin(roll_back(call)),
        ..ROW
    },
];

/// Which configuration is wanted back.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Its number in the history.
    number: u64,
}

async fn text(call: Call<'_>) -> Reply {
    let wanted = which(call.path("which"))?;
    let text = call.control.configs().text(wanted).await.map_err(missing)?;
    Ok(json(&text))
}

async fn diff(call: Call<'_>) -> Reply {
    let from = which(call.query("from").unwrap_or("running"))?;
    let to = which(call.query("to").unwrap_or("file"))?;
    let diff = call.control.configs().compare(from, to).await.map_err(missing)?;
    Ok(json(&diff))
}

async fn roll_back(call: Call<'_>) -> Reply {
    let wanted: Rollback = call.body()?;
    let configs = call.control.configs();
    let history = configs.history().await;
    if !history.iter().any(|entry| entry.number == wanted.number) {
        return Err(missing(NoConfig::Unknown(wanted.number)));
    }
    match configs.rollback(wanted.number, call.caller.name.clone()).await {
        Ok(report) => Ok(json(&report)),
        Err(_) if call.control.status().await.stopping => {
            Err(Problem::new(Code::A403, "it takes no configuration any more"))
        }
        Err(refused) => {
            let detail = format!("configuration {} of the history cannot be had any more", wanted.number);
            let mut problem = Problem::new(Code::A401, detail);
            problem.refused = Some(refused);
            Err(problem)
        }
    }
}

/// `running`, `file` or a number.
pub(super) fn which(text: &str) -> Result<Which, Problem> {
    match text {
        "running" => Ok(Which::Running),
        "file" => Ok(Which::File),
        number => number.parse().map(Which::Kept).map_err(|_| {
            let shown: String = number.chars().take(40).collect();
            Problem::new(
                Code::A103,
                format!("`{shown}` names no configuration: `running`, `file` or a number of the history"),
            )
        }),
    }
}

pub(super) fn missing(why: NoConfig) -> Problem {
    match why {
        NoConfig::Unknown(number) => {
            let detail =
                format!("the history holds no configuration {number}; `evenkeel config history` lists what it holds");
            Problem::new(Code::A402, detail)
        }
        NoConfig::Gone => Problem::new(Code::A403, "the node has ended"),
    }
}

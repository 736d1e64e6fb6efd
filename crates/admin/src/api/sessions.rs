//! Sessions that answers told: looked at, moved and ended.
//!
//! The invariant: an application's id may be asked for and is never written down; orders name sessions by our own name for
//! them, since orders stand in the audit.

use std::net::IpAddr;

use evenkeel_model::caps;
use evenkeel_model::config::Role;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Gives, Needs, Operation, Parameter, ROW, Reply, Shape, json};
use crate::control::{SessionChoice, SessionsRefused};
use crate::problem::{Code, Problem};
use crate::report::{SessionListReport, SessionTableReport, SessionsChanged};

/// Sessions of a listing that names no limit.
const SHOWN: usize = 100;

/// Hexadecimal digits of a session's name.
const NAME_DIGITS: usize = 24;

const fn text(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, doc, shape: Shape::of::<String>(), required: false }
}

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/sessions",
        id: "listSessions",
        noun: "sessions",
        doc: "Sessions that answers told, those seen last first.",
        query: &[
            text("pool", "Those of this pool."),
            text(
                "server",
                "Those that live on this server: its name, its address where it has no other, or `pool/server`.",
            ),
            text("client", "Those that this address spoke for last; of IPv6 its /64 counts."),
            text("session", "The one of this name, or of this id of the application."),
            Parameter { name: "limit", doc: "How many to show.", shape: Shape::of::<usize>(), required: false },
        ],
        gives: Gives::Json(Shape::of::<SessionListReport>()),
        problems: &[Code::A302],
        run: |call| Box::pin(list(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/sessions/tables",
        id: "listSessionTables",
        noun: "sessions",
        doc: "The tables of the pools that learn: sessions by server, and what the table did.",
        gives: Gives::Json(Shape::of::<Vec<SessionTableReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.sessions().tables().await)) }),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/sessions/move",
        id: "moveSessions",
        noun: "sessions",
        doc: "Binds the sessions that fit to another server of their pool, from their next request on.",
        needs: Needs::Role(Role::Operate),
        takes: Some(Shape::of::<SessionOrder>()),
        gives: Gives::Json(Shape::of::<SessionsChanged>()),
        problems: &[Code::A301, Code::A302, Code::A305],
        run: |call| Box::pin(move_to(call)),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/sessions/drop",
        id: "dropSessions",
        noun: "sessions",
        doc: "Forgets the sessions that fit: their next requests are balanced afresh.",
        needs: Needs::Role(Role::Operate),
        takes: Some(Shape::of::<SessionOrder>()),
        gives: Gives::Json(Shape::of::<SessionsChanged>()),
        problems: &[Code::A302, Code::A305],
        run: |call| Box::pin(forget(call)),
        ..ROW
    },
];

/// Which sessions, and where to. What is left out fits all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionOrder {
    /// Those of this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Those that live on this server: its name, its address where it has no other, or `pool/server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Those that this address spoke for last; of IPv6 its /64 counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The one of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The server to move them to: its name, or `pool/server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// All of them, where nothing else chooses.
    #[serde(default)]
    pub all: bool,
}

async fn list(call: Call<'_>) -> Reply {
    let given = |name: &str| call.query(name).map(str::to_owned);
    let choice = SessionChoice {
        pool: given("pool"),
        server: given("server"),
        client: call.query("client").map(client).transpose()?,
        session: given("session"),
    };
    let limit = match call.query("limit") {
        None => SHOWN,
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=caps::SESSIONS_LISTED).contains(limit)).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                Problem::new(Code::A103, format!("`limit` is `{shown}`: a number from 1 to {}", caps::SESSIONS_LISTED))
            })?
        }
    };
    answered(call.control.sessions().list(choice, limit).await)
}

async fn move_to(call: Call<'_>) -> Reply {
    let order: SessionOrder = call.body()?;
    let to = order.to.clone().ok_or_else(|| Problem::new(Code::A103, "`to` is missing: the server to move to"))?;
    answered(call.control.sessions().move_to(choice(order)?, to).await)
}

async fn forget(call: Call<'_>) -> Reply {
    let order: SessionOrder = call.body()?;
    if order.to.is_some() {
        return Err(Problem::new(Code::A305, "`to` stands where sessions are dropped: take it out, or move them"));
    }
    answered(call.control.sessions().forget(choice(order)?).await)
}

/// What an order chooses. One that chooses nothing must say that it means all.
fn choice(order: SessionOrder) -> Result<SessionChoice, Problem> {
    let SessionOrder { pool, server, client: address, session, all, .. } = order;
    let is_empty = pool.is_none() && server.is_none() && address.is_none() && session.is_none();
    if is_empty != all {
        let detail = match all {
            true => "`all` stands beside `pool`, `server`, `client` or `session`: keep one",
            false => "the order chooses nothing: give `pool`, `server`, `client` or `session`, or `all`",
        };
        return Err(Problem::new(Code::A305, detail));
    }
    if let Some(name) = session.as_deref()
        && !(name.len() == NAME_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let detail = format!(
            "`session` is a name of {NAME_DIGITS} hexadecimal digits in orders; \
             `GET /api/v1/sessions?session=ID` tells the name for an id of the application"
        );
        return Err(Problem::new(Code::A103, detail));
    }
    Ok(SessionChoice { pool, server, client: address.as_deref().map(client).transpose()?, session })
}

fn client(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Problem::new(Code::A103, format!("`client` is `{shown}`, which is no address"))
    })
}

fn answered<T: Serialize>(outcome: Result<T, SessionsRefused>) -> Reply {
    match outcome {
        Ok(report) => Ok(json(&report)),
        Err(SessionsRefused::Pool(pool)) => {
            Err(Problem::new(Code::A302, format!("there is no pool `{pool}` that learns sessions")))
        }
        Err(SessionsRefused::Server { server, pool }) => {
            Err(Problem::new(Code::A301, format!("the pool `{pool}` has no server `{server}`")))
        }
        Err(SessionsRefused::Stopping) => Err(Problem::new(Code::A403, "the node takes no orders any more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_chooses_something_or_says_that_it_means_all() {
        let refused = |order: &str| choice(serde_json::from_str(order).unwrap()).unwrap_err().code;
        assert_eq!(refused("{}"), "A305");
        assert_eq!(refused(r#"{"all": true, "pool": "shop"}"#), "A305");
        assert_eq!(refused(r#"{"session": "an id of the application"}"#), "A103");
        assert_eq!(refused(r#"{"client": "localhost"}"#), "A103");
        assert_eq!(choice(SessionOrder { all: true, ..SessionOrder::default() }), Ok(SessionChoice::default()));
        let name = "0123456789abcdef01234567";
        let one = SessionOrder { session: Some(name.to_owned()), ..SessionOrder::default() };
        assert_eq!(choice(one).unwrap().session.as_deref(), Some(name));
    }
}

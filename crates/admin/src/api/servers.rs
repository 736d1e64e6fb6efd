//! Servers.

use super::pools::pool;
use super::{Call, Gives, Operation, ROW, Reply, Shape, json};
use crate::problem::{Code, Problem};
use crate::report::{PoolReport, ServerReport};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/pools/{pool}/servers",
        id: "listServers",
        noun: "servers",
        doc: "The servers of a pool in written order.",
        gives: Gives::Json(Shape::of::<Vec<ServerReport>>()),
        problems: &[Code::A302],
        run: |call| Box::pin(list(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/pools/{pool}/servers/{server}",
        id: "getServer",
        noun: "servers",
        doc: "One server.",
        gives: Gives::Json(Shape::of::<ServerReport>()),
        problems: &[Code::A301, Code::A302],
        run: |call| Box::pin(one(call)),
        ..ROW
    },
];

async fn list(call: Call<'_>) -> Reply {
    let status = call.control.status().await;
    Ok(json(&pool(&status, call.path("pool"))?.servers))
}

async fn one(call: Call<'_>) -> Reply {
    let status = call.control.status().await;
    server(pool(&status, call.path("pool"))?, call.path("server")).map(json)
}

/// The server of that name.
fn server<'a>(pool: &'a PoolReport, name: &str) -> Result<&'a ServerReport, Problem> {
    pool.servers.iter().find(|server| server.name == name).ok_or_else(|| {
        let names: Vec<String> = pool.servers.iter().map(|server| format!("`{}`", server.name)).collect();
        let detail = format!("the pool `{}` has no server `{name}`; it has {}", pool.name, names.join(", "));
        Problem::new(Code::A301, detail)
    })
}

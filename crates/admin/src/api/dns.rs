//! DNS: the zones, and what a query gets now.

use std::net::IpAddr;

use super::{Call, Gives, Operation, Parameter, ROW, Reply, Shape, json};
use crate::control::DnsQuestion;
use crate::problem::{Code, Problem};
use crate::report::{DnsAnswerReport, ZoneReport};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/dns/zones",
        id: "listZones",
        noun: "dns",
        doc: "The zones, with what is answered for the names whose addresses are chosen by health.",
        gives: Gives::Json(Shape::of::<Vec<ZoneReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.dns().zones().await)) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/dns/query",
        id: "queryDns",
        noun: "dns",
        doc: "What a query gets now, and why. No packet is sent.",
        query: &[
            Parameter { name: "name", doc: "The name", shape: Shape::of::<String>(), required: true },
            Parameter {
                name: "type",
                doc: "The type; A if it is left out",
                shape: Shape::of::<String>(),
                required: false,
            },
            Parameter {
                name: "client",
                doc: "The address of who would ask, for names that are spread by client",
                shape: Shape::of::<String>(),
                required: false,
            },
            Parameter {
                name: "at",
                doc: "The address that would be asked, for names answered with it",
                shape: Shape::of::<String>(),
                required: false,
            },
        ],
        gives: Gives::Json(Shape::of::<DnsAnswerReport>()),
        problems: &[Code::A103],
        run: |call| Box::pin(query(call)),
        ..ROW
    },
];

async fn query(call: Call<'_>) -> Reply {
    let question = question(&call)?;
    let wrong = |detail: String| Problem::new(Code::A103, detail);
    call.control.dns().query(question).await.map(|answer| json(&answer)).map_err(wrong)
}

/// The query that the parameters ask for.
pub(super) fn question(call: &Call<'_>) -> Result<DnsQuestion, Problem> {
    let wrong = |detail: String| Problem::new(Code::A103, detail);
    let addr = |name: &str| -> Result<Option<IpAddr>, Problem> {
        let Some(text) = call.query(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let addr = text.parse().map_err(|_| wrong(format!("`{name}`: `{text}` is no IP address")))?;
        Ok(Some(addr))
    };
    let name = call.query("name").ok_or_else(|| wrong("the query says no `name`".to_owned()))?;
    let kind = call.query("type").filter(|kind| !kind.is_empty()).unwrap_or("A");
    let (client, arrived_at) = (addr("client")?, addr("at")?);
    Ok(DnsQuestion { name: name.to_owned(), kind: kind.to_owned(), client, arrived_at })
}

//! DNS: the zones, and what a query gets now.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Call, Gives, Operation, Parameter, ROW, Reply, Shape, json};
use crate::Control;
use crate::control::DnsQuestion;
use crate::problem::{Code, Problem};
use crate::report::{DnsAnswerReport, DnsViewReport, StatusReport, ZoneReport};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/dns",
        id: "getDns",
        noun: "dns",
        doc: "What is asked, with rates and response codes; what each name is answered with now, from whom and why; the zone files that are kept in step.",
        gives: Gives::Json(Shape::of::<DnsViewReport>()),
        run: |call| Box::pin(async move { Ok(json(&view(call.control, &call.control.status().await).await)) }),
        ..ROW
    },
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

/// DNS as the dashboard shows it: the zones with the sentences of the servers' verdicts.
pub(crate) async fn view(control: &dyn Control, status: &StatusReport) -> DnsViewReport {
    let mut zones = control.dns().zones().await;
    let texts: HashMap<(&str, &str), &str> = status
        .pools
        .iter()
        .flat_map(|pool| {
            pool.servers.iter().map(|server| ((pool.name.as_str(), server.name.as_str()), server.text.as_str()))
        })
        .collect();
    for chosen in zones.iter_mut().flat_map(|zone| &mut zone.balanced).flat_map(|name| &mut name.servers) {
        if let Some(text) = texts.get(&(chosen.pool.as_str(), chosen.server.as_str())) {
            chosen.text = (*text).to_owned();
        }
    }
    DnsViewReport { asked: status.dns.clone(), zones, zonefiles: status.zonefiles.clone() }
}

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

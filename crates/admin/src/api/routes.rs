//! Which request goes where.

use std::net::{IpAddr, Ipv4Addr};

use hyper::http::uri::Scheme;
use hyper::{Method, Uri};

use super::{Call, Gives, Operation, Parameter, ROW, Reply, Shape, json};
use crate::control::RouteQuestion;
use crate::problem::{Code, Problem};
use crate::report::{ListenerReport, RouteFinding};

const QUESTION: &[Parameter] = &[
    Parameter {
        name: "url",
        doc: "The request's URL, or its path alone.",
        shape: Shape::of::<String>(),
        required: true,
    },
    Parameter { name: "method", doc: "Its method; `GET` by default.", shape: Shape::of::<String>(), required: false },
    Parameter {
        name: "field",
        doc: "A field of its head, `Name: value`; may be given several times.",
        shape: Shape::of::<String>(),
        required: false,
    },
    Parameter {
        name: "from",
        doc: "The client's address; `127.0.0.1` by default.",
        shape: Shape::of::<String>(),
        required: false,
    },
    Parameter {
        name: "listener",
        doc: "The listener, by its address as written; by default the one with the URL's port.",
        shape: Shape::of::<String>(),
        required: false,
    },
];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/routes",
        id: "listRoutes",
        noun: "routes",
        doc: "The listeners with their routes, in the order in which they are tried.",
        gives: Gives::Json(Shape::of::<Vec<ListenerReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.status().await.listeners)) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/routes/find",
        id: "findRoute",
        noun: "routes",
        doc: "What would become of a request at this moment: its route, pool and server, with those that lose and why. Nothing is sent.",
        query: QUESTION,
        gives: Gives::Json(Shape::of::<RouteFinding>()),
        problems: &[Code::A303],
        run: |call| Box::pin(find(call)),
        ..ROW
    },
];

async fn find(call: Call<'_>) -> Reply {
    let question = question(&call)?;
    let found = call.control.routes().find(question).await;
    found.map(|finding| json(&finding)).map_err(|detail| Problem::new(Code::A303, detail))
}

fn question(call: &Call<'_>) -> Result<RouteQuestion, Problem> {
    let odd = |detail: String| Problem::new(Code::A103, detail);
    let text = call.query("url").ok_or_else(|| odd("`url` is missing".to_owned()))?;
    let shown: String = text.chars().take(80).collect();
    let url: Uri = text.parse().map_err(|error| odd(format!("`{shown}` is no URL: {error}")))?;
    let method = call.query("method").unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| odd("`method` is no method".to_owned()))?;
    let fields: Vec<&str> =
        call.query.iter().filter(|(name, _)| name == "field").map(|(_, value)| value.as_str()).collect();
    let from = call.query("from").map(|from| from.parse().map_err(|_| odd("`from` is no address".to_owned())));
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') {
        return Err(odd(format!(
            "`{shown}` has neither a host nor a path: give a URL, or a path that begins with `/`"
        )));
    }
    let is_host_given = fields.iter().any(|field| is_host(field));
    let host = match url.host() {
        Some(_) => url.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default(),
        None => "localhost".to_owned(),
    };
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !is_host_given {
        head.push_str(&format!("Host: {host}\r\n"));
    }
    for field in fields {
        let (name, value) = field.split_once(':').ok_or_else(|| {
            let shown: String = field.chars().take(80).collect();
            odd(format!("`{shown}` is no field: `Name: value`"))
        })?;
        head.push_str(&format!("{}: {}\r\n", name.trim(), value.trim()));
    }
    head.push_str("\r\n");
    let is_tls = url.scheme() == Some(&Scheme::HTTPS);
    Ok(RouteQuestion {
        listener: call.query("listener").map(str::to_owned),
        port: url.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        is_port_given: url.port().is_some(),
        head: head.into_bytes(),
        client: from.transpose()?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    })
}

fn is_host(field: &str) -> bool {
    field.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("host"))
}

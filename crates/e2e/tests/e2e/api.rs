//! Does every operation of the API keep to its description, whatever it is asked?
//!
//! The requests are made of `/api/v1/openapi.json` as the daemon serves it, so that an operation that is added is asked, too.

use std::net::SocketAddr;

use evenkeel_e2e::balancer::{Balancer, command, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::free;
use evenkeel_e2e::wire;
use serde_json::{Value, json};

use crate::setting::{QUICK_CHECK, named, shop};

/// What stands in a path or query where something sensible is wanted.
const HOSTILE: [&str; 9] = [
    "%00",
    "..%2f..%2fetc%2fpasswd",
    "%3Cscript%3E",
    "%c3%28",
    "%",
    "-1",
    "99999999999999999999",
    "%0d%0aX:%20y",
    "%20",
];

/// What stands in a body.
fn hostile_bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> =
        ["", "{}", "[]", "null", "0", "\"x\"", "{", "{\"state\":1}", "{\"state\":\"drain\",\"x\":1}"]
            .map(|body| body.as_bytes().to_vec())
            .to_vec();
    bodies.push(vec![b'['; 20_000]);
    bodies.push(vec![0xff; 100]);
    bodies.push(format!("{{\"why\":\"{}\"}}", "x".repeat(3000)).into_bytes());
    bodies
}

struct Api {
    at: SocketAddr,
    description: Value,
    token: String,
}

/// One operation of the description.
struct Operation<'a> {
    method: String,
    path: &'a str,
    described: &'a Value,
}

impl Api {
    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.description["paths"].as_object().unwrap();
        let of_path = |(path, methods): (&'_ String, &'_ Value)| -> Vec<(String, String)> {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
        };
        let all: Vec<(String, String)> = paths.iter().flat_map(of_path).collect();
        all.iter()
            .map(|(path, method)| {
                let (path, methods) = paths.get_key_value(path).unwrap();
                Operation { method: method.to_uppercase(), path, described: &methods[method] }
            })
            .collect()
    }

    /// Asks, and holds the answer against the description. Gives its status.
    fn ask(&self, operation: &Operation<'_>, target: &str, fields: &str, body: &[u8]) -> u16 {
        let what =
            format!("{} {target} {:?}", operation.method, String::from_utf8_lossy(body.get(..60).unwrap_or(body)));
        let answer = wire::ask(self.at, &operation.method, target, fields, body)
            .unwrap_or_else(|failure| panic!("{what}: {failure}"));
        let status = answer.status;
        let said = answer.text();
        // What never reached the operation is not its answer.
        let is_stray = said.contains("\"A101\"") || said.contains("\"A102\"");
        let described = &operation.described["responses"][status.to_string()];
        assert!(described.is_object() || is_stray, "{what}: {status} is not described: {said}");
        let content_type = answer.field("content-type").unwrap_or_default();
        if status >= 400 && !content_type.starts_with("text/plain") {
            let problem: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{what}: {error}: {said}"));
            assert_eq!(problem["status"], status, "{what}: {said}");
            let code = problem["code"].as_str().unwrap_or_default();
            assert!(code.starts_with('A') && code.len() == 4, "{what}: {said}");
            assert_eq!(content_type, "application/problem+json", "{what}");
        } else if content_type.starts_with("application/json") {
            let value: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{what}: {error}: {said}"));
            self.fits(&described["content"]["application/json"]["schema"], &value, &what);
        }
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{what}");
        assert!(answer.field("content-security-policy").is_some(), "{what}");
        status
    }

    /// Whether a value is as a schema says: types, required and unknown properties, references.
    fn fits(&self, schema: &Value, value: &Value, at: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.description.pointer(reference.trim_start_matches('#'));
            return self.fits(target.unwrap_or_else(|| panic!("{at}: {reference}")), value, at);
        }
        if let Some(any) = schema["anyOf"].as_array() {
            let is_null = |schema: &&Value| schema["type"] == "null";
            let other = any.iter().find(|schema| !is_null(schema)).unwrap();
            return if value.is_null() {
                assert!(any.iter().any(|it| is_null(&it)), "{at}")
            } else {
                self.fits(other, value, at)
            };
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let allows = |named: &Value| named == kind || named == "number" && kind == "integer";
        match &schema["type"] {
            Value::Null => {}
            Value::Array(kinds) => assert!(kinds.iter().any(allows), "{at}: {kind} is not in {kinds:?}"),
            named => assert!(allows(named), "{at}: it is {kind} and not {named}"),
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(value.get(required).is_some(), "{at}: no `{required}`");
        }
        if let (Some(object), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
            for (name, value) in object {
                let schema = known.get(name).unwrap_or_else(|| panic!("{at}: `{name}` is not described"));
                self.fits(schema, value, &format!("{at}.{name}"));
            }
        }
        for (place, value) in value.as_array().into_iter().flatten().enumerate() {
            self.fits(&schema["items"], value, &format!("{at}[{place}]"));
        }
    }
}

/// A target with sensible values, but for one.
fn target(operation: &Operation<'_>, odd: Option<(&str, &str)>) -> String {
    let value = |name: &str, sensible: &str| match odd {
        Some((known, value)) if known == name => value.to_owned(),
        _ => sensible.to_owned(),
    };
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    for parameter in operation.described["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let sensible = match name {
            "pool" => "shop",
            "server" => "a",
            "which" => "running",
            "url" => "/",
            _ => "1",
        };
        if parameter["in"] == "path" {
            path = path.replace(&format!("{{{name}}}"), &value(name, sensible));
        } else if parameter["required"] == true || odd.is_some_and(|(known, _)| known == name) {
            query.push(format!("{name}={}", value(name, sensible)));
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

fn start() -> (Balancer, Api, Vec<Nginx>) {
    let servers = Nginx::start_many(2);
    let (at, admin) = (free(), free());
    let made = command(&["passwd", "--token"]);
    let token = text(&made).lines().find_map(|line| line.rsplit_once(": ").map(|(_, token)| token.to_owned())).unwrap();
    let hash = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let scratch = evenkeel_e2e::place::Scratch::new("api");
    let file = scratch.write("hash", &hash);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let config = format!(
        "admin {admin} {{\n    user ops role=admin pass=file:{}\n}}\n{}",
        file.display(),
        shop(at, QUICK_CHECK, &named(&servers))
    );
    let balancer = Balancer::start(&config);
    let described = wire::get(admin, "/api/v1/openapi.json").unwrap();
    let description = serde_json::from_slice(&described.body).unwrap();
    (balancer, Api { at: admin, description, token }, servers)
}

#[test]
fn every_operation_keeps_to_its_description() {
    let (balancer, api, _servers) = start();
    balancer.await_state("shop", "a", "up");
    let bearer = format!("Authorization: Bearer {}\r\n", api.token);
    let json_body = format!("{bearer}Content-Type: application/json\r\n");
    let operations = api.operations();
    assert!(operations.len() >= 20, "{}", operations.len());
    for operation in &operations {
        let (described, is_get) = (operation.described, operation.method == "GET");
        let is_open = described["security"].as_array().unwrap().is_empty();
        let takes = described["requestBody"].is_object();
        let streams = described["responses"]["200"]["content"]["text/event-stream"].is_object();
        let plain = target(operation, None);
        // Who says nothing of itself gets nothing.
        if !is_open {
            let status = api.ask(operation, &plain, "Content-Type: application/json\r\n", b"{}");
            assert_eq!(status, 401, "{} {plain}", operation.method);
        }
        let names: Vec<&str> = described["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let takes_names = !streams && (is_get || takes);
        for (name, value) in names.iter().filter(|_| takes_names).flat_map(|name| HOSTILE.map(|value| (name, value))) {
            api.ask(operation, &target(operation, Some((name, value))), &json_body, b"{}");
        }
        let is_checked = operation.path != "/api/v1/logout";
        if takes && is_checked {
            for body in hostile_bodies() {
                let status = api.ask(operation, &plain, &json_body, &body);
                assert!((400..500).contains(&status), "{plain}: {status}");
            }
            let status = api.ask(operation, &plain, &format!("{bearer}Content-Type: text/plain\r\n"), b"{}");
            assert_eq!(status, 415, "{plain}");
        } else if is_get && !streams {
            let status = api.ask(operation, &plain, &bearer, b"");
            assert!(matches!(status, 200 | 404), "{plain}: {status}");
        }
    }
    assert_eq!(balancer.status()["pools"][0]["servers"][0]["intent"], Value::Null, "hostile input changed something");
}

#[test]
fn orders_over_the_api_are_carried_out_once_and_only_on_what_was_seen() {
    let (balancer, api, _servers) = start();
    balancer.await_state("shop", "a", "up");
    let bearer = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", api.token);
    let at = "/api/v1/pools/shop/servers/a";
    let order = |fields: &str, body: Value| {
        wire::ask(api.at, "PATCH", at, &format!("{bearer}{fields}"), body.to_string().as_bytes()).unwrap()
    };
    let seen = wire::ask(api.at, "GET", at, &bearer, b"").unwrap();
    let tag = seen.field("etag").unwrap().to_owned();
    let drained = order(&format!("If-Match: {tag}\r\n"), json!({ "state": "drain", "why": "<b>kernel</b>" }));
    assert_eq!(drained.status, 200, "{}", drained.text());
    assert_eq!(balancer.state("shop", "a"), "draining");
    // The tag is of what was there before.
    let late = order(&format!("If-Match: {tag}\r\n"), json!({ "state": "ready" }));
    assert!(late.status == 412 && late.text().contains("A304"), "{}", late.text());
    assert_eq!(balancer.state("shop", "a"), "draining");
    let page = wire::ask(api.at, "GET", "/?server=shop/a", &bearer, b"").unwrap().text();
    assert!(!page.contains("<b>kernel"), "what an operator wrote reaches the page as markup");
    let fresh = drained.field("etag").unwrap();
    assert_eq!(order(&format!("If-Match: {fresh}\r\n"), json!({ "state": "ready", "weight": "50%" })).status, 200);

    // Who changed what is written down, and comes down the stream after the last one that was seen.
    let recent = wire::ask(api.at, "GET", "/api/v1/events/recent", &bearer, b"").unwrap();
    let recent: Value = serde_json::from_slice(&recent.body).unwrap();
    let audits: Vec<&Value> = recent.as_array().unwrap().iter().filter(|it| it["kind"] == "audit").collect();
    assert_eq!(audits.len(), 3, "{recent}");
    let said = audits.iter().map(|it| it["text"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(said[0].starts_with("ops from ") && said[1].ends_with(": 412"), "{said:?}");
    let last = recent.as_array().unwrap().last().unwrap()["id"].as_u64().unwrap();
    let mut stream = wire::Connection::open(api.at, evenkeel_e2e::PATIENCE).unwrap();
    let fields = format!("{bearer}Last-Event-ID: {}\r\n", last - 1);
    stream.send(&wire::request(api.at, "GET", "/api/v1/events", &fields, b"")).unwrap();
    let wanted = format!("id: {last}\nevent: ");
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(&wanted) {
        assert!(read.len() < 100_000, "{}", String::from_utf8_lossy(&read));
        read.extend(stream.exactly(1).unwrap_or_else(|failure| {
            panic!("{failure}: {}", String::from_utf8_lossy(&read));
        }));
    }
    assert!(!String::from_utf8_lossy(&read).contains(&format!("id: {}\n", last - 1)));
}

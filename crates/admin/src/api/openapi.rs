//! The description of the API, made of its catalogue.
//!
//! The invariant: nothing is written here that is not in the catalogue or in the types of `report`.

use evenkeel_model::config::Role;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Gives, Needs, Operation, ROW, Shape, operations};
use crate::problem::{Code, Problem};

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/openapi.json",
    id: "getDescription",
    noun: "description",
    doc: "This description, as OpenAPI 3.1.",
    needs: Needs::Nobody,
    gives: Gives::Json(Shape(|_| schemars::json_schema!({ "type": "object" }))),
    run: |_| Box::pin(async { Ok(super::json(&description())) }),
    ..ROW
}];

/// Problems that every operation may meet.
const COMMON: [Code; 4] = [Code::A103, Code::A104, Code::A105, Code::A204];

/// Problems of operations that ask who calls.
const GUARDED: [Code; 4] = [Code::A201, Code::A202, Code::A203, Code::A205];

/// The description.
pub fn description() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths = Map::new();
    for operation in operations() {
        let described = describe(operation, &mut generator);
        let at = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(at) = at {
            at.insert(operation.method.as_str().to_ascii_lowercase(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "evenkeel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What an operator asks of a running node, on the control socket and on the admin listener.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut out = json!({
        "operationId": operation.id,
        "tags": [operation.noun],
        "summary": operation.doc,
        "parameters": parameters(operation, generator),
        "responses": responses(operation, generator),
        "security": match operation.needs {
            Needs::Nobody => json!([]),
            Needs::Role(_) => json!([{ "basic": [] }, { "bearer": [] }]),
        },
    });
    if let (Needs::Role(role), Value::Object(out)) = (operation.needs, &mut out) {
        out.insert("x-role".to_owned(), json!(role_of(role)));
    }
    if let (Some(Shape(shape)), Value::Object(out)) = (operation.takes, &mut out) {
        let content = json!({ "application/json": { "schema": shape(generator) } });
        out.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    out
}

fn role_of(role: Role) -> &'static str {
    role.as_str()
}

fn parameters(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
    );
    let mut all: Vec<Value> = in_path.collect();
    for parameter in operation.query {
        let Shape(shape) = parameter.shape;
        all.push(json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.doc,
            "schema": shape(generator),
        }));
    }
    all
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    let (status, content) = match operation.gives {
        Gives::Text => ("200", json!({ "text/plain": { "schema": { "type": "string" } } })),
        Gives::Json(Shape(shape)) => ("200", json!({ "application/json": { "schema": shape(generator) } })),
        Gives::Accepted(Shape(shape)) => ("202", json!({ "application/json": { "schema": shape(generator) } })),
        Gives::Events => ("200", json!({ "text/event-stream": { "schema": { "type": "string" } } })),
    };
    all.insert(status.to_owned(), json!({ "description": "Done.", "content": content }));
    let guarded: &[Code] = if operation.needs == Needs::Nobody { &[] } else { &GUARDED };
    let problem = generator.subschema_for::<Problem>();
    for code in COMMON.iter().chain(guarded).chain(operation.problems) {
        let status = code.status().as_u16().to_string();
        let description = format!("{} {}", code.as_str(), code.title());
        let told = all.entry(status).or_insert_with(
            || json!({ "description": "", "content": { "application/problem+json": { "schema": problem } } }),
        );
        if let Some(Value::String(text)) = told.get_mut("description") {
            let separator = if text.is_empty() { "" } else { "; " };
            text.push_str(&format!("{separator}{description}"));
        }
    }
    Value::Object(all)
}

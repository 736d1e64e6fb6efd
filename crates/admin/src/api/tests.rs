//! The catalogue: every row is whole, reachable and described.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

#[test]
fn every_operation_is_reached_by_its_own_path_and_method() {
    for operation in operations() {
        let path = operation.path.replace(['{', '}'], "");
        let (found, values) = find(&operation.method, &path).map_err(|_| operation.id).unwrap();
        assert_eq!(found.id, operation.id);
        assert_eq!(values.len(), operation.path.matches('{').count());
    }
}

#[test]
fn rows_are_whole_and_their_names_unique() {
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for operation in operations() {
        assert!(ids.insert(operation.id), "{} stands twice", operation.id);
        assert!(places.insert((operation.path, operation.method.as_str())), "{} stands twice", operation.path);
        assert!(!operation.noun.is_empty() && operation.doc.ends_with('.'), "{}", operation.id);
        let changes = operation.method != Method::GET;
        assert!(!changes || operation.needs > Needs::Role(Role::Read) || operation.noun == "login", "{}", operation.id);
    }
}

#[test]
fn values_in_paths_and_queries_are_decoded_once_and_strictly() {
    let values =
        |path: &str| find(&Method::GET, path).ok().map(|(_, values)| values.into_iter().map(|(_, it)| it).collect());
    assert_eq!(values("/api/v1/pools/%40:8080"), Some(vec!["@:8080".to_owned()]));
    assert_eq!(values("/api/v1/pools/a%252f"), Some(vec!["a%2f".to_owned()]));
    for wrong in ["", "%", "%4", "%zz", "%00", "%ff", "%0a"] {
        assert_eq!(values(&format!("/api/v1/pools/{wrong}")), None::<Vec<String>>, "{wrong}");
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(parameters("a=1+2&b&c=%26%3d&&"), Some(vec![pair("a", "1 2"), pair("b", ""), pair("c", "&=")]));
    assert_eq!(parameters("a=%c3%28"), None);
}

#[test]
fn a_path_of_another_method_says_which() {
    assert_eq!(find(&Method::GET, "/api/v1/reload").map(|_| ()), Err(Stray::Misused(vec![Method::POST])));
    assert_eq!(find(&Method::GET, "/api/v1/reload/").map(|_| ()), Err(Stray::Unknown));
    assert_eq!(find(&Method::GET, "/api//v1/status").map(|_| ()), Err(Stray::Unknown));
}

#[test]
fn the_description_holds_every_operation_and_every_reference_leads_somewhere() {
    let description = openapi::description();
    for operation in operations() {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = &description["paths"][operation.path][&method];
        assert_eq!(described["operationId"], operation.id);
        assert!(described["responses"].as_object().unwrap().len() > 3, "{}", operation.id);
    }
    let mut references = Vec::new();
    collect(&description, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let target = description.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some_and(Value::is_object), "{reference}");
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

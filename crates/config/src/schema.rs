//! The JSON Schema of the JSON twin, made from the directive table.

use serde_json::{Map, Value, json};

use crate::explain::default_text;
use crate::table::{self, Arg, Context, Count, Directive, Kind, Repeat};

/// The schema (JSON Schema 2020-12) as JSON text.
pub fn json() -> String {
    let definitions: Map<String, Value> = Context::ALL.iter().map(|context| (key(*context), block(*context))).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evenkeel configuration",
        "$ref": format!("#/$defs/{}", key(Context::Top)),
        "$defs": definitions,
    });
    format!("{schema:#}\n")
}

fn key(context: Context) -> String {
    match context {
        Context::Top => "top".to_owned(),
        Context::ServerTimeout => "server-timeout".to_owned(),
        Context::ServerTls => "server-tls".to_owned(),
        Context::StickySkip => "sticky-skip".to_owned(),
        Context::ZoneCheck => "zonefile-check".to_owned(),
        Context::DnsLog => "dns-log".to_owned(),
        Context::DnsTcp => "dns-tcp".to_owned(),
        Context::TcpRoute => "tcp-route".to_owned(),
        Context::TcpTimeout => "tcp-timeout".to_owned(),
        other => other.word().to_owned(),
    }
}

fn block(context: Context) -> Value {
    let mut properties: Map<String, Value> =
        table::words_in(context).map(|word| (word.name.to_owned(), property(word))).collect();
    if context != Context::Top {
        // The values of the statement itself; how many there may be is the word's own.
        properties.insert(crate::json::OWN.to_owned(), json!({}));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(directive: &Directive) -> Value {
    let mut property = match directive.repeat {
        Repeat::Once => statement(directive, directive.args),
        Repeat::Many => {
            let one = statement(directive, directive.args);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Repeat::Named => {
            let rest = directive.args.get(1..).unwrap_or_default();
            json!({ "type": "object", "additionalProperties": statement(directive, rest) })
        }
    };
    if let Some(object) = property.as_object_mut() {
        object.insert("description".to_owned(), Value::from(directive.doc));
        if let Some(default) = default_text(directive) {
            object.insert("default".to_owned(), Value::from(default));
        }
    }
    property
}

fn statement(directive: &Directive, args: &[Arg]) -> Value {
    let mut forms: Vec<Value> = Vec::new();
    match args {
        [] => forms.push(json!({ "type": "boolean" })),
        [only] => {
            forms.push(value(only));
            if matches!(only.count, Count::Many | Count::Any) {
                forms.push(json!({ "type": "array", "items": value(only) }));
            }
        }
        [first, ..] => {
            forms.push(value(first));
            forms.push(json!({ "type": "array", "items": { "type": ["string", "integer"] } }));
        }
    }
    if args.iter().all(|arg| matches!(arg.count, Count::Optional | Count::Any)) && !args.is_empty() {
        forms.push(json!({ "const": true }));
    }
    if let Some(opens) = directive.opens {
        forms.push(json!({ "$ref": format!("#/$defs/{}", key(opens)) }));
    }
    match forms.len() {
        1 => forms.remove(0),
        _ => json!({ "anyOf": forms }),
    }
}

fn value(arg: &Arg) -> Value {
    match arg.kind {
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Status(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Statuses | Kind::Expected | Kind::RetryOn => {
            json!({ "type": ["string", "integer"], "description": arg.kind.describe() })
        }
        Kind::Choice(words) => json!({ "enum": words }),
        other => json!({ "type": "string", "description": other.describe() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::table;

    #[test]
    fn the_schema_is_json_and_knows_every_word() {
        let schema: Value = serde_json::from_str(&super::json()).unwrap();
        for directive in table::directives() {
            for context in directive.within {
                let pointer = format!("/$defs/{}/properties/{}", super::key(*context), directive.name);
                assert_eq!(schema.pointer(&pointer).unwrap()["description"], directive.doc, "{pointer}");
            }
        }
    }
}

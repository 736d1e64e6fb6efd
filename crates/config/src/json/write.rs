//! Statements to JSON, in written order.

use serde_json::Value as Scalar;

use super::{OWN, base};
use crate::syntax::{Statement, Word};
use crate::table::{self, Context, Directive, Kind, Repeat};

/// JSON whose members keep their order.
enum Json {
    Scalar(Scalar),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

pub(super) fn document(statements: &[Statement]) -> String {
    let mut out = String::new();
    print(&Json::Object(block(statements, Some(Context::Top))), 0, &mut out);
    out.push('\n');
    out
}

/// The members that a block's statements become: one for each word, in the order of their first use.
fn block(statements: &[Statement], context: Option<Context>) -> Vec<(String, Json)> {
    let mut members: Vec<(String, Json)> = Vec::new();
    for statement in statements {
        let Some((name, rest)) = statement.words.split_first() else { continue };
        let directive = context.and_then(|context| table::find(&name.text, context));
        let repeat = directive.map_or(Repeat::Once, |directive| directive.repeat);
        let inner = statement.block.as_ref().map(|block| block.statements.as_slice()).unwrap_or_default();
        let position = members.iter().position(|(member, _)| base(member) == name.text);
        // Where the order among different words counts, a word that comes back later is a member of its own.
        let is_ordered = context == Some(Context::Group) && repeat == Repeat::Many;
        let last = members.iter().rposition(|(member, _)| base(member) == name.text);
        let position = if is_ordered { last.filter(|last| last + 1 == members.len()) } else { position };
        match (repeat, rest.split_first()) {
            (Repeat::Named, Some((key, rest))) => {
                let value = value(rest, inner, directive, 1);
                let index = position.unwrap_or_else(|| push(&mut members, &name.text, Json::Object(Vec::new())));
                if let Some((_, Json::Object(named))) = members.get_mut(index) {
                    named.push((key.text.clone(), value));
                }
            }
            (Repeat::Many, _) => {
                let value = value(rest, inner, directive, 0);
                let again = members.iter().filter(|(member, _)| base(member) == name.text).count() + 1;
                let own = if again == 1 { name.text.clone() } else { format!("{}#{again}", name.text) };
                let index = position.unwrap_or_else(|| push(&mut members, &own, Json::List(Vec::new())));
                if let Some((_, Json::List(list))) = members.get_mut(index) {
                    list.push(value);
                }
            }
            _ => {
                let value = value(rest, inner, directive, 0);
                push(&mut members, &name.text, value);
            }
        }
    }
    members
}

fn push(members: &mut Vec<(String, Json)>, name: &str, value: Json) -> usize {
    members.push((name.to_owned(), value));
    members.len().saturating_sub(1)
}

/// What a statement's words and block become. `from` is the position of the first word among the directive's values.
fn value(words: &[Word], inner: &[Statement], directive: Option<&Directive>, from: usize) -> Json {
    let opens = directive.and_then(|directive| directive.opens);
    let mut own = Vec::new();
    let mut statements = Vec::new();
    for word in words {
        let position = from.saturating_add(own.len());
        let arg = directive.and_then(|directive| directive.arg(position));
        let flag = opens.and_then(|context| table::find(&word.text, context)).filter(|flag| flag.is_flag());
        match (word.option(), arg) {
            (Some((key, option)), _) => statements.push(Statement { words: vec![key, option], block: None }),
            (None, None) if flag.is_some() => statements.push(Statement { words: vec![word.clone()], block: None }),
            (None, arg) => {
                let list = arg.is_some_and(table::Arg::is_list);
                let pieces = if list { word.pieces() } else { vec![word.clone()] };
                own.extend(pieces.iter().map(|piece| scalar(piece, arg.map(|arg| arg.kind))));
            }
        }
    }
    statements.extend(inner.iter().cloned());
    if statements.is_empty() {
        return plain(own).unwrap_or(Json::Scalar(Scalar::Bool(true)));
    }
    let mut members: Vec<(String, Json)> = plain(own).map(|own| (OWN.to_owned(), own)).into_iter().collect();
    members.extend(block(&statements, opens));
    Json::Object(members)
}

/// Values alone: one as itself, several as a list.
fn plain(mut own: Vec<Json>) -> Option<Json> {
    match own.len() {
        0 => None,
        1 => own.pop(),
        _ => Some(Json::List(own)),
    }
}

fn scalar(word: &Word, kind: Option<Kind>) -> Json {
    let number =
        matches!(kind, Some(Kind::Integer(..) | Kind::Status(..))).then(|| word.text.parse::<u64>().ok()).flatten();
    // Only what is written back as it stands: `007` stays a text.
    match number.filter(|number| number.to_string() == word.text) {
        Some(number) => Json::Scalar(Scalar::from(number)),
        None => Json::Scalar(Scalar::from(word.text.as_str())),
    }
}

fn print(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Scalar(scalar) => out.push_str(&scalar.to_string()),
        Json::List(list) if list.iter().all(|value| matches!(value, Json::Scalar(_))) => {
            let values: Vec<String> = list
                .iter()
                .map(|value| {
                    let mut text = String::new();
                    print(value, depth, &mut text);
                    text
                })
                .collect();
            out.push_str(&format!("[{}]", values.join(", ")));
        }
        Json::List(list) => print_all(('[', ']'), list.iter().map(|value| (None, value)), depth, out),
        Json::Object(members) => {
            print_all(('{', '}'), members.iter().map(|(name, value)| (Some(name.as_str()), value)), depth, out);
        }
    }
}

fn print_all<'a>(
    marks: (char, char),
    items: impl Iterator<Item = (Option<&'a str>, &'a Json)>,
    depth: usize,
    out: &mut String,
) {
    let indent = |depth: usize| "  ".repeat(depth);
    let inner = depth.saturating_add(1);
    out.push(marks.0);
    let mut first = true;
    for (name, value) in items {
        out.push_str(if first { "\n" } else { ",\n" });
        first = false;
        out.push_str(&indent(inner));
        if let Some(name) = name {
            out.push_str(&format!("{}: ", Scalar::from(name)));
        }
        print(value, inner, out);
    }
    if !first {
        out.push('\n');
        out.push_str(&indent(depth));
    }
    out.push(marks.1);
}

//! JSON values to statements, with the directive table telling lists of values from lists of statements.
//!
//! The invariant: each statement made has its places in the JSON file, so that whatever is wrong later is shown there.

use std::collections::HashMap;

use crate::syntax::{Block, Form, Statement, Word, is_unwritable};
use crate::table::{self, Context, Directive, Repeat};
use crate::{Code, Diagnostics, Span};

use super::parse::{Json, Key, Kind};
use super::{OWN, base};

/// The statements of a document.
pub(super) fn statements(value: &Json, out: &mut Diagnostics) -> Vec<Statement> {
    match &value.kind {
        Kind::Object(members) => block(members, Some(Context::Top), out),
        _ => {
            out.report(Code::E118, value.span, "the configuration is an object").help("begin it with `{`");
            Vec::new()
        }
    }
}

/// The statements that the members of an object stand for. Those that take what others leave come last, as they must.
fn block(members: &[(Key, Json)], context: Option<Context>, out: &mut Diagnostics) -> Vec<Statement> {
    let mut seen: HashMap<&str, &Key> = HashMap::new();
    let mut statements = Vec::new();
    for (key, value) in members {
        if let Some(first) = seen.get(key.text.as_str()) {
            out.report(Code::E208, key.span, format!("the member `{}` is given twice", key.text))
                .also(first.span, "first given here")
                .help("put both into one; a word that may stand more than once is a list");
            continue;
        }
        seen.insert(&key.text, key);
        // The number of a word that comes back later says nothing but that.
        let plain = Key { text: base(&key.text).to_owned(), span: key.span };
        let key = if context == Some(Context::Group) { &plain } else { key };
        let directive = context.and_then(|context| table::find(&key.text, context));
        member(key, value, directive, &mut statements, out);
    }
    let leftover = |statement: &Statement| {
        let name = statement.words.first().map_or("", |word| word.text.as_str());
        context == Some(Context::Http) && matches!(name, "to" | "redirect" | "respond")
    };
    statements.sort_by_key(leftover);
    statements
}

fn member(key: &Key, value: &Json, directive: Option<&Directive>, into: &mut Vec<Statement>, out: &mut Diagnostics) {
    let opens = directive.and_then(|directive| directive.opens);
    match (directive.map(|directive| directive.repeat), &value.kind) {
        (Some(Repeat::Named), Kind::Object(named)) => {
            for (name, inner) in named {
                into.extend(statement(key, Some(name), inner, opens, out));
            }
        }
        (Some(Repeat::Named), _) => {
            out.report(Code::E118, value.span, format!("`{}` is an object of names", key.text))
                .help(format!("write `{{ \"{}\": {{ \"NAME\": … }} }}`", key.text));
        }
        (Some(Repeat::Many), Kind::List(list)) => {
            for inner in list {
                into.extend(statement(key, None, inner, opens, out));
            }
        }
        _ => into.extend(statement(key, None, value, opens, out)),
    }
}

fn statement(
    key: &Key,
    name: Option<&Key>,
    value: &Json,
    opens: Option<Context>,
    out: &mut Diagnostics,
) -> Option<Statement> {
    let mut words = vec![Word { text: key.text.clone(), span: key.span, form: Form::Bare }];
    words.extend(name.map(|name| quoted(&name.text, name.span)));
    let mut inner = None;
    match &value.kind {
        Kind::Object(members) => {
            let own = members.iter().find(|(member, _)| member.text == OWN);
            if let Some((_, own)) = own {
                words.extend(values(own, out)?);
            }
            let others: Vec<(Key, Json)> = members.iter().filter(|(member, _)| member.text != OWN).cloned().collect();
            inner = Some(Block { open: value.span, statements: block(&others, opens, out) });
        }
        Kind::Bool(true) => {}
        Kind::Bool(false) => return None,
        _ => words.extend(values(value, out)?),
    }
    Some(Statement { words, block: inner })
}

/// The words of a value: one, or those of a list.
fn values(value: &Json, out: &mut Diagnostics) -> Option<Vec<Word>> {
    match &value.kind {
        Kind::Text(text) if text.chars().any(is_unwritable) => {
            out.report(Code::E102, value.span, "a control character in a value")
                .help("take it out: only `\\n` and `\\t` may stand in a text");
            None
        }
        Kind::Text(text) => Some(vec![quoted(text, value.span)]),
        Kind::Number(text) => Some(vec![quoted(text, value.span)]),
        Kind::List(list) if list.iter().all(|inner| matches!(inner.kind, Kind::Text(_) | Kind::Number(_))) => {
            list.iter().map(|inner| values(inner, out)).collect::<Option<Vec<_>>>().map(|lists| lists.concat())
        }
        other => {
            let what = match other {
                Kind::Null => "`null`",
                Kind::Bool(_) => "`true` or `false`",
                _ => "an object or a list within a list",
            };
            out.report(Code::E118, value.span, format!("{what} stands for no value"))
                .help("a value is a text or a number, several are a list of those");
            None
        }
    }
}

/// A word that is a value and never an option.
fn quoted(text: &str, span: Span) -> Word {
    Word { text: text.to_owned(), span, form: Form::Quoted }
}

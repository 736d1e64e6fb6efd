//! `balance`: how a server is chosen.

use evenkeel_model::config::{Balance, HashKey};
use evenkeel_model::defaults;

use crate::entry::Entry;
use crate::value::{Value, is_token};
use crate::{Code, Diagnostics};

pub(super) fn balance(entry: &Entry, out: &mut Diagnostics) -> Option<Balance> {
    let Some(Value::Choice(method)) = entry.value(0) else { return None };
    if *method == "hash" {
        let key = hash_key(entry, out)?;
        let bound = match entry.option("bound") {
            Some(Value::Percent(bound)) => *bound,
            _ => defaults::HASH_BOUND,
        };
        return Some(Balance::Hash { key, bound: Some(bound) });
    }
    if let Some(extra) = entry.values.get(1) {
        out.report(Code::E206, extra.word.span, format!("`balance {method}` takes no key"))
            .help(format!("to choose by a key write `balance hash {}`", extra.word.text));
    }
    if let Some(bound) = entry.entry("bound") {
        out.report(Code::E411, bound.span, "`bound` is for `balance hash`").help("take it out");
    }
    Some(match *method {
        "least-conn" => Balance::LeastConn,
        "random" => Balance::Random,
        _ => Balance::RoundRobin,
    })
}

fn hash_key(entry: &Entry, out: &mut Diagnostics) -> Option<HashKey> {
    let Some(key) = entry.values.get(1) else {
        out.report(Code::E205, entry.span, "`balance hash` needs a key").help(
            "write `balance hash client`, `hash path`, or `hash header NAME`, `hash cookie NAME`, `hash query NAME`",
        );
        return None;
    };
    let Some(Value::Choice(kind)) = &key.value else { return None };
    let name = entry.values.get(2);
    if matches!(*kind, "client" | "path") {
        if let Some(name) = name {
            out.report(Code::E206, name.word.span, format!("`balance hash {kind}` takes no name")).help("take it out");
        }
        return Some(if *kind == "client" { HashKey::Client } else { HashKey::Path });
    }
    let Some(name) = name else {
        out.report(Code::E205, entry.span, format!("`balance hash {kind}` needs a NAME"))
            .help(format!("write which {kind}: `balance hash {kind} NAME`"));
        return None;
    };
    let text = name.word.text.clone();
    if *kind != "query" && !is_token(&text) {
        out.report(Code::E315, name.word.span, format!("`{text}` cannot be the name of a {kind}"))
            .note("a name is letters, digits and ``!#$%&'*+-.^_`|~``");
        return None;
    }
    Some(match *kind {
        "header" => HashKey::Field(text.to_ascii_lowercase()),
        "cookie" => HashKey::Cookie(text),
        _ => HashKey::Query(text),
    })
}

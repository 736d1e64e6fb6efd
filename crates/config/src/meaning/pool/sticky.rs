//! `sticky`: how clients are kept on their servers, method by method in written order.

use evenkeel_model::PoolName;
use evenkeel_model::config::{Sticky, StickyCookie, StickyMethod};

use super::set;
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics};

/// The methods of a pool.
pub(super) fn methods(pool_entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> Vec<Sticky> {
    let mut methods = Vec::new();
    let mut first = None;
    for entry in pool_entry.all("sticky") {
        if let Some(first) = first.replace(entry.span) {
            later(entry.span, "a second `sticky`", "sessions by several methods in order", out)
                .also(first, "the first one");
        }
        methods.extend(method(entry, pool, out).map(Sticky::new));
    }
    methods
}

fn method(entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> Option<StickyMethod> {
    match (entry.values.first(), entry.value(0)) {
        (None, _) | (Some(_), Some(Value::Choice("cookie"))) => {
            Some(StickyMethod::Cookie(Box::new(cookie(entry, pool, out))))
        }
        (Some(argument), Some(Value::Choice(method))) => {
            later(argument.word.span, &format!("`sticky {method}`"), "sessions without a cookie of ours", out);
            None
        }
        _ => None,
    }
}

fn cookie(entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> StickyCookie {
    let mut cookie = StickyCookie::of_pool(pool);
    match (entry.values.first(), entry.value(1)) {
        (Some(_), Some(Value::Text(name))) => cookie = StickyCookie::new(name.clone()),
        (Some(argument), None) if entry.values.len() == 1 => {
            out.report(Code::E205, argument.word.span, "`sticky cookie` needs the cookie's NAME")
                .help("write `sticky cookie NAME`, or `sticky` alone");
        }
        _ => {}
    }
    if let Some(Value::Secret(secret)) = entry.option("key") {
        cookie.key = Some(secret.clone());
    }
    set(entry, "idle", &mut cookie.idle);
    set(entry, "life", &mut cookie.life);
    if let Some(idle) = entry.entry("idle").or_else(|| entry.entry("life")).filter(|_| cookie.idle > cookie.life) {
        let (idle_text, life) = (crate::print::duration(cookie.idle), crate::print::duration(cookie.life));
        out.report(Code::W509, idle.span, format!("`idle` of {idle_text} is never reached: `life` is {life}"))
            .help("make `life` longer, or `idle` shorter");
    }
    cookie
}

/// Says that a word of the language has no meaning yet.
fn later<'a>(span: crate::Span, what: &str, label: &str, out: &'a mut Diagnostics) -> &'a mut crate::Diagnostic {
    out.report(Code::E203, span, format!("{what} is not in this version yet"))
        .label(label.to_owned())
        .help("take it out; `evenkeel version` tells which version this is")
}

//! `sticky`: how clients are kept on their servers, method by method in written order.
//!
//! The invariant: a word that would have no effect on its line is an error, so that nobody relies on it.

mod cookie;
mod learned;

use evenkeel_model::config::{Carrier, Sticky, StickyMethod, StickySkip, WhenDown};
use evenkeel_model::{PoolName, caps};

use super::set;
use crate::entry::{Argument, Entry};
use crate::value::Value;
use crate::{Code, Diagnostics};

/// The methods of a pool.
pub(super) fn methods(pool_entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> Vec<Sticky> {
    let mut methods: Vec<(Sticky, &Entry)> = Vec::new();
    for entry in pool_entry.all("sticky") {
        let Some(method) = method(entry, pool, out) else { continue };
        let sticky = Sticky { skip: skips(entry, out), ..common(entry, method, out) };
        if let Some((_, client)) = methods.iter().find(|(earlier, _)| earlier.method == StickyMethod::Client) {
            out.report(Code::E411, entry.span, "this is never asked")
                .also(client.span, "knows a server for every request")
                .help("put `sticky client` last");
        }
        if let Some((_, twin)) = methods.iter().find(|(earlier, _)| are_twins(earlier, &sticky)) {
            out.report(Code::E208, entry.span, "the same is asked twice")
                .also(twin.span, "first here")
                .help("keep one");
        }
        methods.push((sticky, entry));
    }
    if let Some((_, entry)) = methods.get(caps::STICKY_METHODS) {
        let most = caps::STICKY_METHODS;
        out.report(Code::E411, entry.span, format!("more than {most} `sticky` in one pool"))
            .help("keep the first ones");
    }
    methods.into_iter().map(|(sticky, _)| sticky).collect()
}

/// Whether two methods look at one thing of the request.
fn are_twins(one: &Sticky, other: &Sticky) -> bool {
    match (one.cookie(), other.cookie()) {
        (Some(one), Some(other)) => one.name == other.name,
        (None, None) => one.method == other.method,
        _ => false,
    }
}

fn method(entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> Option<StickyMethod> {
    let method = match (entry.values.first(), entry.value(0)) {
        (None, _) => "cookie",
        (Some(_), Some(Value::Choice(method))) => method,
        _ => return None,
    };
    if method == "cookie" {
        return Some(StickyMethod::Cookie(Box::new(cookie::cookie(entry, pool, out))));
    }
    let argument = entry.values.first()?;
    if method == "learn" || entry.entry("learn").is_some() && method != "client" {
        return learned::learned(entry, argument, method, out).map(StickyMethod::Learned);
    }
    for word in entry.entries.iter().filter(|word| !COMMON.contains(&word.directive.name)) {
        misplaced(word, &format!("`sticky {method}`"), out);
    }
    match method {
        "client" => {
            by_client(entry, out);
            Some(StickyMethod::Client)
        }
        _ => named(entry, argument, method, out).map(StickyMethod::Named),
    }
}

/// The words that stand with every method.
const COMMON: [&str; 4] = ["down", "wait", "bound", "skip"];

fn by_client(entry: &Entry, out: &mut Diagnostics) {
    if let Some(name) = entry.values.get(1) {
        out.report(Code::E206, name.word.span, "`sticky client` takes no name").help("take it out");
    }
    for word in entry.entries.iter().filter(|word| matches!(word.directive.name, "down" | "wait" | "bound")) {
        misplaced(word, "`sticky client`, which keeps no session", out);
    }
}

fn named(entry: &Entry, argument: &Argument, method: &str, out: &mut Diagnostics) -> Option<Carrier> {
    let Some(Value::Text(name)) = entry.value(1) else {
        if entry.values.len() == 1 {
            out.report(Code::E205, argument.word.span, format!("`sticky {method}` needs a NAME"))
                .help(format!("write `sticky {method} NAME`"));
        }
        return None;
    };
    Some(match method {
        "query" => Carrier::Query(name.clone()),
        "header" => Carrier::Field(name.to_ascii_lowercase()),
        _ => Carrier::Path(name.clone()),
    })
}

/// What every method may say.
fn common(entry: &Entry, method: StickyMethod, out: &mut Diagnostics) -> Sticky {
    let mut sticky = Sticky::new(method);
    if let Some(Value::Choice("fail")) = entry.option("down") {
        sticky.down = WhenDown::Fail;
    }
    set(entry, "wait", &mut sticky.wait);
    if let Some(Value::Percent(bound)) = entry.option("bound") {
        sticky.bound = Some(*bound);
    }
    if let (Some(bound), WhenDown::Fail) = (entry.entry("bound"), sticky.down) {
        out.report(Code::E411, bound.span, "`bound` beside `down=fail`")
            .help("`down=fail` keeps others from serving a session, `bound` lends it to them: keep one");
    }
    sticky
}

fn skips(entry: &Entry, out: &mut Diagnostics) -> Vec<StickySkip> {
    let mut skips = Vec::new();
    for skip in entry.all("skip") {
        let path = match skip.option("path") {
            Some(Value::PathPattern(path)) => Some(path.clone()),
            _ => None,
        };
        let agent = match skip.option("agent") {
            Some(Value::Text(agent)) if !agent.is_empty() => Some(agent.to_ascii_lowercase()),
            _ => None,
        };
        if path.is_none() && agent.is_none() && skip.is_sound() {
            out.report(Code::E205, skip.span, "`skip` needs something to skip")
                .help("add `path=PATTERN` or `agent=TEXT`; to keep no client anywhere, take `sticky` out");
        } else {
            skips.push(StickySkip { path, agent });
        }
    }
    skips
}

/// Says that a word has no effect there.
fn misplaced(word: &Entry, place: &str, out: &mut Diagnostics) {
    let name = word.directive.name;
    out.report(Code::E411, word.span, format!("`{name}` has no effect on {place}")).help("take it out");
}

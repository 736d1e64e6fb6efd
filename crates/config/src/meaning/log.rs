//! Access logs.

use evenkeel_model::config::{AccessLog, LogFormat, LogRule, LogSubject};

use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics};

/// The logs of a block.
pub(super) fn build(entries: &[&Entry], out: &mut Diagnostics) -> Vec<AccessLog> {
    let is_off = |entry: &&&Entry| matches!(entry.value(0), Some(Value::Off));
    if let Some(off) = entries.iter().find(is_off) {
        if let Some(other) = entries.iter().find(|entry| !is_off(entry)) {
            out.report(Code::E411, off.span, "`log off` beside another log")
                .also(other.span, "this one")
                .help("keep one of them");
        } else if let Some(inner) = off.entries.first() {
            out.report(Code::E411, inner.span, "`log off` has nothing to say this about").help("take it out");
        }
        return Vec::new();
    }
    for entry in entries {
        for skip in entry.all("skip").filter(|skip| skip.is_sound() && subjects(skip).is_empty()) {
            out.report(Code::E205, skip.span, "`skip` needs something to skip")
                .help("add `path=PATTERN`, `status=STATUS` or `method=METHOD`; to write no log, `log off`");
        }
    }
    quietly(entries)
}

/// The same for logs given at the top, which were complained of once.
pub(super) fn quietly(entries: &[&Entry]) -> Vec<AccessLog> {
    entries.iter().filter_map(|entry| one(entry)).collect()
}

fn one(entry: &Entry) -> Option<AccessLog> {
    let Some(Value::LogTarget(to)) = entry.value(0) else { return None };
    let format = match entry.option("format") {
        Some(Value::LogFormat(format)) => format.clone(),
        _ => LogFormat::Json,
    };
    Some(AccessLog { to: to.clone(), format, rules: entry.all("skip").flat_map(rules).collect() })
}

/// The rules of one `skip`: one for each way in which it can fit, since a rule fits only as a whole.
fn rules(skip: &Entry) -> Vec<LogRule> {
    let keep_percent = match skip.option("keep") {
        Some(Value::Percent(percent)) => u8::try_from(*percent).unwrap_or(100),
        _ => 0,
    };
    let mut rules = vec![LogRule { subjects: Vec::new(), keep_percent }];
    for choices in subjects(skip) {
        let with = |rule: &LogRule, subject: &LogSubject| {
            let mut rule = rule.clone();
            rule.subjects.push(subject.clone());
            rule
        };
        rules = rules.iter().flat_map(|rule| choices.iter().map(move |subject| with(rule, subject))).collect();
    }
    rules
}

/// What a `skip` looks at: of each inner list, one must fit.
fn subjects(skip: &Entry) -> Vec<Vec<LogSubject>> {
    let subject = |value: &Value| match value {
        Value::PathPattern(path) => Some(LogSubject::Path(path.clone())),
        Value::Statuses(range) => Some(LogSubject::Status(*range)),
        Value::Text(method) => Some(LogSubject::Method(method.clone())),
        _ => None,
    };
    let entries = skip.entries.iter().filter(|entry| entry.directive.name != "keep");
    entries
        .map(|entry| entry.read_values().filter_map(subject).collect::<Vec<_>>())
        .filter(|list| !list.is_empty())
        .collect()
}

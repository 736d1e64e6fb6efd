//! Texts with `$variables`.

use evenkeel_model::config::LogFormat;
use evenkeel_model::{Template, TemplatePart, Variable};

use super::{allowed, nearest};
use crate::syntax::Word;
use crate::table::Phase;
use crate::{Code, Diagnostics};

/// The groups of variables that take a name after a dot.
pub(crate) const NAMED: [&str; 4] = ["request", "response", "cookie", "query"];

pub(super) fn log_format(word: &Word, out: &mut Diagnostics) -> Option<LogFormat> {
    match word.text.as_str() {
        "json" => Some(LogFormat::Json),
        "combined" => Some(LogFormat::Combined),
        "haproxy" => Some(LogFormat::Haproxy),
        text if text.chars().any(|c| c.is_control() && c != '\t') => {
            out.report(Code::E324, word.span, "a line break or control character in a log format")
                .help("take it out: each request is one line");
            None
        }
        text if text.contains('$') => read(word, Phase::Log, out).map(LogFormat::Custom),
        _ => {
            super::choice(&["json", "combined", "haproxy"], word, out);
            None
        }
    }
}

/// Reads a text with variables. All that is wrong in it is reported.
pub(super) fn read(word: &Word, phase: Phase, out: &mut Diagnostics) -> Option<Template> {
    let mut parts: Vec<TemplatePart> = Vec::new();
    let mut literal = String::new();
    let mut sound = true;
    let mut rest = word.text.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let (name, next) = variable_name(after);
        rest = next;
        match lookup(name, phase, word, out) {
            Some(variable) => {
                if !literal.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
                }
                parts.push(TemplatePart::Variable(variable));
            }
            None => sound = false,
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(TemplatePart::Text(literal));
    }
    sound.then_some(Template { parts })
}

/// The name that follows a `$`, and what comes after it.
fn variable_name(after: &str) -> (&str, &str) {
    if let Some((name, rest)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (name, rest);
    }
    let plain = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    let (name, rest) = after.split_at(plain);
    // `$request.user-agent`: after a dot a field's name, whose characters are more.
    if NAMED.contains(&name)
        && let Some(dotted) = rest.strip_prefix('.')
    {
        let field = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let len = dotted.find(|c| !field(c)).unwrap_or(dotted.len());
        if len > 0 {
            return after.split_at(plain.saturating_add(1).saturating_add(len));
        }
    }
    (name, rest)
}

fn lookup(name: &str, phase: Phase, word: &Word, out: &mut Diagnostics) -> Option<Variable> {
    if name.is_empty() {
        out.report(Code::E319, word.span, "a `$` that begins no variable").help("a dollar sign itself is written `$$`");
        return None;
    }
    let plain = Variable::PLAIN.iter().find(|(word, _, _)| *word == name).map(|(_, variable, _)| variable.clone());
    let named = name.split_once('.').filter(|(_, field)| !field.is_empty()).and_then(|(group, field)| match group {
        "request" => Some(Variable::RequestField(field.to_ascii_lowercase())),
        "response" => Some(Variable::ResponseField(field.to_ascii_lowercase())),
        "cookie" => Some(Variable::Cookie(field.to_owned())),
        "query" => Some(Variable::Query(field.to_owned())),
        _ => None,
    });
    let Some(variable) = plain.or(named) else {
        let report = out.report(Code::E317, word.span, format!("there is no variable `${name}`"));
        match nearest(name, Variable::PLAIN.iter().map(|(word, _, _)| *word)) {
            Some(near) => report.help(format!("did you mean `${near}`?")),
            None => report.help("`evenkeel explain variables` lists them; a dollar sign itself is written `$$`"),
        };
        return None;
    };
    if known(&variable, phase) {
        return Some(variable);
    }
    let when = if phase == Phase::Request { "before the answer" } else { "with the answer's head" };
    let early = Variable::PLAIN.iter().filter(|(_, variable, _)| known(variable, phase)).map(|(word, _, _)| *word);
    let early: Vec<String> = early.map(|word| format!("${word}")).collect();
    out.report(Code::E318, word.span, format!("`${name}` is not known yet where this text is put together, {when}"))
        .note(allowed(early.iter().map(String::as_str)))
        .note("also: `$request.FIELD`, `$cookie.NAME`, `$query.NAME`");
    None
}

/// Whether a variable has its value in that phase.
pub(crate) fn known(variable: &Variable, phase: Phase) -> bool {
    let early = || match Variable::PLAIN.iter().find(|(_, plain, _)| plain == variable) {
        Some((_, _, early)) => *early,
        None => !matches!(variable, Variable::ResponseField(_)),
    };
    match phase {
        Phase::Log => true,
        Phase::Request => early(),
        // What is counted or timed to the end is not known with the head; everything before it is.
        Phase::Answer => !matches!(
            variable,
            Variable::ResponseField(_)
                | Variable::Bytes
                | Variable::BodyBytes
                | Variable::BytesIn
                | Variable::End
                | Variable::TimeTotal
                | Variable::TimeFirst
                | Variable::Time
                | Variable::TimeIso
                | Variable::TimeUnix
        ),
    }
}

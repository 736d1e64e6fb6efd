//! `check`: what a probe asks and expects.

use evenkeel_model::config::{BodyMatch, Check, CheckKind, HttpCheck, StatusRange};

use crate::entry::{Argument, Entry};
use crate::value::{Value, is_token, nearest};
use crate::{Code, Diagnostics};

/// Statuses that pass where nothing is said: an answer that is no error.
const EXPECTED: StatusRange = StatusRange { first: 200, last: 399 };

/// The probe; `None` for `off`, and where it cannot be understood.
pub(in crate::meaning) fn check(entry: &Entry, out: &mut Diagnostics) -> Option<Check> {
    let words: Vec<&Argument> = entry.values.iter().collect();
    let texts: Vec<&str> = words.iter().map(|argument| argument.word.text.as_str()).collect();
    let kind = match texts.as_slice() {
        ["off"] => {
            if let Some(inner) = entry.entries.first() {
                out.report(Code::E411, inner.span, "`check off` has nothing to say this about")
                    .help("take one of them out");
            }
            return None;
        }
        [] | ["tcp"] => {
            refuse_http_words(entry, out);
            CheckKind::Tcp
        }
        [path] => CheckKind::Http(http(entry, None, words.first().filter(|_| !path.is_empty())?, false, out)?),
        [_, _] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, false, out)?),
        [_, _, "HTTP/1.0"] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, true, out)?),
        [_, _, "HTTP/1.1"] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, false, out)?),
        [_, _, version, ..] => {
            let span = words.get(2).map_or(entry.span, |argument| argument.word.span);
            out.report(Code::E206, span, format!("`{version}` is one word too many for `check`"))
                .note("usage: check off | tcp | [METHOD] PATH [HTTP/1.0] [every=DURATION] …");
            return None;
        }
    };
    let mut check = Check { kind, ..Check::default() };
    let number = |option: &str| match entry.option(option) {
        Some(Value::Integer(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    check.rise = number("rise").unwrap_or(check.rise);
    check.fall = number("fall").unwrap_or(check.fall);
    check.port = number("port");
    super::set(entry, "every", &mut check.every);
    super::set(entry, "timeout", &mut check.timeout);
    Some(check)
}

fn refuse_http_words(entry: &Entry, out: &mut Diagnostics) {
    let http = ["host", "header", "expect", "body"];
    for inner in entry.entries.iter().filter(|inner| http.contains(&inner.directive.name)) {
        out.report(
            Code::E411,
            inner.span,
            format!("`{}` is about an HTTP answer, and this check only connects", inner.directive.name),
        )
        .help("write what to ask for: `check GET /PATH`");
    }
}

fn http(
    entry: &Entry,
    method: Option<&Argument>,
    path: &Argument,
    http10: bool,
    out: &mut Diagnostics,
) -> Option<HttpCheck> {
    let method_text = method.map_or("GET", |argument| argument.word.text.as_str());
    if let Some(argument) =
        method.filter(|_| !is_token(method_text) || method_text.bytes().any(|b| b.is_ascii_lowercase()))
    {
        let report = out.report(Code::E314, argument.word.span, format!("`{method_text}` cannot be a method"));
        if is_token(method_text) {
            report.help(format!("write `{}`: methods are upper case", method_text.to_ascii_uppercase()));
        }
        return None;
    }
    let target = path.word.text.as_str();
    let server_wide = target == "*" && method_text == "OPTIONS";
    if !target.starts_with('/') && !server_wide {
        complain_of_probe(path, out);
        return None;
    }
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        out.report(Code::E324, path.word.span, format!("`{target}` has characters that no request target has"))
            .help("write them percent-encoded, as they stand in URLs (`%20`)");
        return None;
    }
    let mut check = HttpCheck {
        method: method_text.to_owned(),
        target: target.to_owned(),
        http10,
        host: None,
        fields: Vec::new(),
        expect: vec![EXPECTED],
        body: None,
    };
    apply(entry, &mut check, out);
    Some(check)
}

fn complain_of_probe(word: &Argument, out: &mut Diagnostics) {
    let text = word.word.text.as_str();
    let report = out.report(Code::E309, word.word.span, format!("`{text}` is not something to check"));
    match nearest(text, ["off", "tcp"].into_iter()) {
        Some(near) => report.help(format!("did you mean `{near}`?")),
        None if nearest(text, ["http"].into_iter()).is_some() => {
            report.help("to ask for a path write `check GET /PATH`")
        }
        None if is_token(text) && text.bytes().all(|b| b.is_ascii_uppercase()) => {
            report.help(format!("write the path too: `check {text} /`"))
        }
        None => report.help(format!("a path begins with `/`: `/{text}`")),
    };
    report.note("allowed: `off`, `tcp`, `PATH`, `METHOD PATH`, `METHOD PATH HTTP/1.0`");
}

fn apply(entry: &Entry, check: &mut HttpCheck, out: &mut Diagnostics) {
    if let Some(Value::Text(host)) = entry.option("host") {
        check.host = Some(host.clone());
    }
    for header in entry.all("header") {
        if let Some(Value::Condition(line)) = header.value(0) {
            check.fields.push((line.name.clone(), line.value.clone().unwrap_or_default()));
        }
    }
    if let Some(expect) = entry.entry("expect") {
        let range = |value: &Value| match value {
            Value::Statuses(range) => Some(*range),
            _ => None,
        };
        check.expect = expect.read_values().filter_map(range).collect();
    }
    if let Some(body) = entry.entry("body") {
        if let Some(Value::Text(text)) = body.value(0) {
            check.body = Some(BodyMatch { text: text.clone() });
        }
        if check.method == "HEAD" {
            out.report(Code::E411, body.span, "an answer to HEAD has no body").help("ask with GET");
        }
    }
}

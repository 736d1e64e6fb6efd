//! `check`: what a probe asks and expects.

use evenkeel_model::config::{BodyMatch, Check, CheckKind, HttpCheck, RedisRole, StatusRange, TalkCheck};
use evenkeel_model::defaults;

use crate::entry::{Argument, Entry};
use crate::syntax::Word;
use crate::value::{Value, bytes, is_token, nearest, statuses};
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
            refuse_words(entry, ("this check looks at no HTTP answer", &["port", "send", "expect"]), out);
            talk(entry, out)?
        }
        ["redis"] => {
            refuse_words(entry, ("this check asks Redis", &["port", "role"]), out);
            CheckKind::Redis { role: role(entry) }
        }
        ["postgres"] => {
            refuse_words(entry, ("this check asks PostgreSQL", &["port", "user"]), out);
            CheckKind::Postgres { user: user(entry) }
        }
        ["mysql"] => {
            refuse_words(entry, ("this check asks MySQL", &["port", "user"]), out);
            CheckKind::Mysql { user: user(entry) }
        }
        [path] => CheckKind::Http(http(entry, None, words.first().filter(|_| !path.is_empty())?, false, out)?),
        [_, _] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, false, out)?),
        [_, _, "HTTP/1.0"] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, true, out)?),
        [_, _, "HTTP/1.1"] => CheckKind::Http(http(entry, words.first().copied(), words.get(1)?, false, out)?),
        [_, _, version, ..] => {
            let span = words.get(2).map_or(entry.span, |argument| argument.word.span);
            out.report(Code::E206, span, format!("`{version}` is one word too many for `check`")).note(
                "usage: check off | tcp | redis | postgres | mysql | [METHOD] PATH [HTTP/1.0] [every=DURATION] …",
            );
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

/// Words that say what to ask and to expect; of the others every check has use.
const QUESTIONS: [&str; 7] = ["host", "header", "expect", "body", "send", "role", "user"];

fn refuse_words(entry: &Entry, (what, own): (&str, &[&str]), out: &mut Diagnostics) {
    let strange = |name: &str| QUESTIONS.contains(&name) && !own.contains(&name);
    for inner in entry.entries.iter().filter(|inner| strange(inner.directive.name)) {
        let name = inner.directive.name;
        let report = out.report(Code::E411, inner.span, format!("`{name}` says nothing here: {what}"));
        match name {
            "host" | "header" | "body" | "expect" => report.help("write what to ask for: `check GET /PATH`"),
            "send" => report.help("write `check tcp send=TEXT expect=TEXT`"),
            "role" => report.help("write `check redis role=primary`"),
            _ => report.help("write `check postgres` or `check mysql`"),
        };
    }
}

/// What is said and expected, if anything is.
fn talk(entry: &Entry, out: &mut Diagnostics) -> Option<CheckKind> {
    let send = entry.entry("send");
    let Some(expect) = entry.entry("expect") else {
        if let Some(send) = send {
            out.report(Code::E411, send.span, "`send` without `expect`: nobody would look at the answer")
                .help("add `expect=TEXT`");
            return None;
        }
        return Some(CheckKind::Tcp);
    };
    if let Some(second) = expect.values.get(1) {
        out.report(Code::E206, second.word.span, "one text is expected of `tcp`")
            .help("put a text with blanks in quotes");
        return None;
    }
    let expected = bytes(&expect.values.first()?.word, out)?;
    if expected.is_empty() {
        out.report(Code::E411, expect.span, "every answer has nothing in it")
            .help("write a text that a healthy server says");
        return None;
    }
    let sent = match send.map(|send| send.value(0)) {
        None => Vec::new(),
        Some(Some(Value::Bytes(sent))) => sent.clone(),
        Some(_) => return None,
    };
    Some(CheckKind::Talk(TalkCheck { send: sent, expect: expected }))
}

fn role(entry: &Entry) -> Option<RedisRole> {
    match entry.option("role") {
        Some(Value::Choice("primary")) => Some(RedisRole::Primary),
        Some(Value::Choice(_)) => Some(RedisRole::Replica),
        _ => None,
    }
}

fn user(entry: &Entry) -> String {
    match entry.option("user") {
        Some(Value::Text(user)) => user.clone(),
        _ => defaults::CHECK_USER.to_owned(),
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
    match nearest(text, ["off", "tcp", "redis", "postgres", "mysql"].into_iter()) {
        Some(near) => report.help(format!("did you mean `{near}`?")),
        None if nearest(text, ["http"].into_iter()).is_some() => {
            report.help("to ask for a path write `check GET /PATH`")
        }
        None if is_token(text) && text.bytes().all(|b| b.is_ascii_uppercase()) => {
            report.help(format!("write the path too: `check {text} /`"))
        }
        None => report.help(format!("a path begins with `/`: `/{text}`")),
    };
    report.note("allowed: `off`, `tcp`, `redis`, `postgres`, `mysql`, `PATH`, `METHOD PATH`, `METHOD PATH HTTP/1.0`");
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
    refuse_words(entry, ("this check asks by HTTP", &["host", "header", "expect", "body"]), out);
    if let Some(expect) = entry.entry("expect") {
        let parts = |word: &Word| -> Vec<Word> {
            word.text.split(',').map(|part| Word { text: part.to_owned(), ..word.clone() }).collect()
        };
        let words = expect.values.iter().flat_map(|argument| parts(&argument.word));
        check.expect = words.filter_map(|word| statuses(&word, out)).collect();
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

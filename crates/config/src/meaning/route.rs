//! Routes: which requests they take, and what they do with them.

use evenkeel_model::config::{
    Action, FieldMatch, HostPattern, Matcher, PathPattern, PathRewrite, Redirect, RedirectTo, Respond, Route,
};
use evenkeel_model::{PoolName, Template};

use super::{Building, edit, site};
use crate::entry::Entry;
use crate::value::{Value, is_token};
use crate::{Code, Diagnostics};

/// Builds a route; `None` where it has no sound action.
pub(super) fn build(building: &mut Building<'_>, entry: &Entry) -> Option<Route> {
    let matcher = matcher(entry, building.out);
    let request_edits = edit::all(entry, "request-header", building.out);
    let response_edits = edit::all(entry, "response-header", building.out);
    let rewrite = PathRewrite { strip: text(entry, "strip-prefix"), add: text(entry, "add-prefix") };
    let action = action(building, entry);
    if let (Some(Action::Redirect(_) | Action::Respond(_)), Some(idle)) = (
        &action,
        entry
            .entries
            .iter()
            .find(|inner| matches!(inner.directive.name, "strip-prefix" | "add-prefix" | "request-header")),
    ) {
        building
            .out
            .report(Code::E411, idle.span, format!("`{}` in a route that leads to no server", idle.directive.name))
            .help("take it out, or give the route a `to=POOL`");
    }
    let name = entry.values.first().map(|pattern| pattern.word.text.clone())?;
    let name = if matcher.path == PathPattern::Any { "*".to_owned() } else { name };
    Some(Route { name, matcher, rewrite, request_edits, response_edits, action: action? })
}

fn text(entry: &Entry, option: &str) -> Option<String> {
    match entry.option(option) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn matcher(entry: &Entry, out: &mut Diagnostics) -> Matcher {
    let path = match entry.value(0) {
        Some(Value::PathPattern(path)) => path.clone(),
        _ => PathPattern::Any,
    };
    let hosts = |value: &Value| match value {
        Value::HostPattern(host) => Some(host.clone()),
        _ => None,
    };
    let methods = |value: &Value| match value {
        Value::Text(method) => Some(method.clone()),
        _ => None,
    };
    Matcher {
        path,
        hosts: values(entry, "host", hosts),
        methods: values(entry, "method", methods),
        fields: entry.all("header").filter_map(|header| field(header, out)).collect(),
        query: entry.all("query").filter_map(condition).collect(),
    }
}

fn values<T>(entry: &Entry, option: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    entry.entry(option).map(|entry| entry.read_values().filter_map(read).collect()).unwrap_or_default()
}

fn condition(entry: &Entry) -> Option<FieldMatch> {
    match entry.value(0) {
        Some(Value::Condition(condition)) => Some(condition.clone()),
        _ => None,
    }
}

fn field(entry: &Entry, out: &mut Diagnostics) -> Option<FieldMatch> {
    let condition = condition(entry)?;
    if is_token(&condition.name) {
        return Some(FieldMatch { name: condition.name.to_ascii_lowercase(), ..condition });
    }
    let span = entry.values.first().map_or(entry.span, |argument| argument.word.span);
    out.report(Code::E315, span, format!("`{}` cannot be the name of a header field", condition.name))
        .help("write `header=NAME`, or `header=NAME:VALUE`");
    None
}

fn action(building: &mut Building<'_>, entry: &Entry) -> Option<Action> {
    let Some(doing) = site::one_action(entry, building.out) else {
        if entry.is_sound() {
            building
                .out
                .report(Code::E404, entry.span, "this route does nothing")
                .help("say where its requests go: `to=POOL`, `redirect=URL` or `respond=STATUS`");
        }
        return None;
    };
    match doing.directive.name {
        "to" => {
            let Some(Value::Text(name)) = doing.value(0) else { return None };
            let pool = PoolName::new(name).ok()?;
            if let Some(argument) = doing.values.first() {
                building.wanted.push((argument.word.clone(), pool.clone()));
            }
            Some(Action::To(pool))
        }
        "redirect" => redirect(doing, building.out).map(Action::Redirect),
        _ => respond(doing, building.out).map(Action::Respond),
    }
}

/// Statuses that send a client elsewhere (RFC 9110 section 15.4).
const REDIRECTIONS: [u16; 5] = [301, 302, 303, 307, 308];
/// Method kept, for good: a POST that is redirected stays one.
const REDIRECTION: u16 = 308;

pub(super) fn redirect(entry: &Entry, out: &mut Diagnostics) -> Option<Redirect> {
    let status = match entry.entry("code").and_then(|code| code.value(0).zip(code.values.first())) {
        Some((Value::Status(status), argument)) => {
            if !REDIRECTIONS.contains(status) {
                out.report(Code::E316, argument.word.span, format!("{status} is not a redirection"))
                    .note("allowed: 301, 302, 303, 307, 308");
                return None;
            }
            *status
        }
        _ => REDIRECTION,
    };
    if !entry.is_sound() {
        return None;
    }
    let host = text(entry, "host");
    let path = redirect_path(entry, out)?;
    let target = entry.values.first();
    let parts = host.is_some() || path.is_some();
    let Some(target) = target else {
        if parts {
            return Some(Redirect { status, to: RedirectTo::Parts { scheme: None, host, path } });
        }
        out.report(Code::E205, entry.span, "`redirect` needs a target")
            .help("write `redirect https`, `redirect host=HOST`, `redirect path=PATH` or `redirect https://HOST/PATH`");
        return None;
    };
    let word = target.word.text.as_str();
    if matches!(word, "http" | "https") {
        return Some(Redirect { status, to: RedirectTo::Parts { scheme: Some(word.to_owned()), host, path } });
    }
    let Some(Value::Template(location)) = &target.value else { return None };
    if !is_location(word) {
        let report = out.report(Code::E321, target.word.span, format!("`{word}` is not a place to redirect to"));
        match word.starts_with('/') {
            true => report.help(format!("for another path of the same host write `path={word}`")),
            false => report.note("a place is `https`, or a URL that begins with `http://` or `https://`"),
        };
        return None;
    }
    if parts {
        let inner =
            entry.entries.iter().find(|inner| inner.directive.name != "code").map_or(entry.span, |inner| inner.span);
        out.report(Code::E411, inner, "a whole URL has its host and path already")
            .help("take this out, or write it into the URL");
        return None;
    }
    edit::is_one_line(location, target.word.span, out)
        .then(|| Redirect { status, to: RedirectTo::Location(location.clone()) })
}

/// Whether a text begins as a URL does, or with a variable that may hold the beginning of one.
fn is_location(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) || text.starts_with('$')
}

/// The path of a redirection; the outer `None` where it was refused.
fn redirect_path(entry: &Entry, out: &mut Diagnostics) -> Option<Option<Template>> {
    let Some(inner) = entry.entry("path") else { return Some(None) };
    let argument = inner.values.first()?;
    let Some(Value::Template(path)) = &argument.value else { return None };
    if !argument.word.text.starts_with(['/', '$']) {
        out.report(
            Code::E321,
            argument.word.span,
            format!("the path `{}` does not begin with `/`", argument.word.text),
        )
        .help(format!("write `path=/{}`", argument.word.text));
        return None;
    }
    edit::is_one_line(path, argument.word.span, out).then(|| Some(path.clone()))
}

pub(super) fn respond(entry: &Entry, out: &mut Diagnostics) -> Option<Respond> {
    let Some(Value::Status(status)) = entry.value(0) else { return None };
    let body = match entry.values.get(1) {
        Some(argument) => {
            let Some(Value::Template(body)) = &argument.value else { return None };
            if matches!(status, 204 | 205 | 304) {
                out.report(Code::E411, argument.word.span, format!("an answer with status {status} has no body"))
                    .help("take the text away, or answer 200");
                return None;
            }
            body.clone()
        }
        None => Template::default(),
    };
    let content_type = text(entry, "type").unwrap_or_else(|| "text/plain; charset=utf-8".to_owned());
    Some(Respond { status: *status, content_type, body })
}

/// The hosts of a pattern's text, for warnings.
pub(super) fn host_covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    match (wide, narrow) {
        (HostPattern::Exact(wide), HostPattern::Exact(narrow)) => wide == narrow,
        (HostPattern::Exact(_), HostPattern::Below(_)) => false,
        (HostPattern::Below(suffix), HostPattern::Exact(host)) => host.ends_with(suffix.as_str()),
        (HostPattern::Below(wide), HostPattern::Below(narrow)) => narrow.ends_with(wide.as_str()),
    }
}

//! One `http` block to a site.

use evenkeel_model::config::{
    Action, ClientField, ForwardedFields, HostPattern, Matcher, PathPattern, PathRewrite, RequestId, Route, Site,
};
use evenkeel_model::{ListenerName, PoolName};

use super::{Building, edit, log, pool, route};
use crate::entry::Entry;
use crate::table::Context;
use crate::value::Value;
use crate::{Code, Diagnostics};

/// Words that say what a route or a block does with a request.
pub(super) const ACTIONS: [&str; 3] = ["to", "redirect", "respond"];

pub(super) fn build(building: &mut Building<'_>, listener: &ListenerName, block: &Entry) -> Site {
    let hosts: Vec<HostPattern> = block.read_values().filter_map(host).collect();
    let mut site = Site { hosts, ..Site::default() };
    site.routes = block.all("route").filter_map(|entry| route::build(building, entry)).collect();
    if let Some(action) = own_action(building, listener, &site, block) {
        site.routes.push(catch_all(action));
    }
    complain_of_order(block, building.out);
    let says = |entry: &Entry| entry.directive.name == "route" || ACTIONS.contains(&entry.directive.name);
    if block.is_sound() && !block.entries.iter().any(says) {
        building
            .out
            .report(Code::E403, block.span, format!("this `{}` block does nothing", block.directive.name))
            .help("say where its requests go: `to ADDRESS:PORT`, `route PATTERN to=POOL`, `redirect` or `respond`");
    }
    if block.entry("to").is_none() && !block.flawed {
        complain_of_pool_words(block, building.out);
    }
    fill(building, block, &mut site);
    site
}

fn host(value: &Value) -> Option<HostPattern> {
    match value {
        Value::HostPattern(host) => Some(host.clone()),
        _ => None,
    }
}

/// What the block itself does with requests that no route takes.
fn own_action(building: &mut Building<'_>, listener: &ListenerName, site: &Site, block: &Entry) -> Option<Action> {
    let entry = one_action(block, building.out)?;
    match entry.directive.name {
        "to" => {
            let name = pool_name(building, listener, site);
            pool::of_block(building, &name, entry, block);
            Some(Action::To(name))
        }
        "redirect" => route::redirect(entry, building.out).map(Action::Redirect),
        _ => route::respond(entry, building.out).map(Action::Respond),
    }
}

/// The one statement that says what to do; more than one are reported.
pub(super) fn one_action<'a>(block: &'a Entry, out: &mut Diagnostics) -> Option<&'a Entry> {
    let mut actions = block.entries.iter().filter(|entry| ACTIONS.contains(&entry.directive.name));
    let first = actions.next()?;
    for other in actions {
        let (one, two) = (first.directive.name, other.directive.name);
        out.report(Code::E405, other.span, format!("`{two}` beside `{one}`: a request gets one answer"))
            .also(first.span, "the first one")
            .help("keep one of them, or put the other in a `route` of its own");
    }
    Some(first)
}

/// A name that no other pool has: the listener's, with the block's first host, and a number where even that is taken.
fn pool_name(building: &Building<'_>, listener: &ListenerName, site: &Site) -> PoolName {
    let host = match site.hosts.first() {
        Some(HostPattern::Exact(host)) => Some(host.clone()),
        Some(HostPattern::Below(suffix)) => Some(format!("*{suffix}")),
        None => None,
    };
    let first = match &host {
        Some(host) => PoolName::of_site(listener, host),
        None => PoolName::of_listener(listener),
    };
    let numbered = (2u32..).map(|number| {
        let host = host.as_deref().map_or_else(|| number.to_string(), |host| format!("{host},{number}"));
        PoolName::of_site(listener, &host)
    });
    std::iter::once(first.clone()).chain(numbered).find(|name| building.config.pool(name).is_none()).unwrap_or(first)
}

fn catch_all(action: Action) -> Route {
    Route {
        name: "*".to_owned(),
        matcher: Matcher {
            path: PathPattern::Any,
            hosts: Vec::new(),
            methods: Vec::new(),
            fields: Vec::new(),
            query: Vec::new(),
        },
        rewrite: PathRewrite::default(),
        request_edits: Vec::new(),
        response_edits: Vec::new(),
        action,
    }
}

/// Written order is the only order: the block's own answer stands below its routes.
pub(super) fn complain_of_order(block: &Entry, out: &mut Diagnostics) {
    let own = block.entries.iter().position(|entry| ACTIONS.contains(&entry.directive.name));
    let last = block.entries.iter().rposition(|entry| entry.directive.name == "route");
    let Some((own, last)) = own.zip(last).filter(|(own, last)| own < last) else { return };
    if let Some((own, route)) = block.entries.get(own).zip(block.entries.get(last)) {
        out.report(
            Code::E409,
            own.span,
            format!("`{}` takes all that comes, and a route stands below it", own.directive.name),
        )
        .also(route.span, "would never be reached")
        .help("move it below the routes, where it takes what they leave");
    }
}

/// Words that are about servers, in a block that has none of its own.
pub(super) fn complain_of_pool_words(block: &Entry, out: &mut Diagnostics) {
    let is_pool_word = |entry: &&Entry| entry.directive.within.contains(&Context::Pool);
    for entry in block.entries.iter().filter(is_pool_word) {
        let name = entry.directive.name;
        out.report(Code::E406, entry.span, format!("`{name}` is about servers, and this block has none of its own"))
            .help("put it in the block of the `pool` that it is for, or give the block servers with `to ADDRESS:PORT`");
    }
}

/// `off` means none, and stands alone.
pub(super) fn complain_of_forward(entry: &Entry, out: &mut Diagnostics) {
    let off = entry.values.iter().find(|argument| argument.value == Some(Value::Off));
    if let Some(off) = off.filter(|_| entry.values.len() > 1) {
        out.report(Code::E411, off.word.span, "`off` beside fields: it means that none is sent")
            .help("take it out, or take the fields out");
    }
}

/// What a block says besides its routes, or else the top.
fn fill(building: &mut Building<'_>, block: &Entry, site: &mut Site) {
    let top: Vec<&Entry> = building.top.list.iter().collect();
    let nearest =
        |name: &str| block.entry(name).or_else(|| top.iter().copied().find(|entry| entry.directive.name == name));
    if let Some(Value::Path(dir)) = nearest("errors").and_then(|entry| entry.value(0)) {
        site.errors = Some(dir.clone());
    }
    if let Some(entry) = nearest("forward") {
        site.forwarded = forwarded(entry);
    }
    if let Some(entry) = block.entry("forward") {
        complain_of_forward(entry, building.out);
    }
    match block.option("request-id") {
        Some(Value::Text(field)) if field == "off" => site.request_id = RequestId::Off,
        Some(Value::Text(field)) => site.request_id = RequestId::Field(field.clone()),
        _ => {}
    }
    if let Some(Value::Percent(percent)) = block.option("trace") {
        site.trace = u8::try_from(*percent).ok();
    }
    let own: Vec<&Entry> = block.all("log").collect();
    let inherited: Vec<&Entry> = top.iter().copied().filter(|entry| entry.directive.name == "log").collect();
    site.logs = if own.is_empty() { log::quietly(&inherited) } else { log::build(&own, building.out) };
    site.request_edits = edit::all(block, "request-header", building.out);
    site.response_edits = edit::all(block, "response-header", building.out);
}

fn forwarded(entry: &Entry) -> ForwardedFields {
    let mut fields: Vec<ClientField> = Vec::new();
    for value in entry.read_values() {
        match value {
            Value::ClientField(field) if !fields.contains(field) => fields.push(*field),
            _ => {}
        }
    }
    ForwardedFields { fields }
}

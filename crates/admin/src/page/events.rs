//! What has happened: changes of servers, orders, reloads, and who changed what.

use super::asked::Asked;
use super::html::{Html, Percent};
use super::parts::badge;
use super::words::{Moment, look};
use crate::report::EventReport;

/// Most events that a view shows, and that stand below the days.
const EVENTS: usize = 200;
const CHANGES: usize = 30;

/// Most of a server's events in its panel.
const OF_SERVER: usize = 6;

/// The kinds of events that can be chosen, each with its word.
const KINDS: [(&str, &str); 9] = [
    ("", "everything"),
    ("server", "servers"),
    ("intent", "orders"),
    ("reload", "reloads"),
    ("cluster", "the cluster"),
    ("group", "orders for groups"),
    ("zonefile", "zone files"),
    ("audit", "who changed what"),
    ("node", "the node"),
];

pub(super) fn write(html: &mut Html, asked: &Asked, events: &[EventReport]) {
    html.raw("<h1>Events</h1>\n");
    filter(html, asked);
    let kind = asked.value("kind").unwrap_or_default();
    let wanted: Vec<String> = asked.value("q").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let fits = |event: &&EventReport| {
        let text = format!("{} {} {}", event.subject, event.text, event.state).to_lowercase();
        (kind.is_empty() || event.kind == kind) && wanted.iter().all(|word| text.contains(word.as_str()))
    };
    list(html, events.iter().rev().filter(fits).take(EVENTS));
}

/// The latest changes of servers, below their days.
pub(super) fn changes(html: &mut Html, events: &[EventReport]) {
    html.raw("<h2>Changes</h2>\n");
    list(html, events.iter().rev().filter(|event| !event.state.is_empty()).take(CHANGES));
}

/// What happened to the cluster lately, and what was ordered of its groups.
pub(super) fn of_cluster(html: &mut Html, events: &[EventReport]) {
    let own = events.iter().rev().filter(|event| matches!(event.kind.as_str(), "cluster" | "group"));
    list(html, own.take(CHANGES));
}

/// What happened to one server lately.
pub(super) fn of_server(html: &mut Html, events: &[EventReport], subject: &str) {
    let mut own = events.iter().rev().filter(|event| event.subject == subject).take(OF_SERVER).peekable();
    if own.peek().is_some() {
        html.raw("<h3>What happened</h3>\n");
        list(html, own);
    }
}

fn list<'a>(html: &mut Html, events: impl Iterator<Item = &'a EventReport>) {
    let mut events = events.peekable();
    if events.peek().is_none() {
        html.raw("<p class=\"empty\">Nothing, since the process started.</p>\n");
        return;
    }
    html.raw("<ol class=\"events\">\n");
    for event in events {
        html.raw("<li").attribute("data-keep", format_args!("event-{}", event.id)).raw("><time");
        let at = Moment(event.at_ms);
        html.attribute("datetime", &at).raw(">").text(&at).raw("</time> ");
        if event.state.is_empty() {
            html.raw("<span class=\"state unknown\">").text(&event.kind).raw("</span> ");
        } else {
            badge(html, look(&event.state, 100));
            html.raw(" ");
        }
        if event.subject.contains('/') {
            html.raw("<a").attribute("href", format_args!("/servers?server={}", Percent(&event.subject))).raw(">");
            html.text(event.subject.trim_start_matches('@')).raw("</a> ");
        }
        // A sentence about a server begins with its name, which stands there already.
        let text = event.text.strip_prefix(&event.subject).map_or(event.text.as_str(), str::trim_start);
        html.raw("<span>").text(text).raw("</span></li>\n");
    }
    html.raw("</ol>\n");
}

fn filter(html: &mut Html, asked: &Asked) {
    html.raw(
        "<form class=\"filter\" method=\"get\" action=\"/events\" role=\"search\">\n<label for=\"q\">Filter</label> ",
    );
    html.raw("<input id=\"q\" name=\"q\" type=\"search\" placeholder=\"words, such as shop/a refused\"");
    html.attribute("value", asked.value("q").unwrap_or_default());
    html.raw(">\n<select name=\"kind\" aria-label=\"Which events\">");
    for (kind, word) in KINDS {
        html.raw("<option").attribute("value", kind);
        if asked.value("kind").unwrap_or_default() == kind {
            html.raw(" selected");
        }
        html.raw(">").raw(word).raw("</option>");
    }
    html.raw("</select>\n<button type=\"submit\">Show</button></form>\n");
}

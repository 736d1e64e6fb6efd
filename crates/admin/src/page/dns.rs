//! What DNS answers now: the names whose addresses are chosen by health, what was asked, and one query of one's own.

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::parts::{badge, spark};
use super::words::{Count, Rate, look};
use crate::report::{BalancedReport, ChosenReport, DnsAnswerReport, DnsReport, DnsViewReport, LiveReport, ZoneReport};

/// Most rows of a table: a page is to be read by somebody.
const ROWS: usize = 500;

/// Most servers of one name.
const SERVERS: usize = 32;

/// What the view shows.
#[derive(Debug, Default)]
pub(crate) struct DnsFacts {
    /// What is asked, and what is answered now.
    pub(crate) view: DnsViewReport,
    /// What the query that was asked for gets, or why it is none.
    pub(crate) answer: Option<Result<DnsAnswerReport, String>>,
}

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    html.raw("<h1>DNS</h1>\n");
    let found = facts.dns.as_ref().and_then(|dns| Some((dns, dns.view.asked.as_ref()?)));
    let Some((dns, totals)) = found else {
        html.raw(
            "<p class=\"empty\">No name is answered: there is no <code>dns</code> block in the configuration.</p>\n",
        );
        return;
    };
    numbers(html, totals);
    html.raw("<h2>Answers now</h2>\n");
    let zones = &dns.view.zones;
    let balanced = || zones.iter().flat_map(|zone| &zone.balanced);
    if balanced().next().is_none() {
        html.raw("<p class=\"empty\">No name's addresses are chosen by health: zones are answered as they are written.</p>\n");
    } else {
        table(html, "Answers now", &["Name", "Chosen by", "Addresses", "May be kept", "Goes by"]);
        balanced().take(ROWS).for_each(|name| name_row(html, name));
        end(html, balanced().count(), "names");
    }
    query(html, asked, dns.answer.as_ref());
    html.raw("<h2>Zones</h2>\n");
    table(html, "Zones", &["Zone", "Answered at", "Serial", "Names", "Queries"]);
    zones.iter().take(ROWS).for_each(|zone| zone_row(html, zone, totals));
    end(html, zones.len(), "zones");
    html.raw("<h2>Answers since the start</h2>\n<dl class=\"facts box table\">\n");
    for (rcode, count) in &totals.rcodes {
        html.element("<div><dt>", rcode, "</dt><dd>").text(Count(*count));
        if let Some(rate) = totals.live.as_ref().and_then(|live| live.rcodes_per_s.get(rcode)) {
            html.raw(", ").text(Rate(*rate)).raw(" a second");
        }
        html.raw("</dd></div>\n");
    }
    html.raw("</dl>\n");
}

fn numbers(html: &mut Html, totals: &DnsReport) {
    let number = |html: &mut Html, name: &'static str, value: u64, note: &'static str| {
        html.raw("<div><dt>")
            .raw(name)
            .raw("</dt><dd><b>")
            .text(Count(value))
            .raw("</b> <span class=\"dim\">")
            .raw(note);
        html.raw("</span></dd></div>\n");
    };
    html.raw("<dl class=\"numbers\">\n<div class=\"wide\"><dt>Queries a second</dt><dd><b>");
    match &totals.live {
        Some(live) => html.text(Rate(live.queries_per_s)),
        None => html.raw("–"),
    };
    html.raw("</b>");
    let recent = totals.live.as_ref().map(|live| LiveReport { recent: live.recent.clone(), ..LiveReport::default() });
    spark(html, recent.as_ref(), "large");
    html.raw("</dd></div>\n");
    number(html, "Queries", totals.udp.saturating_add(totals.tcp), "since the start");
    number(html, "Over TCP", totals.tcp, "of them");
    number(html, "Limited", totals.limited, "not answered");
    number(html, "Cut", totals.truncated, "for TCP to ask again");
    number(html, "Dropped", totals.dropped, "were no queries");
    number(html, "Transfers", totals.transfers, "to secondaries");
    html.raw("</dl>\n");
}

fn table(html: &mut Html, name: &'static str, heads: &[&'static str]) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\"").attribute("aria-label", name);
    html.raw("><table class=\"dense log\">\n<thead><tr>");
    for head in heads {
        html.raw("<th scope=\"col\">").raw(head).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
}

fn end(html: &mut Html, all: usize, what: &'static str) {
    html.raw("</tbody></table></div>\n");
    if let Some(more @ 1..) = all.checked_sub(ROWS) {
        html.raw("<p class=\"dim\">and ").text(more).raw(" more ").raw(what).raw("</p>\n");
    }
}

fn name_row(html: &mut Html, name: &BalancedReport) {
    html.raw("<tr").attribute("data-keep", format_args!("name-{}", name.name)).raw("><th scope=\"row\">");
    html.text(&name.name).element("</th><td>", &name.answer, "</td><td>");
    let is_none = name.now.is_empty() && !name.is_arrival;
    html.raw(if is_none { "<span class=\"warn\">" } else { "<span>" }).text(name.answered()).raw("</span>");
    html.raw("</td><td>").text(name.ttl).raw(" s</td><td class=\"c-why\">");
    if let Some(own) = &name.own {
        html.raw("this node ");
        badge(html, look(own, 100));
    }
    html.raw("<ol>");
    name.servers.iter().take(SERVERS).for_each(|server| chosen(html, server));
    if let Some(more @ 1..) = name.servers.len().checked_sub(SERVERS) {
        html.raw("<li class=\"dim\">and ").text(more).raw(" more</li>");
    }
    html.raw("</ol>");
    name.why.iter().for_each(|why| {
        html.element("<p class=\"dim\">", why, "</p>");
    });
    html.raw("</td></tr>\n");
}

/// A server that a choice goes by, and whether it is answered.
fn chosen(html: &mut Html, server: &ChosenReport) {
    html.raw("<li>");
    badge(html, look(&server.state, 100));
    html.raw(" ").text(&server.pool).raw("/").text(&server.server).raw(" <span class=\"dim\">");
    html.text(server.addresses.join(" ")).raw("</span>");
    if server.is_answered_with {
        html.raw(if server.is_answered { ", answered" } else { ", <b>not answered</b>" });
    }
    if !matches!(server.state.as_str(), "up") && !server.text.is_empty() {
        html.raw(": ").text(&server.text);
    }
    html.raw("</li>");
}

fn zone_row(html: &mut Html, zone: &ZoneReport, totals: &DnsReport) {
    html.raw("<tr").attribute("data-keep", format_args!("zone-{}", zone.name)).raw("><th scope=\"row\">");
    html.text(&zone.name).element("</th><td>", zone.listeners.join(" "), "</td><td>").text(zone.serial);
    html.raw("</td><td>").text(Count(zone.names)).raw("</td><td>");
    html.text(Count(totals.zones.get(&zone.name).copied().unwrap_or(0)));
    if let Some(rate) = totals.live.as_ref().and_then(|live| live.zones_per_s.get(&zone.name)) {
        html.raw(", ").text(Rate(*rate)).raw(" a second");
    }
    html.raw("</td></tr>\n");
}

/// A query of one's own, with its answer.
fn query(html: &mut Html, asked: &Asked, answer: Option<&Result<DnsAnswerReport, String>>) {
    html.raw("<h2>Ask</h2>\n<form class=\"filter\" method=\"get\" action=\"/dns\" role=\"search\">\n");
    for (name, label, hint) in [("name", "Name", "www.example.com"), ("type", "Type", "A"), ("client", "Client", "")] {
        html.raw("<label>").raw(label).raw(" <input autocomplete=\"off\"").attribute("name", name);
        html.attribute("placeholder", hint)
            .attribute("value", asked.value(name).unwrap_or_default())
            .raw("></label>\n");
    }
    html.raw("<button type=\"submit\">Ask</button></form>\n");
    match answer {
        None => {}
        Some(Err(why)) => {
            html.element("<p role=\"alert\" class=\"empty\">", why, "</p>\n");
        }
        Some(Ok(answer)) => {
            html.raw("<pre class=\"text\" tabindex=\"0\" role=\"region\" aria-label=\"The answer\">");
            html.text(&answer.question).raw(" → ").text(&answer.rcode).raw("\n");
            answer.answer.iter().for_each(|record| {
                html.text(record).raw("\n");
            });
            answer.authority.iter().for_each(|record| {
                html.text(record).raw("  (authority)\n");
            });
            answer.why.iter().for_each(|why| {
                html.raw("because ").text(why).raw("\n");
            });
            html.raw("</pre>\n");
        }
    }
}

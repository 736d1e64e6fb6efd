//! Sessions that answers told: each pool's table, and the sessions seen last.
//!
//! They are asked for once and not again and again: a table may hold a million.

use evenkeel_model::caps;
use evenkeel_model::config::Role;

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::parts::pool_name;
use super::words::{Bytes, Count};
use crate::render;
use crate::report::{SessionListReport, SessionReport, SessionTableReport};

/// Most sessions that the view shows.
pub(crate) const SESSIONS: usize = 100;

/// The tables, and the sessions that fit; or why none could be asked for.
#[derive(Debug, Default)]
pub(crate) struct SessionFacts {
    pub(crate) tables: Vec<SessionTableReport>,
    pub(crate) list: SessionListReport,
    pub(crate) refused: Option<String>,
}

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    html.raw("<h1>Sessions</h1>\n");
    let Some(sessions) = facts.sessions.as_ref().filter(|sessions| !sessions.tables.is_empty()) else {
        html.raw("<p class=\"empty\">No pool learns sessions. Those in sealed cookies need no table: the clients hold them.</p>\n");
        return;
    };
    html.raw("<p class=\"dim\" data-still>As of the moment that the page was asked for.</p>\n");
    for table in &sessions.tables {
        write_table(html, table);
    }
    filter(html, asked);
    match &sessions.refused {
        Some(why) => {
            html.element("<p role=\"alert\" class=\"empty\">", why, "</p>\n");
        }
        None => list(html, facts, &sessions.list),
    }
}

fn write_table(html: &mut Html, table: &SessionTableReport) {
    html.raw("<section class=\"box table\"><h2>").text(pool_name(&table.pool)).raw("</h2>\n<p class=\"sub\">");
    html.text(Count(table.held)).raw(" sessions in ").text(Bytes(table.bytes)).raw(" · ");
    html.text(Count(table.hits))
        .raw(" requests known, ")
        .text(Count(table.misses))
        .raw(" with an id that nobody told · ");
    html.text(Count(table.learned)).raw(" learned");
    if table.refused > 0 {
        html.raw(" · ").text(Count(table.refused)).raw(" not believed");
    }
    if table.evicted_used > 0 {
        html.raw(" · <span class=\"warn\">").text(Count(table.evicted_used));
        html.raw(" in use went for want of room: raise <code>sessions max</code></span>");
    }
    html.raw("</p>\n<dl class=\"facts\">");
    for server in &table.servers {
        html.raw("<div><dt>").text(&server.server).raw("</dt><dd>").text(Count(server.live)).raw(" live, ");
        html.text(Count(server.presented)).raw(" in use</dd></div>\n");
    }
    html.raw("</dl></section>\n");
}

fn filter(html: &mut Html, asked: &Asked) {
    html.raw("<form class=\"filter\" method=\"get\" action=\"/sessions\" role=\"search\">\n");
    for (name, label) in [("pool", "Pool"), ("server", "Server"), ("client", "Client"), ("session", "Session")] {
        // `server` stands for the open panel elsewhere.
        let name = if name == "server" { "on" } else { name };
        html.raw("<label>").raw(label).raw(" <input size=\"12\" autocomplete=\"off\" name=\"").raw(name).raw("\"");
        html.attribute("value", asked.value(name).unwrap_or_default()).raw("></label>\n");
    }
    html.raw("<button type=\"submit\">Show</button></form>\n");
}

fn list(html: &mut Html, facts: &Facts, list: &SessionListReport) {
    html.raw("<p>").text(Count(list.total)).raw(" fit");
    if list.total > SESSIONS as u64 {
        html.raw("; the ").text(SESSIONS).raw(" seen last are shown");
    }
    html.raw(".</p>\n<p id=\"told\" role=\"status\" data-script=\"told\"></p>\n");
    if list.sessions.is_empty() {
        return;
    }
    let may_order = facts.role >= Role::Operate;
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Sessions\"><table class=\"dense log\">\n<thead><tr>");
    for head in ["Session", "Server", "Client", "Learned", "Last seen", "Used", "Network changed"] {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    if may_order {
        html.raw("<th scope=\"col\"><span class=\"hidden\">Orders</span></th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for session in &list.sessions {
        row(html, session, list.at, may_order);
    }
    html.raw("</tbody></table></div>\n");
}

fn row(html: &mut Html, session: &SessionReport, at: u64, may_order: bool) {
    html.raw("<tr").attribute("data-keep", format_args!("session-{}", session.name));
    html.element("><td><code>", &session.name, "</code></td><td>").text(pool_name(&session.pool)).raw("/");
    match &session.server {
        Some(server) => html.text(server),
        None => html.raw("<span class=\"dim\">gone</span>"),
    };
    html.element("</td><td>", &session.client, "</td><td>");
    html.text(render::age(at.saturating_sub(session.born))).raw(" ago</td><td>");
    html.text(render::age(at.saturating_sub(session.seen))).raw(" ago</td><td>");
    html.raw(if session.presented { "yes" } else { "not yet" }).raw("</td><td>");
    match session.roams >= caps::TOKEN_NETWORKS {
        true => html.raw("<span class=\"warn\">").text(session.roams).raw(": copies may be about</span>"),
        false => html.text(session.roams),
    };
    html.raw("</td>");
    if may_order {
        // The name is made of digits; an order takes nothing else.
        html.raw("<td><button type=\"button\" class=\"quiet script\" hidden data-order=\"/api/v1/sessions/drop\"");
        html.attribute("data-body", format_args!("{{\"session\":\"{}\"}}", session.name));
        html.attribute("aria-label", format_args!("Drop the session {}", session.name)).raw(">Drop</button></td>");
    }
    html.raw("</tr>\n");
}

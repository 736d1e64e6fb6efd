//! One server beside the view: everything about it, and what may be ordered of it.

use evenkeel_model::config::Role;

use super::Facts;
use super::asked::Asked;
use super::events;
use super::health::bars;
use super::html::{Html, Percent};
use super::parts::{live, pool_name, spark, state};
use super::words::{Bytes, Count};
use crate::render;
use crate::report::{PoolReport, ServerReport};

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    let Some((pool_wanted, wanted)) = asked.server() else { return };
    html.raw("<aside class=\"panel\" id=\"panel\" aria-labelledby=\"panel-name\">\n<a class=\"close\"");
    html.attribute("href", asked.with(&[("server", "")]))
        .raw(" id=\"close\" aria-label=\"Close the server's panel\">✕</a>\n");
    let pool = facts.report.pools.iter().find(|pool| pool.name == pool_wanted);
    let found = pool.and_then(|pool| pool.servers.iter().find(|it| it.name == wanted).map(|server| (pool, server)));
    match found {
        Some((pool, server)) => {
            head(html, pool, server);
            ordered(html, server);
            orders(html, facts, pool, server);
            numbers(html, server);
            day(html, facts, pool, server);
            events::of_server(html, &facts.events, &format!("{}/{}", pool.name, server.name));
        }
        None => {
            html.raw("<h2 id=\"panel-name\">").text(wanted).raw("</h2><p>The pool <b>").text(pool_name(pool_wanted));
            html.raw("</b> has no such server any more.</p>\n");
        }
    }
    html.raw("</aside>\n");
}

fn head(html: &mut Html, pool: &PoolReport, server: &ServerReport) {
    html.raw("<h2 id=\"panel-name\"><span class=\"dim\">")
        .text(pool_name(&pool.name))
        .raw("/</span>")
        .text(&server.name);
    html.raw("</h2>\n<p class=\"line\">");
    state(html, server);
    html.raw(" <span class=\"dim\">for ").text(render::age(server.since_s)).raw("</span></p>\n<p class=\"why\">");
    html.text(&server.text).raw(" <span class=\"dim\">(").text(&server.reason).raw(")</span></p>\n");
    if let Some(answer) = &server.last_answer {
        html.raw("<p class=\"dim\">Its last answer to a check: <code>").text(answer).raw("</code></p>\n");
    }
    html.raw("<p>");
    live(html, &server.traffic);
    html.raw("</p>\n");
    spark(html, server.traffic.live.as_ref(), "large");
}

/// What is ordered of it already, and how its drain goes.
fn ordered(html: &mut Html, server: &ServerReport) {
    if let Some(intent) = &server.intent {
        html.raw("<p class=\"ordered\"><b>Ordered by ").text(&intent.by).raw(":</b> ");
        match (&intent.state, intent.weight) {
            (Some(state), Some(weight)) => html.text(state).raw(", weight ").text(weight),
            (Some(state), None) => html.text(state),
            (None, Some(weight)) => html.raw("weight ").text(weight),
            (None, None) => html,
        };
        if let Some(why) = &intent.why {
            html.raw(", “").text(why).raw("”");
        }
        match intent.left_s {
            Some(left) => html.raw(", ends in ").text(render::age(left)),
            None => html.raw(", until it is lifted"),
        };
        if !intent.is_kept {
            html.raw("; a restart forgets it, since no state directory can be written");
        }
        html.raw("</p>\n");
    }
    if let Some(drain) = &server.drain {
        html.raw("<p id=\"drain\">");
        if drain.is_over {
            html.raw("✓ Nobody is left: it can be taken away.");
        } else {
            html.raw("◐ ");
            if let Some(sessions) = &server.sessions {
                html.text(sessions).raw(" left, ");
            }
            html.text(Count(server.in_flight)).raw(" requests in flight; the last one came ");
            html.text(render::age(drain.quiet_s)).raw(" ago.");
        }
        html.raw("</p>\n");
    }
}

/// The orders, for whoever may give them. They need the script: without it nothing is changed.
fn orders(html: &mut Html, facts: &Facts, pool: &PoolReport, server: &ServerReport) {
    if facts.role < Role::Operate {
        return;
    }
    html.raw("<form class=\"orders script\" hidden id=\"orders\"");
    let path = format!("/api/v1/pools/{}/servers/{}", Percent(&pool.name), Percent(&server.name));
    html.attribute("data-path", path).attribute("data-name", format_args!("{}/{}", pool.name, server.name)).raw(">\n");
    html.raw("<h3>Order</h3>\n<p class=\"buttons\">");
    for (state, word, now) in
        [("ready", "Ready", "up"), ("drain", "Drain", "draining"), ("maint", "Maintenance", "maintenance")]
    {
        html.raw("<button type=\"submit\" name=\"state\"").attribute("value", state);
        if server.state == now {
            html.raw(" aria-pressed=\"true\"");
        }
        html.raw(">").raw(word).raw("</button> ");
    }
    html.raw("</p>\n<p class=\"fields\"><label>For <input name=\"for\" placeholder=\"2h\" size=\"6\" autocomplete=\"off\"></label> ");
    html.raw("<label>Why <input name=\"why\" placeholder=\"kernel update\" maxlength=\"200\" autocomplete=\"off\"></label></p>\n");
    html.raw("<p class=\"fields\"><label>Weight <input name=\"weight\" size=\"6\" autocomplete=\"off\"");
    html.attribute("placeholder", server.weight).raw("></label> ");
    html.raw("<button type=\"submit\" name=\"state\" value=\"weight\">Set weight</button></p>\n");
    html.raw("<p id=\"answer\" role=\"status\" data-script=\"answer\"></p></form>\n");
}

fn numbers(html: &mut Html, server: &ServerReport) {
    html.raw("<h3>Numbers</h3>\n<dl class=\"facts\">");
    let fact = |html: &mut Html, name: &'static str, value: &dyn std::fmt::Display| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd></div>\n");
    };
    fact(html, "Address", &server.address);
    fact(html, "Weight", &server.weight);
    if server.ramp_percent < 100 && server.state == "up" {
        fact(html, "Slow start", &format_args!("{} % of its weight", server.ramp_percent));
    }
    fact(html, "Used", &if server.backup { "only when no other server is left" } else { "always" });
    fact(html, "Checked", &if server.is_checked { "actively" } else { "by live traffic alone" });
    fact(html, "In flight", &Count(server.in_flight));
    fact(html, "Requests", &Count(server.requests));
    fact(html, "Failures", &Count(server.failures));
    fact(html, "Answers 5xx", &Count(server.errors_5xx));
    if let Some(sessions) = &server.sessions {
        fact(html, "Lives there", sessions);
    }
    fact(html, "By session", &Count(server.sticky_hits));
    fact(html, "Connections made", &Count(server.connects));
    fact(html, "Over kept ones", &Count(server.reused));
    fact(html, "Received", &Bytes(server.traffic.bytes_in));
    fact(html, "Sent", &Bytes(server.traffic.bytes_out));
    html.raw("</dl>\n");
}

fn day(html: &mut Html, facts: &Facts, pool: &PoolReport, server: &ServerReport) {
    let row = facts.timeline.rows.iter().find(|row| row.pool == pool.name && row.server == server.name);
    if let Some(row) = row {
        html.raw("<h3>Last 24 hours</h3>\n");
        bars(html, &row.steps, facts.timeline.step_s);
        html.raw("\n");
    }
}

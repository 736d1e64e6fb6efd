//! The topology: listeners with their routes, and the pools with the servers that they lead to.

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::parts::{live, pool_name, server_link, spark, state};
use super::words::{Count, Millis, Rate};
use crate::render;
use crate::report::{ListenerReport, PoolReport, RouteReport, ServerReport, StatusReport, TrafficReport};

/// Most listeners, pools, routes of a listener and servers of a pool that are drawn; the table has all.
const LISTENERS: usize = 40;
const POOLS: usize = 60;
const ROUTES: usize = 24;
const SERVERS: usize = 24;

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    let report = &facts.report;
    html.raw("<h1>Overview</h1>\n");
    numbers(html, report);
    html.raw("<section class=\"map\" aria-label=\"Topology\">\n<svg class=\"links\" aria-hidden=\"true\" data-script=\"links\"></svg>\n");
    html.raw("<div class=\"column\"><h2>Listeners and routes</h2>\n<ul class=\"boxes\">\n");
    for listener in report.listeners.iter().take(LISTENERS) {
        write_listener(html, report, listener);
    }
    more(html, report.listeners.len(), LISTENERS, "listeners");
    html.raw("</ul></div>\n<div class=\"column\"><h2>Pools and servers</h2>\n<ul class=\"boxes\">\n");
    // Where there are too many, those with something wrong come first.
    let mut pools: Vec<&PoolReport> = report.pools.iter().collect();
    if pools.len() > POOLS {
        pools.sort_by_key(|pool| pool.servers.iter().all(ServerReport::is_serving));
    }
    for pool in pools.iter().take(POOLS) {
        write_pool(html, asked, pool);
    }
    more(html, report.pools.len(), POOLS, "pools");
    html.raw("</ul></div>\n</section>\n");
}

fn more(html: &mut Html, all: usize, shown: usize, what: &'static str) {
    if let Some(more @ 1..) = all.checked_sub(shown) {
        html.raw("<li class=\"more\"><a href=\"/servers\">and ").text(more).raw(" more ").raw(what).raw("</a></li>\n");
    }
}

fn numbers(html: &mut Html, report: &StatusReport) {
    let totals = &report.totals;
    let live = report.live.as_ref();
    let number = |html: &mut Html, name: &'static str, value: &dyn std::fmt::Display, note: &dyn std::fmt::Display| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd><b>").text(value).raw("</b> <span class=\"dim\">").text(note);
        html.raw("</span></dd></div>\n");
    };
    html.raw("<dl class=\"numbers\">\n<div class=\"wide\"><dt>Requests a second</dt><dd><b>");
    match live {
        Some(live) => html.text(Rate(live.requests_per_s)),
        None => html.raw("–"),
    };
    html.raw("</b>");
    spark(html, live, "large");
    html.raw("</dd></div>\n");
    let (p50, p95) = live.map_or((None, None), |live| (live.p50_ms, live.p95_ms));
    number(html, "Half answered within", &Millis(p50), &"last minute");
    number(html, "95 % within", &Millis(p95), &"last minute");
    let accepted = format!("{} accepted", Count(totals.accepted));
    number(html, "Connections", &Count(totals.connections), &accepted);
    let errors = totals.by_class.get("5xx").copied().unwrap_or(0);
    let share = if totals.requests == 0 { 0.0 } else { errors as f64 * 100.0 / totals.requests as f64 };
    number(html, "Answered 5xx", &Count(errors), &format_args!("{share:.2} % since the start"));
    number(html, "Retries", &Count(totals.retries), &"since the start");
    html.raw("</dl>\n");
}

fn write_listener(html: &mut Html, report: &StatusReport, listener: &ListenerReport) {
    html.raw("<li class=\"box\"").attribute("data-keep", format_args!("listener-{}", listener.name)).raw("><h3>");
    html.text(&listener.name).raw("</h3>\n<p class=\"sub\">");
    live(html, &listener.traffic);
    html.raw(" <span class=\"dim\">")
        .text(Count(listener.connections))
        .raw(" open</span></p>\n<ol class=\"routes\">\n");
    for route in listener.routes.iter().take(ROUTES) {
        write_route(html, report, route, listener);
    }
    if let Some(more @ 1..) = listener.routes.len().checked_sub(ROUTES) {
        html.raw("<li class=\"dim\">and ").text(more).raw(" more routes</li>\n");
    }
    html.raw("</ol></li>\n");
}

/// How much may go this way: no more than comes in here, and no more than comes to the pool.
fn rate(report: &StatusReport, listener: &ListenerReport, pool: &str) -> f64 {
    let rate = |traffic: &TrafficReport| traffic.live.as_ref().map_or(0.0, |live| live.requests_per_s);
    let pool = report.pools.iter().find(|it| it.name == pool);
    pool.map_or(0.0, |pool| rate(&pool.traffic)).min(rate(&listener.traffic))
}

fn write_route(html: &mut Html, report: &StatusReport, route: &RouteReport, listener: &ListenerReport) {
    html.raw("<li");
    if let Some(pool) = &route.pool {
        html.attribute("data-to", pool).attribute("data-rate", format_args!("{:.1}", rate(report, listener, pool)));
    }
    html.raw("><code>");
    for host in &route.hosts {
        html.text(host).raw(" ");
    }
    html.text(&route.pattern).raw("</code> ");
    if let Some(also) = &route.also {
        html.element("<span class=\"dim\">", also, "</span> ");
    }
    match &route.pool {
        Some(pool) => html.raw("<span class=\"to\">→ ").text(pool_name(pool)).raw("</span>"),
        None => html.element("<span class=\"to\">", &route.does, "</span>"),
    };
    html.raw("</li>\n");
}

fn write_pool(html: &mut Html, asked: &Asked, pool: &PoolReport) {
    let serving = pool.servers.iter().filter(|server| server.is_serving()).count();
    html.raw("<li class=\"box\"").attribute("data-pool", &pool.name);
    html.attribute("data-keep", format_args!("pool-{}", pool.name)).raw("><h3>").text(pool_name(&pool.name));
    html.raw(" <span class=\"count ").raw(if serving == 0 { "down" } else { "" }).raw("\">").text(serving).raw(" of ");
    html.text(pool.servers.len()).raw(" serve</span></h3>\n<p class=\"sub\">");
    live(html, &pool.traffic);
    if pool.queued > 0 {
        html.raw(" <span class=\"warn\">").text(Count(pool.queued)).raw(" wait</span>");
    }
    html.raw("</p>\n<ul class=\"cards\">\n");
    let mut servers: Vec<&ServerReport> = pool.servers.iter().collect();
    if servers.len() > SERVERS {
        servers.sort_by_key(|server| server.is_serving());
    }
    for server in servers.iter().take(SERVERS) {
        card(html, asked, pool, server);
    }
    more(html, pool.servers.len(), SERVERS, "servers");
    html.raw("</ul></li>\n");
}

fn card(html: &mut Html, asked: &Asked, pool: &PoolReport, server: &ServerReport) {
    html.raw("<li>");
    server_link(html, asked, &pool.name, server, "card");
    html.raw("<span class=\"line\"><span class=\"name\">").text(&server.name).raw("</span>");
    state(html, server);
    html.raw("</span>");
    if server.is_serving() && server.reason != "initial" {
        html.raw("<span class=\"line\">");
        live(html, &server.traffic);
        html.raw("</span>");
        spark(html, server.traffic.live.as_ref(), "");
    } else {
        html.raw("<span class=\"why\">").text(&server.text).raw("</span>");
        if let Some(drain) = server.drain.as_ref().filter(|_| server.state == "draining") {
            html.raw("<span class=\"why\">");
            match (drain.is_over, &server.sessions) {
                (true, _) => html.raw("nobody is left"),
                (false, Some(sessions)) => html.text(sessions).raw(" left"),
                (false, None) => html.raw("not empty yet"),
            };
            html.raw("</span>");
        }
    }
    html.raw("<span class=\"line dim\"><span>").text(Count(server.in_flight)).raw(" in flight</span><span>for ");
    html.text(render::age(server.since_s)).raw("</span>");
    if server.backup {
        html.raw("<span>backup</span>");
    }
    html.raw("</span></a></li>\n");
}

//! The dense table: every server with everything that is counted, sorted and filtered by the URL.

use std::cmp::Ordering;

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::parts::{pool_name, server_link, state};
use super::words::{Bytes, Count, Millis, Rate};
use crate::render;
use crate::report::{PoolReport, ServerReport};

/// Most rows: a page is asked for again and again. Those that come first by the chosen order are shown.
const ROWS: usize = 300;

/// One row: a server in its pool.
type Row<'a> = (&'a PoolReport, &'a ServerReport);

/// One column.
struct Column {
    /// Its word in the URL.
    key: &'static str,
    /// What stands above it.
    head: &'static str,
    /// What it is, where the head is too short to say.
    title: &'static str,
    /// What its cells say, and what they are sorted by.
    cell: for<'a> fn(&'a mut Html, Row<'_>) -> &'a mut Html,
    order: fn(Row<'_>, Row<'_>) -> Ordering,
}

/// Compares by a number, the larger first.
macro_rules! by {
    ($field:expr) => {
        |a, b| {
            let number: fn(Row<'_>) -> f64 = $field;
            number(b).total_cmp(&number(a))
        }
    };
}

/// The columns after the server's own.
const COLUMNS: &[Column] = &[
    Column {
        key: "state",
        head: "State",
        title: "What it is held for",
        cell: |html, row| {
            state(html, row.1);
            html
        },
        order: |a, b| (a.1.is_serving(), &a.1.state).cmp(&(b.1.is_serving(), &b.1.state)),
    },
    Column {
        key: "since",
        head: "For",
        title: "How long it has had that state",
        cell: |html, row| html.text(render::age(row.1.since_s)),
        order: |a, b| a.1.since_s.cmp(&b.1.since_s),
    },
    Column {
        key: "weight",
        head: "Weight",
        title: "Its share, and how much of it counts while it starts slowly",
        cell: weight,
        order: by!(|row| f64::from(row.1.weight)),
    },
    Column {
        key: "rate",
        head: "Req/s",
        title: "Requests a second",
        cell: |html, row| html.text(Rate(rate(row))),
        order: by!(rate),
    },
    Column {
        key: "p50",
        head: "p50",
        title: "Half of the last minute's requests took no longer",
        cell: |html, row| html.text(Millis(row.1.traffic.live.as_ref().and_then(|live| live.p50_ms))),
        order: by!(|row| row.1.traffic.live.as_ref().and_then(|live| live.p50_ms).unwrap_or(-1.0)),
    },
    Column {
        key: "p95",
        head: "p95",
        title: "95 of 100 of the last minute's requests took no longer",
        cell: |html, row| html.text(Millis(row.1.traffic.live.as_ref().and_then(|live| live.p95_ms))),
        order: by!(|row| row.1.traffic.live.as_ref().and_then(|live| live.p95_ms).unwrap_or(-1.0)),
    },
    Column {
        key: "now",
        head: "Now",
        title: "Requests that it has now",
        cell: |html, row| html.text(Count(row.1.in_flight)),
        order: by!(|row| row.1.in_flight as f64),
    },
    Column {
        key: "sessions",
        head: "Sessions",
        title: "Sessions that live there, where they can be counted",
        cell: |html, row| match &row.1.sessions {
            Some(sessions) if sessions.is_exact => html.text(Count(sessions.live)),
            Some(sessions) => html.raw("≈ ").text(Count(sessions.live)),
            None => html.raw("–"),
        },
        order: by!(|row| row.1.sessions.map_or(-1.0, |sessions| sessions.live as f64)),
    },
    Column {
        key: "requests",
        head: "Requests",
        title: "Requests since the start, retries included",
        cell: |html, row| html.text(Count(row.1.requests)),
        order: by!(|row| row.1.requests as f64),
    },
    Column {
        key: "failures",
        head: "Failures",
        title: "Requests that failed by its fault",
        cell: |html, row| html.text(Count(row.1.failures)),
        order: by!(|row| row.1.failures as f64),
    },
    Column {
        key: "errors",
        head: "5xx",
        title: "Answers of 500 and above",
        cell: |html, row| html.text(Count(row.1.errors_5xx)),
        order: by!(|row| row.1.errors_5xx as f64),
    },
    Column {
        key: "in",
        head: "In",
        title: "Bytes received from clients for it",
        cell: |html, row| html.text(Bytes(row.1.traffic.bytes_in)),
        order: by!(|row| row.1.traffic.bytes_in as f64),
    },
    Column {
        key: "out",
        head: "Out",
        title: "Bytes sent to clients that came from it",
        cell: |html, row| html.text(Bytes(row.1.traffic.bytes_out)),
        order: by!(|row| row.1.traffic.bytes_out as f64),
    },
    Column {
        key: "connects",
        head: "Connects",
        title: "Connections made to it",
        cell: |html, row| html.text(Count(row.1.connects)),
        order: by!(|row| row.1.connects as f64),
    },
    Column {
        key: "reused",
        head: "Reused",
        title: "Requests that went over a kept connection",
        cell: |html, row| html.text(Count(row.1.reused)),
        order: by!(|row| row.1.reused as f64),
    },
    Column {
        key: "sticky",
        head: "Sticky",
        title: "Requests that came by their session",
        cell: |html, row| html.text(Count(row.1.sticky_hits)),
        order: by!(|row| row.1.sticky_hits as f64),
    },
    Column {
        key: "why",
        head: "Why",
        title: "Why it has that state",
        cell: |html, row| html.text(&row.1.text),
        order: |a, b| a.1.reason.cmp(&b.1.reason),
    },
];

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    html.raw("<h1>Servers</h1>\n");
    filter(html, asked);
    let rows = rows(asked, facts);
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Servers\"><table class=\"dense\">\n");
    html.raw("<caption class=\"hidden\">Servers with their state and counters since the start</caption>\n<thead><tr>");
    sortable(html, asked, ("server", "Server", "Pool and server"));
    for column in COLUMNS {
        sortable(html, asked, (column.key, column.head, column.title));
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for row in rows.iter().take(ROWS) {
        write_row(html, asked, *row);
    }
    html.raw("</tbody></table></div>\n");
    if let Some(more @ 1..) = rows.len().checked_sub(ROWS) {
        html.raw("<p class=\"dim\">and ").text(more).raw(" more: the filter finds them, and the CSV has all</p>\n");
    }
    if rows.is_empty() {
        html.raw("<p class=\"empty\">No server fits the filter.</p>\n");
    }
    listeners(html, facts);
}

fn filter(html: &mut Html, asked: &Asked) {
    html.raw("<form class=\"filter\" method=\"get\" action=\"/servers\" role=\"search\">\n");
    html.raw("<label for=\"q\">Filter</label> <input id=\"q\" name=\"q\" type=\"search\" placeholder=\"name, address, state or reason\"");
    html.attribute("value", asked.value("q").unwrap_or_default()).raw(">\n");
    for name in ["sort", "order"] {
        if let Some(value) = asked.value(name) {
            html.raw("<input type=\"hidden\"").attribute("name", name).attribute("value", value).raw(">\n");
        }
    }
    html.raw("<button type=\"submit\">Show</button> <a href=\"/;csv\" download=\"evenkeel.csv\">CSV</a> ");
    html.raw("<a href=\"/api/v1/status\">JSON</a></form>\n");
}

/// The rows that fit the filter, in order.
fn rows<'a>(asked: &Asked, facts: &'a Facts) -> Vec<Row<'a>> {
    let wanted: Vec<String> = asked.value("q").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let all = facts.report.pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
    let mut rows: Vec<Row<'_>> = all.filter(|row| fits(*row, &wanted)).collect();
    let order = asked.value("sort").and_then(|key| COLUMNS.iter().find(|column| column.key == key));
    match (order, asked.value("sort")) {
        (Some(column), _) => rows.sort_by(|a, b| (column.order)(*a, *b)),
        (None, Some("server")) => rows.sort_by(|a, b| (&a.0.name, &a.1.name).cmp(&(&b.0.name, &b.1.name))),
        _ => {}
    }
    if asked.value("order") == Some("back") {
        rows.reverse();
    }
    rows
}

fn fits((pool, server): Row<'_>, wanted: &[String]) -> bool {
    let id = format!("{}/{}", pool.name, server.name);
    let texts = [&id, &server.address, &server.state, &server.reason, &server.text];
    wanted.iter().all(|word| texts.iter().any(|text| text.to_lowercase().contains(word)))
}

fn sortable(html: &mut Html, asked: &Asked, (key, head, title): (&'static str, &'static str, &'static str)) {
    let is_sorted = asked.value("sort") == Some(key);
    let is_back = asked.value("order") == Some("back");
    html.raw("<th scope=\"col\" class=\"c-").raw(key).raw("\"");
    if is_sorted {
        html.attribute("aria-sort", if is_back { "ascending" } else { "descending" });
    }
    let order = if is_sorted && !is_back { "back" } else { "" };
    html.raw("><a").attribute("href", asked.with(&[("sort", key), ("order", order)])).attribute("title", title);
    html.attribute("data-keep", format_args!("sort-{key}")).raw(">").raw(head);
    if is_sorted {
        html.raw("<span aria-hidden=\"true\">").raw(if is_back { " ▴" } else { " ▾" }).raw("</span>");
    }
    html.raw("</a></th>");
}

fn write_row(html: &mut Html, asked: &Asked, row: Row<'_>) {
    let (pool, server) = row;
    html.raw("<tr").attribute("data-keep", format_args!("row-{}/{}", pool.name, server.name));
    html.raw("><th scope=\"row\">");
    server_link(html, asked, &pool.name, server, "plain");
    html.text(pool_name(&pool.name)).raw("/").text(&server.name).raw("</a>");
    if server.address != server.name {
        html.element(" <span class=\"dim\">", &server.address, "</span>");
    }
    if server.backup {
        html.raw(" <span class=\"dim\">backup</span>");
    }
    html.raw("</th>");
    for column in COLUMNS {
        html.raw("<td class=\"c-").raw(column.key).raw("\">");
        (column.cell)(html, row);
        html.raw("</td>");
    }
    html.raw("</tr>\n");
}

fn listeners(html: &mut Html, facts: &Facts) {
    html.raw("<h2>Listeners</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Listeners\"><table class=\"dense\">\n<thead><tr>");
    for head in
        ["Listener", "Open", "Accepted", "Req/s", "p50", "p95", "Requests", "2xx", "3xx", "4xx", "5xx", "In", "Out"]
    {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for listener in &facts.report.listeners {
        let live = listener.traffic.live.clone().unwrap_or_default();
        html.element("<tr><th scope=\"row\">", &listener.name, "</th><td>").text(Count(listener.connections));
        html.element("</td><td>", Count(listener.accepted), "</td><td>").text(Rate(live.requests_per_s));
        html.element("</td><td>", Millis(live.p50_ms), "</td><td>").text(Millis(live.p95_ms));
        html.element("</td><td>", Count(listener.requests), "</td>");
        for class in ["2xx", "3xx", "4xx", "5xx"] {
            html.element("<td>", Count(listener.traffic.by_class.get(class).copied().unwrap_or(0)), "</td>");
        }
        html.element("<td>", Bytes(listener.traffic.bytes_in), "</td>");
        html.element("<td>", Bytes(listener.traffic.bytes_out), "</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

fn weight<'a>(html: &'a mut Html, (_, server): Row<'_>) -> &'a mut Html {
    html.text(server.weight);
    if server.ramp_percent < 100 && server.state == "up" {
        html.raw(" <span class=\"dim\">").text(server.ramp_percent).raw(" %</span>");
    }
    html
}

fn rate(row: Row<'_>) -> f64 {
    row.1.traffic.live.as_ref().map_or(0.0, |live| live.requests_per_s)
}

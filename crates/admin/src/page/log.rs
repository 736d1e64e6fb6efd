//! The latest requests as the access logs have them, and one of them with where its time went.

use super::asked::Asked;
use super::html::Html;
use super::words::{Bytes, Millis};
use crate::lines::Request;
use crate::report::LogLine;

/// Most lines that a view shows: a page is asked for again and again.
pub(crate) const LINES: usize = 100;

/// The latest lines that are wanted, oldest first, and the one that is open beside them.
#[derive(Debug, Default)]
pub(crate) struct LogFacts {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) open: Option<LogLine>,
}

pub(super) fn write(html: &mut Html, asked: &Asked, facts: Option<&LogFacts>) {
    html.raw("<h1>Log</h1>\n");
    let Some(facts) = facts else {
        html.raw("<p class=\"empty\">Lines of the access log may hold ids of sessions: this needs the role <b>operate</b>.</p>\n");
        return;
    };
    filter(html, asked);
    if facts.lines.is_empty() {
        html.raw("<p class=\"empty\">No line fits. What is logged, and where to, is told by <code>log</code> in the configuration.</p>\n");
        return;
    }
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Requests\"><table class=\"dense log\">\n",
    );
    html.raw("<caption class=\"hidden\">The latest requests, the latest first</caption>\n<thead><tr>");
    for head in ["Time", "Status", "Request", "Server", "Took", "End", "Client"] {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for line in facts.lines.iter().rev() {
        row(html, asked, line);
    }
    html.raw("</tbody></table></div>\n");
}

fn filter(html: &mut Html, asked: &Asked) {
    html.raw(
        "<form class=\"filter\" method=\"get\" action=\"/log\" role=\"search\">\n<label for=\"q\">Filter</label> ",
    );
    html.raw("<input id=\"q\" name=\"q\" type=\"search\" placeholder=\"words, such as /cart 10.0.0.7\"");
    html.attribute("value", asked.value("q").unwrap_or_default())
        .raw(">\n<select name=\"only\" aria-label=\"Which requests\">");
    for (value, word) in [("", "all requests"), ("failed", "failed ones"), ("slow", "a second and more")] {
        html.raw("<option").attribute("value", value);
        if asked.value("only").unwrap_or_default() == value {
            html.raw(" selected");
        }
        html.raw(">").raw(word).raw("</option>");
    }
    html.raw("</select>\n<button type=\"submit\">Show</button> ");
    html.raw("<button type=\"button\" id=\"pause\" class=\"script\" data-script=\"pause\" aria-pressed=\"false\" hidden>Pause</button></form>\n");
}

fn row(html: &mut Html, asked: &Asked, line: &LogLine) {
    let number = line.number.to_string();
    let open = |html: &mut Html| {
        html.raw("<a class=\"plain\"").attribute("href", asked.with(&[("line", &number), ("server", "")]));
        html.attribute("data-keep", format_args!("open-{number}"));
        if asked.value("line") == Some(&number) {
            html.raw(" aria-current=\"true\"");
        }
        html.raw(">");
    };
    html.raw("<tr").attribute("data-keep", format_args!("line-{number}"));
    let Some(request) = Request::read(&line.text) else {
        html.raw("><td colspan=\"7\" class=\"line-text\">");
        open(html);
        html.raw("<code>").text(&line.text).raw("</code></a></td></tr>\n");
        return;
    };
    if request.has_failed() {
        html.raw(" class=\"bad\"");
    }
    // 2026-11-21T16:00:00.123Z: the day is seldom another one.
    let time = request.time.get(11..23).unwrap_or(&request.time);
    html.element("><td>", time, "</td><td>");
    html.text(request.status).raw("</td><td class=\"request\">");
    open(html);
    html.text(&request.method).raw(" ").text(&request.host).text(&request.target).raw("</a></td><td>");
    place(html, &request);
    html.element("</td><td>", Millis(request.t_total), "</td><td>");
    html.text(&request.end).raw("</td><td>").text(&request.client).raw("</td></tr>\n");
}

fn place(html: &mut Html, request: &Request) {
    match (request.pool.is_empty(), request.server.is_empty()) {
        (true, _) => html.raw("–"),
        (false, true) => html.text(super::parts::pool_name(&request.pool)),
        (false, false) => html.text(super::parts::pool_name(&request.pool)).raw("/").text(&request.server),
    };
}

/// The line that is open, beside the view.
pub(super) fn panel(html: &mut Html, asked: &Asked, facts: Option<&LogFacts>) {
    let (Some(number), Some(facts)) = (asked.value("line"), facts) else { return };
    html.raw("<aside class=\"panel\" id=\"panel\" aria-labelledby=\"panel-name\">\n<a class=\"close\"");
    html.attribute("href", asked.with(&[("line", "")]))
        .raw(" id=\"close\" aria-label=\"Close the request's panel\">✕</a>\n");
    html.raw("<h2 id=\"panel-name\">Request ").text(number).raw("</h2>\n");
    match facts.open.as_ref().map(|line| (line, Request::read(&line.text))) {
        Some((_, Some(request))) => whole(html, &request),
        Some((line, None)) => {
            html.element("<p class=\"why\"><code>", &line.text, "</code></p>\n");
        }
        None => {
            html.raw("<p>The line is no longer kept here; the log itself has it.</p>\n");
        }
    }
    html.raw("</aside>\n");
}

fn whole(html: &mut Html, request: &Request) {
    html.raw("<p class=\"why\"><b>").text(&request.method).raw(" ").text(&request.host).text(&request.target);
    html.raw("</b></p>\n<h3>Where its time went</h3>\n<dl class=\"facts\">");
    let phases = [
        ("Request read", request.t_head),
        ("Waited for a slot", request.t_queue),
        ("Connected", request.t_connect),
        ("First byte of the answer", request.t_first),
        ("In all", request.t_total),
    ];
    for (name, took) in phases.into_iter().filter(|(_, took)| took.is_some()) {
        fact(html, name, &Millis(took));
    }
    html.raw("</dl>\n<h3>What became of it</h3>\n<dl class=\"facts\">");
    fact(html, "Status", &request.status);
    fact(html, "End", &request.end);
    html.raw("<div><dt>Server</dt><dd>");
    place(html, request);
    html.raw("</dd></div>\n");
    fact(html, "Retries", &request.retries);
    fact(html, "Sent", &Bytes(request.bytes));
    let texts = [
        ("Session", &request.sticky),
        ("Known by", &request.sticky_by),
        ("Because", &request.sticky_why),
        ("Listener", &request.listener),
        ("Route", &request.route),
        ("Client", &request.client),
        ("Id", &request.id),
        ("Time", &request.time),
        ("User agent", &request.user_agent),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        fact(html, name, text);
    }
    html.raw("</dl>\n");
}

fn fact(html: &mut Html, name: &'static str, value: &dyn std::fmt::Display) {
    html.raw("<div><dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd></div>\n");
}

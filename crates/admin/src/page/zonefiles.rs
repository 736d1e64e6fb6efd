//! Zone files that are kept in step: each file's sets with their records, and the commands after changes.

use evenkeel_net::clock;

use super::Facts;
use super::html::Html;
use super::words::{Look, look};
use crate::render;
use crate::report::{RecordReport, SetReport, SheetReport, ThenReport, ZonefileReport};

/// Most records: a page is to be read by somebody.
const ROWS: usize = 1000;

pub(super) fn write(html: &mut Html, facts: &Facts) {
    html.raw("<h1>Zone files</h1>\n");
    let now = clock::unix_now().as_secs();
    if facts.report.zonefiles.is_empty() {
        html.raw("<p class=\"empty\">No zone file is kept in step: there is no <code>zonefile</code> block in the configuration.</p>\n");
    }
    for block in &facts.report.zonefiles {
        write_block(html, block, now);
    }
}

fn write_block(html: &mut Html, block: &ZonefileReport, now: u64) {
    html.element("<h2>", block.files.join(" "), "</h2>\n<p class=\"dim\">");
    if let Some(server) = &block.server {
        html.raw("updates to ").text(server).raw(" · ");
    }
    match block.last_round {
        Some(at) => html.raw("looked at ").text(render::age(now.saturating_sub(at))).raw(" ago"),
        None => html.raw("not looked at yet"),
    };
    html.raw(" · ").text(block.changes).raw(if block.changes == 1 { " change" } else { " changes" });
    html.raw(" since the start</p>\n<div class=\"scroll\"><table class=\"dense log\"><caption class=\"hidden\">Records</caption>\n");
    html.raw("<thead><tr><th scope=\"col\">Record</th><th scope=\"col\">Address</th><th scope=\"col\">State</th>");
    html.raw("<th scope=\"col\">For</th><th scope=\"col\">In the zone</th><th scope=\"col\">Why</th></tr></thead>\n<tbody>\n");
    let rows = block.sheets.iter().flat_map(|sheet| sheet.sets.iter().map(move |set| (sheet, set)));
    let rows = rows.flat_map(|(sheet, set)| set.records.iter().map(move |record| (sheet, set, record)));
    for (sheet, set, record) in rows.take(ROWS) {
        row(html, sheet, set, record, now);
    }
    html.raw("</tbody></table></div>\n");
    if let Some(more @ 1..) = block.records().count().checked_sub(ROWS) {
        html.raw("<p class=\"dim\">and ").text(more).raw(" more records</p>\n");
    }
    for then in &block.then {
        command(html, then, now);
    }
}

fn row(html: &mut Html, sheet: &SheetReport, set: &SetReport, record: &RecordReport, now: u64) {
    let Look { class, icon, word } = look(&record.state, 100);
    html.raw("<tr><th scope=\"row\"").attribute("title", format_args!("{} line {}", sheet.file, set.line)).raw(">");
    html.text(&set.owner).raw(" ").text(&set.kind).raw("</th><td>").text(&record.address);
    html.raw(" port ").text(record.port).raw("</td><td><span class=\"state ").raw(class);
    html.raw("\"><i aria-hidden=\"true\">").raw(icon).raw("</i> ").raw(word).raw("</span></td><td>");
    if record.since > 0 {
        html.text(render::age(now.saturating_sub(record.since)));
    }
    html.raw("</td><td>").raw(if record.parked { "parked" } else { "yes" });
    html.element("</td><td class=\"c-why\">", &record.why, "</td></tr>\n");
}

fn command(html: &mut Html, then: &ThenReport, now: u64) {
    html.element("<p><code>", &then.command, "</code> ");
    match (then.owed, then.last_run) {
        (true, Some(at)) => {
            let why = then.failure.as_deref().unwrap_or_default();
            html.raw("failed ")
                .text(render::age(now.saturating_sub(at)))
                .raw(" ago and will be tried again: ")
                .text(why)
        }
        (true, None) => html.raw("is due"),
        (false, Some(at)) => html.raw("succeeded ").text(render::age(now.saturating_sub(at))).raw(" ago"),
        (false, None) => html.raw("was not run yet"),
    };
    html.raw("</p>\n");
}

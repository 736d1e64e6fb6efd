//! Configurations: what runs, what a reload would change, and what was before, with the way back to it.
//!
//! Reading and comparing take a look at the disk: the view is made anew when something happens, and not again and again.
//! The invariant: nothing here changes the file.

use evenkeel_model::config::Role;

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::words::Moment;
use crate::report::{ConfigDiff, ConfigText, HistoryEntry};

/// Most bytes of a configuration's text, and of a difference, that a page shows; the API has the rest.
const SHOWN: usize = 40 * 1024;
/// Most sentences on what a configuration changed, in the history.
const CHANGES: usize = 6;

/// What the view shows.
#[derive(Debug)]
pub(crate) struct ConfigFacts {
    /// Two configurations beside each other, or why they cannot be.
    pub(crate) diff: Result<ConfigDiff, String>,
    /// What one was made of: its name and its text, or why it is not there.
    pub(crate) text: (String, Result<ConfigText, String>),
    /// What was applied, oldest first.
    pub(crate) history: Vec<HistoryEntry>,
}

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    html.raw("<h1>Configuration</h1>\n");
    let Some(config) = &facts.config else { return };
    html.raw("<p class=\"dim\" data-still=\"events\">As of the last event, or of the moment that the page was asked for.</p>\n");
    running(html, facts, &config.history);
    html.raw("<p id=\"told\" role=\"status\" data-script=\"told\"></p>\n");
    compare(html, facts, config);
    history(html, asked, config);
    text(html, &config.text);
}

/// Where what runs comes from.
fn running(html: &mut Html, facts: &Facts, history: &[HistoryEntry]) {
    let config = &facts.report.config;
    html.raw("<dl class=\"facts box table\"><div><dt>File</dt><dd><code>").text(&config.path);
    html.raw("</code></dd></div>\n<div><dt>Runs</dt><dd>generation ").text(config.generation);
    if config.kept_as > 0 {
        html.raw(", kept as ").text(config.kept_as);
    }
    html.raw("</dd></div>\n<div><dt>Applied</dt><dd>").text(Moment(config.applied_at.saturating_mul(1000)));
    if let Some(entry) = history.iter().find(|entry| entry.is_running && !entry.by.is_empty()) {
        html.raw(" by ").text(&entry.by);
    }
    html.raw("</dd></div>\n<div><dt>Reloads</dt><dd>").text(config.reloads_applied).raw(" applied, ");
    html.text(config.reloads_refused).raw(" refused</dd></div>\n");
    if let Some(last) = config.last_reload.as_ref().filter(|last| !last.ok) {
        html.raw("<div><dt>Last reload</dt><dd><span class=\"warn\">refused</span> at ");
        html.text(Moment(last.at.saturating_mul(1000))).raw("</dd></div>\n");
    }
    html.raw("</dl>\n");
}

fn compare(html: &mut Html, facts: &Facts, config: &ConfigFacts) {
    let diff = match &config.diff {
        Ok(diff) => diff,
        Err(why) => {
            html.element("<p role=\"alert\" class=\"empty\">", why, "</p>\n");
            return;
        }
    };
    html.raw("<h2 id=\"compared\">");
    match (diff.from.as_str(), diff.to.as_str()) {
        ("running", "file") => html.raw("What a reload would change"),
        ("running", to) => html.raw("What going back to ").text(to).raw(" would change"),
        (from, to) => html.raw("From ").text(from).raw(" to ").text(to),
    };
    html.raw("</h2>\n");
    sentences(html, diff);
    if !diff.text.is_empty() {
        html.raw("<pre class=\"text\" tabindex=\"0\" role=\"region\" aria-label=\"The difference of the texts\">");
        let (shown, is_cut) = cut(&diff.text);
        shown.lines().for_each(|line| difference(html, line));
        html.raw("</pre>\n");
        if is_cut {
            html.raw(
                "<p class=\"dim\">It is longer than this: <code>evenkeel config diff</code> shows all of it.</p>\n",
            );
        }
    }
    back(html, facts, config, diff);
}

/// What the difference comes to.
fn sentences(html: &mut Html, diff: &ConfigDiff) {
    if !diff.errors.is_empty() {
        html.raw(
            "<section class=\"concerns\" aria-labelledby=\"broken\"><h2 id=\"broken\">It would be refused</h2>\n<ul>\n",
        );
        diff.errors.iter().for_each(|error| {
            html.element("<li><code>", error, "</code></li>\n");
        });
        html.raw("</ul></section>\n");
    }
    match (diff.changes.is_empty(), diff.errors.is_empty(), diff.text.is_empty()) {
        (false, ..) => {
            html.raw("<ul class=\"changes\">\n");
            diff.changes.iter().for_each(|change| {
                html.element("<li>", change, "</li>\n");
            });
            html.raw("</ul>\n");
        }
        (true, true, true) => {
            html.raw("<p>Nothing: both say the same.</p>\n");
        }
        (true, true, false) => {
            html.raw("<p>Nothing that runs: the texts differ, what they mean does not.</p>\n");
        }
        (true, false, _) => {}
    }
}

/// A line of a difference in the unified form.
fn difference(html: &mut Html, line: &str) {
    let is_head = line.starts_with("+++") || line.starts_with("---");
    match line.as_bytes().first() {
        Some(b'+') if !is_head => html.element("<ins>", line, "</ins>"),
        Some(b'-') if !is_head => html.element("<del>", line, "</del>"),
        _ => html.text(line).raw("\n"),
    };
}

/// The order to go back, beside what it would change.
fn back(html: &mut Html, facts: &Facts, config: &ConfigFacts, diff: &ConfigDiff) {
    let number = diff.to.parse().ok().filter(|_| diff.from == "running");
    let entry = number.and_then(|number: u64| config.history.iter().find(|entry| entry.number == number));
    let Some(entry) = entry.filter(|entry| facts.role >= Role::Admin && !entry.is_running) else { return };
    html.raw("<p><button type=\"button\" class=\"script\" hidden data-order=\"/api/v1/config/rollback\"");
    html.attribute("data-body", format_args!("{{\"number\":{}}}", entry.number));
    html.attribute("data-sure", format_args!("Press again: all traffic follows configuration {}", entry.number));
    html.raw(">Roll back to ").text(entry.number).raw("</button> <span class=\"dim\">The file stays as it is; ");
    html.raw("the next reload or restart takes the file again.</span></p>\n");
}

fn history(html: &mut Html, asked: &Asked, config: &ConfigFacts) {
    html.raw("<h2>History</h2>\n");
    if config.history.is_empty() {
        html.raw(
            "<p class=\"empty\">Nothing is kept: that takes a <code>state</code> directory that can be written.</p>\n",
        );
        return;
    }
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"History\"><table class=\"dense log\">\n",
    );
    html.raw("<caption class=\"hidden\">Configurations that were applied, the latest first</caption>\n<thead><tr>");
    for head in ["Number", "Applied", "By", "What it changed", "Look"] {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (at, entry) in config.history.iter().enumerate().rev() {
        let before = at.checked_sub(1).and_then(|at| config.history.get(at));
        row(html, asked, entry, before);
    }
    html.raw("</tbody></table></div>\n");
}

fn row(html: &mut Html, asked: &Asked, entry: &HistoryEntry, before: Option<&HistoryEntry>) {
    html.raw("<tr").attribute("data-keep", format_args!("config-{}", entry.number)).raw("><th scope=\"row\">");
    html.text(entry.number);
    if entry.is_running {
        html.raw(" <span class=\"state up\"><i aria-hidden=\"true\">✓</i> runs</span>");
    }
    html.raw("</th><td>").text(Moment(entry.at.saturating_mul(1000))).element("</td><td>", &entry.by, "</td>");
    html.raw("<td class=\"request\">");
    for (at, change) in entry.changes.iter().take(CHANGES).enumerate() {
        html.raw(if at > 0 { "; " } else { "" }).text(change);
    }
    if let Some(more @ 1..) = entry.changes.len().checked_sub(CHANGES) {
        html.raw("; and ").text(more).raw(" more");
    }
    html.raw("</td><td>");
    let number = entry.number.to_string();
    let link = |html: &mut Html, changes: &[(&str, &str)], word: &'static str| {
        html.raw("<a").attribute("href", asked.with(changes));
        html.attribute("aria-label", format_args!("Configuration {number}: {word}")).raw(">").raw(word).raw("</a> ");
    };
    link(html, &[("text", &number)], "text");
    if let Some(before) = before {
        link(html, &[("from", &before.number.to_string()), ("to", &number)], "its change");
    }
    if !entry.is_running {
        link(html, &[("from", ""), ("to", &number)], "go back…");
    }
    html.raw("</td></tr>\n");
}

fn text(html: &mut Html, (name, text): &(String, Result<ConfigText, String>)) {
    html.raw("<h2>Text of ");
    match name.as_str() {
        "running" => html.raw("what runs"),
        "file" => html.raw("the file"),
        number => html.raw("configuration ").text(number),
    };
    html.raw("</h2>\n");
    let files = match text {
        Ok(text) => &text.files,
        Err(why) => {
            html.element("<p role=\"alert\" class=\"empty\">", why, "</p>\n");
            return;
        }
    };
    let mut room = SHOWN;
    for file in files {
        html.element("<h3>", &file.path, "</h3>\n<pre class=\"text\" tabindex=\"0\" role=\"region\"");
        html.attribute("aria-label", format_args!("Text of {}", file.path)).raw(">");
        let (shown, is_cut) = cut_to(&file.text, room);
        room = room.saturating_sub(shown.len());
        html.text(shown).raw("</pre>\n");
        if is_cut {
            html.raw(
                "<p class=\"dim\">It is longer than this: <code>evenkeel config show</code> shows all of it.</p>\n",
            );
        }
    }
}

fn cut(text: &str) -> (&str, bool) {
    cut_to(text, SHOWN)
}

/// The whole lines of a text that there is room for, and whether some are missing.
fn cut_to(text: &str, room: usize) -> (&str, bool) {
    if text.len() <= room {
        return (text, false);
    }
    let end = text.as_bytes().iter().take(room).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (text.get(..end).unwrap_or_default(), true)
}

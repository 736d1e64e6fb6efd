//! A day of states: a row for each server, a bar for each run of steps with the same state.

use super::Facts;
use super::asked::Asked;
use super::html::Html;
use super::parts::{pool_name, server_link};
use crate::report::{PoolReport, ServerReport, TimelineRow};

/// Most rows: those with something to show come first where there are more.
const ROWS: usize = 200;

/// The letters of a day, each with its class and its word.
const LETTERS: [(char, &str, &str); 6] = [
    ('u', "up", "up"),
    ('d', "down", "down"),
    ('r', "drain", "draining"),
    ('m', "maint", "maintenance"),
    ('?', "unknown", "unknown"),
    ('-', "none", "not known"),
];

pub(super) fn write(html: &mut Html, asked: &Asked, facts: &Facts) {
    html.raw("<h1>Health in the last 24 hours</h1>\n<ul class=\"legend\">\n");
    for (_, class, word) in LETTERS {
        html.raw("<li><span class=\"swatch ")
            .raw(class)
            .raw("\" aria-hidden=\"true\"></span> ")
            .raw(word)
            .raw("</li>\n");
    }
    html.raw("</ul>\n<p class=\"dim\">Each step is five minutes and shows the gravest state in it. It is counted from the start of the process.</p>\n");
    html.raw("<table class=\"days\"><caption class=\"hidden\">States of each server in the last 24 hours</caption>\n");
    html.raw("<thead><tr><th scope=\"col\">Server</th><th scope=\"col\"><span class=\"scale\"><span>24 h ago</span><span>18 h</span>");
    html.raw("<span>12 h</span><span>6 h</span><span>now</span></span></th></tr></thead>\n<tbody>\n");
    let rows = &facts.timeline.rows;
    let mut shown: Vec<&TimelineRow> = rows.iter().collect();
    if shown.len() > ROWS {
        shown.sort_by_key(|row| !row.steps.contains(['d', 'r', 'm']));
    }
    for row in shown.into_iter().take(ROWS) {
        if let Some((pool, server)) = find(facts, row) {
            html.raw("<tr><th scope=\"row\">");
            server_link(html, asked, &pool.name, server, "plain");
            html.text(pool_name(&pool.name)).raw("/").text(&server.name).raw("</a></th><td>");
            bars(html, &row.steps, facts.timeline.step_s);
            html.raw("</td></tr>\n");
        }
    }
    html.raw("</tbody></table>\n");
    if let Some(more @ 1..) = rows.len().checked_sub(ROWS) {
        html.raw("<p class=\"dim\">and ").text(more).raw(" more servers</p>\n");
    }
    super::events::changes(html, &facts.events);
}

fn find<'a>(facts: &'a Facts, row: &TimelineRow) -> Option<(&'a PoolReport, &'a ServerReport)> {
    let pool = facts.report.pools.iter().find(|pool| pool.name == row.pool)?;
    pool.servers.iter().find(|server| server.name == row.server).map(|server| (pool, server))
}

/// A day as bars, with its sum in words for whoever does not see them.
pub(super) fn bars(html: &mut Html, steps: &str, step_s: u64) {
    let length = steps.chars().count().max(1);
    html.raw("<svg class=\"day\" role=\"img\" preserveAspectRatio=\"none\"");
    html.attribute("viewBox", format_args!("0 0 {length} 10")).attribute("aria-label", sum(steps, step_s)).raw(">");
    let mut at = 0;
    let mut rest = steps;
    while let Some(letter) = rest.chars().next() {
        let run = rest.chars().take_while(|other| *other == letter).count();
        let class = LETTERS.iter().find(|(known, ..)| *known == letter).map_or("none", |(_, class, _)| class);
        html.raw("<rect y=\"0\" height=\"10\"").attribute("class", class).attribute("x", at);
        html.attribute("width", run).raw("/>");
        at += run;
        rest = rest.trim_start_matches(letter);
    }
    html.raw("</svg>");
}

/// `up 3 h 20 min, down 5 min`.
fn sum(steps: &str, step_s: u64) -> String {
    let mut parts = Vec::new();
    for (letter, _, word) in LETTERS.into_iter().filter(|(letter, ..)| *letter != '-') {
        let count = steps.chars().filter(|other| *other == letter).count();
        let minutes = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(step_s) / 60;
        match (minutes / 60, minutes % 60) {
            (0, 0) => {}
            (0, minutes) => parts.push(format!("{word} {minutes} min")),
            (hours, minutes) => parts.push(format!("{word} {hours} h {minutes} min")),
        }
    }
    if parts.is_empty() { "nothing is known yet".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_day_is_said_in_words() {
        assert_eq!(sum("---", 300), "nothing is known yet");
        assert_eq!(sum("--uudr", 300), "up 10 min, down 5 min, draining 5 min");
        assert_eq!(sum(&"u".repeat(25), 300), "up 2 h 5 min");
    }
}

//! The other nodes of the cluster: how they are heard, whom they hear, and what they see otherwise.
//!
//! The invariant: what a node says of itself counts only while it is heard, and is shown only then.

use super::super::html::Html;
use super::super::parts::badge;
use super::super::words::{Count, Look};
use super::begin;
use crate::report::{ClusterReport, NodeReport, PathReport};

/// Servers that one node sees otherwise, as far as they are listed.
const SEEN: usize = 100;

pub(super) fn write(html: &mut Html, cluster: &ClusterReport) {
    html.raw("<h2>Other nodes</h2>\n");
    if cluster.nodes.is_empty() {
        html.raw("<p class=\"empty\">There is none, or the heartbeat thread does not answer.</p>\n");
        return;
    }
    let heads =
        ["Node", "Heard here", "Paths", "Can serve", "Ping nodes", "Shares", "Configuration", "Replayed or late"];
    begin(html, "Nodes", &heads);
    cluster.nodes.iter().for_each(|node| row(html, node));
    html.raw("</tbody></table></div>\n");
    hearing(html, cluster);
    otherwise(html, cluster);
}

fn row(html: &mut Html, node: &NodeReport) {
    html.raw("<tr").attribute("data-keep", format_args!("node-{}", node.name)).raw("><th scope=\"row\">");
    html.text(&node.name).raw("</th><td>");
    badge(html, heard(&node.state));
    if let Some(age) = node.age_ms {
        html.raw(" <span class=\"dim\">").text(age).raw(" ms ago</span>");
    }
    if node.drained {
        html.raw(" <span class=\"warn\">drained</span>");
    }
    html.raw("</td><td><ol>");
    node.paths.iter().enumerate().for_each(|(number, it)| path(html, number, it));
    html.raw("</ol></td><td>").text(node.score).raw(" %</td><td>");
    html.raw(if node.reaches { "reached" } else { "<span class=\"warn\">not reached</span>" });
    html.raw("</td><td>");
    match &node.share_trouble {
        Some(why) => html.element("<span class=\"warn\">nothing: ", why, "</span>"),
        None if node.shares => html
            .text(Count(node.sessions_sent))
            .raw(" sessions told, ")
            .text(Count(node.sessions_received))
            .raw(" heard"),
        None => html.raw("<span class=\"dim\">–</span>"),
    };
    html.raw("</td><td>").raw(match (node.other_config, node.other_file) {
        (true, _) => "<span class=\"warn\">another cluster block</span>",
        (false, true) => "<span class=\"warn\">another file</span>",
        (false, false) if node.shares => "the same",
        (false, false) => "<span class=\"dim\">–</span>",
    });
    html.raw("</td><td>").text(node.refused).raw("</td></tr>\n");
}

fn path(html: &mut Html, number: usize, path: &PathReport) {
    html.raw("<li>").text(number + 1);
    if let Some(address) = &path.address {
        html.raw(" <span class=\"dim\">").text(address).raw("</span>");
    }
    html.raw(": ");
    match (&path.trouble, path.age_ms) {
        (Some(trouble), _) => html.element("<span class=\"warn\">", trouble, "</span>"),
        (None, Some(age)) if path.silent => html.element("<span class=\"warn\">silent</span>, ", age, " ms ago"),
        (None, Some(age)) => html.text(age).raw(" ms ago, ").text(path.loss).raw(" % lost"),
        (None, None) => html.raw("<span class=\"warn\">silent</span>"),
    };
    html.raw("</li>");
}

/// Who hears whom: this node by its own ears, each other one by its last word.
fn hearing(html: &mut Html, cluster: &ClusterReport) {
    html.raw(
        "<h2>Who hears whom</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Who hears whom\">",
    );
    html.raw("<table class=\"dense log\">\n<thead><tr><td></td>");
    let names = || std::iter::once(&cluster.node).chain(cluster.nodes.iter().map(|node| &node.name));
    for name in names() {
        html.element("<th scope=\"col\">hears ", name, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n<tr data-keep=\"ears-of-this-node\">");
    html.element("<th scope=\"row\">", &cluster.node, "</th><td><span class=\"dim\">–</span></td>");
    for node in &cluster.nodes {
        html.raw("<td>");
        badge(html, heard(&node.state));
        html.raw("</td>");
    }
    html.raw("</tr>\n");
    for node in &cluster.nodes {
        html.raw("<tr").attribute("data-keep", format_args!("ears-{}", node.name));
        html.element("><th scope=\"row\">", &node.name, "</th>");
        for other in names() {
            html.raw("<td>");
            ear(html, node, other);
            html.raw("</td>");
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

/// Whether a node hears that one, by its own word.
fn ear(html: &mut Html, node: &NodeReport, other: &String) {
    if node.hears.contains(other) {
        badge(html, Look { class: "up", icon: "✓", word: "yes" });
    } else if node.deaf_to.contains(other) {
        badge(html, Look { class: "down", icon: "✕", word: "no" });
    } else {
        html.raw(if node.name == *other {
            "<span class=\"dim\">–</span>"
        } else {
            "<span class=\"dim\">not known</span>"
        });
    }
}

/// Servers that another node holds for something else than this one does.
fn otherwise(html: &mut Html, cluster: &ClusterReport) {
    html.raw("<h2>What other nodes see otherwise</h2>\n");
    if cluster.nodes.iter().all(|node| node.sees_otherwise.is_empty()) {
        html.raw("<p class=\"empty\">Nothing: every node that is heard holds each server for the same.</p>\n");
        return;
    }
    begin(html, "What other nodes see otherwise", &["Server", "At", "Held there for", "Here for", "Why, there"]);
    for node in &cluster.nodes {
        for it in node.sees_otherwise.iter().take(SEEN) {
            html.raw("<tr").attribute("data-keep", format_args!("otherwise-{}-{}", node.name, it.server));
            html.element("><th scope=\"row\">", &it.server, "</th>").element("<td>", &node.name, "</td>");
            html.element("<td>", &it.state, "</td>").element("<td>", &it.here, "</td>");
            html.element("<td class=\"c-why\">", &it.text, "</td></tr>\n");
        }
    }
    html.raw("</tbody></table></div>\n");
}

/// How well a node is heard.
fn heard(state: &str) -> Look {
    match state {
        "up" => Look { class: "up", icon: "✓", word: "heard" },
        "late" => Look { class: "drain", icon: "◐", word: "late" },
        "dead" => Look { class: "down", icon: "✕", word: "silent" },
        "left" => Look { class: "maint", icon: "‖", word: "left" },
        _ => Look { class: "unknown", icon: "?", word: "never heard" },
    }
}

//! The cluster as this node sees it: who owns what since when and why, what a takeover would do, the last moves, who hears
//! whom on which path, and what other nodes see otherwise.

mod nodes;

use evenkeel_model::config::Role;

use super::Facts;
use super::events;
use super::html::{Html, Percent};
use super::parts::badge;
use super::words::Look;
use crate::render;
use crate::report::{ClusterReport, GroupReport};

/// The orders for a group: what is sent, the button's word, and what it is sure to say when it is pressed once.
const ORDERS: [(&str, &str, &str); 3] = [
    ("takeover", "Take over", "Press again: this node takes it"),
    ("standby", "Stand by", "Press again: another node takes it"),
    ("ready", "Ready", ""),
];

pub(super) fn write(html: &mut Html, facts: &Facts) {
    html.raw("<h1>Cluster</h1>\n");
    let Some(cluster) = &facts.report.cluster else {
        html.raw("<p class=\"empty\">This node stands alone: there is no <code>cluster</code> block in the configuration.</p>\n");
        return;
    };
    html.raw("<p>")
        .text(&cluster.name)
        .raw(", seen by this node, <b>")
        .text(&cluster.node)
        .raw("</b> <span class=\"dim\">(");
    html.text(&cluster.phase).raw(if cluster.drained { ", drained" } else { "" }).raw(")</span></p>\n");
    concerns(html, cluster);
    groups(html, facts, cluster);
    moves(html, cluster);
    nodes::write(html, cluster);
    events::of_cluster(html, &facts.events);
}

/// A table that may be wider than the page, up to its rows.
fn begin(html: &mut Html, name: &'static str, heads: &[&'static str]) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\"").attribute("aria-label", name);
    html.raw("><table class=\"dense log\">\n<thead><tr>");
    for head in heads {
        html.raw("<th scope=\"col\">").raw(head).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
}

/// When groups came to this node, and how long nobody had owned them.
fn moves(html: &mut Html, cluster: &ClusterReport) {
    let mut moves = cluster.groups.iter().flat_map(|group| group.moves.iter().map(move |it| (group, it))).peekable();
    html.raw("<h2>Last moves</h2>\n");
    if moves.peek().is_none() {
        html.raw("<p class=\"empty\">No group has come to this node since it started.</p>\n");
        return;
    }
    begin(html, "Last moves", &["Came here", "Ago", "No owner for", "Why"]);
    for (group, it) in moves {
        html.element("<tr><th scope=\"row\">", &group.name, "</th><td>").text(render::age(it.age_s));
        html.raw("</td><td>").text(it.ownerless_ms).raw(" ms</td>");
        html.element("<td class=\"c-why\">", &it.why, "</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

fn concerns(html: &mut Html, cluster: &ClusterReport) {
    let concerns = render::cluster_concerns(cluster);
    if concerns.is_empty() {
        return;
    }
    html.raw("<section class=\"concerns\" aria-labelledby=\"of-cluster\"><h2 id=\"of-cluster\">What needs a look in the cluster</h2>\n<ul>\n");
    concerns.iter().for_each(|concern| {
        html.element("<li>", concern, "</li>\n");
    });
    html.raw("</ul></section>\n");
}

fn groups(html: &mut Html, facts: &Facts, cluster: &ClusterReport) {
    if cluster.groups.is_empty() {
        return;
    }
    let may_order = facts.role >= Role::Operate;
    html.raw("<h2>Groups</h2>\n<p id=\"told\" role=\"status\" data-script=\"told\"></p>\n");
    let heads =
        ["Group", "Owner", "This node", "Since", "Next, if the owner dies", "Why", "Taken over here now", "Orders"];
    begin(html, "Groups", heads.get(..heads.len() - usize::from(!may_order)).unwrap_or(&heads));
    cluster.groups.iter().for_each(|group| group_row(html, group, may_order));
    html.raw("</tbody></table></div>\n");
}

fn group_row(html: &mut Html, group: &GroupReport, may_order: bool) {
    html.raw("<tr").attribute("data-keep", format_args!("group-{}", group.name)).raw("><th scope=\"row\">");
    html.text(&group.name).raw("</th><td>");
    match group.owners.as_slice() {
        [] => badge(html, Look { class: "down", icon: "✕", word: "nobody" }),
        [owner] => {
            html.text(owner);
        }
        owners => {
            badge(html, Look { class: "down", icon: "✕", word: "several" });
            html.raw(" ").text(owners.join(" and "));
        }
    }
    html.raw("</td><td>");
    badge(html, role(&group.role));
    if group.standby {
        html.raw(" <span class=\"warn\">standby</span>");
    }
    html.raw("</td><td>").text(render::age(group.since_s)).raw("</td><td>");
    match &group.next {
        Some(next) => html.text(next),
        None => html.raw("<span class=\"warn\">nobody</span>"),
    };
    html.element("</td><td class=\"c-why\">", &group.why, "</td>");
    html.element("<td class=\"c-why\">", &group.takeover, "</td>");
    if may_order {
        html.raw("<td>");
        for (order, word, sure) in ORDERS {
            html.raw("<button type=\"button\" class=\"quiet script\" hidden");
            html.attribute("data-order", format_args!("/api/v1/cluster/groups/{}", Percent(&group.name)));
            html.attribute("data-body", format_args!("{{\"order\":\"{order}\"}}"));
            if !sure.is_empty() {
                html.attribute("data-sure", sure);
            }
            html.attribute("aria-label", format_args!("{word}: {}", group.name)).raw(">").raw(word).raw("</button> ");
        }
        html.raw("</td>");
    }
    html.raw("</tr>\n");
}

/// This node's part in a group.
fn role(role: &str) -> Look {
    match role {
        "owner" => Look { class: "up", icon: "✓", word: "owner" },
        "idle" => Look { class: "unknown", icon: "·", word: "idle" },
        "asking" => Look { class: "drain", icon: "◐", word: "asking" },
        "starting" => Look { class: "slow", icon: "▲", word: "starting" },
        "yielding" => Look { class: "drain", icon: "◐", word: "yielding" },
        "stopping" => Look { class: "drain", icon: "◐", word: "stopping" },
        "doubting" => Look { class: "drain", icon: "?", word: "doubting" },
        "failed" => Look { class: "down", icon: "✕", word: "failed" },
        "stuck" => Look { class: "down", icon: "✕", word: "stuck" },
        _ => Look { class: "unknown", icon: "?", word: "unknown" },
    }
}

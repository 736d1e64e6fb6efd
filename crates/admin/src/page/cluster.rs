//! The cluster as this node sees it: who is heard on which path, who owns what since when and why, and the last moves.

use evenkeel_model::config::Role;

use super::Facts;
use super::events;
use super::html::{Html, Percent};
use super::parts::badge;
use super::words::{Count, Look};
use crate::render;
use crate::report::{ClusterReport, GroupReport, NodeReport, PathReport};

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
    html.text(&cluster.phase).raw(")</span></p>\n");
    concerns(html, cluster);
    groups(html, facts, cluster);
    nodes(html, cluster);
    html.raw("<h2>Last moves</h2>\n");
    moves(html, cluster);
    events::of_cluster(html, &facts.events);
}

/// When groups came to this node, and how long nobody had owned them.
fn moves(html: &mut Html, cluster: &ClusterReport) {
    let mut moves = cluster.groups.iter().flat_map(|group| group.moves.iter().map(move |it| (group, it))).peekable();
    if moves.peek().is_none() {
        return;
    }
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Last moves\"><table class=\"dense log\">\n<thead><tr>");
    for head in ["Came here", "Ago", "No owner for", "Why"] {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
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
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Groups\"><table class=\"dense log\">\n<thead><tr>");
    for head in ["Group", "Owner", "This node", "Since", "Next, if the owner dies", "Why"] {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    if may_order {
        html.raw("<th scope=\"col\"><span class=\"hidden\">Orders</span></th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
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

fn nodes(html: &mut Html, cluster: &ClusterReport) {
    html.raw("<h2>Other nodes</h2>\n");
    if cluster.nodes.is_empty() {
        html.raw("<p class=\"empty\">There is none, or the heartbeat thread does not answer.</p>\n");
        return;
    }
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Nodes\"><table class=\"dense log\">\n<thead><tr>");
    for head in
        ["Node", "Heard here", "Hears this node", "Paths", "Can serve", "Ping nodes", "Sessions", "Replayed or late"]
    {
        html.element("<th scope=\"col\">", head, "</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    cluster.nodes.iter().for_each(|node| node_row(html, node));
    html.raw("</tbody></table></div>\n");
}

fn node_row(html: &mut Html, node: &NodeReport) {
    html.raw("<tr").attribute("data-keep", format_args!("node-{}", node.name)).raw("><th scope=\"row\">");
    html.text(&node.name).raw("</th><td>");
    badge(html, heard(&node.state));
    if let Some(age) = node.age_ms {
        html.raw(" <span class=\"dim\">").text(age).raw(" ms ago</span>");
    }
    html.raw("</td><td>").raw(if node.hears_us { "✓ yes" } else { "<span class=\"warn\">✕ no</span>" });
    html.raw("</td><td><ol>");
    node.paths.iter().enumerate().for_each(|(number, it)| path(html, number, it));
    html.raw("</ol></td><td>").text(node.score).raw(" %</td><td>");
    html.raw(if node.reaches { "reached" } else { "<span class=\"warn\">not reached</span>" });
    html.raw("</td><td>");
    match &node.share_trouble {
        Some(why) => html.element("<span class=\"warn\">not shared: ", why, "</span>"),
        None if node.shares => {
            html.text(Count(node.sessions_sent)).raw(" told, ").text(Count(node.sessions_received)).raw(" heard")
        }
        None => html.raw("<span class=\"dim\">–</span>"),
    };
    html.raw("</td><td>").text(node.refused);
    if node.other_config {
        html.raw(" <span class=\"warn\">another configuration</span>");
    }
    html.raw("</td></tr>\n");
}

fn path(html: &mut Html, number: usize, path: &PathReport) {
    html.raw("<li>").text(number + 1).raw(": ");
    match (&path.trouble, path.age_ms) {
        (Some(trouble), _) => html.element("<span class=\"warn\">", trouble, "</span>"),
        (None, Some(age)) => html.text(age).raw(" ms ago, ").text(path.loss).raw(" % lost"),
        (None, None) => html.raw("<span class=\"dim\">silent</span>"),
    };
    html.raw("</li>");
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

//! The cluster on a terminal: what is wrong first, then groups, then nodes.

use std::fmt::{self, Write};

use super::table::Table;
use super::words::{age, plain};
use crate::report::{ClusterReport, NodeReport, OtherViewReport};

/// Servers of which is shown that another node sees them otherwise.
const SHOWN: usize = 5;

/// The cluster as text.
pub fn cluster(report: &ClusterReport) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(to: &mut String, report: &ClusterReport) -> fmt::Result {
    let drained = if report.drained { ", drained" } else { "" };
    let (name, node, phase) = (plain(&report.name), plain(&report.node), plain(&report.phase));
    writeln!(to, "cluster {name}, seen by node {node} ({phase}{drained})")?;
    for concern in concerns(report) {
        writeln!(to, "! {concern}")?;
    }
    if !report.groups.is_empty() {
        let mut table = Table::new(&["GROUP", "OWNER", "HERE", "SINCE", "NEXT", "WHY"], 6);
        for group in &report.groups {
            let owner = if group.owners.is_empty() { "nobody".to_owned() } else { plain(&group.owners.join(" and ")) };
            let here = if group.standby { format!("{}, standby", group.role) } else { group.role.clone() };
            let next = group.next.as_deref().unwrap_or("nobody");
            table.row([plain(&group.name), owner, here, age(group.since_s), plain(next), plain(&group.why)]);
        }
        write!(to, "\n{table}")?;
    }
    let moves = report.groups.iter().flat_map(|group| group.moves.iter().map(move |it| (group, it)));
    let mut table = Table::new(&["CAME HERE", "AGO", "NO OWNER FOR", "WHY"], 4);
    let mut has_moved = false;
    for (group, it) in moves {
        has_moved = true;
        table.row([plain(&group.name), age(it.age_s), format!("{} ms", it.ownerless_ms), plain(&it.why)]);
    }
    if has_moved {
        write!(to, "\n{table}")?;
    }
    let mut table = Table::new(&["NODE", "STATE", "HEARS US", "PATHS", "SCORE", "NETWORK"], 6);
    for node in &report.nodes {
        let heard =
            node.age_ms.map(|age| format!("{}, {age} ms ago", node.state)).unwrap_or_else(|| node.state.clone());
        let heard = if node.drained { format!("{heard}, drained") } else { heard };
        let hears = if node.hears_us { "yes" } else { "no" };
        let network = if node.reaches { "reached" } else { "not reached" };
        table.row([
            plain(&node.name),
            heard,
            hears.to_owned(),
            paths(node),
            format!("{}%", node.score),
            network.to_owned(),
        ]);
    }
    write!(to, "\n{table}")
}

fn paths(node: &NodeReport) -> String {
    let path = |(number, path): (usize, &crate::report::PathReport)| match (&path.trouble, path.age_ms) {
        (Some(trouble), _) => format!("{}: {}", number + 1, plain(trouble)),
        (None, Some(age)) if path.silent => format!("{}: silent, {age} ms ago", number + 1),
        (None, Some(age)) => format!("{}: {age} ms ago, {}% lost", number + 1, path.loss),
        (None, None) => format!("{}: silent", number + 1),
    };
    let paths: Vec<String> = node.paths.iter().enumerate().map(path).collect();
    if paths.is_empty() { "none".to_owned() } else { paths.join("; ") }
}

/// Whether this node hears that one.
fn is_heard(report: &ClusterReport, name: &str) -> bool {
    report.nodes.iter().any(|node| node.name == name && matches!(node.state.as_str(), "up" | "late"))
}

/// What somebody should look at, a sentence each.
pub(crate) fn concerns(report: &ClusterReport) -> Vec<String> {
    let mut concerns = Vec::new();
    if report.phase == "silent" {
        concerns.push("the heartbeat thread does not answer".to_owned());
    }
    concerns.extend(report.troubles.iter().map(|trouble| plain(trouble)));
    for node in &report.nodes {
        hearing_concerns(&mut concerns, report, node);
        sharing_concerns(&mut concerns, node);
    }
    for group in &report.groups {
        let name = plain(&group.name);
        match group.owners.as_slice() {
            [] if report.phase != "silent" => concerns.push(format!("nobody owns group {name}")),
            [_, _, ..] => {
                concerns.push(format!("group {name} has several owners: {}", plain(&group.owners.join(", "))))
            }
            _ => {}
        }
        if matches!(group.role.as_str(), "failed" | "stuck") {
            concerns.push(format!("group {name} is {} here: {}", group.role, plain(&group.why)));
        }
    }
    concerns
}

/// How a node is heard, and whom it hears.
fn hearing_concerns(concerns: &mut Vec<String>, report: &ClusterReport, node: &NodeReport) {
    let name = plain(&node.name);
    match node.state.as_str() {
        // What comes is no heartbeat of it, and said below.
        "never" if node.paths.iter().any(|path| path.trouble.is_some()) => {}
        "never" => concerns.push(format!("{name} was never heard: is it running, and does UDP reach this node?")),
        "late" => concerns.push(format!("{name} is late")),
        "dead" => concerns.push(format!("{name} is silent")),
        _ => {}
    }
    if node.state == "up" && !node.hears_us {
        concerns.push(format!("{name} does not hear this node: look at the way from here to there"));
    }
    for other in node.deaf_to.iter().filter(|other| is_heard(report, other)) {
        concerns.push(format!(
            "{name} does not hear {}, which this node hears: look at the way between them",
            plain(other)
        ));
    }
    if matches!(node.state.as_str(), "up" | "late") {
        let silent = node.paths.iter().enumerate().filter(|(_, path)| path.silent && path.trouble.is_none());
        concerns.extend(silent.map(|(number, path)| {
            let address = path.address.as_deref().map(|it| format!(", from {}", plain(it))).unwrap_or_default();
            format!("nothing comes from {name} over path {}{address}: look at that network", number + 1)
        }));
    }
}

/// What a node has or sees otherwise.
fn sharing_concerns(concerns: &mut Vec<String>, node: &NodeReport) {
    let name = plain(&node.name);
    if node.other_config {
        concerns.push(format!("{name} has another `cluster` block: make them the same"));
    }
    if node.other_file {
        concerns.push(format!("{name} runs another configuration than this node"));
    }
    if let Some(why) = node.share_trouble.as_deref().filter(|_| node.state == "up") {
        concerns.push(format!(
            "sessions, orders and token keys are not shared with {name}, each node goes on with its own: {}",
            plain(why)
        ));
    }
    for other in node.sees_otherwise.iter().take(SHOWN) {
        let OtherViewReport { server, state, text, here } = other;
        let (server, text) = (plain(server), plain(text));
        concerns.push(format!("{name} holds {server} for {state}, this node for {here}: {text}"));
    }
    if let Some(more) = node.sees_otherwise.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        concerns.push(format!("{name} holds {more} more servers for something else than this node"));
    }
    for trouble in node.paths.iter().filter_map(|path| path.trouble.as_deref()) {
        concerns.push(format!("{name}: {}", plain(trouble)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{GroupReport, PathReport};

    #[test]
    fn what_is_wrong_comes_first() {
        let node = |name: &str, state: &str, hears_us: bool| NodeReport {
            name: name.to_owned(),
            state: state.to_owned(),
            hears_us,
            score: 100,
            reaches: true,
            ..NodeReport::default()
        };
        let group = GroupReport {
            name: "web".to_owned(),
            role: "owner".to_owned(),
            owners: vec!["lb1".to_owned(), "lb2".to_owned()],
            why: "no node owned it".to_owned(),
            ..GroupReport::default()
        };
        let mut report = ClusterReport {
            name: "edge".to_owned(),
            node: "lb1".to_owned(),
            phase: "active".to_owned(),
            drained: false,
            nodes: vec![node("lb2", "up", false), node("lb3", "dead", false)],
            groups: vec![group],
            troubles: vec!["addresses on eth0 cannot be announced".to_owned()],
        };
        report.nodes[0].deaf_to = vec!["lb1".to_owned(), "lb3".to_owned(), "lb4".to_owned()];
        report.nodes[0].paths = vec![
            PathReport::default(),
            PathReport { address: Some("10.9.0.2".to_owned()), silent: true, ..PathReport::default() },
        ];
        report.nodes.push(node("lb4", "up", true));
        let text = cluster(&report);
        let expected = "cluster edge, seen by node lb1 (active)\n\
                        ! addresses on eth0 cannot be announced\n\
                        ! lb2 does not hear this node: look at the way from here to there\n\
                        ! lb2 does not hear lb4, which this node hears: look at the way between them\n\
                        ! nothing comes from lb2 over path 2, from 10.9.0.2: look at that network\n\
                        ! lb3 is silent\n\
                        ! group web has several owners: lb1, lb2\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("web    lb1 and lb2  owner  0s     nobody  no node owned it"), "{text}");
    }
}

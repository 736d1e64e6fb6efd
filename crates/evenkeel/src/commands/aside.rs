//! `drain --node`, `ready --node`: this node as a whole, done when its groups are elsewhere, or cannot be.

use std::time::Duration;

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::node::NodeWish;
use evenkeel_admin::report::AsideReport;

use super::remote::{client, failed, print_json};
use super::steer::{LOOK, limit};
use crate::args::HowArgs;
use crate::exit::Exit;
use crate::output;

/// How long groups may take to go elsewhere.
const MOVES: Duration = Duration::from_secs(20);

pub(super) fn order(args: &HowArgs, drained: bool) -> Exit {
    let limit = match limit(args) {
        Ok(limit) => limit,
        Err(exit) => return exit,
    };
    let client = client(args.remote.control.as_deref());
    let first = match client.order_node(&NodeWish { drained, why: args.why.clone() }) {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    let waited = match (drained, limit) {
        (false, _) => Ok(first),
        (true, None) => wait(&client, first, MOVES, |report| report.groups.is_empty()),
        (true, Some(limit)) => {
            wait(&client, first, limit, |report| report.groups.is_empty() && report.connections == 0)
        }
    };
    let report = match waited {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    if args.remote.json {
        print_json(&report);
    } else {
        output::print(sentence(&report));
    }
    let is_empty = report.groups.is_empty() && (limit.is_none() || report.connections == 0);
    if !report.unkept && (!drained || is_empty) { Exit::Done } else { Exit::Partial }
}

/// Looks until it is so, or the time is over.
fn wait(
    client: &Client,
    first: AsideReport,
    limit: Duration,
    is_so: impl Fn(&AsideReport) -> bool,
) -> Result<AsideReport, ClientError> {
    let mut report = first;
    for _ in 0..=limit.as_millis().div_ceil(LOOK.as_millis()) {
        if is_so(&report) {
            break;
        }
        let pause = async { tokio::time::sleep(LOOK).await };
        if evenkeel_node::run_beside(pause).is_err() {
            break;
        }
        report = client.node()?;
    }
    Ok(report)
}

/// What holds now, in one line.
fn sentence(report: &AsideReport) -> String {
    let mut text = state(report);
    if report.unkept {
        text.push_str(
            "; it could not be written down, and a restart forgets it: the state directory cannot be written",
        );
    }
    text
}

fn state(report: &AsideReport) -> String {
    if report.drained.is_none() {
        return "this node is ready: groups come back as their `failback` says, or by `evenkeel cluster takeover`"
            .to_owned();
    }
    let groups = match report.groups.as_slice() {
        [] => "no group is here".to_owned(),
        groups => format!("still here, since no other node can take them: {}", groups.join(", ")),
    };
    let connections = match report.connections {
        0 => "no connection is open".to_owned(),
        1 => "1 connection is open".to_owned(),
        many => format!("{many} connections are open"),
    };
    format!("this node is drained; {groups}; {connections}")
}

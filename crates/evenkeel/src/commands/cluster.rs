//! `cluster`: how it is, and moving its groups; done when the group is where it was ordered.

use std::time::Duration;

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::cluster::{GroupWish, WishedMove};
use evenkeel_admin::render;
use evenkeel_admin::report::{ClusterReport, GroupReport};

use super::remote::{client, failed, print_json};
use crate::args::{ClusterCommand, GroupArgs, RemoteArgs};
use crate::exit::Exit;
use crate::output;

/// How often a move that was ordered is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Looks in a row at a group that does not move after which it is not waited for any more: five seconds.
const STILL: u32 = 100;
/// Looks at the most: the times of all that is in a group, if it is much.
const LOOKS: u32 = 24_000;

pub(crate) fn cluster(command: &ClusterCommand) -> Exit {
    match command {
        ClusterCommand::Status(args) => status(args),
        ClusterCommand::Takeover(args) if args.dry_run => preview(&args.group),
        ClusterCommand::Takeover(args) => order(&args.group, WishedMove::Takeover),
        ClusterCommand::Standby(args) => order(args, WishedMove::Standby),
        ClusterCommand::Ready(args) => order(args, WishedMove::Ready),
        ClusterCommand::Init(args) => super::init::init(args, &secret()),
        ClusterCommand::Key => key(),
    }
}

fn status(args: &RemoteArgs) -> Exit {
    match client(args.control.as_deref()).cluster() {
        Ok(report) if args.json => print_json(&report),
        Ok(report) => output::print(render::cluster(&report).trim_end()),
        Err(error) => failed(&error),
    }
}

/// A secret that nobody can guess, on one line.
fn key() -> Exit {
    output::print(secret())
}

fn secret() -> String {
    evenkeel_node::chance().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn order(args: &GroupArgs, wish: WishedMove) -> Exit {
    let client = client(args.remote.control.as_deref());
    let groups = match groups(&client, args) {
        Ok(groups) => groups,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Done;
    for group in groups {
        match order_one(&client, &group, wish) {
            Ok(report) => {
                if args.remote.json {
                    print_json(&report);
                } else {
                    output::print(sentence(&report, wish));
                }
                if !is_there(&report, wish) && exit == Exit::Done {
                    exit = Exit::Partial;
                }
            }
            // Another group may well move.
            Err(error @ ClientError::Refused(_)) => exit = failed(&error),
            Err(error) => return failed(&error),
        }
    }
    exit
}

/// What a takeover would do.
fn preview(args: &GroupArgs) -> Exit {
    let report = match client(args.remote.control.as_deref()).cluster() {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    let is_meant = |group: &&GroupReport| args.group.as_ref().is_none_or(|name| *name == group.name);
    let groups: Vec<&GroupReport> = report.groups.iter().filter(is_meant).collect();
    if let Some(name) = args.group.as_ref().filter(|_| groups.is_empty()) {
        let known: Vec<&str> = report.groups.iter().map(|group| group.name.as_str()).collect();
        output::say(format_args!("evenkeel: there is no group `{name}`; there are {}", known.join(", ")));
        return Exit::Failed;
    }
    for group in groups {
        if args.remote.json {
            print_json(group);
        } else {
            output::print(format!("group {}: {}", group.name, group.takeover));
        }
    }
    Exit::Done
}

/// The group that was named, or all.
fn groups(client: &Client, args: &GroupArgs) -> Result<Vec<String>, Exit> {
    if let Some(group) = &args.group {
        return Ok(vec![group.clone()]);
    }
    let report = client.cluster().map_err(|error| failed(&error))?;
    Ok(report.groups.into_iter().map(|group| group.name).collect())
}

/// Orders, and looks until the group is where it should be, or does not come there.
fn order_one(client: &Client, name: &str, wish: WishedMove) -> Result<GroupReport, ClientError> {
    let find = |report: ClusterReport| report.groups.into_iter().find(|group| group.name == name).unwrap_or_default();
    let mut group = find(client.order_group(name, GroupWish { order: wish })?);
    let mut still = 0;
    for _ in 0..LOOKS {
        still = if group.moving { 0 } else { still + 1 };
        let is_over = is_there(&group, wish) || has_failed(&group, wish) || still > STILL;
        if is_over {
            break;
        }
        let pause = async { tokio::time::sleep(LOOK).await };
        if evenkeel_node::run_beside(pause).is_err() {
            break;
        }
        group = find(client.cluster()?);
    }
    Ok(group)
}

fn is_there(group: &GroupReport, wish: WishedMove) -> bool {
    match wish {
        WishedMove::Takeover => group.role == "owner",
        WishedMove::Standby => group.standby && group.role == "idle" && !group.owners.is_empty(),
        WishedMove::Ready => !group.standby,
    }
}

/// Whether it will not come here, since something of it did not start here.
fn has_failed(group: &GroupReport, wish: WishedMove) -> bool {
    wish == WishedMove::Takeover && matches!(group.role.as_str(), "failed" | "stuck")
}

fn sentence(group: &GroupReport, wish: WishedMove) -> String {
    let owner = match group.owners.as_slice() {
        [] => "nobody owns it".to_owned(),
        owners => format!("owned by {}", owners.join(" and ")),
    };
    let why = match (wish, group.role.as_str()) {
        (WishedMove::Takeover, "idle") if !group.owners.is_empty() => "it was asked for, and not given",
        _ => group.why.as_str(),
    };
    format!("group {}: {owner}; here it is {}: {why}", group.name, group.role)
}

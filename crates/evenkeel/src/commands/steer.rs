//! `drain`, `maint`, `ready`, `weight`: orders for one server, done when all traffic sees them.

use std::time::Duration;

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::report::ServerReport;
use evenkeel_admin::servers::{ServerWish, WishedState, WishedWeight, duration};

use super::remote::{client, failed, print_json};
use crate::args::{AsideArgs, HowArgs, OrderArgs, WeightArgs};
use crate::exit::Exit;
use crate::output;

/// How often a drain that is waited for is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn drain(args: &AsideArgs) -> Exit {
    match &args.server {
        Some(server) => order(server, &args.how, &wish(&args.how, WishedState::Drain)),
        None => super::aside::order(&args.how, true),
    }
}

pub(crate) fn maint(args: &OrderArgs) -> Exit {
    order(&args.server, &args.how, &wish(&args.how, WishedState::Maint))
}

pub(crate) fn ready(args: &AsideArgs) -> Exit {
    match &args.server {
        Some(server) => order(server, &args.how, &wish(&args.how, WishedState::Ready)),
        None => super::aside::order(&args.how, false),
    }
}

pub(crate) fn weight(args: &WeightArgs) -> Exit {
    let weight = match args.weight.parse::<u16>() {
        Ok(weight) => WishedWeight::Fixed(weight),
        Err(_) => WishedWeight::Percent(args.weight.clone()),
    };
    let wish = ServerWish {
        weight: Some(weight),
        lasting: args.order.how.lasting.clone(),
        why: args.order.how.why.clone(),
        ..ServerWish::default()
    };
    order(&args.order.server, &args.order.how, &wish)
}

fn wish(args: &HowArgs, state: WishedState) -> ServerWish {
    ServerWish { state: Some(state), weight: None, lasting: args.lasting.clone(), why: args.why.clone() }
}

/// How long is to be waited, if at all.
pub(super) fn limit(args: &HowArgs) -> Result<Option<Duration>, Exit> {
    match args.wait.as_deref().map(|text| duration(text).ok_or(text)) {
        None => Ok(None),
        Some(Ok(limit)) => Ok(Some(limit)),
        Some(Err(text)) => {
            let allowed = "a number and its unit, such as `90s` or `5m`";
            output::say(format_args!("evenkeel: `{text}` is no duration: {allowed}"));
            Err(Exit::Bad)
        }
    }
}

fn order(server: &str, args: &HowArgs, wish: &ServerWish) -> Exit {
    let limit = match limit(args) {
        Ok(limit) => limit,
        Err(exit) => return exit,
    };
    let client = client(args.remote.control.as_deref());
    let (pool, server) = match place(&client, server) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let report = match client.order(&pool, &server, wish) {
        Ok(report) => report,
        Err(error) => return refused(&error),
    };
    let report = match limit {
        None => report,
        Some(limit) => match wait(&client, &pool, &server, report, limit) {
            Ok(report) => report,
            Err(exit) => return exit,
        },
    };
    if report.intent.as_ref().is_some_and(|intent| !intent.is_kept) {
        output::say("evenkeel: a restart forgets this: the daemon has no state directory that it can write to");
    }
    match args.remote.json {
        true => print_json(&report),
        false => output::print(sentence(&pool, &report)),
    }
}

/// Waits until nobody is left on the server. What is waited for is said on the standard error.
fn wait(client: &Client, pool: &str, server: &str, first: ServerReport, limit: Duration) -> Result<ServerReport, Exit> {
    let mut report = first;
    let mut told = String::new();
    let looks = limit.as_millis().div_ceil(LOOK.as_millis());
    for _ in 0..=looks {
        if is_empty(&report) {
            return Ok(report);
        }
        let now = left(&report);
        if now != told {
            output::say(format_args!("{pool}/{server}: {now}"));
            told = now;
        }
        let pause = async { tokio::time::sleep(LOOK).await };
        if evenkeel_node::run_beside(pause).is_err() {
            break;
        }
        report = client.server(pool, server).map_err(|error| refused(&error))?;
    }
    output::say(format_args!("evenkeel: {pool}/{server} still has {}; it goes on draining", left(&report)));
    Err(Exit::Partial)
}

fn is_empty(report: &ServerReport) -> bool {
    match &report.drain {
        Some(drain) => drain.is_over,
        None => report.in_flight == 0,
    }
}

fn left(report: &ServerReport) -> String {
    let requests = match report.in_flight {
        1 => "1 request".to_owned(),
        many => format!("{many} requests"),
    };
    let sessions = report.sessions.filter(|_| report.drain.is_some());
    let sessions = sessions.map(|sessions| format!("{sessions} left, ")).unwrap_or_default();
    match &report.drain {
        Some(drain) => format!("{sessions}{requests} in flight, the last one came {} s ago", drain.quiet_s),
        None => format!("{requests} in flight"),
    }
}

/// What holds now, in one line.
fn sentence(pool: &str, report: &ServerReport) -> String {
    let weight = report.intent.as_ref().and_then(|intent| intent.weight);
    let weight = weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
    let until = report.intent.as_ref().and_then(|intent| intent.left_s);
    let until = until.map(|left| format!(", for {left} s more")).unwrap_or_default();
    let left = if report.state == "draining" { format!("; {}", left(report)) } else { String::new() };
    format!("{pool}/{} is {}{weight}{until}: {}{left}", report.name, report.state, report.text)
}

/// `POOL/SERVER`, or the server's name alone where only one pool has it.
fn place(client: &Client, text: &str) -> Result<(String, String), Exit> {
    if let Some((pool, server)) = text.rsplit_once('/') {
        return Ok((pool.to_owned(), server.to_owned()));
    }
    let status = client.status().map_err(|error| failed(&error))?;
    let has = |pool: &&evenkeel_admin::report::PoolReport| pool.servers.iter().any(|server| server.name == text);
    let pools: Vec<&str> = status.pools.iter().filter(has).map(|pool| pool.name.as_str()).collect();
    match pools.as_slice() {
        [only] => Ok(((*only).to_owned(), text.to_owned())),
        [] => {
            output::say(format_args!(
                "evenkeel: there is no server `{text}`; `evenkeel status` lists them as POOL/SERVER"
            ));
            Err(Exit::Failed)
        }
        several => {
            let each: Vec<String> = several.iter().map(|pool| format!("{pool}/{text}")).collect();
            output::say(format_args!("evenkeel: `{text}` is in several pools; name one: {}", each.join(", ")));
            Err(Exit::Bad)
        }
    }
}

/// An order that cannot be read is bad usage.
fn refused(error: &ClientError) -> Exit {
    let exit = failed(error);
    match error {
        ClientError::Refused(problem) if matches!(problem.code.as_str(), "A103" | "A305") => Exit::Bad,
        _ => exit,
    }
}

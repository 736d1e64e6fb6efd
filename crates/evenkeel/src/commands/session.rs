//! `session list|show|move|drop`: the sessions that answers told.

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::report::{SessionListReport, SessionReport, SessionTableReport};
use evenkeel_admin::sessions::SessionOrder;
use evenkeel_model::caps;

use super::remote::{client, failed, print_json};
use crate::args::{RemoteArgs, SessionChoiceArgs, SessionCommand};
use crate::exit::Exit;
use crate::output;

pub(crate) fn session(command: &SessionCommand) -> Exit {
    let outcome = match command {
        SessionCommand::List { choice, limit, remote } => list(choice, *limit, remote),
        SessionCommand::Show { session, remote } => show(session, remote),
        SessionCommand::Move { choice, to, all, remote } => change(choice, Some(to), *all, remote),
        SessionCommand::Drop { choice, all, remote } => change(choice, None, *all, remote),
    };
    outcome.unwrap_or_else(|error| match &error {
        // An order that cannot be read is bad usage.
        ClientError::Refused(problem) if matches!(problem.code.as_str(), "A103" | "A305") => {
            output::fail(&error);
            Exit::Bad
        }
        _ => failed(&error),
    })
}

fn list(choice: &SessionChoiceArgs, limit: usize, remote: &RemoteArgs) -> Result<Exit, ClientError> {
    let client = client(remote.control.as_deref());
    let found = client.sessions(&order(choice), limit)?;
    if remote.json {
        return Ok(print_json(&found));
    }
    let tables = client.session_tables()?;
    if tables.is_empty() {
        output::say("evenkeel: no pool learns sessions; `evenkeel explain sticky` says how one does");
        return Ok(Exit::Done);
    }
    Ok(output::print(text(&found, &tables)))
}

fn show(session: &str, remote: &RemoteArgs) -> Result<Exit, ClientError> {
    let choice = SessionOrder { session: Some(session.to_owned()), ..SessionOrder::default() };
    let found = client(remote.control.as_deref()).sessions(&choice, 2)?;
    let Some(session) = found.sessions.first() else {
        output::say("evenkeel: no such session; `evenkeel session list` shows those that are known");
        return Ok(Exit::Failed);
    };
    if remote.json {
        return Ok(print_json(session));
    }
    let now = found.at;
    Ok(output::print(format!(
        "session   {}\npool      {}\nserver    {}\nclient    {}\nlearned   {} ago\nlast seen {} ago\nbrought   {}\nnetwork   changed {}",
        session.name,
        session.pool,
        session.server.as_deref().unwrap_or("(gone)"),
        session.client,
        ago(now, session.born),
        ago(now, session.seen),
        if session.presented { "by a request" } else { "by no request yet" },
        changes(session.roams),
    )))
}

/// Moves or forgets sessions. An id of the application stays between us and the socket: orders, which are written down, have our
/// name for it.
fn change(
    choice: &SessionChoiceArgs,
    to: Option<&String>,
    all: bool,
    remote: &RemoteArgs,
) -> Result<Exit, ClientError> {
    let client = client(remote.control.as_deref());
    let mut order = SessionOrder { to: to.cloned(), all, ..order(choice) };
    if order.session.is_some() {
        let Some(name) = name_of(&client, &order)? else {
            output::say("evenkeel: no such session; `evenkeel session list` shows those that are known");
            return Ok(Exit::Failed);
        };
        order.session = Some(name);
    }
    let changed = client.order_sessions(&order)?;
    if remote.json {
        return Ok(print_json(&changed));
    }
    let sessions = if changed.changed == 1 { "session" } else { "sessions" };
    Ok(output::print(match to {
        Some(to) => format!("{} {sessions} moved to {to}", changed.changed),
        None => format!("{} {sessions} forgotten", changed.changed),
    }))
}

/// How often a session's client came from another network than before, and what many times mean.
fn changes(roams: u32) -> String {
    let copied = if roams >= caps::TOKEN_NETWORKS { ": copies of its id may be about" } else { "" };
    match roams {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        many => format!("{many} times{copied}"),
    }
}

fn name_of(client: &Client, order: &SessionOrder) -> Result<Option<String>, ClientError> {
    Ok(client.sessions(order, 1)?.sessions.into_iter().next().map(|session| session.name))
}

fn order(choice: &SessionChoiceArgs) -> SessionOrder {
    let SessionChoiceArgs { session, pool, server, client } = choice;
    SessionOrder {
        pool: pool.clone(),
        server: server.clone(),
        client: client.map(|client| client.to_string()),
        session: session.clone(),
        ..SessionOrder::default()
    }
}

/// The sessions and the servers' counts, for people.
fn text(found: &SessionListReport, tables: &[SessionTableReport]) -> String {
    let mut lines: Vec<String> = Vec::new();
    if !found.sessions.is_empty() {
        lines.push(format!("{:<24}  {:<24}  {:<26}  {:>8}  {:>8}", "SESSION", "SERVER", "CLIENT", "LEARNED", "SEEN"));
        lines.extend(found.sessions.iter().map(|session| line(session, found.at)));
        lines.push(String::new());
    }
    let shown = found.sessions.len() as u64;
    if shown < found.total {
        lines.push(format!("{shown} of {} sessions that fit; `--limit` shows more", found.total));
    }
    for table in tables {
        let each: Vec<String> = table
            .servers
            .iter()
            .map(|server| format!("{} {} ({} used)", server.server, server.live, server.presented))
            .collect();
        lines.push(format!("{}: {}", table.pool, each.join(", ")));
        if table.evicted_used > 0 {
            lines.push(format!(
                "  {} sessions in use were dropped for want of room: make `sessions max` larger",
                table.evicted_used
            ));
        }
    }
    lines.join("\n")
}

fn line(session: &SessionReport, now: u64) -> String {
    let server = format!("{}/{}", session.pool, session.server.as_deref().unwrap_or("(gone)"));
    let (born, seen) = (ago(now, session.born), ago(now, session.seen));
    let copied = if session.roams >= caps::TOKEN_NETWORKS { "  from many networks" } else { "" };
    format!("{:<24}  {server:<24}  {:<26}  {born:>8}  {seen:>8}{copied}", session.name, session.client)
}

/// How long ago, in its largest unit.
fn ago(now: u64, then: u64) -> String {
    let passed = now.saturating_sub(then);
    match passed {
        0..120 => format!("{passed}s"),
        120..7200 => format!("{}m", passed / 60),
        7200..172_800 => format!("{}h", passed / 3600),
        _ => format!("{}d", passed / 86_400),
    }
}

//! A report on a terminal: what is wrong first, then the whole, on one screen.
//!
//! Invariant: what servers and files said reaches the terminal without control characters.

use std::fmt::{self, Write};

use crate::report::{PoolReport, ReloadReport, ServerReport, StatusReport};

mod dns;
mod table;
mod top;
mod words;
mod zonefiles;

pub use dns::{dns_answer, zones};
use table::Table;
pub use top::{Order, Screen, top};
pub(crate) use words::age;
use words::{count, plain};

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether states get a colour. Off where the output is no terminal, or `NO_COLOR` is set.
    pub colour: Colour,
    /// Lines that there is room for. Pools in which all is well shrink to a line each where it is too little.
    pub lines: usize,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI sequences.
    On,
    /// Plain text.
    Off,
}

/// Most lines on what is wrong, whatever the room: the table shows the rest.
const CONCERNS: usize = 10;

/// Columns of a server's table row whose numbers stand right.
const SERVER_COLUMNS: [&str; 8] =
    ["SERVER", "ADDRESS", "STATE", "SINCE", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES"];

/// The node's status as text.
pub fn status(report: &StatusReport, look: Look) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_status(&mut text, report, look);
    text
}

/// A reload that was applied, as text.
pub fn reload(report: &ReloadReport) -> String {
    let mut text = String::new();
    let _ = write_reload(&mut text, report);
    text
}

fn write_status(to: &mut String, report: &StatusReport, look: Look) -> fmt::Result {
    let concerns = all_concerns(report, look.colour);
    headline(to, report)?;
    for concern in concerns.iter().take(CONCERNS) {
        writeln!(to, "  {concern}")?;
    }
    if let Some(more @ 1..) = concerns.len().checked_sub(CONCERNS) {
        writeln!(to, "  and {more} more")?;
    }
    writeln!(to)?;
    facts(to, report)?;
    writeln!(to)?;
    listeners(to, report)?;
    let used = to.lines().count();
    let servers: usize = report.pools.iter().map(|pool| pool.servers.len()).sum();
    let fits = used + servers + 2 <= look.lines;
    pools(to, report, look.colour, fits)?;
    zonefiles::records(to, report, look.colour)
}

/// One line that says whether all is well.
fn headline(to: &mut String, report: &StatusReport) -> fmt::Result {
    let servers: Vec<&ServerReport> = report.pools.iter().flat_map(|pool| &pool.servers).collect();
    let serving = servers.iter().filter(|server| is_serving(server)).count();
    write!(to, "{}: ", plain(&report.node))?;
    if report.stopping {
        write!(to, "stopping, {} to finish; ", count(report.totals.connections, "connection"))?;
    }
    match servers.len() {
        0 => writeln!(to, "no servers"),
        all if serving == all => writeln!(to, "all well, {} up", count(all, "server")),
        all => writeln!(to, "{serving} of {} up", count(all, "server")),
    }
}

fn facts(to: &mut String, report: &StatusReport) -> fmt::Result {
    let config = &report.config;
    let totals = &report.totals;
    writeln!(
        to,
        "evenkeel {} · process {}, up {} · {}, generation {}",
        plain(&report.version),
        report.pid,
        age(report.uptime_s),
        plain(&config.path),
        config.generation
    )?;
    let classes: Vec<String> = totals.by_class.iter().map(|(class, number)| format!("{number} {class}")).collect();
    write!(to, "{} open · {} answered", count(totals.connections, "connection"), count(totals.requests, "request"))?;
    if !classes.is_empty() {
        write!(to, " ({})", classes.join(", "))?;
    }
    writeln!(to, " · {}", count(totals.retries, "retry"))
}

fn listeners(to: &mut String, report: &StatusReport) -> fmt::Result {
    let mut table = Table::new(&["LISTENER", "CONNECTIONS", "REQUESTS"], 1);
    for listener in &report.listeners {
        table.row([plain(&listener.name), listener.connections.to_string(), listener.requests.to_string()]);
    }
    writeln!(to, "{table}")
}

/// Every server in a row; where that is too much, pools in which all is well in a row each.
fn pools(to: &mut String, report: &StatusReport, colour: Colour, fits: bool) -> fmt::Result {
    let mut table = Table::new(&SERVER_COLUMNS, 4);
    for pool in &report.pools {
        if !fits && pool.servers.iter().all(is_serving) {
            table.row(whole(pool));
            continue;
        }
        for server in &pool.servers {
            table.row(row(pool, server, colour));
        }
    }
    write!(to, "{table}")
}

fn whole(pool: &PoolReport) -> [String; 8] {
    let sum = |of: fn(&ServerReport) -> u64| pool.servers.iter().map(of).fold(0u64, u64::saturating_add).to_string();
    [
        format!("{}/*", plain(&pool.name)),
        count(pool.servers.len(), "server"),
        "up".to_owned(),
        String::new(),
        String::new(),
        sum(|server| server.in_flight),
        sum(|server| server.requests),
        sum(|server| server.failures),
    ]
}

fn row(pool: &PoolReport, server: &ServerReport, colour: Colour) -> [String; 8] {
    let backup = if server.backup { " backup" } else { "" };
    [
        format!("{}/{}", plain(&pool.name), plain(&server.name)),
        plain(&server.address),
        format!("{}{backup}", coloured(&server.state, colour)),
        age(server.since_s),
        server.weight.to_string(),
        server.in_flight.to_string(),
        server.requests.to_string(),
        server.failures.to_string(),
    ]
}

/// What an operator should look at, a line each, the gravest first: for every view that is no terminal.
pub(crate) fn concerns(report: &StatusReport) -> Vec<String> {
    all_concerns(report, Colour::Off)
}

/// The same, with colours where they are wanted.
fn all_concerns(report: &StatusReport, colour: Colour) -> Vec<String> {
    let mut lines = config_concerns(report);
    for pool in &report.pools {
        if !pool.servers.is_empty() && !pool.servers.iter().any(is_serving) {
            lines.push(format!("pool {} has no server that is up", plain(&pool.name)));
        }
    }
    for pool in &report.pools {
        lines.extend(pool.servers.iter().filter(|server| !is_serving(server)).map(|it| concern(pool, it, colour)));
    }
    lines.extend(zonefiles::concerns(report));
    let totals = &report.totals;
    if totals.panics > 0 {
        lines.push(format!("{} lost to a fault of ours; please report it", count(totals.panics, "connection")));
    }
    if totals.log_lines_lost > 0 {
        lines.push(format!(
            "{} lost: the log's disk or reader is too slow or full",
            count(totals.log_lines_lost, "log line")
        ));
    }
    lines
}

fn config_concerns(report: &StatusReport) -> Vec<String> {
    let config = &report.config;
    let mut lines = Vec::new();
    if config.is_last_good {
        lines.push("the last good configuration serves, since the file is broken".to_owned());
    }
    if let Some(last) = config.last_reload.as_ref().filter(|last| !last.ok) {
        let why = last.error.as_deref().unwrap_or_default();
        let why = why.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason is known");
        lines.push(format!("the last reload was refused, generation {} serves: {}", config.generation, plain(why)));
    }
    if !config.waiting_for_restart.is_empty() {
        lines.push(format!("changed, and waiting for a restart: {}", plain(&config.waiting_for_restart.join(", "))));
    }
    lines
}

fn concern(pool: &PoolReport, server: &ServerReport, colour: Colour) -> String {
    let mut line = format!(
        "{}/{} is {} for {} ({}): {}",
        plain(&pool.name),
        plain(&server.name),
        coloured(&server.state, colour),
        age(server.since_s),
        plain(&server.reason),
        plain(&server.text)
    );
    if let Some(answer) = server.last_answer.as_deref().filter(|answer| !server.text.contains(answer)) {
        line.push_str("; it last said: ");
        line.push_str(&plain(answer));
    }
    line
}

/// A server that gets traffic; one that nobody has checked yet does.
fn is_serving(server: &ServerReport) -> bool {
    matches!(server.state.as_str(), "up" | "unknown")
}

fn coloured(state: &str, colour: Colour) -> String {
    let code = match (colour, state) {
        (Colour::Off, _) => return plain(state),
        (Colour::On, "up") => "32",
        (Colour::On, "down") => "31",
        (Colour::On, _) => "33",
    };
    format!("\x1b[{code}m{}\x1b[0m", plain(state))
}

fn write_reload(to: &mut String, report: &ReloadReport) -> fmt::Result {
    match report.changes.len() {
        0 => writeln!(to, "nothing changed, generation {} serves", report.generation)?,
        changes => writeln!(to, "generation {} serves, {}:", report.generation, count(changes, "change"))?,
    }
    for change in &report.changes {
        writeln!(to, "  {}", plain(change))?;
    }
    for warning in &report.warnings {
        writeln!(to, "warning: {}", plain(warning))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

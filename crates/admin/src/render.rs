//! A report on a terminal: what is wrong first, then the whole, on one screen.
//!
//! Invariant: what servers and files said reaches the terminal without control characters.

use std::fmt::{self, Write};

use crate::report::{DrainReport, IntentReport, PoolReport, ReloadReport, ServerReport, StatusReport};

mod certificates;
mod cluster;
mod dns;
mod looking;
mod table;
mod top;
mod words;
mod zonefiles;

pub use cluster::cluster;
pub(crate) use cluster::concerns as cluster_concerns;
pub use dns::{dns_answer, zones};
pub use looking::{history, route};
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
    headline(to, report, concerns.len())?;
    for concern in concerns.iter().take(CONCERNS) {
        writeln!(to, "  {concern}")?;
    }
    if let Some(more @ 1..) = concerns.len().checked_sub(CONCERNS) {
        writeln!(to, "  and {more} more")?;
    }
    let orders = ordered_servers(report, look.colour);
    for order in orders.iter().take(CONCERNS) {
        writeln!(to, "  by order: {order}")?;
    }
    if let Some(more @ 1..) = orders.len().checked_sub(CONCERNS) {
        writeln!(to, "  and {more} more by order")?;
    }
    writeln!(to)?;
    facts(to, report)?;
    writeln!(to)?;
    listeners(to, report)?;
    certificates::orders(to, report)?;
    let mut records = String::new();
    zonefiles::records(&mut records, report, look.colour)?;
    let used = to.lines().count().saturating_add(records.lines().count());
    pools(to, report, look.colour, look.lines.saturating_sub(used))?;
    to.write_str(&records)
}

/// One line that says whether all is well.
fn headline(to: &mut String, report: &StatusReport, concerns: usize) -> fmt::Result {
    let servers: Vec<&ServerReport> = report.pools.iter().flat_map(|pool| &pool.servers).collect();
    let up = servers.iter().filter(|server| server.state == "up").count();
    let unchecked = servers.iter().filter(|server| server.is_unchecked()).count();
    write!(to, "{}: ", plain(&report.node))?;
    if report.stopping {
        write!(to, "stopping, {} to finish; ", count(report.totals.connections, "connection"))?;
    }
    if let Some(drained) = &report.drained {
        let why = drained.why.as_deref().map(|why| format!(" ({})", plain(why))).unwrap_or_default();
        write!(to, "drained by {}{why}; ", plain(&drained.by))?;
    }
    match servers.len() {
        0 => write!(to, "no servers")?,
        all if up == all && concerns == 0 => write!(to, "all well, {} up", count(all, "server"))?,
        all if up == all => write!(to, "all of {} up, and there is something to look at", count(all, "server"))?,
        all => write!(to, "{up} of {} up", count(all, "server"))?,
    }
    match servers.iter().filter(|server| is_ordered(server)).count() {
        0 => {}
        some => write!(to, ", {some} out by order")?,
    }
    match unchecked {
        0 => writeln!(to),
        some => writeln!(to, ", {some} not checked yet"),
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
    writeln!(to, " · {}", count(totals.retries, "retry"))?;
    let Some(dns) = &report.dns else { return Ok(()) };
    let asked = dns.udp.saturating_add(dns.tcp);
    let rcodes: Vec<String> = dns
        .rcodes
        .iter()
        .filter(|(_, number)| **number > 0)
        .map(|(rcode, number)| format!("{number} {rcode}"))
        .collect();
    write!(to, "DNS: {asked} asked")?;
    if !rcodes.is_empty() {
        write!(to, " ({})", rcodes.join(", "))?;
    }
    writeln!(to, " · {} limited", dns.limited)
}

fn listeners(to: &mut String, report: &StatusReport) -> fmt::Result {
    let mut table = Table::new(&["LISTENER", "CONNECTIONS", "REQUESTS"], 1);
    for listener in &report.listeners {
        let connections = match listener.max_conns {
            Some(most) => format!("{} of {most}", listener.connections),
            None => listener.connections.to_string(),
        };
        table.row([plain(&listener.name), connections, listener.requests.to_string()]);
    }
    writeln!(to, "{table}")
}

/// Every server in a row. Where that is too much, servers that are well share a row with the others of their pool, and
/// what is still too much is counted.
fn pools(to: &mut String, report: &StatusReport, colour: Colour, room: usize) -> fmt::Result {
    let mut table = Table::new(&SERVER_COLUMNS, 4);
    let servers: usize = report.pools.iter().map(|pool| pool.servers.len()).sum();
    let is_whole = servers < room;
    let mut rows = Vec::new();
    for pool in &report.pools {
        let is_shown = |server: &&ServerReport| is_whole || !is_well(server);
        rows.extend(pool.servers.iter().filter(is_shown).map(|server| row(pool, server, colour)));
        let well: Vec<&ServerReport> = pool.servers.iter().filter(|server| !is_shown(server)).collect();
        if !well.is_empty() {
            rows.push(whole(pool, &well));
        }
    }
    let shown = if rows.len() < room { rows.len() } else { room.saturating_sub(2) };
    let hidden = rows.len().saturating_sub(shown);
    rows.into_iter().take(shown).for_each(|row| table.row(row));
    write!(to, "{table}")?;
    match hidden {
        0 => Ok(()),
        more => writeln!(to, "and {more} more; `evenkeel status | less` shows all"),
    }
}

fn is_well(server: &ServerReport) -> bool {
    server.state == "up" && !server.is_doubtful()
}

fn whole(pool: &PoolReport, servers: &[&ServerReport]) -> [String; 8] {
    let sum =
        |of: fn(&ServerReport) -> u64| servers.iter().map(|it| of(it)).fold(0u64, u64::saturating_add).to_string();
    [
        format!("{}/*", plain(&pool.name)),
        count(servers.len(), "server"),
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

/// The same without the cluster's, for who shows those apart.
pub(crate) fn own_concerns(report: &StatusReport) -> Vec<String> {
    node_concerns(report, Colour::Off)
}

/// Servers that are as they were ordered to be, a line each: nothing is wrong with them.
pub(crate) fn orders(report: &StatusReport) -> Vec<String> {
    ordered_servers(report, Colour::Off)
}

fn ordered_servers(report: &StatusReport, colour: Colour) -> Vec<String> {
    let servers = report.pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
    servers.filter(|(_, server)| is_ordered(server)).map(|(pool, server)| concern(pool, server, colour)).collect()
}

/// Whether the server takes no new sessions because somebody wants it so.
fn is_ordered(server: &ServerReport) -> bool {
    matches!(server.state.as_str(), "draining" | "maintenance")
}

/// The same, with colours where they are wanted.
fn all_concerns(report: &StatusReport, colour: Colour) -> Vec<String> {
    let mut lines = node_concerns(report, colour);
    let of_cluster = report.cluster.iter().flat_map(cluster::concerns);
    lines.extend(of_cluster.map(|concern| format!("cluster: {concern}")));
    lines
}

fn node_concerns(report: &StatusReport, colour: Colour) -> Vec<String> {
    let is_dark = |pool: &&PoolReport| !pool.servers.is_empty() && !pool.servers.iter().any(ServerReport::is_serving);
    let dark = report.pools.iter().filter(is_dark);
    let mut lines: Vec<String> = dark.map(|pool| format!("pool {} {}", plain(&pool.name), darkness(pool))).collect();
    lines.extend(config_concerns(report));
    let mut servers: Vec<(u8, &PoolReport, &ServerReport)> = Vec::new();
    for pool in &report.pools {
        servers.extend(pool.servers.iter().filter_map(|server| gravity(server).map(|grave| (grave, pool, server))));
    }
    servers.sort_by_key(|(grave, ..)| *grave);
    lines.extend(servers.into_iter().map(|(_, pool, server)| concern(pool, server, colour)));
    lines.extend(certificates::concerns(report));
    lines.extend(zonefiles::concerns(report));
    lines.extend(faults(report));
    lines
}

/// Why a pool serves nobody.
fn darkness(pool: &PoolReport) -> &'static str {
    match pool.servers.iter().all(|server| server.state == "maintenance") {
        true => "is in maintenance as a whole: its clients get the maintenance page",
        false => "has no server that is up",
    }
}

/// How much a server needs a look, the gravest first; `None` for one that is well or has only just begun.
fn gravity(server: &ServerReport) -> Option<u8> {
    match server.state.as_str() {
        "down" => Some(0),
        "up" | "unknown" => server.is_doubtful().then_some(1),
        _ => (!is_ordered(server)).then_some(2),
    }
}

/// What is wrong with ourselves.
fn faults(report: &StatusReport) -> Vec<String> {
    let totals = &report.totals;
    let mut lines = Vec::new();
    if let Some(index) = report.silent_worker {
        lines.push(format!(
            "worker {index} does not answer, and its part of the clients is not served: restart the process"
        ));
    }
    if totals.panics > 0 {
        lines.push(format!("{} lost to a fault of ours; please report it", count(totals.panics, "connection")));
    }
    if totals.log_lines_lost > 0 {
        lines.push(format!(
            "{} lost: the log's disk or reader is too slow or full",
            count(totals.log_lines_lost, "log line")
        ));
    }
    let intents = report.pools.iter().flat_map(|pool| &pool.servers).filter_map(|server| server.intent.as_ref());
    if report.unkept || intents.clone().any(|intent| !intent.is_kept) {
        lines.push("a restart forgets what was ordered: the state directory cannot be written".to_owned());
    }
    lines
}

fn config_concerns(report: &StatusReport) -> Vec<String> {
    let config = &report.config;
    let mut lines = Vec::new();
    if config.is_last_good {
        lines.push("the last good configuration serves, since the file is broken".to_owned());
    }
    if config.is_rollback {
        lines.push(format!(
            "configuration {} of the history serves; the next reload or restart takes the file as it is",
            config.kept_as
        ));
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
    let answer = server.last_answer.as_deref().filter(|answer| !is_ordered(server) && !server.text.contains(answer));
    if let Some(answer) = answer {
        line.push_str("; it last said: ");
        line.push_str(&plain(answer));
    }
    if let Some(intent) = &server.intent {
        line.push_str(&ordered(intent));
    }
    if let Some(drain) = &server.drain {
        line.push_str(&drained(server, drain));
    }
    line
}

/// Who ordered it, why, and for how much longer.
fn ordered(intent: &IntentReport) -> String {
    let why = intent.why.as_deref().map(|why| format!(", \"{}\"", plain(why))).unwrap_or_default();
    let left = intent.left_s.map(|left| format!(", for {} more", age(left))).unwrap_or_default();
    format!("; by {}{why}{left}", plain(&intent.by))
}

/// What a drain still waits for.
fn drained(server: &ServerReport, drain: &DrainReport) -> String {
    let sessions = server.sessions.map(|sessions| format!("; {sessions} left")).unwrap_or_default();
    match (drain.is_over, server.in_flight) {
        (true, _) => "; drained".to_owned(),
        (false, 0) => format!("{sessions}; no request for {}", age(drain.quiet_s)),
        (false, some) => format!("{sessions}; {} in flight", count(some, "request")),
    }
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

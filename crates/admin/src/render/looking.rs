//! What a request would meet, and the configurations of the past, on a terminal.

use std::fmt::{self, Write};

use evenkeel_model::date_of;

use super::table::Table;
use super::words::plain;
use crate::report::{HistoryEntry, RouteFinding};

/// What would become of a request, as text: what happens first, then why.
pub fn route(finding: &RouteFinding) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_route(&mut text, finding);
    text
}

fn write_route(to: &mut String, finding: &RouteFinding) -> fmt::Result {
    match (&finding.pool, finding.status) {
        (Some(pool), None) => writeln!(to, "pool {}: {}", plain(pool), plain(&finding.text))?,
        (Some(pool), Some(status)) => writeln!(to, "{status} from pool {}: {}", plain(pool), plain(&finding.text))?,
        (None, Some(status)) => writeln!(to, "{status}: {}", plain(&finding.text))?,
        (None, None) => writeln!(to, "{}", plain(&finding.text))?,
    }
    writeln!(to)?;
    let hosts = match finding.hosts.as_deref() {
        None => String::new(),
        Some([]) => ", every host".to_owned(),
        Some(hosts) => format!(", {}", plain(&hosts.join(" "))),
    };
    writeln!(to, "listener {}{hosts}", plain(&finding.listener))?;
    let mut routes = Table::new(&["ROUTE", "TAKES IT"], 2);
    for route in &finding.routes {
        let why = route.misfit.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no, {}", plain(why)));
        routes.row([plain(&route.pattern), why]);
    }
    if !finding.routes.is_empty() {
        writeln!(to, "\n{routes}")?;
    }
    if finding.pool.is_none() {
        return Ok(());
    }
    writeln!(to, "session: {}", plain(&finding.session))?;
    writeln!(to, "choice: {}\n", plain(&finding.rule))?;
    let mut servers = Table::new(&["SERVER", "STATE", "CHANCE", "WHY"], 4);
    for server in &finding.servers {
        let chance = match server.chance_percent {
            none if none <= 0.0 => "-".to_owned(),
            chance => format!("{chance:.1} %"),
        };
        servers.row([plain(&server.name), plain(&server.state), chance, plain(&server.why)]);
    }
    write!(to, "{servers}")
}

/// The configurations that were applied, the latest first.
pub fn history(entries: &[HistoryEntry]) -> String {
    if entries.is_empty() {
        return "nothing is kept: the daemon has no state directory that it can write to\n".to_owned();
    }
    let mut table = Table::new(&["NUMBER", "APPLIED", "BY", "CHANGES"], 4);
    for entry in entries.iter().rev() {
        let mark = if entry.is_running { "*" } else { "" };
        let changes = match entry.changes.as_slice() {
            [first, second, rest @ ..] if rest.len() > 1 => format!("{first}, {second} and {} more", rest.len()),
            few => few.join(", "),
        };
        table.row([format!("{}{mark}", entry.number), moment(entry.at), plain(&entry.by), plain(&changes)]);
    }
    format!("{table}\n* runs\n")
}

/// `2026-11-21 16:18:11Z`
fn moment(unix: u64) -> String {
    let (year, month, day) = date_of(unix / 86_400);
    let (hours, minutes, seconds) = (unix / 3600 % 24, unix / 60 % 60, unix % 60);
    format!("{year}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RouteLooked, ServerFinding};

    #[test]
    fn what_happens_stands_first_and_losers_have_their_reasons() {
        let server = |name: &str, state: &str, chance_percent: f64, why: &str| ServerFinding {
            name: name.to_owned(),
            state: state.to_owned(),
            chance_percent,
            why: why.to_owned(),
        };
        let finding = RouteFinding {
            listener: ":80".to_owned(),
            hosts: Some(Vec::new()),
            routes: vec![
                RouteLooked { pattern: "/a".to_owned(), misfit: Some("its path is not /a".to_owned()) },
                RouteLooked { pattern: "*".to_owned(), misfit: None },
            ],
            text: "it goes to b".to_owned(),
            pool: Some("shop".to_owned()),
            session: "the pool keeps no sessions".to_owned(),
            rule: "in turn, by weight".to_owned(),
            servers: vec![server("a", "down", 0.0, "it is down"), server("b", "up", 100.0, "weight 1")],
            ..RouteFinding::default()
        };
        assert_eq!(
            route(&finding),
            "pool shop: it goes to b\n\n\
             listener :80, every host\n\n\
             ROUTE  TAKES IT\n\
             /a     no, its path is not /a\n\
             *      yes\n\n\
             session: the pool keeps no sessions\n\
             choice: in turn, by weight\n\n\
             SERVER  STATE  CHANCE   WHY\n\
             a       down   -        it is down\n\
             b       up     100.0 %  weight 1\n"
        );
        let answered =
            RouteFinding { status: Some(404), text: "no route takes it".to_owned(), ..RouteFinding::default() };
        assert!(route(&answered).starts_with("404: no route takes it\n"));
    }

    #[test]
    fn the_latest_configuration_stands_first() {
        let entry = |number, is_running| HistoryEntry {
            number,
            is_running,
            at: 1_795_277_891,
            by: "the start".to_owned(),
            changes: vec!["pool a added".to_owned()],
        };
        let text = history(&[entry(1, false), entry(2, true)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "2*      2026-11-21 16:18:11Z  the start  pool a added");
        assert!(lines[2].starts_with("1  "), "{text}");
        assert!(history(&[]).contains("state directory"));
    }
}

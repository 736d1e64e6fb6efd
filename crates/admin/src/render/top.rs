//! One screen of `top`: the node in a line, what is wrong, and as many servers as fit.
//!
//! The invariant: it never has more lines than the screen, nor a line wider, and what servers said steers no terminal.

use super::table::width;
use super::words::{age, plain};
use super::{Colour, all_concerns, coloured, count, ordered_servers};
use crate::report::{PoolReport, ServerReport, StatusReport};

/// What a screen shows, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether states get a colour.
    pub colour: Colour,
    /// The screen's size.
    pub lines: usize,
    /// The screen's size.
    pub columns: usize,
    /// The order of the servers.
    pub order: Order,
    /// Servers that are scrolled past.
    pub skip: usize,
}

/// An order of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the configuration has them.
    Written,
    /// The gravest state first.
    State,
    /// The busiest first.
    Rate,
    /// The slowest first.
    Slow,
    /// Most failures first.
    Failures,
}

impl Order {
    /// The one after it; after the last comes the first.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Written => Self::State,
            Self::State => Self::Rate,
            Self::Rate => Self::Slow,
            Self::Slow => Self::Failures,
            Self::Failures => Self::Written,
        }
    }

    /// What the servers are ordered by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "as written",
            Self::State => "state",
            Self::Rate => "rate",
            Self::Slow => "p95",
            Self::Failures => "failures",
        }
    }
}

/// Most lines on what is wrong: the table below says the rest.
const CONCERNS: usize = 4;

/// Heads of the columns with their widths; text stands left, numbers right. The last takes what is left.
const COLUMNS: [(&str, usize); 9] = [
    ("SERVER", 24),
    ("STATE", 11),
    ("FOR", 7),
    ("REQ/S", 8),
    ("P50", 8),
    ("P95", 8),
    ("NOW", 5),
    ("REQUESTS", 11),
    ("FAILED", 8),
];

/// The first so many columns are text.
const TEXT_COLUMNS: usize = 2;

/// The screen's lines.
pub fn top(report: &StatusReport, screen: Screen) -> Vec<String> {
    let mut lines = vec![node(report), traffic(report)];
    let orders = ordered_servers(report, screen.colour);
    let mut concerns = all_concerns(report, screen.colour);
    concerns.extend(orders.into_iter().map(|order| format!("by order: {order}")));
    lines.extend(concerns.iter().take(CONCERNS).map(|concern| format!("  {concern}")));
    if let Some(more @ 1..) = concerns.len().checked_sub(CONCERNS) {
        lines.push(format!("  and {more} more"));
    }
    lines.push(String::new());
    lines.push(head());
    let room = screen.lines.saturating_sub(lines.len());
    let servers = servers(report, screen.order);
    lines.extend(servers.iter().skip(screen.skip).take(room).map(|(pool, server)| row(pool, server, screen.colour)));
    lines.truncate(screen.lines);
    lines.iter().map(|line| cut(line, screen.columns)).collect()
}

fn node(report: &StatusReport) -> String {
    let servers = report.pools.iter().flat_map(|pool| &pool.servers);
    let (all, serving) = (servers.clone().count(), servers.filter(|server| server.is_serving()).count());
    let stopping = match (report.stopping, &report.drained) {
        (true, _) => " · stopping",
        (false, Some(_)) => " · drained",
        (false, None) => "",
    };
    format!(
        "evenkeel {} · {serving} of {} up · up {} · generation {}{stopping}",
        plain(&report.node),
        count(all, "server"),
        age(report.uptime_s),
        report.config.generation
    )
}

fn traffic(report: &StatusReport) -> String {
    let live = report.live.clone().unwrap_or_default();
    let errors = report.totals.by_class.get("5xx").copied().unwrap_or(0);
    format!(
        "{} req/s · p50 {} · p95 {} · {} open · {} · {errors} answered 5xx",
        rate(live.requests_per_s),
        millis(live.p50_ms),
        millis(live.p95_ms),
        count(report.totals.connections, "connection"),
        count(report.totals.retries, "retry"),
    )
}

type Row<'a> = (&'a PoolReport, &'a ServerReport);

fn servers(report: &StatusReport, order: Order) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> =
        report.pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server))).collect();
    let falling = |of: fn(&ServerReport) -> f64| move |a: &Row<'_>, b: &Row<'_>| of(b.1).total_cmp(&of(a.1));
    match order {
        Order::Written => {}
        Order::State => rows.sort_by_key(|(_, server)| gravity(server)),
        Order::Rate => rows.sort_by(falling(|server| server.traffic.live.as_ref().map_or(0.0, |it| it.requests_per_s))),
        Order::Slow => {
            rows.sort_by(falling(|server| server.traffic.live.as_ref().and_then(|it| it.p95_ms).unwrap_or(-1.0)));
        }
        Order::Failures => rows.sort_by(falling(|server| server.failures as f64)),
    }
    rows
}

fn gravity(server: &ServerReport) -> u8 {
    match server.state.as_str() {
        "down" => 0,
        "maintenance" => 1,
        "draining" => 2,
        "unknown" => 3,
        _ => 4,
    }
}

fn head() -> String {
    let mut line = String::new();
    for (at, (name, wide)) in COLUMNS.iter().enumerate() {
        cell(&mut line, name, *wide, at);
    }
    line.push_str("  WHY");
    line
}

fn row(pool: &PoolReport, server: &ServerReport, colour: Colour) -> String {
    let live = server.traffic.live.clone().unwrap_or_default();
    let name = format!("{}/{}", plain(&pool.name), plain(&server.name));
    let cells = [
        cut(&name, 24),
        coloured(&server.state, colour),
        age(server.since_s),
        rate(live.requests_per_s),
        millis(live.p50_ms),
        millis(live.p95_ms),
        server.in_flight.to_string(),
        server.requests.to_string(),
        server.failures.to_string(),
    ];
    let mut line = String::new();
    for (at, (text, (_, wide))) in cells.iter().zip(COLUMNS).enumerate() {
        cell(&mut line, text, wide, at);
    }
    if server.state != "up" {
        line.push_str("  ");
        line.push_str(&plain(&server.text));
    }
    line
}

fn cell(line: &mut String, text: &str, wide: usize, at: usize) {
    let pad = " ".repeat(wide.saturating_sub(width(text)));
    if at > 0 {
        line.push_str("  ");
    }
    if at < TEXT_COLUMNS {
        line.push_str(text);
        line.push_str(&pad);
    } else {
        line.push_str(&pad);
        line.push_str(text);
    }
}

/// At most so many columns of a line; sequences that colour it take none, and one that is open is closed.
fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.trim_end().to_owned();
    }
    let (mut out, mut used, mut in_sequence) = (String::new(), 0, false);
    for c in line.chars() {
        let is_shown = !in_sequence && c != '\x1b';
        if is_shown && used + 1 >= columns {
            break;
        }
        match c {
            '\x1b' => in_sequence = true,
            'm' if in_sequence => in_sequence = false,
            _ if in_sequence => {}
            _ => used += 1,
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    if out.contains('\x1b') {
        out.push_str("\x1b[0m");
    }
    out
}

fn rate(rate: f64) -> String {
    if rate < 99.95 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 9.95 => format!("{ms:.1} ms"),
        Some(ms) if ms < 999.5 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests;

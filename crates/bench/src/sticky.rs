//! What keeping clients on their servers costs: each method beside the same run without any.
//!
//! The invariant: a ratio is one of two runs of the same round, seconds apart, so that whatever else the machine does falls
//! on both.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::cpu;
use crate::http::{OTHER_CORE, PROXY_CORE, TempDir, only, origin};
use crate::learning;
use crate::load::{self, Load};
use crate::peers;

const CONNECTIONS: usize = 64;

/// One method under load.
struct Row {
    name: &'static str,
    /// The pool's lines.
    lines: &'static str,
    path: &'static str,
    /// Whether clients bring back what they were given.
    cookies: bool,
    /// The name of the row that is the same without stickiness.
    against: &'static str,
    /// Requests a second.
    rate: u64,
}

const NONE: &str = "no stickiness";
const COOKIE: &str = "no stickiness, the application's cookie comes along";
const PAGE: &str = "no stickiness, pages of 16 KB";
const PACKED: &str = "no stickiness, pages of 16 KB, gzip";

const ROW: Row = Row { name: NONE, lines: "", path: "/", cookies: true, against: NONE, rate: 12_000 };
/// Pages are larger: at this rate one core has room for them.
const LARGE: Row = Row { path: "/page", rate: 4_000, ..ROW };

const ROWS: [Row; 13] = [
    ROW,
    Row { name: "token, clients that have one", lines: "sticky cookie SRV", ..ROW },
    Row { name: "token, each request a new client", lines: "sticky cookie SRV", cookies: false, ..ROW },
    Row { name: "name in a cookie", lines: "sticky cookie SRV value=name", ..ROW },
    Row { name: "name in the query", lines: "sticky query srv", path: "/?srv=one", ..ROW },
    Row { name: "the client's address", lines: "sticky client", ..ROW },
    Row { name: "learned id in the query", lines: "sticky query sid learn=head", path: KNOWN, ..ROW },
    Row { name: COOKIE, path: "/session", ..ROW },
    Row { name: "learned id in a cookie", lines: "sticky learn SID", path: "/session", against: COOKIE, ..ROW },
    Row { name: PAGE, ..LARGE },
    Row { name: "pages of 16 KB, searched for ids", lines: "sticky query sid learn=body", against: PAGE, ..LARGE },
    Row { name: PACKED, path: "/packed", ..LARGE },
    Row {
        name: "pages of 16 KB, gzip, searched for ids",
        lines: "sticky query sid learn=body",
        path: "/packed",
        against: PACKED,
        ..LARGE
    },
];

/// A path with the id of the session that the server behind knows.
const KNOWN: &str = "/?sid=session-0123456789abcdef";

/// Runs it: so many rounds of every row, each for so long; the table.
pub(crate) fn run(evenkeel: &Path, rounds: usize, time: Duration) -> io::Result<String> {
    let dir = TempDir::new()?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let mut found: Vec<Vec<f64>> = ROWS.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for step in 0..ROWS.len() {
            // The order turns with each round, so that drift falls on all alike.
            let at = (step + round) % ROWS.len();
            let (Some(row), Some(samples)) = (ROWS.get(at), found.get_mut(at)) else { continue };
            let micros = measure(evenkeel, dir.path(), server, row, time)?;
            eprintln!("round {}: {} {micros:.2} µs", round + 1, row.name);
            samples.push(micros);
        }
    }
    let mut text = table(&found);
    text.push('\n');
    text.push_str(&learning::run().unwrap_or_default());
    Ok(text)
}

fn table(found: &[Vec<f64>]) -> String {
    let mut text = format!(
        "CPU of the proxy alone for each request: 1 KB, {CONNECTIONS} connections, {} requests a second, of pages {}; medians of {} rounds.\n\n\
         | | µs | against none |\n|---|---|---|\n",
        ROW.rate,
        LARGE.rate,
        found.first().map_or(0, Vec::len)
    );
    for (row, samples) in ROWS.iter().zip(found) {
        let base = ROWS.iter().position(|other| other.name == row.against).and_then(|at| found.get(at));
        let Some(none) = base else { continue };
        let ratios = samples.iter().zip(none).map(|(own, none)| own / none).collect();
        let _ = writeln!(text, "| {} | {:.2} | {:.3} |", row.name, median(samples.clone()), median(ratios));
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds of CPU for a request.
fn measure(evenkeel: &Path, dir: &Path, server: SocketAddr, row: &Row, time: Duration) -> io::Result<f64> {
    let addr = peers::free_addr()?;
    let shown = dir.display();
    let config = format!(
        "state {shown}/state\ncontrol {shown}/evenkeel.sock\nlimits workers=1\nhttp {addr} {{\n    log off\n    request-id off\n    route * to=all\n}}\n\
         pool all {{\n    check off\n    {}\n    server one {server}\n}}\n",
        row.lines
    );
    let running = peers::start_evenkeel(evenkeel, dir, &config, addr, PROXY_CORE)?;
    let load = Load { addr, connections: CONNECTIONS, rate: row.rate, time, path: row.path, cookies: row.cookies };
    // The first request is of nobody's; its answer tells the session that later ones bring.
    load::run(Load {
        connections: 1,
        rate: 20,
        time: Duration::from_millis(200),
        path: "/session",
        cookies: false,
        ..load
    })?;
    load::run(Load { time: Duration::from_millis(500), ..load })?;
    let before = cpu::usage(running.pid());
    let outcome = load::run(load)?;
    let after = cpu::usage(running.pid());
    if outcome.lost() > 0 {
        eprintln!("{}: {} requests were lost", row.name, outcome.lost());
    }
    Ok(after.run.saturating_sub(before.run).as_secs_f64() * 1e6 / outcome.answered.max(1) as f64)
}

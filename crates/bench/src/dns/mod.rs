//! The DNS bench: every server under the same queries in the same run, beside a socket that only reflects.
//!
//! The invariant: a ratio is one of two runs of the same round, seconds apart, so that whatever else the machine does
//! falls on both.

pub(crate) mod fire;
mod page;
pub(crate) mod reflect;
mod servers;

use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fire::Names;
pub(crate) use page::page;
use servers::{Place, Server};

use crate::http::{OTHER_CORE, PROXY_CORE, TempDir, again, only};
use crate::options::Options;
use crate::{cpu, peers};

/// How long a server may take to load the zone.
const LOADING: Duration = Duration::from_secs(30);

/// One kind of load.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    names: Names,
    meanwhile: Meanwhile,
}

/// What happens while it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// The zone changes once a second, and is read anew.
    Reloads,
    /// A verdict changes ten times a second (evenkeel); the others know none.
    Flapping,
}

const ROWS: [Row; 5] = [
    row("1 name", 1, 0, Meanwhile::Nothing),
    row("100,000 names", 100_000, 0, Meanwhile::Nothing),
    row("100,000 names, half of the queries for others", 100_000, 50, Meanwhile::Nothing),
    row("100,000 names, the zone changed and read anew each second", 100_000, 0, Meanwhile::Reloads),
    row("1,000 names, one of them by health that flaps", 1_000, 0, Meanwhile::Flapping),
];

const fn row(name: &'static str, count: u32, missing_percent: u32, meanwhile: Meanwhile) -> Row {
    Row { name, names: Names { count, missing_percent }, meanwhile }
}

/// What one run of one server gave.
#[derive(Debug, Clone, Copy)]
struct Sample {
    micros: f64,
    per_second: f64,
    lost: u64,
    wrong: u64,
}

/// What it found.
pub(crate) struct Found {
    servers: Vec<Server>,
    /// By row, by server: a sample for each round.
    rows: Vec<(&'static Row, Vec<Vec<Sample>>)>,
    took: Duration,
}

/// Runs the whole bench.
pub(crate) fn run(options: &Options) -> io::Result<Found> {
    let begun = Instant::now();
    let dir = TempDir::new()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let servers: Vec<Server> = Server::ALL.into_iter().filter(|server| server.is_there()).collect();
    for server in Server::ALL.iter().filter(|server| !server.is_there()) {
        let package = server.package();
        eprintln!("{} is left out: `apt-get install --no-install-recommends {package}` brings it", server.name());
    }
    let mut rows = Vec::new();
    for row in ROWS.iter().filter(|row| row.name.contains(&options.only)) {
        servers::write_zone(dir.path(), row.names.count, 1)?;
        let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
        for round in 0..options.rounds {
            for step in 0..servers.len() {
                let at = (round + step) % servers.len();
                let (Some(server), Some(own)) = (servers.get(at), samples.get_mut(at)) else { continue };
                let sample = again(|| measure(*server, row, options, dir.path()))?;
                eprintln!("{}, {}: {sample:?}", row.name, server.name());
                own.push(sample);
            }
        }
        rows.push((row, samples));
    }
    Ok(Found { servers, rows, took: begun.elapsed() })
}

fn measure(server: Server, row: &Row, options: &Options, dir: &Path) -> io::Result<Sample> {
    let flapping = (row.meanwhile == Meanwhile::Flapping).then(peers::free_addr).transpose()?;
    let place = Place { addr: peers::free_addr()?, dir, evenkeel: &options.evenkeel, flapping };
    let running = servers::start(server, &place, PROXY_CORE)?;
    fire::wait_for(place.addr, LOADING)?;
    fire::fire(place.addr, row.names, options.time / 5)?;
    let ended = AtomicBool::new(false);
    let (used, outcome, took) = thread::scope(|scope| {
        scope.spawn(|| meanwhile(row.meanwhile, server, running.pid(), &place, row, &ended));
        let (before, begun) = (cpu::tree_run(running.pid()), Instant::now());
        let outcome = fire::fire(place.addr, row.names, options.time);
        let used = cpu::tree_run(running.pid()).saturating_sub(before);
        ended.store(true, Ordering::Relaxed);
        (used, outcome, begun.elapsed())
    });
    let outcome = outcome?;
    let answered = outcome.answered.max(1) as f64;
    Ok(Sample {
        micros: used.as_secs_f64() * 1e6 / answered,
        per_second: answered / took.as_secs_f64(),
        lost: outcome.lost,
        wrong: outcome.wrong,
    })
}

/// What goes on beside the queries, until they end.
fn meanwhile(what: Meanwhile, server: Server, pid: u32, place: &Place<'_>, row: &Row, ended: &AtomicBool) {
    let (mut open, mut serial, mut last) = (None, 1, Instant::now());
    while !ended.load(Ordering::Relaxed) {
        match what {
            Meanwhile::Reloads if last.elapsed() >= Duration::from_secs(1) => {
                (serial, last) = (serial + 1, Instant::now());
                if servers::write_zone(place.dir, row.names.count, serial).is_ok() {
                    servers::reload(server, pid, place);
                }
            }
            Meanwhile::Nothing | Meanwhile::Reloads => {}
            Meanwhile::Flapping => {
                open = match open {
                    Some(_) => None,
                    None => place.flapping.and_then(|at| TcpListener::bind(at).ok()),
                };
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

//! The HTTP bench: every peer under the same load in the same run, in alternating order, medians of ratios.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cpu;
use crate::load::{self, Load};
use crate::peers::{self, Peer, Place, Running};

/// The core of the proxy under test; load and server share the other one.
const PROXY_CORE: usize = 1;
/// The core of everything else.
const OTHER_CORE: usize = 0;

/// One line of the table.
struct Row {
    name: &'static str,
    path: &'static str,
    connections: usize,
    rate: u64,
    log: bool,
}

const ROWS: [Row; 4] = [
    Row { name: "1 KB, 64 connections", path: "/", connections: 64, rate: 12_000, log: false },
    Row { name: "1 KB, 64 connections, log", path: "/", connections: 64, rate: 12_000, log: true },
    Row { name: "1 KB, 1000 connections", path: "/", connections: 1000, rate: 12_000, log: false },
    Row { name: "128 KB, 64 connections", path: "/128k", connections: 64, rate: 2_000, log: false },
];

/// What one run of one peer gave.
struct Sample {
    micros_per_request: f64,
    p99_micros: u32,
    failed: u64,
}

/// How the bench is run.
pub(crate) struct Options {
    /// The program of this tree.
    pub(crate) evenkeel: PathBuf,
    /// Rounds; each has every peer once.
    pub(crate) rounds: usize,
    /// How long each peer is under load in each round.
    pub(crate) time: Duration,
}

/// Runs the whole bench and returns the table as Markdown.
pub(crate) fn run(options: &Options) -> io::Result<String> {
    let dir = TempDir::new()?;
    let origin_addr = peers::free_addr()?;
    let mut origin = Command::new("taskset");
    origin
        .args(["-c", &OTHER_CORE.to_string()])
        .arg(std::env::current_exe()?)
        .args(["origin", &origin_addr.to_string()]);
    let _origin = Running::start(&mut origin)?;
    peers::wait_for(origin_addr)?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;

    let mut table = String::from(
        "| load | peer | CPU per request, µs (min – max) | against the relay | p99, ms | failed |\n|---|---|---|---|---|---|\n",
    );
    for row in &ROWS {
        let samples = measure_row(row, options, dir.path(), origin_addr)?;
        let floor = median(samples[0].iter().map(|sample| sample.micros_per_request).collect());
        for (peer, samples) in Peer::ALL.iter().zip(&samples) {
            let costs: Vec<f64> = samples.iter().map(|sample| sample.micros_per_request).collect();
            let (low, high) =
                costs.iter().fold((f64::MAX, 0.0f64), |(low, high), cost| (low.min(*cost), high.max(*cost)));
            let cost = median(costs);
            let p99 = median(samples.iter().map(|sample| f64::from(sample.p99_micros) / 1000.0).collect());
            let failed: u64 = samples.iter().map(|sample| sample.failed).sum();
            let _ = writeln!(
                table,
                "| {} at {}/s | {} | {cost:.1} ({low:.1} – {high:.1}) | {:.2} | {p99:.2} | {failed} |",
                row.name,
                row.rate,
                peer.name(),
                cost / floor
            );
        }
    }
    table.push('\n');
    for peer in Peer::ALL {
        let _ = writeln!(table, "- {}: {}", peer.name(), peer.version(&options.evenkeel));
    }
    Ok(table)
}

/// Every round of one row; one list of samples for each peer, in the order of [`Peer::ALL`].
fn measure_row(row: &Row, options: &Options, dir: &Path, server: std::net::SocketAddr) -> io::Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = Peer::ALL.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for step in 0..Peer::ALL.len() {
            // The order turns with each round and reverses in every second one, so that drift falls on all alike.
            let step = if round % 2 == 0 { step } else { Peer::ALL.len() - 1 - step };
            let at = (step + round) % Peer::ALL.len();
            let place = Place { addr: peers::free_addr()?, server, dir, log: row.log, evenkeel: &options.evenkeel };
            let peer = peers::start(Peer::ALL[at], &place, PROXY_CORE)?;
            let load = Load {
                addr: place.addr,
                connections: row.connections,
                rate: row.rate,
                time: options.time,
                path: row.path,
            };
            load::run(Load { time: Duration::from_secs(1), ..load })?;
            let before = cpu::usage(peer.pid());
            let outcome = load::run(load)?;
            let after = cpu::usage(peer.pid());
            let micros = (after.run - before.run).as_secs_f64() * 1e6;
            samples[at].push(Sample {
                micros_per_request: micros / outcome.answered.max(1) as f64,
                p99_micros: outcome.quantile(0.99),
                failed: outcome.failed,
            });
            eprintln!(
                "{}, round {}: {} {:.1} µs/request, {} answered, {} failed, p99 {} µs, {} KiB",
                row.name,
                round + 1,
                Peer::ALL[at].name(),
                micros / outcome.answered.max(1) as f64,
                outcome.answered,
                outcome.failed,
                outcome.quantile(0.99),
                after.resident / 1024
            );
        }
    }
    Ok(samples)
}

fn only(core: usize) -> rustix::thread::CpuSet {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    set
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A directory of our own, removed when dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("evenkeel-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

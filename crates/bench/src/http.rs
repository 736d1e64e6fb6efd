//! The HTTP bench: every peer under the same load in the same run, in alternating order, medians of ratios.
//!
//! Not here: what the page says (`page`). The invariant: a ratio is one of two runs of the same round, seconds apart,
//! so that whatever else the machine does falls on both.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::account::{self, Account};
use crate::cpu;
use crate::load::{self, Load};
use crate::memory::{self, PerConnection};
use crate::options::Options;
use crate::peers::{self, Dress, Peer, Place, Running};

/// The core of the proxy under test; load and server share the other one.
pub(crate) const PROXY_CORE: usize = 1;
/// The core of everything else.
pub(crate) const OTHER_CORE: usize = 0;

/// How often a run is begun anew that the machine, not the proxy, has spoilt: a port taken meanwhile, a slow start.
const TRIES: usize = 3;

/// One kind of load.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    /// Requests a second in all; 0 has each connection ask as soon as it is answered.
    pub(crate) rate: u64,
    pub(crate) dress: Dress,
}

impl Row {
    /// The load as tables name it.
    pub(crate) fn load(&self) -> String {
        match self.rate {
            0 => format!("{}, full load", self.name),
            rate => format!("{} at {rate}/s", self.name),
        }
    }
}

pub(crate) const ROWS: [Row; 12] = [
    row("1 KB, 64 connections", "/", 64, 12_000, Dress::Plain),
    row("1 KB, 64 connections, log", "/", 64, 12_000, Dress::Logs),
    row("1 KB, 64 connections, log, cookie, checks", "/", 64, 12_000, Dress::Full),
    row("1 KB, 1000 connections", "/", 1000, 12_000, Dress::Plain),
    row("1 KB, 1000 connections, log", "/", 1000, 12_000, Dress::Logs),
    row("128 KB, 64 connections", "/128k", 64, 2_000, Dress::Plain),
    row("1 KB, 64 connections", "/", 64, 0, Dress::Plain),
    row("1 KB, 64 connections, log", "/", 64, 0, Dress::Logs),
    row("1 KB, 64 connections, log, cookie, checks", "/", 64, 0, Dress::Full),
    row("1 KB, 1000 connections", "/", 1000, 0, Dress::Plain),
    row("1 KB, 1000 connections, log", "/", 1000, 0, Dress::Logs),
    row("128 KB, 64 connections", "/128k", 64, 0, Dress::Plain),
];

const fn row(name: &'static str, path: &'static str, connections: usize, rate: u64, dress: Dress) -> Row {
    Row { name, path, connections, rate, dress }
}

/// What one run of one peer gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) micros: f64,
    pub(crate) faults: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) failed: u64,
}

/// What the bench found.
pub(crate) struct Found {
    /// By row, by peer in the order of [`Peer::ALL`]: a sample for each round.
    pub(crate) rows: Vec<(&'static Row, Vec<Vec<Sample>>)>,
    /// By peer.
    pub(crate) counts: Vec<(Peer, Account, PerConnection)>,
    /// By peer, in full dress.
    pub(crate) dressed: Vec<(Peer, Account)>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Runs the whole bench.
pub(crate) fn run(options: &Options) -> io::Result<Found> {
    let begun = Instant::now();
    let dir = TempDir::new()?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let mut rows = Vec::new();
    for row in ROWS.iter().filter(|row| row.load().contains(&options.only)) {
        rows.push((row, measure_row(row, options, dir.path(), server)?));
    }
    let (mut counts, mut dressed) = (Vec::new(), Vec::new());
    let time = options.time.min(Duration::from_secs(2));
    for peer in Peer::ALL.into_iter().filter(|_| options.counts) {
        let place = |dress| {
            let addr = peers::free_addr()?;
            io::Result::Ok(Place { addr, server, dir: dir.path(), dress, evenkeel: &options.evenkeel })
        };
        let account = again(|| account::of(peer, &place(Dress::Plain)?, PROXY_CORE, time))?;
        let memory = again(|| memory::of(peer, &place(Dress::Plain)?, PROXY_CORE))?;
        eprintln!("{}: {account:?}, {memory:?}", peer.name());
        counts.push((peer, account, memory));
        if peer.has(Dress::Full) {
            let account = again(|| account::of(peer, &place(Dress::Full)?, PROXY_CORE, time))?;
            eprintln!("{} in full dress: {account:?}", peer.name());
            dressed.push((peer, account));
        }
    }
    Ok(Found { rows, counts, dressed, took: begun.elapsed() })
}

/// The server behind the proxies, on its own core.
pub(crate) fn origin() -> io::Result<(Running, SocketAddr)> {
    again(|| {
        let addr = peers::free_addr()?;
        let mut origin = Command::new("taskset");
        origin.args(["-c", &OTHER_CORE.to_string()]).arg(std::env::current_exe()?).args(["origin", &addr.to_string()]);
        let running = Running::start(&mut origin)?;
        peers::wait_for(addr)?;
        Ok((running, addr))
    })
}

/// Every round of one row; one list of samples for each peer, in the order of [`Peer::ALL`].
pub(crate) fn measure_row(
    row: &Row,
    options: &Options,
    dir: &Path,
    server: SocketAddr,
) -> io::Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = Peer::ALL.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for step in 0..Peer::ALL.len() {
            // The order turns with each round and reverses in every second one, so that drift falls on all alike.
            let step = if round % 2 == 0 { step } else { Peer::ALL.len() - 1 - step };
            let at = (step + round) % Peer::ALL.len();
            let peer = Peer::ALL[at];
            let sample = again(|| {
                let addr = peers::free_addr()?;
                measure(
                    peer,
                    row,
                    options.time,
                    &Place { addr, server, dir, dress: row.dress, evenkeel: &options.evenkeel },
                )
            })?;
            eprintln!("{}, round {}: {} {sample:.1?}", row.load(), round + 1, peer.name());
            samples[at].push(sample);
        }
    }
    Ok(samples)
}

/// One run of one peer.
fn measure(peer: Peer, row: &Row, time: Duration, place: &Place<'_>) -> io::Result<Sample> {
    let running = peers::start(peer, place, PROXY_CORE)?;
    let load = Load {
        addr: place.addr,
        connections: row.connections,
        rate: row.rate,
        time,
        path: row.path,
        cookies: row.dress.is_sticky(),
    };
    load::run(Load { time: Duration::from_millis(500), ..load })?;
    let before = cpu::usage(running.pid());
    let outcome = load::run(load)?;
    let after = cpu::usage(running.pid());
    let requests = outcome.answered.max(1) as f64;
    Ok(Sample {
        micros: (after.run.saturating_sub(before.run)).as_secs_f64() * 1e6 / requests,
        faults: after.faults.saturating_sub(before.faults) as f64 / requests,
        p50_micros: f64::from(outcome.quantile(0.5)),
        p99_micros: f64::from(outcome.quantile(0.99)),
        failed: outcome.lost(),
    })
}

/// Tries again what the machine spoilt.
pub(crate) fn again<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::other("never tried");
    for _ in 0..TRIES {
        match work() {
            Ok(done) => return Ok(done),
            Err(error) => {
                eprintln!("once more: {error}");
                last = error;
            }
        }
    }
    Err(last)
}

pub(crate) fn only(core: usize) -> rustix::thread::CpuSet {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    set
}

/// A directory of our own, removed when dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("evenkeel-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

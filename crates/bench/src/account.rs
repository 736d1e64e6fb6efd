//! What one request costs in calls: of the system, counted by strace, and of the allocator, counted by a small
//! library that is loaded before the C library.
//!
//! Each needs a run of its own, since counting slows the proxy down. The invariant: what cannot be counted here
//! (no strace, no C compiler) is `None`, never a guess.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cpu;
use crate::load::{self, Load};
use crate::peers::{self, Peer, Place};

/// The library's source: the product's own fences keep unsafe code out of this crate.
const SOURCE: &str = include_str!("count.c");

/// Requests a second while calls are counted; strace makes each call cost about twenty times as much.
const RATE: u64 = 1000;

const CONNECTIONS: usize = 64;

/// Calls that move bytes of requests and answers.
const DATA_CALLS: [&str; 12] = [
    "read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "sendfile", "splice", "pread64",
    "pwrite64",
];

/// What one request costs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    /// Calls that move bytes.
    pub(crate) data_calls: Option<f64>,
    /// All other calls.
    pub(crate) other_calls: Option<f64>,
    /// Calls to the allocator for memory.
    pub(crate) allocations: Option<f64>,
}

/// Counts a peer's calls under a light load.
pub(crate) fn of(peer: Peer, place: &Place<'_>, core: usize, time: Duration) -> io::Result<Account> {
    let calls = system_calls(peer, place, core, time)?;
    Ok(Account {
        data_calls: calls.map(|(data, _)| data),
        other_calls: calls.map(|(_, other)| other),
        allocations: allocations(peer, place, core, time)?,
    })
}

fn load(place: &Place<'_>, time: Duration) -> Load<'static> {
    Load { addr: place.addr, connections: CONNECTIONS, rate: RATE, time, path: "/", cookies: place.dress.is_sticky() }
}

fn system_calls(peer: Peer, place: &Place<'_>, core: usize, time: Duration) -> io::Result<Option<(f64, f64)>> {
    let running = peers::start(peer, place, core)?;
    load::run(load(place, Duration::from_millis(500)))?;
    let report = place.dir.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-q", "-o"]).arg(&report);
    for pid in cpu::family(running.pid()) {
        strace.args(["-p", &pid.to_string()]);
    }
    let tracer = match strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(tracer) => peers::Running::of(tracer),
        Err(_) => return Ok(None),
    };
    // It needs a moment to attach to every thread; until then it counts nothing, which falls out of a longer run.
    std::thread::sleep(Duration::from_millis(500));
    let outcome = load::run(load(place, time))?;
    drop(tracer);
    drop(running);
    let Ok(text) = std::fs::read_to_string(&report) else { return Ok(None) };
    let (data, other) = parse(&text);
    if data == 0 || outcome.answered == 0 {
        return Ok(None);
    }
    Ok(Some((data as f64 / outcome.answered as f64, other as f64 / outcome.answered as f64)))
}

/// The calls of a summary of strace: those that move bytes, and the others.
fn parse(text: &str) -> (u64, u64) {
    let mut sums = (0, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(calls), Some(name)) = (words.get(3).and_then(|word| word.parse::<u64>().ok()), words.last()) else {
            continue;
        };
        match *name {
            "total" => {}
            name if DATA_CALLS.contains(&name) => sums.0 += calls,
            _ => sums.1 += calls,
        }
    }
    sums
}

fn allocations(peer: Peer, place: &Place<'_>, core: usize, time: Duration) -> io::Result<Option<f64>> {
    let Some(library) = library(place.dir) else { return Ok(None) };
    let counter = place.dir.join("count");
    std::fs::write(&counter, [0; 8])?;
    let environment = [("LD_PRELOAD", library.as_path()), ("EVENKEEL_BENCH_COUNT", counter.as_path())];
    let _running = peers::start_with(peer, place, core, &environment)?;
    load::run(load(place, time))?;
    // Twice the time less once the time: what connections and warming up cost falls out.
    let before = read(&counter);
    let short = load::run(load(place, time))?;
    let middle = read(&counter);
    let long = load::run(load(place, time * 2))?;
    let after = read(&counter);
    let requests = long.answered.saturating_sub(short.answered);
    let calls = (after - middle).saturating_sub(middle - before);
    Ok((requests > 0 && after > 0).then(|| calls as f64 / requests as f64))
}

fn library(dir: &Path) -> Option<PathBuf> {
    let (source, library) = (dir.join("count.c"), dir.join("count.so"));
    if !library.exists() {
        std::fs::write(&source, SOURCE).ok()?;
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        compiler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    }
    library.exists().then_some(library)
}

fn read(counter: &Path) -> u64 {
    let bytes = std::fs::read(counter).unwrap_or_default();
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_summary_of_strace_is_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    60.00    0.000600           1       400         2 sendto\n \
                    30.00    0.000300           1       200           read\n \
                    10.00    0.000100           1       150           epoll_wait\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.001000           1       750         2 total\n";
        assert_eq!(super::parse(text), (600, 150));
    }
}

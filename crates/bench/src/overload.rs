//! What is left of a balancer's work when far more comes than can be done.
//!
//! Two kinds of too much. A pool that is full: its server takes so many requests at one time and each takes its while,
//! so that the peak is known; three times as many come, each due at its time whatever became of the others. And a core
//! that is full: requests as fast as they are answered, over more and more connections. The invariant: what counts is an
//! answer with 200 within a second of the moment at which its request was due.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::cpu;
use crate::http::{OTHER_CORE, PROXY_CORE, TempDir, only, origin};
use crate::load::{self, Load, Outcome};
use crate::peers::{self, Running};

/// Requests that the server takes at one time, each for five milliseconds: few, so that neither it nor the load is short of
/// a core before the pool is full.
const AT_ONCE: usize = 4;
/// Connections that bring far more than that.
const CONNECTIONS: usize = 512;
/// The time within which an answer is of use.
const USEFUL: Duration = Duration::from_secs(1);
/// How many connections bring requests as fast as they are answered.
const CROWDS: [usize; 3] = [64, 256, 1000];

/// Runs it, each load for so long: the tables.
pub(crate) fn run(evenkeel: &Path, time: Duration) -> io::Result<String> {
    let dir = TempDir::new()?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let mut text = String::new();
    let (running, addr) = start(evenkeel, dir.path(), &format!("max-conns={AT_ONCE}"), server)?;
    full_pool(&running, addr, time, &mut text)?;
    drop(running);
    let (running, addr) = start(evenkeel, dir.path(), "", server)?;
    full_core(&running, addr, time, &mut text)?;
    Ok(text)
}

fn start(
    evenkeel: &Path,
    dir: &Path,
    bound: &str,
    server: std::net::SocketAddr,
) -> io::Result<(Running, std::net::SocketAddr)> {
    let addr = peers::free_addr()?;
    let shown = dir.display();
    let config = format!(
        "state {shown}/state\ncontrol {shown}/evenkeel.sock\nlimits workers=1\nhttp {addr} {{\n    log {shown}/access.log\n    route * to=all\n}}\n\
         pool all {{\n    check off\n    queue max=64 timeout=500ms\n    server one {server} {bound}\n}}\n"
    );
    Ok((peers::start_evenkeel(evenkeel, dir, &config, addr, PROXY_CORE)?, addr))
}

/// Three times what a pool can do.
fn full_pool(running: &Running, addr: std::net::SocketAddr, time: Duration, text: &mut String) -> io::Result<()> {
    let load = |connections, rate| load::run(Load { addr, connections, rate, time, path: "/5ms", cookies: false });
    load(AT_ONCE, 0)?;
    let peak = per_second(&load(AT_ONCE + 4, 0)?, time);
    let _ = writeln!(
        text,
        "A server that takes {AT_ONCE} requests at one time, each for 5 ms, behind a queue of 64; {CONNECTIONS} connections.\n\n\
         | offered per second | answered in time | of the peak | turned away (503) | failed | p50, ms | p99, ms | memory, KiB |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    );
    let mut row = |name: &str, outcome: &Outcome| {
        let good = per_second(outcome, time);
        let _ = writeln!(
            text,
            "| {name} | {good:.0} | {:.0} % | {:.0} | {} | {:.1} | {:.1} | {} |",
            100.0 * good / peak.max(1.0),
            outcome.refused as f64 / time.as_secs_f64(),
            outcome.failed,
            f64::from(outcome.quantile(0.5)) / 1000.0,
            f64::from(outcome.quantile(0.99)) / 1000.0,
            cpu::usage(running.pid()).resident / 1024,
        );
    };
    row("as many as are answered: the peak", &load(AT_ONCE + 4, 0)?);
    for (name, share) in
        [("half of the peak", 0.5), ("three times the peak", 3.0), ("half again, at once after it", 0.5)]
    {
        let rate = (peak * share) as u64;
        row(&format!("{name}: {rate}"), &load(CONNECTIONS, rate.max(1))?);
    }
    text.push('\n');
    Ok(())
}

/// As fast as they are answered, over more and more connections.
fn full_core(running: &Running, addr: std::net::SocketAddr, time: Duration, text: &mut String) -> io::Result<()> {
    let _ = writeln!(
        text,
        "One core, answers of 1 KB, each connection's next request when the last is answered.\n\n\
         | connections | answered in time per second | failed | p99, ms | memory, KiB |\n|---|---:|---:|---:|---:|"
    );
    for connections in CROWDS {
        let outcome = load::run(Load { addr, connections, rate: 0, time, path: "/", cookies: false })?;
        let _ = writeln!(
            text,
            "| {connections} | {:.0} | {} | {:.1} | {} |",
            per_second(&outcome, time),
            outcome.lost(),
            f64::from(outcome.quantile(0.99)) / 1000.0,
            cpu::usage(running.pid()).resident / 1024,
        );
    }
    text.push('\n');
    Ok(())
}

/// Answers of use for each second.
fn per_second(outcome: &Outcome, time: Duration) -> f64 {
    let useful = u32::try_from(USEFUL.as_micros()).unwrap_or(u32::MAX);
    let count = outcome.latencies.partition_point(|latency| *latency <= useful);
    count as f64 / time.as_secs_f64()
}

//! The manual's page of measurements: method, tables, versions.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::http::{Found, Row, Sample};
use crate::peers::Peer;

/// How far a proxy that never changes may stray between rounds before its row is called unsteady.
const STEADY: f64 = 0.15;

const METHOD: &str = "# Benchmarks

Written by `cargo xtask bench http`. Absolute figures are this machine's; the ratio to the relay is what holds elsewhere. The relay
moves bytes between two sockets and understands none of them, so it is about the least that a proxy with kept connections on both sides
can cost.

CPU is the proxy's alone, all its threads, by the scheduler's own account. Each proxy has one worker on one core; load and server share
the other. At a rate requests are due at their time whatever the proxy does, so that latencies hide no stall, and the proxy is idle in
between, which makes its calls dear. At *full load* each connection asks again as soon as it is answered: the proxy finds several at a
time, and what it does itself is more of the cost. All proxies add the same fields. The order of the proxies turns with each round. A
ratio is that of two runs of one round; tables have medians, and in brackets the least and the most.

*Log* is an access log: `combined` of evenkeel and nginx in a file, `httplog` of HAProxy on its standard output. *Cookie* is a session
cookie that the proxy set and the client sends back, *checks* are HTTP checks each second; nginx as Debian ships it has neither, and
runs those rows with its log alone. What a row costs the relay has none of that.

";

/// The whole page.
pub(crate) fn page(found: &Found, evenkeel: &Path) -> String {
    let mut page = METHOD.to_owned();
    costs(found, &mut page);
    counts(found, &mut page);
    let _ = writeln!(page, "## Where and when\n");
    for peer in Peer::ALL {
        let _ = writeln!(page, "- {}: {}", peer.name(), peer.version(evenkeel));
    }
    let rounds = found.rows.first().and_then(|(_, samples)| samples.first()).map_or(0, Vec::len);
    let _ = writeln!(page, "- {}", machine());
    let _ = writeln!(page, "- {}, {rounds} rounds, {} s in all", said_by("date", &["+%Y-%m-%d"]), found.took.as_secs());
    page
}

fn costs(found: &Found, page: &mut String) {
    page.push_str("## Cost and latency\n\n| load | peer | CPU per request, µs | against the relay | p50, ms | p99, ms | failed |\n|---|---|---|---|---|---|---|\n");
    for (row, samples) in &found.rows {
        for (peer, own) in Peer::ALL.iter().zip(samples) {
            let floor = samples.first().map_or(&[][..], Vec::as_slice);
            line(row, *peer, own, floor, page);
        }
    }
    page.push('\n');
}

fn line(row: &Row, peer: Peer, own: &[Sample], floor: &[Sample], page: &mut String) {
    let micros: Vec<f64> = own.iter().map(|sample| sample.micros).collect();
    let ratios: Vec<f64> = own.iter().zip(floor).map(|(own, floor)| own.micros / floor.micros).collect();
    let of = |field: fn(&Sample) -> f64| median(own.iter().map(field).collect());
    let (low, high) = range(&micros);
    let is_unsteady = peer == Peer::Relay && median(micros.clone()) * STEADY < (high - low) / 2.0;
    let _ = writeln!(
        page,
        "| {} | {} | {:.1} ({low:.1} – {high:.1}){} | {:.2} ({:.2} – {:.2}) | {:.2} | {:.2} | {} |",
        row.load(),
        peer.name(),
        median(micros),
        if is_unsteady { " unsteady" } else { "" },
        median(ratios.clone()),
        range(&ratios).0,
        range(&ratios).1,
        of(|sample| sample.p50_micros) / 1000.0,
        of(|sample| sample.p99_micros) / 1000.0,
        own.iter().map(|sample| sample.failed).sum::<u64>(),
    );
}

fn counts(found: &Found, page: &mut String) {
    if found.counts.is_empty() {
        return;
    }
    page.push_str(
        "## Calls and memory\n\nCalls are counted at 1000 requests a second over 64 connections, by strace and by a library loaded before the C library's \
         allocator; data\ncalls move bytes of requests and answers, the others are mostly waits for events, which come for several \
         requests at once under more load.\nPage faults are those of the first row. Memory is the proxy's own, without the kernel's socket buffers: for each \
         of 4000 connections that\nwait for their next request, and of 1000 that wait for their answer.\n\n\
         | peer | data calls per request | other calls | allocations | page faults | bytes per idle connection | per waiting connection |\n|---|---|---|---|---|---|---|\n",
    );
    let first = found.rows.first();
    for (place, (peer, account, memory)) in found.counts.iter().enumerate() {
        let samples = first.and_then(|(_, samples)| samples.get(place)).map_or(&[][..], Vec::as_slice);
        let faults = median(samples.iter().map(|sample| sample.faults).collect());
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {faults:.4} | {:.0} | {:.0} |",
            peer.name(),
            counted(account.data_calls),
            counted(account.other_calls),
            counted(account.allocations),
            memory.idle,
            memory.active
        );
    }
    for (peer, account) in &found.dressed {
        let _ = writeln!(
            page,
            "| {} with log, cookie, checks | {} | {} | {} | | | |",
            peer.name(),
            counted(account.data_calls),
            counted(account.other_calls),
            counted(account.allocations)
        );
    }
    page.push('\n');
}

fn counted(count: Option<f64>) -> String {
    count.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.2}"))
}

/// Processor, cores and kernel.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let before = load.split(' ').nth(2).unwrap_or("?");
    format!(
        "{}, {cores} cores, Linux {}; load average at the end {before}, of which the bench itself makes about 2",
        model.unwrap_or("unknown processor"),
        said_by("uname", &["-r"])
    )
}

pub(crate) fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::MAX, 0.0), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

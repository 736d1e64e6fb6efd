//! The TCP bench: connections passed on byte for byte, beside nginx's stream module and HAProxy's TCP mode.
//!
//! The load is that of the HTTP bench, since what travels does not matter here: a small request up, 1 KB down, is a
//! round trip; 128 KB down, again and again, is bulk. The invariant is the HTTP bench's: a ratio is one of two runs of
//! the same round, seconds apart.

use std::fmt::Write as _;
use std::io;

use crate::http::{OTHER_CORE, Row, Sample, TempDir, measure_row, only, origin};
use crate::options::Options;
use crate::page::median;
use crate::peers::{Dress, Peer};

const ROWS: [Row; 3] = [
    row("round trips of 1 KB, 64 connections", "/", 64, 12_000),
    row("round trips of 1 KB, 1000 connections", "/", 1000, 12_000),
    row("bulk, 64 connections", "/128k", 64, 2_000),
];

const fn row(name: &'static str, path: &'static str, connections: usize, rate: u64) -> Row {
    Row { name, path, connections, rate, dress: Dress::Passed }
}

/// What goes through for a request of the bulk row.
const BULK_BYTES: f64 = 128.0 * 1024.0;

/// Runs it and gives its page.
pub(crate) fn run(options: &Options) -> io::Result<String> {
    let dir = TempDir::new()?;
    let (_origin, server) = origin()?;
    rustix::thread::sched_setaffinity(None, &only(OTHER_CORE))?;
    let mut page = head(options);
    for row in ROWS.iter().filter(|row| row.name.contains(&options.only)) {
        let samples = measure_row(row, options, dir.path(), server)?;
        table(&mut page, row, &samples);
    }
    Ok(page)
}

fn head(options: &Options) -> String {
    let mut text = format!(
        "# Benchmarks: TCP\n\n\
         CPU of the proxy alone, by the kernel's scheduler, for connections that are passed on byte for byte: one worker on one core, load and server on the \
         other, {} rounds of {} s for each, medians. The relay does nothing but read and write. Made by `cargo xtask bench tcp`.\n\n",
        options.rounds,
        options.time.as_secs_f64()
    );
    for peer in Peer::ALL {
        let _ = writeln!(text, "- {}: {}", peer.name(), peer.version(&options.evenkeel));
    }
    text
}

fn table(page: &mut String, row: &Row, samples: &[Vec<Sample>]) {
    let is_bulk = row.path != "/";
    let unit = if is_bulk { "s per GB" } else { "µs per round trip" };
    let _ = writeln!(
        page,
        "\n## {}\n\nAt {} a second.\n\n| | {unit} | against the relay | p50 µs | p99 µs | failed |\n|---|---|---|---|---|---|",
        row.name, row.rate
    );
    let Some(floor) = samples.first() else { return };
    for (peer, own) in Peer::ALL.iter().zip(samples) {
        let of = |field: fn(&Sample) -> f64| median(own.iter().map(field).collect());
        let micros = of(|sample| sample.micros);
        let shown = if is_bulk { micros / 1e6 * 1e9 / BULK_BYTES } else { micros };
        let ratios = own.iter().zip(floor).map(|(own, floor)| own.micros / floor.micros).collect();
        let failed: u64 = own.iter().map(|sample| sample.failed).sum();
        let _ = writeln!(
            page,
            "| {} | {shown:.2} | {:.2} | {:.0} | {:.0} | {failed} |",
            peer.name(),
            median(ratios),
            of(|sample| sample.p50_micros),
            of(|sample| sample.p99_micros),
        );
    }
}

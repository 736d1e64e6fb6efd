//! The manual's page of DNS measurements.

use std::fmt::Write as _;
use std::path::Path;

use super::servers::Server;
use super::{Found, Sample};
use crate::page::{machine, median, range, said_by};

const METHOD: &str = "# Benchmarks of DNS

Written by `cargo xtask bench dns`. Absolute figures are this machine's; the ratio to the reflecting socket is what holds elsewhere. That
socket receives and sends in batches and sends each datagram back as it came, so it is about the least that an answer can cost.

CPU is the server's alone, all its processes and threads, by the scheduler's own account. Each server has one thread for datagrams on one
core; the load has the other: eight sockets with sixteen queries each under way. All have the same zone, no log and no limit on answers.
The order of the servers turns with each round. A ratio is that of two runs of one round; tables have medians, and in brackets the least
and the most. *Lost* are queries without an answer within 50 ms, over all rounds; *wrong* are answers that are neither NOERROR nor
NXDOMAIN. In the row with reloads the zone file is replaced once a second by one with another serial and other addresses of twenty names all
over it, and read anew in each server's own way; what that costs is in the figure. Flapping health moves a verdict of evenkeel about ten times a second; the others have no health and answer as ever.

";

/// The whole page.
pub(crate) fn page(found: &Found, evenkeel: &Path) -> String {
    let mut page = METHOD.to_owned();
    page.push_str("| load | server | CPU per query, µs | against the socket | queries/s | lost | wrong |\n|---|---|---|---|---|---|---|\n");
    for (row, samples) in &found.rows {
        for (server, own) in found.servers.iter().zip(samples) {
            let floor = samples.first().map_or(&[][..], Vec::as_slice);
            line(row.name, server.name(), own, floor, &mut page);
        }
    }
    let _ = writeln!(page, "\n## Where and when\n");
    for server in Server::ALL.iter().filter(|server| !found.servers.contains(server)) {
        let _ = writeln!(
            page,
            "- {}: left out, the machine does not have it (package {})",
            server.name(),
            server.package()
        );
    }
    for server in &found.servers {
        let _ = writeln!(page, "- {}: {}", server.name(), server.version(evenkeel));
    }
    let rounds = found.rows.first().and_then(|(_, samples)| samples.first()).map_or(0, Vec::len);
    let _ = writeln!(page, "- {}", machine());
    let _ = writeln!(page, "- {}, {rounds} rounds, {} s in all", said_by("date", &["+%Y-%m-%d"]), found.took.as_secs());
    page
}

fn line(row: &str, server: &str, own: &[Sample], floor: &[Sample], page: &mut String) {
    let micros: Vec<f64> = own.iter().map(|sample| sample.micros).collect();
    let ratios: Vec<f64> = own.iter().zip(floor).map(|(own, floor)| own.micros / floor.micros).collect();
    let sum = |field: fn(&Sample) -> u64| own.iter().map(field).sum::<u64>();
    let (low, high) = range(&micros);
    let _ = writeln!(
        page,
        "| {row} | {server} | {:.2} ({low:.2} – {high:.2}) | {:.2} ({:.2} – {:.2}) | {:.0} | {} | {} |",
        median(micros),
        median(ratios.clone()),
        range(&ratios).0,
        range(&ratios).1,
        median(own.iter().map(|sample| sample.per_second).collect()),
        sum(|sample| sample.lost),
        sum(|sample| sample.wrong),
    );
}

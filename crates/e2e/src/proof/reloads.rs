//! Does anybody notice that the configuration changes, a hundred times, while requests are under way?
//!
//! Every reload changes routes and pools: servers come and go, a pool is renamed, rules are added, a listener is. One
//! in five is of a file with a mistake, which must change nothing. The invariant: every request is executed exactly
//! once.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Loads, Report, Size, executions, pool};
use crate::balancer::{Balancer, text};
use crate::nginx::Nginx;
use crate::over::Over;
use crate::place::free;

/// Reloads under load.
///
/// # Panics
/// Where something does not start.
pub fn run(size: Size, over: Over) -> Report {
    let began = Instant::now();
    let servers = Nginx::start_many(3);
    let (at, extra) = (free(), free());
    let door = over.listener(at);
    let mut balancer = Balancer::start(&variant(0, &door, extra, &servers));
    let loads = Loads::start(at, over);
    loads.await_more(size.between);
    let mut faults = Vec::new();
    let (mut refused, mut before) = (0, None);
    for count in 1..=size.rounds {
        if count % 5 == 0 {
            refused += 1;
            let generation = balancer.status()["config"]["generation"].clone();
            let output =
                balancer.reload(&(variant(count, &door, extra, &servers) + "\nhttp {\n    rout * to=shop\n}\n"));
            if output.status.code() != Some(2) || balancer.status()["config"]["generation"] != generation {
                faults.push(format!("reload {count} took a file with a mistake: {}", text(&output)));
            }
        }
        let output = balancer.reload(&variant(count, &door, extra, &servers));
        if !output.status.success() {
            faults.push(format!("reload {count}: {}", text(&output)));
        }
        loads.await_more(size.between);
        if count == size.rounds.min(10) {
            before = Some((balancer.process().memory(), balancer.process().descriptors()));
        }
    }
    let after = (balancer.process().memory(), balancer.process().descriptors());
    let rows = loads.stop(|| executions(&servers));
    let mut report = Report::new(format!("{} reloads of changed routes and pools; {over}", size.rounds), began, rows);
    report.faults.extend(faults);
    report.notes.push(format!("{refused} files with a mistake in between: refused by name, with no effect"));
    if let Some(before) = before {
        let (memory, descriptors) = before;
        report.notes.push(format!(
            "after the tenth reload {memory} KiB and {descriptors} descriptors, after the last {} KiB and {}",
            after.0, after.1
        ));
    }
    report
}

/// One of several configurations that all serve the same address, each unlike the one before.
fn variant(count: usize, door: &str, extra: SocketAddr, servers: &[Nginx]) -> String {
    let all = pool("shop", "", servers);
    match count % 6 {
        0 => format!("{door}    route * to=shop\n}}\n{all}"),
        1 => format!("{door}    route * to=shop\n}}\n{}", pool("shop", "", &servers[..2])),
        2 => format!(
            "{door}    route /never to=other\n    route * to=shop\n}}\n{all}{}",
            pool("other", "", &servers[1..])
        ),
        3 => format!(
            "{door}    route * to=renamed\n    response-header set X-Reload {count}\n}}\n{}",
            pool("renamed", "    retry 1 elsewhere\n", servers)
        ),
        4 => format!(
            "{door}    route * to=shop {{\n        request-header set X-Way {count}\n    }}\n}}\n\
             http {extra} {{\n    route * to=shop\n}}\n{}",
            pool("shop", "    balance least-conn\n", servers)
        ),
        _ => format!(
            "timeout idle={}s\n{door}    route /x respond=404\n    route * to=shop\n}}\n{}",
            20 + count % 20,
            pool("shop", "    sticky\n", &servers[1..])
        )
        .replace("route /x respond=404", "route /x {\n        respond 404 no\n    }"),
    }
}

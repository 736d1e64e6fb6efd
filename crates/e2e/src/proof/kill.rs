//! What does it cost that servers die without a word, one after the other, and come back?
//!
//! The invariant: no request that may be sent again is lost, and none that may not is executed twice.

use std::time::Instant;

use super::{Loads, Report, Size, executions, pool};
use crate::balancer::Balancer;
use crate::nginx::Nginx;
use crate::over::Over;
use crate::place::free;

/// Servers killed by SIGKILL and restored in turn.
///
/// # Panics
/// Where something does not start.
pub fn run(size: Size, over: Over) -> Report {
    let began = Instant::now();
    let mut servers = Nginx::start_many(3);
    let at = free();
    // Checks alone judge: live traffic would hold a server out for longer than its restart takes.
    let config = format!("{}    route * to=shop\n}}\n{}", over.listener(at), pool("shop", "    eject off\n", &servers));
    let balancer = Balancer::start(&config);
    let loads = Loads::start(at, over);
    loads.await_more(size.between);
    for round in 0..size.rounds {
        let victim = round % servers.len();
        let name = servers[victim].name.clone();
        servers[victim].kill();
        // Some deaths are noticed by a check before the server is back, some are not.
        if round % 2 == 0 {
            balancer.await_state("shop", &name, "down");
        }
        loads.await_more(size.between);
        servers[victim].restore();
        balancer.await_state("shop", &name, "up");
    }
    let rows = loads.stop(|| executions(&servers));
    let mut report =
        Report::new(format!("{} servers killed by SIGKILL, and restored, in turn; {over}", size.rounds), began, rows);
    report.allow_unwritten(size.rounds);
    let beyond: usize = report.rows.iter().map(|row| row.beyond_help).sum();
    // No more than each client of that load had in hand at each death.
    if beyond > size.rounds * 2 {
        report.faults.push(format!("{beyond} requests beyond help are more than were in the dead servers' hands"));
    }
    report.notes.push(
        "beyond help: a POST that was sent to the server that died with it. Nobody can know whether it was executed; \
         the client is told by 502"
            .to_owned(),
    );
    report
}

//! What does it cost that a server hangs: its kernel accepts, nothing is answered?
//!
//! The invariant: a request that may be sent again costs time and is not lost, and a server known to hang is not asked.

use std::time::{Duration, Instant};

use super::{Loads, Report, Size, executions, pool};
use crate::balancer::Balancer;
use crate::nginx::Nginx;
use crate::over::Over;
use crate::place::free;

/// How long a server is waited for.
const ANSWER: Duration = Duration::from_millis(600);

/// Servers hung by SIGSTOP and resumed in turn.
///
/// # Panics
/// Where something does not start.
pub fn run(size: Size, over: Over) -> Report {
    let began = Instant::now();
    let mut servers = Nginx::start_many(3);
    let at = free();
    let lines = format!(
        "    eject off\n    timeout answer={}ms\n    retry 2 elsewhere on=lost,timeout budget=100%\n",
        ANSWER.as_millis()
    );
    let balancer =
        Balancer::start(&format!("{}    route * to=shop\n}}\n{}", over.listener(at), pool("shop", &lines, &servers)));
    let loads = Loads::start(at, over);
    loads.await_more(size.between);
    for round in 0..size.rounds {
        let victim = round % servers.len();
        let name = servers[victim].name.clone();
        servers[victim].hang();
        balancer.await_state("shop", &name, "down");
        loads.await_more(size.between);
        servers[victim].resume();
        balancer.await_state("shop", &name, "up");
        loads.await_more(size.between);
    }
    let rows = loads.stop(|| executions(&servers));
    let mut report = Report::new(format!("{} servers hung, and resumed, in turn; {over}", size.rounds), began, rows);
    // A hung server executes what it was sent once it goes on: a request that was asked elsewhere meanwhile is executed
    // twice, which is what its method allows. Where it does not allow it, nothing is.
    for row in &mut report.rows {
        if row.load.starts_with("GET") && row.twice > 0 {
            report.notes.push(format!(
                "{}: {} were executed twice, as GET allows: asked elsewhere while a server hung, and executed there too \
                 once it went on",
                row.load, row.twice
            ));
        }
    }
    report.faults.retain(|fault| !(fault.starts_with("GET") && fault.ends_with("executed twice")));
    report.notes.push(
        "beyond help: a POST that was sent to the server that hung. It may be executed later; the client is told by 504"
            .to_owned(),
    );
    report
}

//! What does it cost that neither log takes a byte: the disk is full, or whoever reads the log has stopped?
//!
//! The access log goes to a device that is always full; the program's own log to the same, or to a pipe that is full
//! and that nobody reads. Reloads and deaths of servers go on, so that there is something to log. The invariant: not
//! one request is lost or late for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Instant;

use super::{Loads, Report, Size, executions, pool};
use crate::balancer::{Balancer, text};
use crate::nginx::Nginx;
use crate::over::Over;
use crate::place::{Scratch, free};

/// Where the program's own log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnLog {
    /// To a device that is full.
    Full,
    /// To a pipe that is full and that nobody reads.
    Stalled,
}

/// Load while both logs are full.
///
/// # Panics
/// Where something does not start.
pub fn run(size: Size, own: OwnLog) -> Report {
    let began = Instant::now();
    let mut servers = Nginx::start_many(2);
    let at = free();
    let scratch = Scratch::new("logs");
    let config = |more: &str| {
        format!(
            "http {at} {{\n    log /dev/full\n    route * to=shop\n}}\n{}",
            pool("shop", &format!("    eject off\n{more}"), &servers)
        )
    };
    let pipe = scratch.file("pipe");
    let output = match own {
        OwnLog::Full => "/dev/full".into(),
        OwnLog::Stalled => {
            let made = Command::new("mkfifo").arg(&pipe).status();
            assert!(made.is_ok_and(|status| status.success()), "{} cannot be made", pipe.display());
            pipe.clone()
        }
    };
    // Open for both, so that nobody waits for another end; held until the load is over.
    let held = (own == OwnLog::Stalled).then(|| {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag is small");
        OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(&pipe).expect("the pipe is ours")
    });
    let first = config("");
    let second = config("    balance least-conn\n");
    let balancer = Balancer::start_with_output(&first, output);
    if let Some(mut held) = held.as_ref() {
        while held.write(&[b'.'; 4096]).is_ok() {}
        while held.write(b".").is_ok() {}
    }
    let loads = Loads::start(at, Over::Clear);
    loads.await_more(size.between);
    let mut faults = Vec::new();
    for round in 0..size.rounds {
        let output = balancer.reload(if round % 2 == 0 { &second } else { &first });
        if !output.status.success() {
            faults.push(format!("reload {round}: {}", text(&output)));
        }
        servers[1].kill();
        balancer.await_state("shop", "b", "down");
        loads.await_more(size.between);
        servers[1].restore();
        balancer.await_state("shop", "b", "up");
    }
    let status = balancer.status();
    let rows = loads.stop(|| executions(&servers));
    drop(held);
    let own = if own == OwnLog::Full { "on a full disk" } else { "in a full pipe" };
    let what = format!("both logs full, the program's own {own}; {} reloads and deaths meanwhile", size.rounds);
    let mut report = Report::new(what, began, rows);
    report.allow_unwritten(size.rounds);
    report.faults.extend(faults);
    match number(&status, "log_lines_lost") {
        Some(lost) if lost > 0 => report.notes.push(format!("{lost} lines were lost, and counted as such")),
        _ => report.faults.push("the lines that were lost are not counted".to_owned()),
    }
    report
}

/// The first number under that key, however deep.
fn number(value: &serde_json::Value, key: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().find_map(|(name, inner)| if name == key { inner.as_u64() } else { number(inner, key) })
        }
        serde_json::Value::Array(all) => all.iter().find_map(|inner| number(inner, key)),
        _ => None,
    }
}

//! Proofs: load in which every request is counted on both sides, while something bad happens, and a table that says
//! what it cost.
//!
//! Each proof is a function of its [`Size`]: the tests run it short, `cargo xtask prove` long. The invariant: every
//! number that a client sent stands in exactly one column, and what servers executed is counted by the same number.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::load::{Account, Keeping, Load, Outcome, Plan};
use crate::nginx::{self, Nginx};
use crate::over::Over;
use crate::wire::Failure;

pub mod dns;
pub mod hang;
pub mod kill;
pub mod logs;
pub mod reloads;
pub mod soak;

/// What no server executed though its client has an answer.
const UNWRITTEN: &str = "answered and not executed";

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How often the bad thing happens.
    pub rounds: usize,
    /// How many requests of the busiest load go between two times.
    pub between: usize,
}

/// What a load met.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Which load.
    pub load: String,
    /// Requests sent.
    pub sent: usize,
    /// Answered below 500.
    pub ok: usize,
    /// No connection.
    pub refused: usize,
    /// The connection ended before an answer.
    pub reset: usize,
    /// The connection ended within an answer.
    pub cut: usize,
    /// Answered 500 or above.
    pub errors: usize,
    /// Not answered in time.
    pub timeout: usize,
    /// Not answered by HTTP.
    pub malformed: usize,
    /// Executed more than once.
    pub twice: usize,
    /// Answered as if executed, and not executed.
    pub never: usize,
    /// Lost though a balancer could have helped.
    pub lost: usize,
    /// Lost where none can help: executed, or perhaps executed, by a server that died with the answer.
    pub beyond_help: usize,
}

/// What a proof found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What happened.
    pub what: String,
    /// How long it took.
    pub took: Duration,
    /// The loads.
    pub rows: Vec<Row>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// What must not be.
    pub faults: Vec<String>,
}

/// Whether a request of a load may be sent again after it may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Its method allows it (RFC 9110 section 9.2.2).
    Yes,
    /// It does not: what was sent is not sent again.
    No,
}

/// The loads that run through a proof: connections that are kept, one connection each, and requests that must never
/// be executed twice.
#[derive(Debug)]
pub struct Loads(Vec<(&'static str, Repeatable, Load)>);

impl Loads {
    /// Starts them.
    pub fn start(to: SocketAddr, over: Over) -> Self {
        let get = |clients| Plan { over, ..Plan::get(to, clients) };
        let post = Plan { method: "POST", body: vec![b'x'; 3000], ..get(2) };
        Self(vec![
            ("GET, kept connections", Repeatable::Yes, Load::start(&get(5))),
            ("GET, one connection each", Repeatable::Yes, Load::start(&Plan { keeping: Keeping::OneEach, ..get(3) })),
            ("POST of 3000 bytes", Repeatable::No, Load::start(&post)),
        ])
    }

    /// Waits until the busiest has sent so many more.
    pub fn await_more(&self, more: usize) {
        self.0[0].2.await_more(more);
    }

    /// Ends them, and counts each against what the servers executed.
    pub fn stop(self, executed: impl FnOnce() -> HashMap<u64, u32>) -> Vec<Row> {
        let accounts: Vec<_> = self.0.into_iter().map(|(name, again, load)| (name, again, load.stop())).collect();
        let executed = executed();
        accounts.iter().map(|(name, again, account)| Row::of(name, *again, account, &executed)).collect()
    }
}

impl Row {
    /// Counts a load.
    pub fn of(load: &str, repeatable: Repeatable, account: &Account, executed: &HashMap<u64, u32>) -> Self {
        let mut row = Self { load: load.to_owned(), sent: account.records.len(), ..Self::default() };
        for record in &account.records {
            let times = executed.get(&record.number).copied().unwrap_or(0);
            row.twice += usize::from(times > 1);
            let column = match &record.outcome {
                Outcome::Answered(200..=399, _) => {
                    row.never += usize::from(times == 0);
                    row.ok += 1;
                    continue;
                }
                Outcome::Answered(..) | Outcome::ServerError(_) => &mut row.errors,
                Outcome::Failed(Failure::Refused) => &mut row.refused,
                Outcome::Failed(Failure::ResetBefore) => &mut row.reset,
                Outcome::Failed(Failure::ResetMid) => &mut row.cut,
                Outcome::Failed(Failure::Timeout) => &mut row.timeout,
                Outcome::Failed(Failure::Malformed(_)) => &mut row.malformed,
            };
            *column += 1;
            // What a server had in hand when it died is not asked for a second time, and its answer is lost. The
            // client is told so by 502 or 504; every other end is ours to prevent.
            let is_told = matches!(record.outcome, Outcome::ServerError(502 | 504));
            let is_beyond = repeatable == Repeatable::No && is_told;
            *if is_beyond { &mut row.beyond_help } else { &mut row.lost } += 1;
        }
        row
    }
}

impl Report {
    /// A report of a proof that began then, with faults for what no proof allows.
    pub fn new(what: String, began: Instant, rows: Vec<Row>) -> Self {
        let mut faults = Vec::new();
        for row in &rows {
            let counts = [(row.lost, "lost"), (row.twice, "executed twice"), (row.never, UNWRITTEN)];
            for (count, word) in counts.into_iter().filter(|(count, _)| *count > 0) {
                faults.push(format!("{}: {count} {word}", row.load));
            }
            if row.sent == 0 {
                faults.push(format!("{}: nothing was sent", row.load));
            }
        }
        Self { what, took: began.elapsed(), rows, notes: Vec::new(), faults }
    }

    /// Allows one answer for each death that left its server before the request was written down: each server is one
    /// process, which writes its log as soon as it has answered.
    pub fn allow_unwritten(&mut self, deaths: usize) {
        let never: usize = self.rows.iter().map(|row| row.never).sum();
        if (1..=deaths).contains(&never) {
            self.faults.retain(|fault| !fault.ends_with(UNWRITTEN));
            self.notes.push(format!("{never} answered by a server that died before it wrote so down"));
        }
    }

    /// Fails unless it holds.
    ///
    /// # Panics
    /// In that case, with the table.
    pub fn expect_holds(&self) {
        assert!(self.faults.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {:.0} s\n", self.what, self.took.as_secs_f64())?;
        let names = ["ok", "refused", "reset", "cut", "5xx", "timeout", "twice", "lost", "beyond help"];
        writeln!(f, "| load | requests | {} |", names.join(" | "))?;
        writeln!(f, "|---|---:|{}", "---:|".repeat(names.len()))?;
        for row in &self.rows {
            let counts = [
                row.ok,
                row.refused,
                row.reset,
                row.cut + row.malformed,
                row.errors,
                row.timeout,
                row.twice,
                row.lost,
                row.beyond_help,
            ];
            let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
            writeln!(f, "| {} | {} | {} |", row.load, row.sent, counts.join(" | "))?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        for fault in &self.faults {
            writeln!(f, "- **fault**: {fault}")?;
        }
        Ok(())
    }
}

/// Checks that notice a death within a second, and do not take a machine that stands still for one.
const QUICK_CHECK: &str = "    check GET /check every=200ms timeout=2s rise=1 fall=2\n";

/// A pool of these servers with further lines.
fn pool(name: &str, lines: &str, servers: &[Nginx]) -> String {
    let list: String = servers.iter().map(|server| format!("    server {} {}\n", server.name, server.at)).collect();
    format!("pool {name} {{\n{QUICK_CHECK}{lines}{list}}}\n")
}

/// How often each number was executed, once the servers' logs have stopped growing.
fn executions(servers: &[Nginx]) -> HashMap<u64, u32> {
    std::thread::sleep(Duration::from_millis(200));
    nginx::executions(servers)
}

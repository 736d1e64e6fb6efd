//! The failover lab: two machines with one service address, a client that asks for it every 2 ms, and a fault. The same
//! faults strike evenkeel, keepalived and Heartbeat.
//!
//! [`stand`] builds the machines and starts a [`system`] on them, [`client`] asks and keeps the times, [`owners`] sees
//! which machine has the address, [`fault`] does the harm, [`page`] writes the tables. The invariant: a trial begins
//! with one owner and an answering client on machines that no other trial has touched, and is bounded in time.

pub mod client;
pub mod fault;
pub mod owners;
pub mod page;
pub mod stand;
pub mod system;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fault::Fault;
use stand::Stand;
use system::System;

/// How long the client has to be served without a gap before a trial begins, and before it ends.
const CALM: Duration = Duration::from_secs(2);
/// After this time a trial ends whatever goes on.
const LONGEST: Duration = Duration::from_secs(45);
/// So long two owners are watched while clients are served; then it is said that it does not end.
const TWO_OWNERS: Duration = Duration::from_secs(15);

/// What is tried.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each fault strikes each system.
    pub times: usize,
    /// Only faults and systems whose names contain this.
    pub only: String,
    /// Trials that run beside one another.
    pub at_once: usize,
}

/// What one trial showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trial {
    /// The longest time without an answer.
    pub outage: Duration,
    /// Connections that were not answered.
    pub lost: u64,
    /// Requests that were.
    pub answered: u64,
    /// For how long two machines had the address.
    pub two: Duration,
    /// Whether they still had it at the end.
    pub is_still_two: bool,
    /// How often the address came to another machine.
    pub moves: u32,
    /// Whether the client was served at the end.
    pub is_served: bool,
}

/// All trials of one fault with one system.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Which fault.
    pub fault: Fault,
    /// Which system.
    pub system: System,
    /// What was seen, for each trial that could be made.
    pub trials: Vec<Trial>,
    /// Why the others could not.
    pub failed: Vec<String>,
}

/// Runs the plan. Every trial is told of on the standard error.
///
/// # Panics
/// Never by a trial that fails: that is a part of the result.
pub fn run(plan: &Plan) -> Vec<Cell> {
    let mut cells = Vec::new();
    for fault in Fault::ALL {
        for system in System::ALL {
            let is_wanted = [fault.name(), system.name()].iter().any(|name| name.contains(&plan.only));
            if is_wanted {
                cells.push(Cell { fault, system, trials: Vec::new(), failed: Vec::new() });
            }
        }
    }
    // Each time through all cells, so that a run that is cut short has something of each.
    let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..plan.times).flat_map(|_| 0..cells.len()).collect());
    let results = Mutex::new(cells);
    std::thread::scope(|scope| {
        for _ in 0..plan.at_once.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no trial panics with the lock held").pop_front();
                    let Some(at) = next else { return };
                    let (fault, system) = {
                        let cells = results.lock().expect("no trial panics with the lock held");
                        (cells[at].fault, cells[at].system)
                    };
                    let result = trial(fault, system);
                    eprintln!("{:<46} {:<22} {}", fault.name(), system.name(), page::line(&result));
                    let mut cells = results.lock().expect("no trial panics with the lock held");
                    match result {
                        Ok(trial) => cells[at].trials.push(trial),
                        Err(why) => cells[at].failed.push(why),
                    }
                }
            });
        }
    });
    results.into_inner().expect("no trial panics with the lock held")
}

/// One trial.
///
/// # Errors
/// Where the machines or the system did not come up, in words.
pub fn trial(fault: Fault, system: System) -> Result<Trial, String> {
    catch_unwind(AssertUnwindSafe(|| attempt(fault, system))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?
}

fn attempt(fault: Fault, system: System) -> Result<Trial, String> {
    let mut stand = Stand::start(system, fault.service());
    let client = stand.client();
    let owners = stand.owners();
    let ready = Instant::now() + system.patience();
    let mut ordered_at = Instant::now();
    while !(owners.now() == [1] && client.calm_for() >= CALM) {
        // The second machine may be there first, and none of ours takes an address back unasked.
        if owners.now() == [2] && system.is_ours() && ordered_at.elapsed() > CALM {
            ordered_at = Instant::now();
            stand.order_to(1);
        }
        if Instant::now() > ready {
            let (patience, now, calm) = (system.patience(), owners.now(), client.calm_for());
            let words = stand.words();
            return Err(format!("not ready after {patience:?}: owners {now:?}, calm for {calm:?}\n{words}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fault.prepare(&mut stand, &owners)?;
    client.reset();
    owners.reset();
    let began = Instant::now();
    fault.strike(&mut stand);
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let is_calm = client.calm_for() >= CALM;
        let is_one = owners.now().len() == 1;
        let is_long = began.elapsed() > fault.lasts(system) + TWO_OWNERS;
        // What is to come has its time to come: the calm from before is no end.
        let is_due = began.elapsed() > fault.lasts(system) + system.dead() * 3 + CALM;
        if is_due && is_calm && (is_one || is_long) || began.elapsed() > fault.lasts(system) + LONGEST {
            break;
        }
    }
    let is_served = client.calm_for() >= CALM;
    let (seen, owned) = (client.end(), owners.end());
    Ok(Trial {
        outage: seen.outage,
        lost: seen.failed,
        answered: seen.answered,
        two: owned.two,
        is_still_two: owned.now.len() > 1,
        moves: owned.moves,
        is_served,
    })
}

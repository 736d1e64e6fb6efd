//! What the lab found, as tables for people.
//!
//! The invariant: a median stands beside the worst, and what did not end is said to have no end.

use std::fmt::Write;
use std::time::Duration;

use super::fault::Fault;
use super::system::System;
use super::{Cell, Trial};

/// One trial in a line.
pub fn line(result: &Result<Trial, String>) -> String {
    match result {
        Ok(trial) => format!(
            "{} without an answer, {} of {} lost, two owners {}{}, {} moves{}",
            time(trial.outage),
            trial.lost,
            trial.lost + trial.answered,
            time(trial.two),
            if trial.is_still_two { " to the end" } else { "" },
            trial.moves,
            if trial.is_served { "" } else { ", NOT SERVED at the end" }
        ),
        Err(why) => format!("could not be tried: {why}"),
    }
}

/// What one table shows of a cell.
type Show = fn(&Cell) -> String;

/// The tables.
pub fn tables(cells: &[Cell]) -> String {
    let mut text = String::new();
    let wholes: [(&str, Show); 4] = [
        ("The longest time without an answer, in milliseconds: median (worst).", outage),
        ("Two machines have the address, in milliseconds: median (worst).", two),
        ("Requests that were lost: median (worst).", lost),
        ("How often the address came to another machine: median (worst).", moves),
    ];
    let systems: Vec<System> =
        System::ALL.into_iter().filter(|system| cells.iter().any(|cell| cell.system == *system)).collect();
    for (title, show) in wholes {
        let names: Vec<&str> = systems.iter().map(|system| system.name()).collect();
        let _ = writeln!(
            text,
            "**{title}**\n\n| what happens | {} |\n|---|{}",
            names.join(" | "),
            "---:|".repeat(names.len())
        );
        for fault in Fault::ALL {
            let found = |system: &System| cells.iter().find(|cell| cell.fault == fault && cell.system == *system);
            let row: Vec<Option<&Cell>> = systems.iter().map(found).collect();
            if row.iter().any(Option::is_some) {
                let shown: Vec<String> = row.iter().map(|cell| cell.map_or_else(|| "-".to_owned(), show)).collect();
                let _ = writeln!(text, "| {} | {} |", fault.name(), shown.join(" | "));
            }
        }
        text.push('\n');
    }
    for cell in cells.iter().filter(|cell| !cell.failed.is_empty()) {
        let why = cell.failed.first().and_then(|why| why.lines().next()).unwrap_or_default();
        let _ = writeln!(
            text,
            "- {} with {}: {} trials could not be made ({why})",
            cell.fault.name(),
            cell.system.name(),
            cell.failed.len()
        );
    }
    text
}

fn outage(cell: &Cell) -> String {
    let is_served = cell.trials.iter().all(|trial| trial.is_served);
    let shown = both(cell, |trial| trial.outage.as_millis());
    if is_served { shown } else { format!("{shown}, no end") }
}

fn two(cell: &Cell) -> String {
    let shown = both(cell, |trial| trial.two.as_millis());
    if cell.trials.iter().any(|trial| trial.is_still_two) { format!("{shown}, no end") } else { shown }
}

fn lost(cell: &Cell) -> String {
    both(cell, |trial| u128::from(trial.lost))
}

fn moves(cell: &Cell) -> String {
    both(cell, |trial| u128::from(trial.moves))
}

fn both(cell: &Cell, of: impl Fn(&Trial) -> u128) -> String {
    let mut all: Vec<u128> = cell.trials.iter().map(of).collect();
    all.sort_unstable();
    match (all.get(all.len() / 2), all.last()) {
        (Some(median), Some(worst)) => format!("{median} ({worst})"),
        _ => "not tried".to_owned(),
    }
}

fn time(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

//! Steps of a longer task: each has a name, is announced, timed, and listed at the end.
//!
//! Its invariant: a step that failed makes the whole fail, and the others still run where they can.

use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Passed,
    /// Not run, for a reason that is said aloud.
    Skipped(String),
    /// Failed, with what to do.
    Failed(String),
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Outcome, Duration)>,
}

impl Steps {
    /// Runs a step.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Outcome) {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = step();
        match &outcome {
            Outcome::Passed => {}
            Outcome::Skipped(why) => println!("SKIPPED: {why}"),
            Outcome::Failed(why) => println!("FAILED: {why}"),
        }
        self.done.push((name, outcome, began.elapsed()));
    }

    /// Prints the list and says whether nothing failed.
    pub(crate) fn summary(&self) -> bool {
        println!("\n== summary");
        for (name, outcome, took) in &self.done {
            let word = match outcome {
                Outcome::Passed => "ok".to_owned(),
                Outcome::Skipped(why) => format!("skipped: {why}"),
                Outcome::Failed(why) => format!("FAILED: {why}"),
            };
            println!("{name:<14} {:>7.1} s  {word}", took.as_secs_f64());
        }
        !self.done.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)))
    }
}

/// Runs a command with our own output; its failure is the step's.
pub(crate) fn command(line: &[&str]) -> Outcome {
    println!("$ {}", line.join(" "));
    let Some((program, arguments)) = line.split_first() else { return Outcome::Passed };
    match Command::new(program).args(arguments).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{}` ended with {status}", line.join(" "))),
        Err(error) => Outcome::Failed(format!("`{program}` did not start: {error}")),
    }
}

/// Whether a program answers to these arguments.
pub(crate) fn answers(line: &[&str]) -> bool {
    let Some((program, arguments)) = line.split_first() else { return false };
    let status =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a command, hands over each line of its standard output, and prints what comes back for it.
pub(crate) fn watched(line: &[&str], mut see: impl for<'a> FnMut(&'a str) -> Cow<'a, str>) -> Outcome {
    println!("$ {}", line.join(" "));
    let Some((program, arguments)) = line.split_first() else { return Outcome::Passed };
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("`{program}` did not start: {error}")),
    };
    if let Some(output) = child.stdout.take() {
        for text in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{}", see(&text));
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{}` ended with {status}", line.join(" "))),
        Err(error) => Outcome::Failed(format!("`{program}` was lost: {error}")),
    }
}

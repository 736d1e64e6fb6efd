//! The simulated clusters, as many as one likes.
//!
//! The ordinary tests run ten thousand of them; this runs more, optimised. A failure names its seed, which
//! `EVENKEEL_SEED` repeats with a diary of the nodes. Its invariant: a seed that passed passes again.

use std::process::Command;

use crate::steps::{Outcome, Steps};

/// Runs the worlds of the first seeds. True where nothing went wrong in any.
pub(crate) fn run(arguments: &[String]) -> bool {
    let seeds = match arguments {
        [] => 1_000_000,
        [flag, count] if flag == "--seeds" && count.parse::<u64>().is_ok_and(|n| n > 0) => count.parse().unwrap_or(1),
        _ => {
            eprintln!("usage: cargo xtask sim [--seeds N], N from 1, a million by default");
            return false;
        }
    };
    let mut steps = Steps::default();
    steps.run("worlds", || worlds(seeds));
    steps.summary()
}

fn worlds(seeds: u64) -> Outcome {
    let words = ["test", "--release", "-p", "evenkeel-sim", "no_bad_luck", "--", "--nocapture"];
    println!("$ EVENKEEL_SEEDS={seeds} cargo {}", words.join(" "));
    match Command::new("cargo").args(words).env("EVENKEEL_SEEDS", seeds.to_string()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("ended with {status}; the seed stands above")),
        Err(error) => Outcome::Failed(format!("cargo did not start: {error}")),
    }
}

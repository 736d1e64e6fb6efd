//! Fuzzing: every target of `fuzz/`, each for so many minutes.
//!
//! It needs `cargo-fuzz`; the compiler's own instrumentation is reached on a stable compiler by `RUSTC_BOOTSTRAP`. The
//! parsers hold no unsafe code, so that the sanitizer for memory would find nothing and is left out. What is found stays
//! in `fuzz/artifacts`; the corpus is replayed by the ordinary tests, which need none of this.
//! Its invariant: a target that exists is run.

use std::fs;
use std::process::Command;

use crate::steps::{Outcome, Steps, answers};

/// Runs every target. True where none found anything.
pub(crate) fn run(arguments: &[String]) -> bool {
    let minutes = match arguments {
        [] => 1,
        [flag, count] if flag == "--minutes" && count.parse::<u32>().is_ok_and(|n| n > 0) => count.parse().unwrap_or(1),
        _ => {
            eprintln!("usage: cargo xtask fuzz [--minutes N], N from 1");
            return false;
        }
    };
    if !answers(&["cargo", "fuzz", "--version"]) {
        eprintln!("cargo-fuzz is absent: `cargo install --locked cargo-fuzz`");
        return false;
    }
    let mut steps = Steps::default();
    for target in targets() {
        steps.run("fuzz", || one(&target, minutes));
    }
    steps.summary()
}

/// The targets, by the names of their files.
fn targets() -> Vec<String> {
    let files =
        fs::read_dir("fuzz/fuzz_targets").map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut names: Vec<String> =
        files.iter().filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    names
}

fn one(target: &str, minutes: u32) -> Outcome {
    let bound = format!("-max_total_time={}", u64::from(minutes) * 60);
    // What the fuzzer finds interesting goes to the first folder; the second, the one in the repository, is only read.
    let (found, corpus) = (format!("target/fuzz-corpus/{target}"), format!("fuzz/corpus/{target}"));
    if let Err(error) = fs::create_dir_all(&found) {
        return Outcome::Failed(format!("{found} cannot be made: {error}"));
    }
    println!("$ cargo fuzz run {target} -- {bound}");
    let status = Command::new("cargo")
        .args(["fuzz", "run", "--sanitizer", "none", target, &found, &corpus, "--", &bound])
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    match status {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => {
            Outcome::Failed(format!("`{target}` ended with {status}; its input is in fuzz/artifacts/{target}"))
        }
        Err(error) => Outcome::Failed(format!("cargo did not start: {error}")),
    }
}

//! Fuzzing: every target of `fuzz/`, with the time shared between them.
//!
//! It needs nothing but the compiler that builds the rest, and a C++ one for the library of the fuzzer: the compiler's
//! coverage pass is asked for by its own flags. The parsers hold no unsafe code, so that the sanitizer for memory would
//! find nothing and is left out. What is found stays in `fuzz/artifacts`; the corpus is replayed by the ordinary tests.
//! Its invariant: a target that exists is run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::steps::{Outcome, Steps};

/// Where `--write` puts the figures.
const PAGE: &str = "docs/src/operate/proofs.md";

/// Minutes over all targets where none are given.
const MINUTES: u64 = 15;

/// The flags of the coverage pass that the fuzzer's library reads; without them it would be blind.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
                     -Clink-arg=-Wl,-z,nostart-stop-gc -Ccodegen-units=1 --cfg fuzzing";

/// What a target did.
struct Figures {
    target: String,
    runs: u64,
    places: u64,
    inputs: u64,
}

/// Runs every target. True where none found anything.
pub(crate) fn run(arguments: &[String]) -> bool {
    let mut minutes = MINUTES;
    let (mut only, mut is_written) = (None, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.as_slice().first()) {
            ("--write", _) => is_written = true,
            ("--minutes", Some(count)) if count.parse::<u64>().is_ok_and(|count| count > 0) => {
                minutes = count.parse().unwrap_or(MINUTES);
                words.next();
            }
            ("--only", Some(name)) => {
                only = Some(name.clone());
                words.next();
            }
            _ => {
                eprintln!(
                    "usage: cargo xtask fuzz [--minutes N] [--only TARGET] [--write], N from 1, over all targets"
                );
                return false;
            }
        }
    }
    let targets: Vec<String> =
        targets().into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)).collect();
    let Some(host) = host() else {
        eprintln!("`rustc -vV` does not name this machine");
        return false;
    };
    let seconds = (minutes * 60 / u64::try_from(targets.len().max(1)).unwrap_or(1)).max(1);
    let mut steps = Steps::default();
    let mut built = false;
    steps.run("build", || build(&host, &mut built));
    let mut figures = Vec::new();
    for target in targets.iter().filter(|_| built) {
        steps.run("fuzz", || one(target, &host, seconds, &mut figures));
    }
    let text = table(&figures, seconds);
    println!("\n{text}");
    if is_written {
        steps.run("write", || write(&text));
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

/// The name of this machine's kind: with it given, the flags are kept from what the build itself runs.
fn host() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// A folder of its own: the flags would throw away everything built without them.
fn folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("fuzz")
}

fn build(host: &str, built: &mut bool) -> Outcome {
    let status = Command::new("cargo")
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host, "--target-dir"])
        .arg(folder())
        .env("RUSTFLAGS", FLAGS)
        .stdin(Stdio::null())
        .status();
    *built = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    match status {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("cargo ended with {status}")),
        Err(error) => Outcome::Failed(format!("cargo did not start: {error}")),
    }
}

fn one(target: &str, host: &str, seconds: u64, figures: &mut Vec<Figures>) -> Outcome {
    // What the fuzzer finds interesting goes to the first folder; the second, the one in the repository, is only read.
    let (found, corpus) = (folder().join("corpus").join(target), Path::new("fuzz/corpus").join(target));
    let artifacts = Path::new("fuzz/artifacts").join(target);
    for folder in [&found, &artifacts] {
        if let Err(error) = fs::create_dir_all(folder) {
            return Outcome::Failed(format!("{} cannot be made: {error}", folder.display()));
        }
    }
    println!("{target}, {seconds} s");
    let output = Command::new(folder().join(host).join("release").join(target))
        .args([&found, &corpus])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return Outcome::Failed(format!("`{target}` did not start: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    figures.push(Figures {
        target: target.to_owned(),
        runs: number_after(&said, "stat::number_of_executed_units:"),
        places: number_after(&said, " cov:"),
        inputs: fs::read_dir(&corpus).map_or(0, |files| u64::try_from(files.count()).unwrap_or(0)),
    });
    if output.status.success() {
        return Outcome::Passed;
    }
    let lines: Vec<&str> = said.lines().collect();
    println!("{}", lines[lines.len().saturating_sub(30)..].join("\n"));
    Outcome::Failed(format!("`{target}` ended with {}; its input is in {}", output.status, artifacts.display()))
}

/// The number behind the last mention of a word.
fn number_after(text: &str, word: &str) -> u64 {
    text.rsplit_once(word)
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn table(figures: &[Figures], seconds: u64) -> String {
    let mut text = format!(
        "{seconds} s for each target.\n\n| parser | inputs fed | places reached | inputs in the repository |\n|---|---:|---:|---:|\n"
    );
    for Figures { target, runs, places, inputs } in figures {
        let _ = writeln!(text, "| {target} | {runs} | {places} | {inputs} |");
    }
    text
}

/// Replaces what the page says of the last run.
fn write(text: &str) -> Outcome {
    let put = || {
        let old = fs::read_to_string(PAGE).ok()?;
        let (begin, end) = ("<!-- fuzz -->\n", "<!-- end of fuzz -->");
        let from = old.find(begin)? + begin.len();
        let to = old.get(from..)?.find(end)? + from;
        fs::write(PAGE, format!("{}\n{}\n{}", old.get(..from)?, text.trim(), old.get(to..)?)).ok()
    };
    put().map_or_else(
        || Outcome::Failed(format!("{PAGE} has no place for it, or cannot be written")),
        |()| Outcome::Passed,
    )
}

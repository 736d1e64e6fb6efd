//! The one command that says whether the tree is sound: `cargo xtask test`.
//!
//! From a fresh machine to a verdict; every step is named and timed. Its invariant: the last line counts the tests
//! that ran, and the exit code is the verdict.

use crate::steps::{Outcome, Steps, command, watched};
use crate::tree::{Tree, root};
use crate::{setup, tidy};

/// Tests that ran, by how they ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: u64,
}

impl Tally {
    /// Takes note of a line of a test binary's output.
    fn see(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            self.passed += number_before(rest, " passed");
            self.failed += number_before(rest, " failed");
            self.ignored += number_before(rest, " ignored");
        } else if line.starts_with("SKIPPED ") {
            self.skipped += 1;
        }
    }
}

/// The number directly before a word: 12 in `ok. 12 passed; 0 failed`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or("");
    before.rsplit([' ', ';']).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Runs everything. True where nothing failed.
pub(crate) fn run() -> bool {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    steps.run("packages", setup::packages);
    steps.run("axe", setup::axe);
    steps.run("fmt", || command(&["cargo", "fmt", "--all", "--check"]));
    steps.run("tidy", || match Tree::read(&root()) {
        Ok(tree) if tidy::report(&tree) => Outcome::Passed,
        Ok(_) => Outcome::Failed("the lines above name each place and the way out".to_owned()),
        Err(error) => Outcome::Failed(format!("the tree cannot be read: {error}")),
    });
    steps.run("clippy", || {
        command(&["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
    });
    steps.run("cargo-deny", setup::cargo_deny);
    steps.run("deny", || command(&["cargo", "deny", "--locked", "check", "licenses", "bans", "sources"]));
    steps.run("advisories", advisories);
    steps.run("build", || command(&["cargo", "build", "--locked", "-p", "evenkeel"]));
    steps.run("tests", || {
        let line = ["cargo", "test", "--locked", "--workspace", "--exclude", "evenkeel-e2e", "--no-fail-fast"];
        watched(&line, |line| tally.see(line))
    });
    // Scenarios kill, hang and load real servers: one at a time, so that they do not disturb each other, and with
    // their output, so that what is skipped is heard.
    steps.run("end-to-end", || {
        let line = ["cargo", "test", "--locked", "-p", "evenkeel-e2e", "--", "--test-threads=1", "--nocapture"];
        watched(&line, |line| tally.see(line))
    });
    let is_sound = steps.summary() && tally.failed == 0 && tally.passed > 0;
    let Tally { passed, failed, ignored, skipped } = tally;
    println!("tests: {passed} passed, {failed} failed, {ignored} ignored, {skipped} skipped aloud");
    is_sound
}

/// Known holes in libraries. The database comes over the network; without it the step is skipped and says so.
fn advisories() -> Outcome {
    if !crate::steps::answers(&["cargo", "deny", "fetch", "db"]) {
        return Outcome::Skipped(
            "the advisory database cannot be fetched from here; run `cargo deny check advisories` where it can"
                .to_owned(),
        );
    }
    command(&["cargo", "deny", "--locked", "check", "--disable-fetch", "advisories"])
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_tally_adds_up_every_test_binary() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "test a ... ok",
            "SKIPPED full_disk_loses_no_request: needs root for a tmpfs",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            tally.see(line);
        }
        assert_eq!(tally, Tally { passed: 15, failed: 2, ignored: 1, skipped: 1 });
    }
}

//! The one command that says whether the tree is sound: `cargo xtask test`.
//!
//! From a fresh machine to a verdict; every step is named and timed. Its invariant: the last line counts the tests
//! that ran, and the exit code is the verdict.

use crate::steps::{Outcome, Steps, command};
use crate::suite::{ALONE, Tally};
use crate::tree::{Tree, root};
use crate::{setup, tidy};

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
    steps.run("tests", || tally.run(&["--workspace", "--exclude", "evenkeel-e2e"], &[]));
    // Scenarios kill, hang and load real servers: one at a time, so that they do not disturb each other, and with
    // their output, so that what is skipped is heard.
    steps.run("end-to-end", || tally.run(&["-p", "evenkeel-e2e"], &[ALONE, "--nocapture"]));
    let is_sound = steps.summary() && tally.is_sound();
    println!("{tally}");
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

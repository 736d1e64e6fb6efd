//! Proofs under load and the soak: one command each, whose exit code is the verdict.
//!
//! What is proven is the optimised program; how is the matter of `evenkeel-e2e`. Its invariant: what is proven was
//! built just before.

use crate::steps::{Outcome, Steps, command};

/// What can be proven.
const PROOFS: [&str; 8] = ["all", "vectors", "reloads", "kill", "hang", "logs", "dns", "failover"];

/// Where the tables of attacks go.
const SECURITY_PAGE: &str = "docs/src/operate/security.md";
/// Where the other tables go.
const PROOFS_PAGE: &str = "docs/src/operate/proofs.md";
/// Where the tables of failover go.
const FAILOVER_PAGE: &str = "docs/src/operate/failover.md";

/// Runs a proof, or all of them.
pub(crate) fn prove(arguments: &[String]) -> bool {
    let Some((what, options)) = arguments.split_first().filter(|(what, _)| PROOFS.contains(&what.as_str())) else {
        eprintln!(
            "usage: cargo xtask prove {} [--rounds N] [--between N] [--over clear|tls|h2] [--write]",
            PROOFS.join("|")
        );
        eprintln!("       cargo xtask prove failover [--times N] [--only TEXT] [--at-once N] [--write]");
        return false;
    };
    // The lab compares with others, and takes its own half hour.
    let is_wanted =
        |proof: &&&str| **proof == what && what != "all" || what == "all" && !["all", "failover"].contains(proof);
    let wanted: Vec<&'static str> = PROOFS.iter().filter(is_wanted).copied().collect();
    let mut steps = Steps::default();
    steps.run("build", build);
    for what in wanted {
        let page = match what {
            "vectors" => SECURITY_PAGE,
            "failover" => FAILOVER_PAGE,
            _ => PROOFS_PAGE,
        };
        steps.run(what, || run(what, options, page));
    }
    steps.summary()
}

/// Runs the soak.
pub(crate) fn soak(arguments: &[String]) -> bool {
    let mut steps = Steps::default();
    steps.run("build", build);
    steps.run("soak", || run("soak", arguments, PROOFS_PAGE));
    steps.summary()
}

fn build() -> Outcome {
    command(&["cargo", "build", "--release", "--locked", "-p", "evenkeel", "-p", "evenkeel-e2e", "--bins"])
}

/// Hands the words on; `--write` alone means the page of that table.
fn run(what: &str, options: &[String], page: &str) -> Outcome {
    let mut words =
        vec!["cargo", "run", "--release", "--quiet", "--locked", "-p", "evenkeel-e2e", "--bin", "prove", "--", what];
    for option in options {
        words.push(option);
        if option == "--write" {
            words.push(page);
        }
    }
    command(&words)
}

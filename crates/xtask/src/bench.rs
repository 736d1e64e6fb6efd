//! Measurements against peers, on this machine and in one run.
//!
//! They never judge and no test calls them: a machine's noise is no reason to fail. `http` writes its table, with the
//! versions of everything measured, to the manual. Its invariant: what is measured was built just before.

use crate::steps::{Steps, command};

/// Where the tables go.
const PAGE: &str = "docs/src/operate/benchmarks.md";
/// Where those of overload go.
const OVERLOAD_PAGE: &str = "docs/src/operate/proofs.md";

/// Runs one bench; further words are passed on to it.
pub(crate) fn run(arguments: &[String]) -> bool {
    let Some((bench, options)) =
        arguments.split_first().filter(|(bench, _)| ["http", "overload", "sticky"].contains(&bench.as_str()))
    else {
        eprintln!("usage: cargo xtask bench http [--short] [--rounds N] [--seconds N] [--only TEXT] [--no-counts]");
        eprintln!("       cargo xtask bench overload [--seconds N]");
        eprintln!("       cargo xtask bench sticky [--short] [--rounds N] [--seconds N]");
        return false;
    };
    let mut steps = Steps::default();
    steps.run("build", || {
        command(&["cargo", "build", "--release", "--locked", "-p", "evenkeel", "-p", "evenkeel-bench"])
    });
    let mut words =
        vec!["cargo", "run", "--release", "--quiet", "--locked", "-p", "evenkeel-bench", "--", bench.as_str()];
    // A short run shows whether it works, not what to publish.
    if !options.iter().any(|word| word == "--short" || word == "--only") {
        words.extend(["--write", if bench == "http" { PAGE } else { OVERLOAD_PAGE }]);
    }
    words.extend(options.iter().map(String::as_str));
    steps.run("bench", || command(&words));
    steps.summary()
}

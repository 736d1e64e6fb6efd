//! Measurements against peers, on this machine and in one run.
//!
//! They never judge and no test calls them: a machine's noise is no reason to fail. They write their tables, with the
//! versions of everything measured, to the manual. Its invariant: what is measured was built just before.

use crate::steps::{Steps, command};

/// The benches, and where their tables go.
const PAGES: [(&str, &str); 7] = [
    ("https", "docs/src/operate/proofs.md"),
    ("http", "docs/src/operate/benchmarks.md"),
    ("http2", "docs/src/operate/benchmarks-http2.md"),
    ("dns", "docs/src/operate/benchmarks-dns.md"),
    ("tcp", "docs/src/operate/benchmarks-tcp.md"),
    ("overload", "docs/src/operate/proofs.md"),
    ("sticky", "docs/src/operate/proofs.md"),
];

/// Runs one bench; further words are passed on to it.
pub(crate) fn run(arguments: &[String]) -> bool {
    let page = |bench: &str| PAGES.iter().find(|(name, _)| *name == bench).map(|(_, page)| *page);
    let found = arguments.split_first().and_then(|(bench, options)| Some((bench, options, page(bench)?)));
    let Some((bench, options, page)) = found else {
        eprintln!("usage: cargo xtask bench http [--short] [--rounds N] [--seconds N] [--only TEXT] [--no-counts]");
        eprintln!("       cargo xtask bench http2 [--short] [--rounds N] [--seconds N]");
        eprintln!("       cargo xtask bench https [--short] [--rounds N] [--seconds N]");
        eprintln!("       cargo xtask bench dns [--short] [--rounds N] [--seconds N] [--only TEXT]");
        eprintln!("       cargo xtask bench tcp [--short] [--rounds N] [--seconds N] [--only TEXT]");
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
        words.extend(["--write", page]);
    }
    words.extend(options.iter().map(String::as_str));
    steps.run("bench", || command(&words));
    steps.summary()
}

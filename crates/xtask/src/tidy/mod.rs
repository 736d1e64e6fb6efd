//! The fences of the house as rules that read manifests and sources.
//!
//! A rule finds what is wrong and says the way out; it never changes a file. The ordinary tests run them all
//! (`cargo test -p xtask`), so that a fence is never a matter of review. Its invariant: every rule has a sample in
//! its tests that it catches.

mod edges;
mod papers;
mod rings;
mod shape;
mod words;

use std::fmt;

use crate::tree::Tree;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, from the root of the repository.
    pub(crate) path: String,
    /// The line, from 1; 0 for the file as a whole.
    pub(crate) line: usize,
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// What was found.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) way_out: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, way_out } = self;
        write!(f, "{path}:{line}: [{rule}] {what}; {way_out}")
    }
}

/// A rule: its name, what it keeps, and how it looks.
pub(crate) struct Rule {
    /// The name in messages.
    pub(crate) name: &'static str,
    /// What it keeps, in one sentence.
    pub(crate) keeps: &'static str,
    /// Finds its breaches: path, line, what was found.
    find: fn(&Tree) -> Vec<(String, usize, String)>,
    /// What to do about a breach.
    way_out: &'static str,
}

/// Every rule of the house.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "edges",
        keeps: "a crate depends on the crates of its row in the table, and on no other",
        find: edges::edges,
        way_out: "move the code to the crate that may know both, or change the table in crates/xtask and ARCHITECTURE.md",
    },
    Rule {
        name: "pure-libraries",
        keeps: "rings 0 and 1 use no library that does I/O",
        find: edges::pure_libraries,
        way_out: "put what needs the library into a shell crate, or argue for it in docs/decisions and list it",
    },
    Rule {
        name: "features",
        keeps: "product crates have no cargo features",
        find: edges::features,
        way_out: "make it a word of the configuration, or a crate for tests",
    },
    Rule {
        name: "pure",
        keeps: "rings 0 and 1 have no runtime, socket, file, clock, thread or source of chance",
        find: rings::pure,
        way_out: "take it as an argument: `now`, bytes, a seeded generator",
    },
    Rule {
        name: "forbid-unsafe",
        keeps: "every crate but net forbids unsafe code",
        find: rings::forbid_unsafe,
        way_out: "write `#![forbid(unsafe_code)]` below the crate's documentation",
    },
    Rule {
        name: "safety",
        keeps: "only net has unsafe blocks, each below a SAFETY line",
        find: rings::safety,
        way_out: "move it to net behind a safe function, with `// SAFETY:` above it",
    },
    Rule {
        name: "tasks",
        keeps: "only node builds runtimes and starts threads",
        find: rings::tasks,
        way_out: "hand the future to node, which owns and names every long-lived task",
    },
    Rule {
        name: "clock",
        keeps: "only net reads the clock",
        find: rings::clock,
        way_out: "take `now` as an argument, or ask evenkeel_net::clock in a shell crate",
    },
    Rule {
        name: "caps",
        keeps: "every channel has a named cap",
        find: rings::caps,
        way_out: "name the cap in model::caps with its reason and pass it",
    },
    Rule {
        name: "generics",
        keeps: "types and traits that cross a crate's fence have no type parameters",
        find: shape::generics,
        way_out: "use the concrete type or `dyn`, or argue above it: `// generic: why`",
    },
    Rule {
        name: "file-size",
        keeps: "files have at most 600 lines, or say why, and never over 1000",
        find: shape::files,
        way_out: "split it by what its parts know, or argue in its head: `//! long: why` (a flat table says that it is a catalogue)",
    },
    Rule {
        name: "function-size",
        keeps: "functions have at most 60 lines, or say why, and never over 100",
        find: shape::functions,
        way_out: "name its parts as functions, or argue above it: `// long: why`",
    },
    Rule {
        name: "head",
        keeps: "every Rust file opens with a comment that says what it is",
        find: shape::heads,
        way_out: "open it with `//!`: what it is, what it is not, its invariant",
    },
    Rule {
        name: "module-names",
        keeps: "no module is named for nothing in particular",
        find: shape::module_names,
        way_out: "name it by what it knows",
    },
    Rule {
        name: "unfinished",
        keeps: "nothing is left for later in the code",
        find: words::unfinished,
        way_out: "do it, or leave it out and say so in the feature table",
    },
    Rule {
        name: "traces",
        keeps: "files speak of the product, not of one machine or of how the work was done",
        find: words::traces,
        way_out: "say what is true and why; history belongs to the commit",
    },
    Rule {
        name: "licence",
        keeps: "every crate is under the project's two licences",
        find: papers::licences,
        way_out: "write `license.workspace = true` and keep both licence files whole",
    },
    Rule {
        name: "papers",
        keeps: "the papers exist, are short, and a changelog has its Unreleased head",
        find: papers::papers,
        way_out: "write the missing part, or move the long part into docs/",
    },
    Rule {
        name: "decisions",
        keeps: "every library that we depend on has its sentence",
        find: papers::decisions,
        way_out: "add its row to docs/decisions/003-dependencies.md: what it saves, its tree, who keeps it, the way out",
    },
    Rule {
        name: "book",
        keeps: "every page of the book is in its summary, and every page of the summary exists",
        find: papers::book,
        way_out: "add the page to docs/src/SUMMARY.md, or write it",
    },
];

/// Every breach in the tree, sorted by place.
pub(crate) fn violations(tree: &Tree) -> Vec<Violation> {
    let mut found: Vec<Violation> = RULES.iter().flat_map(|rule| breaches(rule, tree)).collect();
    found.sort();
    found
}

fn breaches(rule: &Rule, tree: &Tree) -> Vec<Violation> {
    let found = (rule.find)(tree);
    found
        .into_iter()
        .map(|(path, line, what)| Violation { path, line, rule: rule.name, what, way_out: rule.way_out })
        .collect()
}

/// Prints every breach and says whether there was none.
pub(crate) fn report(tree: &Tree) -> bool {
    let found = violations(tree);
    for violation in &found {
        eprintln!("{violation}");
    }
    println!("tidy: {} rules, {} files, {} violations", RULES.len(), tree.texts.len(), found.len());
    found.is_empty()
}

#[cfg(test)]
mod tests;

//! Every rule catches its sample, and the tree as it is breaks none.

use super::{RULES, breaches, violations};
use crate::tree::{Tree, root};

/// A rule, a file that breaks it, and a part of what is said about it.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("edges", "crates/http/Cargo.toml", "[dependencies]\nevenkeel-net.workspace = true\n", "`http` may not know `net`"),
    ("edges", "crates/node/Cargo.toml", "[dependencies.evenkeel-admin]\npath = \"x\"\n", "`node` may not know `admin`"),
    ("edges", "crates/balance/Cargo.toml", "[dev-dependencies]\nevenkeel-proxy = \"1\"\n", "may not know `proxy`"),
    ("edges", "crates/extra/Cargo.toml", "[package]\n", "no row"),
    ("pure-libraries", "crates/config/Cargo.toml", "[dependencies]\ntokio = \"1\"\n", "uses `tokio`"),
    ("features", "crates/net/Cargo.toml", "[features]\ntls = []\n", "feature `tls`"),
    ("features", "crates/net/src/lib.rs", "#[cfg(feature = \"x\")]\nmod a;\n", "behind a feature"),
    ("pure", "crates/http/src/a.rs", "use std::{fs, io};\n", "`std::fs`, files"),
    ("pure", "crates/model/src/a.rs", "fn f() { let t = std::time::Instant::now(); }\n", "a clock"),
    ("pure", "crates/balance/src/a.rs", "fn f() -> u8 { rand::random() }\n", "a source of chance"),
    ("pure", "crates/cluster/src/a.rs", "use tokio::time;\n", "an async runtime"),
    ("pure", "crates/dns/src/a.rs", "use std::net::{IpAddr, UdpSocket};\n", "a socket"),
    ("pure", "crates/config/src/a.rs", "fn f() { std::thread::spawn(|| ()); }\n", "threads"),
    ("forbid-unsafe", "crates/http/src/lib.rs", "//! A.\n// #![forbid(unsafe_code)]\n", "does not forbid"),
    ("safety", "crates/proxy/src/a.rs", "fn f() { unsafe { g() } }\n", "outside of net"),
    ("safety", "crates/net/src/a.rs", "fn f() {\n    // quick\n    unsafe { g() }\n}\n", "without its SAFETY line"),
    ("tasks", "crates/proxy/src/a.rs", "fn f() { std::thread::spawn(g); }\n", "`thread::spawn` outside"),
    ("tasks", "crates/admin/src/a.rs", "use tokio::runtime::Builder;\n", "`runtime::Builder` outside"),
    ("clock", "crates/proxy/src/a.rs", "use std::time::Instant;\nfn f() { Instant::now(); }\n", "`Instant::now`"),
    ("clock", "crates/node/src/a.rs", "fn f() { std::time::SystemTime::now(); }\n", "SystemTime::now"),
    ("caps", "crates/node/src/a.rs", "fn f() { mpsc::unbounded_channel(); }\n", "without a cap"),
    ("caps", "crates/node/src/a.rs", "fn f() { mpsc::channel(64); }\n", "has no name"),
    ("caps", "crates/node/src/a.rs", "fn f() { std::sync::mpsc::channel(); }\n", "has no name"),
    ("generics", "crates/net/src/a.rs", "pub struct Pipe<'a, T> { a: &'a T }\n", "`Pipe` has a type parameter"),
    ("head", "crates/net/src/a.rs", "use std::io;\n", "does not say what it is"),
    ("module-names", "crates/net/src/utils.rs", "//! A.\n", "named `utils`"),
    ("module-names", "crates/net/src/a.rs", "mod helpers {}\n", "named `helpers`"),
    ("unfinished", "crates/net/src/a.rs", concat!("// TO", "DO: later\n"), concat!("TO", "DO")),
    ("unfinished", "crates/net/src/a.rs", concat!("fn f() { to", "do!() }\n"), "!("),
    ("traces", "docs/src/start.md", concat!("cd /wo", "rk/main\n"), "start.md:1"),
    ("traces", "crates/net/src/a.rs", concat!("// see iss", "ue #12\n"), "number of an issue"),
    ("licence", "crates/net/Cargo.toml", "[package]\nlicense = \"GPL-3.0\"\n", "workspace's licence"),
    ("licence", "LICENSE-MIT", "MIT License\n", "missing or cut"),
    ("papers", "README.md", "x\n", "is missing"),
    ("papers", "CHANGELOG.md", "# Changelog\n## 0.1.0\n", "Unreleased"),
    ("decisions", "Cargo.toml", "[workspace.dependencies]\nleftpad = \"1\"\n", "`leftpad` has no sentence"),
    ("book", "docs/src/SUMMARY.md", "- [Start](start.md)\n", "`start.md` does not exist"),
];

fn tree(path: &str, text: &str) -> Tree {
    Tree::from_texts(vec![(path.to_owned(), text.to_owned())])
}

fn said(rule: &str, tree: &Tree) -> Vec<String> {
    let rule = RULES.iter().find(|known| known.name == rule).expect("the sample names a rule");
    breaches(rule, tree).iter().map(ToString::to_string).collect()
}

#[test]
fn every_rule_catches_its_samples() {
    for (rule, path, text, wanted) in BAD {
        let found = said(rule, &tree(path, text));
        let is_caught = found.iter().any(|line| line.contains(wanted) && line.contains(rule));
        assert!(is_caught, "{rule} on {text:?}: {found:#?}");
    }
}

#[test]
fn sizes_are_argued_or_refused() {
    let lines = |head: &str, count: usize| format!("{head}\n{}", "// x\n".repeat(count - 1));
    let function =
        |above: &str, count: usize| format!("//! A.\n{above}\nfn f() {{\n{}}}\n", "    x();\n".repeat(count - 2));
    let cases = [
        ("file-size", lines("//! A.", 600), None),
        ("file-size", lines("//! A.", 601), Some("without an argument")),
        ("file-size", lines("//! long: one table of states", 1000), None),
        ("file-size", lines("//! long:", 700), Some("without an argument")),
        ("file-size", lines("//! long: one table of states", 1001), Some("more than 1000")),
        ("file-size", lines("//! catalogue: one row a word", 3000), None),
        ("function-size", function("", 60), None),
        ("function-size", function("", 61), Some("more than 60")),
        ("function-size", function("// long: one match over states\n#[inline]", 100), None),
        ("function-size", function("// long: one match over states", 101), Some("more than 100")),
    ];
    for (rule, text, wanted) in cases {
        let found = said(rule, &tree("crates/net/src/a.rs", &text));
        let is_as_wanted = match wanted {
            None => found.is_empty(),
            Some(part) => found.len() == 1 && found[0].contains(part),
        };
        assert!(is_as_wanted, "{rule}, {} lines: {found:?}", text.lines().count());
    }
}

#[test]
fn every_rule_has_a_sample() {
    for rule in RULES {
        let has_sample = BAD.iter().any(|(name, ..)| *name == rule.name) || rule.name.ends_with("-size");
        assert!(has_sample, "{}: {}", rule.name, rule.keeps);
    }
}

#[test]
fn a_page_outside_of_the_summary_is_caught() {
    let pages = [("docs/src/SUMMARY.md", "- [A](a.md)\n"), ("docs/src/a.md", "a\n"), ("docs/src/b.md", "b\n")];
    let tree = Tree::from_texts(pages.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec());
    assert_eq!(said("book", &tree).len(), 1);
}

#[test]
fn what_is_allowed_is_left_alone() {
    let good = [
        ("pure", "crates/http/src/a.rs", "use std::time::Duration;\n// std::fs::read\nlet rand = \"std::fs\";\n"),
        ("pure", "crates/config/src/golden/tests.rs", "use std::fs;\n"),
        ("pure", "crates/node/src/a.rs", "use std::fs;\n"),
        ("safety", "crates/net/src/a.rs", "// SAFETY: the descriptor is ours.\nunsafe { close(fd) };\n"),
        ("tasks", "crates/node/src/a.rs", "fn f() { std::thread::spawn(g); }\n"),
        ("clock", "crates/proxy/src/a.rs", "use tokio::time::{self, Instant};\nfn f() { Instant::now(); }\n"),
        ("caps", "crates/proxy/src/a.rs", "fn f() { mpsc::channel(caps::WORKER_COMMANDS); }\n"),
        ("generics", "crates/net/src/a.rs", "pub struct View<'a> { a: &'a u8 }\nstruct Own<T>(T);\n"),
        (
            "edges",
            "crates/proxy/Cargo.toml",
            "[dependencies]\nevenkeel-net = \"1\"\n[dev-dependencies]\nevenkeel-config = \"1\"\n",
        ),
    ];
    for (rule, path, text) in good {
        assert_eq!(said(rule, &tree(path, text)), [""; 0], "{rule} on {text:?}");
    }
}

#[test]
fn the_tree_keeps_every_rule() {
    let tree = Tree::read(&root()).expect("the repository can be read");
    let found = violations(&tree);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), lines.join("\n"));
}

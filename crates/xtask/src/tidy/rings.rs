//! What a ring may touch: rules that read the paths named in sources.
//!
//! A test may touch what its crate may not: golden files, a runtime, the clock. Its invariant: a rule looks at code,
//! never at comments or strings.

use super::edges::{Ring, is_product, is_pure, row_of};
use crate::source::Source;
use crate::tree::Tree;

/// What rings 0 and 1 may not name, each with what it is.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "an async runtime"),
    ("async_std", "an async runtime"),
    ("hyper", "a network library"),
    ("rustix", "system calls"),
    ("libc", "system calls"),
    ("socket2", "sockets"),
    ("std::net::TcpListener", "a socket"),
    ("std::net::TcpStream", "a socket"),
    ("std::net::UdpSocket", "a socket"),
    ("std::net::ToSocketAddrs", "a name lookup"),
    ("std::os::unix::net", "a socket"),
    ("std::fs", "files"),
    ("std::env::var", "the environment"),
    ("std::env::args", "the environment"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::time::Instant", "a clock"),
    ("std::time::SystemTime", "a clock"),
    ("rand", "a source of chance"),
    ("getrandom", "a source of chance"),
    ("std::hash::RandomState", "a source of chance"),
    ("std::collections::hash_map::RandomState", "a source of chance"),
    ("std::io::stdin", "a standard stream"),
    ("std::io::stdout", "a standard stream"),
    ("std::io::stderr", "a standard stream"),
];

/// What only node may do, by the end of the path.
const RUNTIMES: &[&str] = &[
    "runtime::Builder",
    "runtime::Runtime",
    "runtime::LocalRuntime",
    "Runtime::new",
    "LocalRuntime::new",
    "Builder::new_current_thread",
    "Builder::new_multi_thread",
    "thread::spawn",
    "thread::Builder",
];

type Found = Vec<(String, usize, String)>;

/// The paths of product code for which the test holds.
fn named(source: &Source, is_bad: impl Fn(&str) -> Option<String>) -> Found {
    let paths = source.paths().into_iter().filter(|(line, _)| !source.is_test(*line));
    paths.filter_map(|(line, path)| Some((source.path.clone(), line, is_bad(&path)?))).collect()
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn ends_with(path: &str, suffix: &str) -> bool {
    path.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
}

/// I/O, time or chance in rings 0 and 1.
pub(super) fn pure(tree: &Tree) -> Found {
    let is_bad = |path: &str| {
        let (name, what) = IMPURE.iter().find(|(name, _)| begins_with(path, name) && is_outside(path, name))?;
        Some(format!("a pure crate names `{name}`, {what}"))
    };
    tree.sources.iter().filter(|source| is_pure(&source.path)).flat_map(|source| named(source, is_bad)).collect()
}

/// A library's bare name is only a path if something follows: `rand` alone may be a variable.
fn is_outside(path: &str, name: &str) -> bool {
    name.contains("::") || path.len() > name.len()
}

/// A crate that does not forbid unsafe code.
pub(super) fn forbid_unsafe(tree: &Tree) -> Found {
    let is_root = |source: &&Source| {
        let file = source.path.split('/').skip(2).collect::<Vec<_>>().join("/");
        source.path.starts_with("crates/") && matches!(file.as_str(), "src/lib.rs" | "src/main.rs")
    };
    let roots = tree.sources.iter().filter(is_root).filter(|source| !source.path.starts_with("crates/net/"));
    roots
        .filter(|source| !source.code.contains("#![forbid(unsafe_code)]"))
        .map(|source| (source.path.clone(), 1, "the crate does not forbid unsafe code".to_owned()))
        .collect()
}

/// An unsafe block outside of net, or without its SAFETY line.
pub(super) fn safety(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in &tree.sources {
        let blocks = source.paths().into_iter().filter(|(_, path)| path == "unsafe");
        for (line, _) in blocks {
            if !source.path.starts_with("crates/net/") {
                found.push((source.path.clone(), line, "unsafe code outside of net".to_owned()));
            } else if !source.above(line).iter().any(|comment| comment.contains("SAFETY:")) {
                found.push((source.path.clone(), line, "unsafe code without its SAFETY line".to_owned()));
            }
        }
    }
    found
}

/// A runtime or thread outside of node.
pub(super) fn tasks(tree: &Tree) -> Found {
    let is_bad = |path: &str| {
        let name = RUNTIMES.iter().find(|name| ends_with(path, name))?;
        Some(format!("`{name}` outside of node"))
    };
    let others = tree.sources.iter().filter(|source| is_product(&source.path));
    others.filter(|source| !source.path.starts_with("crates/node/")).flat_map(|source| named(source, is_bad)).collect()
}

/// The system's clock outside of net. The runtime's own clock, which tests can stop, is another thing.
pub(super) fn clock(tree: &Tree) -> Found {
    let is_bad = |path: &str| {
        let is_clock =
            ends_with(path, "SystemTime::now") || ends_with(path, "Instant::now") && !path.starts_with("tokio");
        is_clock.then(|| format!("`{path}` outside of net"))
    };
    let others = tree.sources.iter().filter(|source| is_product(&source.path));
    others
        .filter(|source| row_of(&source.path).is_some_and(|row| row.ring != Ring::System))
        .filter(|source| !source.paths().iter().any(|(_, path)| path == "tokio::time::Instant"))
        .flat_map(|source| named(source, is_bad))
        .collect()
}

/// A channel without a cap, or with one that has no name.
pub(super) fn caps(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in tree.sources.iter().filter(|source| is_product(&source.path)) {
        found.extend(named(source, |path| {
            ends_with(path, "unbounded_channel").then(|| "a channel without a cap".to_owned())
        }));
        for call in ["mpsc::channel(", "sync_channel(", "broadcast::channel("] {
            for (at, _) in source.code.match_indices(call) {
                let argument = source.code[at + call.len()..].split([',', ')']).next().unwrap_or("").trim();
                let line = source.line_of(at);
                let is_bare = argument.is_empty() || argument.starts_with(|c: char| c.is_ascii_digit());
                if is_bare && argument != "1" && !source.is_test(line) {
                    found.push((source.path.clone(), line, "a channel whose cap has no name".to_owned()));
                }
            }
        }
    }
    found
}

//! Which crate may know which: the table of crates, and the rules that read manifests.
//!
//! The table here is the one that holds; ARCHITECTURE.md shows it to people. Its invariant: every crate of the
//! workspace has exactly one row.

use crate::manifest::{Key, Kind, Manifest};
use crate::tree::Tree;

/// How far a crate is from the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    /// The nouns.
    Nouns,
    /// Pure: bytes and `now` in, decisions out.
    Pure,
    /// System calls.
    System,
    /// Runs the pure parts over the system.
    Shell,
    /// The program.
    Program,
    /// For development alone.
    Dev,
}

/// One crate.
pub(super) struct Row {
    /// Its folder under `crates/`.
    pub(super) folder: &'static str,
    /// Its ring.
    pub(super) ring: Ring,
    /// The folders of the crates that it may depend on.
    knows: &'static [&'static str],
}

const fn row(folder: &'static str, ring: Ring, knows: &'static [&'static str]) -> Row {
    Row { folder, ring, knows }
}

/// The table of crates.
pub(super) const CRATES: &[Row] = &[
    row("model", Ring::Nouns, &[]),
    row("config", Ring::Pure, &["model"]),
    row("http", Ring::Pure, &["model"]),
    row("balance", Ring::Pure, &["model"]),
    row("dns", Ring::Pure, &["model"]),
    row("cluster", Ring::Pure, &["model"]),
    row("net", Ring::System, &["model"]),
    row("proxy", Ring::Shell, &["model", "http", "balance", "net"]),
    row("node", Ring::Shell, &["model", "config", "http", "balance", "dns", "cluster", "net", "proxy"]),
    row("admin", Ring::Shell, &["model", "http", "net"]),
    row("evenkeel", Ring::Program, &["model", "config", "node", "admin"]),
    row("sim", Ring::Dev, &["model", "config", "http", "balance", "dns", "cluster"]),
    row("e2e", Ring::Dev, &[]),
    row("bench", Ring::Dev, &["model", "http", "balance", "net"]),
    row("xtask", Ring::Dev, &["config", "admin"]),
];

/// Outside libraries that rings 0 and 1 may use: none of them does I/O.
const PURE_LIBRARIES: &[&str] = &[
    "annotate-snippets",
    "blake3",
    "chacha20poly1305",
    "hmac",
    "md-5",
    "memchr",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    // They turn bytes into bytes: what passes is decoded and searched for ids, without I/O.
    "aho-corasick",
    "brotli-decompressor",
    "flate2",
    "zstd-safe",
    "siphasher",
    "strsim",
];

/// The row of the crate that a file belongs to.
pub(super) fn row_of(path: &str) -> Option<&'static Row> {
    let folder = path.strip_prefix("crates/")?.split('/').next()?;
    CRATES.iter().find(|row| row.folder == folder)
}

/// Whether the file belongs to a product crate, and not to one for development.
pub(super) fn is_product(path: &str) -> bool {
    row_of(path).is_some_and(|row| row.ring != Ring::Dev)
}

/// Whether the file belongs to ring 0 or 1.
pub(super) fn is_pure(path: &str) -> bool {
    row_of(path).is_some_and(|row| matches!(row.ring, Ring::Nouns | Ring::Pure))
}

fn crates(tree: &Tree) -> impl Iterator<Item = &Manifest> {
    tree.manifests.iter().filter(|manifest| manifest.path.starts_with("crates/"))
}

/// A crate that has no row, or an edge that its row does not have. Tests of a product crate may also read
/// configurations as the operator writes them, so `config` is open to them.
pub(super) fn edges(tree: &Tree) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for manifest in crates(tree) {
        let Some(row) = row_of(&manifest.path) else {
            found.push((manifest.path.clone(), 0, "the crate has no row in the table of crates".to_owned()));
            continue;
        };
        for (kind, also) in [(Kind::Product, None), (Kind::Test, Some("config"))] {
            let house = manifest.dependencies(kind).filter_map(|key| Some((key, key.name.strip_prefix("evenkeel-")?)));
            for (key, other) in house {
                if !row.knows.contains(&other) && also != Some(other) && row.folder != other {
                    found.push((manifest.path.clone(), key.line, format!("`{}` may not know `{other}`", row.folder)));
                }
            }
        }
    }
    found
}

/// A library in ring 0 or 1 that is not on the list.
pub(super) fn pure_libraries(tree: &Tree) -> Vec<(String, usize, String)> {
    let is_foreign = |key: &&Key| !key.name.starts_with("evenkeel-") && !PURE_LIBRARIES.contains(&key.name.as_str());
    crates(tree)
        .filter(|manifest| is_pure(&manifest.path))
        .flat_map(|manifest| manifest.dependencies(Kind::Product).map(move |key| (manifest, key)))
        .filter(|(_, key)| is_foreign(key))
        .map(|(manifest, key)| (manifest.path.clone(), key.line, format!("a pure crate uses `{}`", key.name)))
        .collect()
}

/// A feature in a product crate, or code that asks for one.
pub(super) fn features(tree: &Tree) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for manifest in crates(tree).filter(|manifest| is_product(&manifest.path)) {
        let keys = manifest.keys.iter().filter(|key| key.table == "features");
        found.extend(keys.map(|key| (manifest.path.clone(), key.line, format!("feature `{}`", key.name))));
    }
    for source in tree.sources.iter().filter(|source| is_product(&source.path)) {
        for (at, _) in source.code.match_indices("feature =") {
            found.push((source.path.clone(), source.line_of(at), "code behind a feature".to_owned()));
        }
    }
    found
}

//! The papers: that they are there, short enough to be read, and in step with the tree.
//!
//! What a paper says is for people to judge. Its invariant: a paper that a newcomer is sent to exists.

use crate::manifest::Manifest;
use crate::tree::Tree;

type Found = Vec<(String, usize, String)>;

/// Papers with the most lines they may have.
const PAPERS: &[(&str, usize)] = &[
    ("README.md", 150),
    ("ARCHITECTURE.md", 300),
    ("CONTRIBUTING.md", 150),
    ("SECURITY.md", 100),
    ("CHANGELOG.md", 1000),
    ("docs/src/SUMMARY.md", 100),
];

/// The folder of the book's pages.
const BOOK: &str = "docs/src/";

/// Crates without the licence of the workspace, and licence texts that are missing or cut.
pub(super) fn licences(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for manifest in tree.manifests.iter().filter(|manifest| manifest.path.starts_with("crates/")) {
        if manifest.value("package", "license") != Some("true") {
            found.push((manifest.path.clone(), 1, "the crate does not take the workspace's licence".to_owned()));
        }
    }
    let texts = [("LICENSE-MIT", "MIT License", 15), ("LICENSE-APACHE", "Apache License", 170)];
    for (path, title, least) in texts {
        let text = tree.text(path).unwrap_or("");
        if !text.contains(title) || text.lines().count() < least {
            found.push((path.to_owned(), 0, "the licence's text is missing or cut".to_owned()));
        }
    }
    found
}

/// Papers that are missing or too long, and a changelog without its open head.
pub(super) fn papers(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for (path, most) in PAPERS {
        match tree.text(path).map(|text| text.lines().count()) {
            None => found.push(((*path).to_owned(), 0, "the paper is missing".to_owned())),
            Some(lines) if lines > *most => {
                found.push(((*path).to_owned(), 0, format!("{lines} lines, more than {most}")));
            }
            Some(_) => {}
        }
    }
    if !tree.text("CHANGELOG.md").is_some_and(|text| text.lines().any(|line| line.trim() == "## Unreleased")) {
        found.push(("CHANGELOG.md".to_owned(), 1, "no line `## Unreleased`".to_owned()));
    }
    found
}

/// Libraries without a sentence.
pub(super) fn decisions(tree: &Tree) -> Found {
    let Some(root) = tree.manifests.iter().find(|manifest| manifest.path == "Cargo.toml") else { return Vec::new() };
    let written: String = tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with("docs/decisions/"))
        .map(|(_, text)| text.as_str())
        .collect();
    let has_sentence = |name: &str| written.contains(&format!("`{name}`"));
    libraries(root)
        .filter(|(name, _)| !has_sentence(name))
        .map(|(name, line)| (root.path.clone(), line, format!("`{name}` has no sentence in docs/decisions")))
        .collect()
}

fn libraries(root: &Manifest) -> impl Iterator<Item = (&str, usize)> {
    let keys = root.keys.iter().filter(|key| key.table == "workspace.dependencies");
    keys.filter(|key| !key.name.starts_with("evenkeel-")).map(|key| (key.name.as_str(), key.line))
}

/// Pages that the summary lacks, and links of the summary that lead nowhere.
pub(super) fn book(tree: &Tree) -> Found {
    let summary_path = format!("{BOOK}SUMMARY.md");
    let Some(summary) = tree.text(&summary_path) else { return Vec::new() };
    let mut linked = Vec::new();
    let mut found = Vec::new();
    for (at, line) in summary.lines().enumerate() {
        let Some(link) = line.split_once("](").and_then(|(_, rest)| rest.split(')').next()) else { continue };
        let page = format!("{BOOK}{}", link.trim_start_matches("./"));
        if tree.text(&page).is_none() {
            found.push((summary_path.clone(), at + 1, format!("`{link}` does not exist")));
        }
        linked.push(page);
    }
    for (path, _) in &tree.texts {
        let is_page = path.starts_with(BOOK) && path.ends_with(".md") && *path != summary_path;
        if is_page && !linked.contains(path) {
            found.push((path.clone(), 0, "the page is not in the summary".to_owned()));
        }
    }
    found
}

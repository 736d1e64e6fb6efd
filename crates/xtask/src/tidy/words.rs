//! Words that have no place in the tree: marks of unfinished work, places of one machine, talk of how the work went.
//!
//! The lists are matched in comments and strings as well, since that is where such words stand. Its invariant: the
//! words are written in two halves here, so that this file needs no exception.

use crate::tree::Tree;

type Found = Vec<(String, usize, String)>;

/// Marks of something left for later.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimple", "mented!("),
];

/// Places and phrases, in lower case.
const TRACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/bash", "_jobs"),
    concat!("work in prog", "ress"),
    concat!("as requ", "ested"),
    concat!("as disc", "ussed"),
    concat!("the br", "ief says"),
    concat!("co-auth", "ored-by"),
    concat!("my coll", "eague"),
    concat!("language mo", "del"),
    concat!("ai ass", "istant"),
];

/// Files that hold what others wrote.
const FOREIGN: &[&str] = &["Cargo.lock", "LICENSE-APACHE"];

/// Marks of unfinished work.
pub(super) fn unfinished(tree: &Tree) -> Found {
    scan(tree, |line| UNFINISHED.iter().find(|mark| line.contains(**mark)).map(|mark| format!("`{mark}`")))
}

/// Traces of a machine or of how the work was done, and numbers of issues in sources.
pub(super) fn traces(tree: &Tree) -> Found {
    scan(tree, |line| {
        let lower = line.to_lowercase();
        let trace = TRACES.iter().find(|trace| lower.contains(**trace));
        trace.map(|trace| format!("`{trace}`")).or_else(|| issue_number(&lower))
    })
}

/// A number of an issue or of a proposal, with or without `#`: history that belongs to the commit.
fn issue_number(lower: &str) -> Option<String> {
    for word in [concat!("iss", "ue "), concat!("p", "r #")] {
        for (at, _) in lower.match_indices(word) {
            let before = lower[..at].chars().next_back();
            let rest = lower[at + word.len()..].trim_start_matches('#');
            if rest.starts_with(|c: char| c.is_ascii_digit()) && !before.is_some_and(char::is_alphanumeric) {
                return Some("the number of an issue".to_owned());
            }
        }
    }
    None
}

fn scan(tree: &Tree, is_bad: impl Fn(&str) -> Option<String>) -> Found {
    let texts = tree.texts.iter().filter(|(path, _)| !FOREIGN.contains(&path.as_str()));
    let lines = texts.flat_map(|(path, text)| text.lines().enumerate().map(move |(at, line)| (path, at + 1, line)));
    lines.filter_map(|(path, line, text)| Some((path.clone(), line, is_bad(text)?))).collect()
}

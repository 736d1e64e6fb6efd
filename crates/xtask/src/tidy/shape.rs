//! The shape of sources: sizes, heads, names, type parameters on what is public.
//!
//! The budgets are limits of what a reader holds in the head at one time. Its invariant: an argument stands where
//! the reader meets the thing argued for.

use super::edges::is_product;
use crate::source::Source;
use crate::tree::Tree;

type Found = Vec<(String, usize, String)>;

/// Lines of a file: argued for above the first, refused above the second.
const FILE_LINES: (usize, usize) = (600, 1000);
/// Lines of a function: argued for above the first, refused above the second.
const FUNCTION_LINES: (usize, usize) = (60, 100);
/// Lines in which a file's own argument stands.
const HEAD_LINES: usize = 20;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared_utils", "stuff"];

/// Files over the budget.
pub(super) fn files(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in &tree.sources {
        let lines = source.text.lines().count();
        let head: Vec<&str> = source.text.lines().take(HEAD_LINES).collect();
        let is_catalogue = head.iter().any(|line| line.starts_with("//") && line.to_lowercase().contains("catalogue"));
        let is_argued = head.iter().any(|line| has_argument(line, "long"));
        let (argued, refused) = FILE_LINES;
        if is_catalogue {
            continue;
        }
        if lines > refused {
            found.push((source.path.clone(), 1, format!("{lines} lines, more than {refused}")));
        } else if lines > argued && !is_argued {
            found.push((source.path.clone(), 1, format!("{lines} lines, more than {argued} without an argument")));
        }
    }
    found
}

/// Whether the comment line is an argument under that word, with a reason: `// long: why`.
fn has_argument(line: &str, word: &str) -> bool {
    let text = line.trim_start().trim_start_matches(['/', '!']).trim_start();
    let lower = text.to_lowercase();
    line.trim_start().starts_with("//")
        && lower.strip_prefix(word).and_then(|rest| rest.strip_prefix(':')).is_some_and(|why| why.trim().len() > 10)
}

/// Functions over the budget.
pub(super) fn functions(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in &tree.sources {
        let (argued, refused) = FUNCTION_LINES;
        for function in source.functions().into_iter().filter(|function| function.length > argued) {
            let is_argued = source.above(function.line).iter().any(|line| has_argument(line, "long"));
            if function.length > refused || !is_argued {
                let bound = if function.length > refused { refused } else { argued };
                let what = format!("`{}` has {} lines, more than {bound}", function.name, function.length);
                found.push((source.path.clone(), function.line, what));
            }
        }
    }
    found
}

/// Files without a head. A `tests.rs` is told by the file beside it.
pub(super) fn heads(tree: &Tree) -> Found {
    let is_bare =
        |source: &&Source| !source.text.trim_start().starts_with("//!") && !source.path.ends_with("/tests.rs");
    let bare = tree.sources.iter().filter(is_bare);
    bare.map(|source| (source.path.clone(), 1, "the file does not say what it is".to_owned())).collect()
}

/// Modules named for nothing.
pub(super) fn module_names(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in &tree.sources {
        let words = source.path.trim_end_matches(".rs").split('/').skip(1);
        for word in words.filter(|word| EMPTY_NAMES.contains(word)) {
            found.push((source.path.clone(), 1, format!("a module named `{word}`")));
        }
        for name in EMPTY_NAMES {
            if let Some(at) = source.code.find(&format!("mod {name} {{")) {
                found.push((source.path.clone(), source.line_of(at), format!("a module named `{name}`")));
            }
        }
    }
    found
}

/// Public types and traits of product crates with type parameters.
pub(super) fn generics(tree: &Tree) -> Found {
    let mut found = Vec::new();
    for source in tree.sources.iter().filter(|source| is_product(&source.path)) {
        for kind in ["pub struct ", "pub enum ", "pub trait "] {
            for (at, _) in source.code.match_indices(kind) {
                let rest = &source.code[at + kind.len()..];
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                let line = source.line_of(at);
                let is_argued = source.above(line).iter().any(|comment| has_argument(comment, "generic"));
                if has_type_parameter(&rest[name.len()..]) && !is_argued && !source.is_test(line) {
                    found.push((source.path.clone(), line, format!("public `{name}` has a type parameter")));
                }
            }
        }
    }
    found
}

/// Whether `<'a, T>` stands at the front with anything but lifetimes in it.
fn has_type_parameter(rest: &str) -> bool {
    let Some(list) = rest.strip_prefix('<').and_then(|rest| rest.split('>').next()) else { return false };
    list.split(',').any(|parameter| !parameter.trim().starts_with('\'') && !parameter.trim().is_empty())
}

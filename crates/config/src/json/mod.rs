//! The JSON twin: the same statements as an object, exactly equivalent both ways.
//!
//! How a statement stands there: one value `"name": value`; several `"name": [..]`; none `"name": true`; with a block an object whose member `is`
//! holds the statement's own values. A word that may stand often is a list of those, one that has a name (`pool`, `server`) an object by names:
//! the weight of server `a` in pool `shop` is at `pool.shop.server.a.weight`. In a group, where the order counts, a word that comes back
//! after others is `script#2` and so on.
//!
//! The invariant: text to JSON to text to configuration is text to configuration.

mod parse;
mod read;
mod write;

use std::path::Path;

use crate::syntax::Statement;
use crate::{Diagnostics, FileId};

/// The member that holds the values of a statement with a block.
pub(crate) const OWN: &str = "is";

/// The word that a member of a group is about. Resources start in their order, so that a word which comes back after
/// others is a member of its own: `script`, `ip`, `script#2`.
fn base(member: &str) -> &str {
    member.split_once('#').map_or(member, |(word, _)| word)
}

/// Whether a text is the JSON twin: by its file's name, or because it begins with `{`, as no other form can.
pub(crate) fn is_json(path: &Path, text: &str) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
        || text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

/// Reads the JSON twin into statements. Never fails; what is wrong is reported.
pub(crate) fn parse(file: FileId, text: &str, out: &mut Diagnostics) -> Vec<Statement> {
    match parse::document(file, text, out) {
        Some(value) => read::statements(&value, out),
        None => Vec::new(),
    }
}

/// The statements as the JSON twin, without comments.
pub fn to_json(statements: &[Statement]) -> String {
    write::document(statements)
}

#[cfg(test)]
mod tests;

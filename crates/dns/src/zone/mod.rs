//! Zones: master files read without losing a byte, checked as a whole, and held ready for answers.
//!
//! `lex` cuts text into tokens that cover every byte, `lines` gathers them into lines and reads their heads,
//! `read` makes records of them, `check` judges the records together, `tree` is the zone that results, `nodes` finds its
//! names. `sheet` keeps the text, so that `reread` has to look only at what changes in it.
//! Files come through a [`Source`]; nothing here opens one. The invariant: a [`Zone`] exists only where no error
//! was found, so that a bad file never replaces a good zone.

mod check;
mod generate;
pub(crate) mod lex;
pub(crate) mod lines;
mod nodes;
mod problem;
mod read;
mod reread;
mod sheet;
mod tree;

pub use lex::{Token, TokenKind};
pub use lines::{Head, HeadError, Line, ZoneText};
pub use problem::{File, Problem, Problems, Severity, Span};
pub use read::{NoSource, Parsed, Record, Source, parse};
pub use reread::Reread;
pub use tree::{Node, RrSet, Zone};

use crate::name::Name;
use sheet::Sheet;

/// What became of a zone file: the zone where it is sound, and everything that was found.
#[derive(Debug)]
pub struct Loaded {
    /// The zone; `None` where a problem is an error.
    pub zone: Option<Zone>,
    /// Errors and warnings in the order of their places.
    pub problems: Vec<Problem>,
    /// The files that were read, to which the spans of problems point.
    pub files: Vec<File>,
}

impl Loaded {
    /// Every problem as a line `file:line:column: error: sentence (code)`.
    pub fn report(&self) -> Vec<String> {
        self.problems.iter().map(|problem| problem.show(&self.files)).collect()
    }
}

/// Reads a zone file and judges it as a whole. `name` is what messages call the file, `origin` the zone's name.
pub fn load(name: &str, bytes: Vec<u8>, origin: &Name, source: &mut dyn Source) -> Loaded {
    let mut parsed = parse(name, bytes, origin, source);
    let records = std::mem::take(&mut parsed.records);
    let count = records.len();
    let tree = check::check(origin, records, &mut parsed.problems);
    let sound = parsed.problems.errors() == 0;
    let zone = tree.filter(|_| sound).map(|zone| zone.with_sheet(Sheet::of(origin, &mut parsed, count)));
    Loaded { zone, problems: parsed.problems.into_sorted(), files: parsed.files }
}

#[cfg(test)]
mod tests;

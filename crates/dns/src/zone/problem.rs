//! What is wrong with a zone file, and where.
//!
//! The invariant: a problem names its cause, the value, and the next step; its span lies in one of the files read.

use std::sync::Arc;

use evenkeel_model::caps;

/// A place in one of the files that were read: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which file, counted in the order of reading.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The zone is not taken.
    Error,
    /// The zone is taken; something is probably not meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code for scripts and for `explain`.
    pub code: &'static str,
    /// Where it is.
    pub span: Span,
    /// What it is, as a sentence without a full stop.
    pub text: String,
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct File {
    /// What messages call it.
    pub name: String,
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
}

impl File {
    /// The line and column of a byte, both counted from 1.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = self.bytes.get(..at).unwrap_or(&self.bytes);
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n.saturating_add(1));
        (line, before.len().saturating_sub(start).saturating_add(1))
    }
}

impl Problem {
    /// The problem as one line: `file:line:column: error: sentence (code)`.
    pub fn show(&self, files: &[File]) -> String {
        let place = files.get(self.span.file).map_or_else(String::new, |file| {
            let (line, column) = file.position(self.span.start);
            format!("{}:{line}:{column}: ", file.name)
        });
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{place}{severity}: {} ({})", self.text, self.code)
    }
}

/// Problems as they are found. Past a cap they are counted only.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    errors: usize,
}

impl Problems {
    /// Notes an error.
    pub fn error(&mut self, code: &'static str, span: Span, text: impl Into<String>) {
        self.errors = self.errors.saturating_add(1);
        self.push(Problem { severity: Severity::Error, code, span, text: text.into() });
    }

    /// Notes a warning.
    pub fn warn(&mut self, code: &'static str, span: Span, text: impl Into<String>) {
        self.push(Problem { severity: Severity::Warning, code, span, text: text.into() });
    }

    /// How many errors were noted, those past the cap too.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems in the order of their places.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.span);
        self.list
    }

    fn push(&mut self, problem: Problem) {
        if self.list.len() < caps::DNS_ZONE_PROBLEMS {
            self.list.push(problem);
        }
    }
}

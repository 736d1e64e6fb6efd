//! What is wrong with a configuration, said so that it can be mended. Rendering is elsewhere (`render`).
//!
//! The invariant: a diagnostic names the cause and the place, and its code is stable for ever: scripts match on it,
//! and `explain` has a text for each.

use std::fmt;

use crate::Span;
pub use crate::codes::Code;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and does something that is hardly meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place with a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is to be seen there; may be empty.
    pub text: String,
}

/// A line under a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// What to do next.
    Help(String),
    /// What else is worth knowing: allowed values, usage.
    Note(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of mistake it is.
    pub code: Code,
    /// The mistake in one line, lower case, without a full stop.
    pub message: String,
    /// Where it is; `None` for what has no place, such as a missing file.
    pub label: Option<Label>,
    /// Other places that belong to it, such as the first of two duplicates.
    pub others: Vec<Label>,
    /// Lines below.
    pub notes: Vec<Note>,
}

impl Diagnostic {
    /// A diagnostic with a place. Its severity is its code's.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let label = Some(Label { span, text: String::new() });
        Self { severity: code.severity(), code, message: message.into(), label, others: Vec::new(), notes: Vec::new() }
    }

    /// A diagnostic without a place.
    pub fn nowhere(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: code.severity(),
            code,
            message: message.into(),
            label: None,
            others: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says a few words at the place.
    pub fn label(&mut self, text: impl Into<String>) -> &mut Self {
        if let Some(label) = &mut self.label {
            label.text = text.into();
        }
        self
    }

    /// Shows another place.
    pub fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.others.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do next.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(Note::Help(text.into()));
        self
    }

    /// Adds what else is worth knowing.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(Note::Note(text.into()));
        self
    }

    /// Whether it keeps the configuration from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Diagnostics as they are found.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Takes one more, and lends it for labels and notes.
    pub fn report(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::new(code, span, message))
    }

    /// Takes a finished one.
    pub fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.list.push(diagnostic);
        let last = self.list.len().saturating_sub(1);
        // The list is not empty: a diagnostic was pushed a line above.
        &mut self.list[last]
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them in the order of their places, those without a place first. What was found twice, as a default of two blocks
    /// is, is there once.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.label.as_ref().map(|label| label.span));
        self.list.dedup();
        self.list
    }
}

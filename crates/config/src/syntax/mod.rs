//! The written form: a lossless tree of words and blocks. What a word means is not known here.
//!
//! Five rules. (1) A statement is words to the end of the line; `\` joins lines. (2) `{` as last word opens a block, `}`
//! alone closes it. (3) `#` starts a comment only at the start of a word. (4) Quotes are needed only for blanks.
//! (5) `key=value` on a line means exactly `key value` inside its block.
//!
//! The invariant: parsing never fails, and the tokens of a [`Tree`] put together are the text, byte for byte.

mod lex;
mod parse;

use crate::{Diagnostics, FileId, Span};

pub(crate) use lex::is_unwritable;
pub use lex::{Token, TokenKind};

/// A file as written: every token, and the statements that they make.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Every piece of the text in order, without gap.
    pub tokens: Vec<Token>,
    /// The statements outside of every block.
    pub statements: Vec<Statement>,
}

/// One statement: words, and perhaps a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its words, the first of which says what it is; never empty.
    pub words: Vec<Word>,
    /// Its block.
    pub block: Option<Block>,
}

/// The block of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The `{`.
    pub open: Span,
    /// What is in it.
    pub statements: Vec<Statement>,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it says, quotes and escapes resolved.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
    /// How it is written.
    pub form: Form,
}

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Bare,
    /// In quotes as a whole: it is a value and never an option.
    Quoted,
    /// `key="value"`.
    QuotedValue,
}

impl Tree {
    /// Reads a text. Where it breaks the rules, the tree holds what was probably meant.
    pub fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Self {
        let tokens = lex::tokens(file, text, diagnostics);
        let statements = parse::statements(&tokens, diagnostics);
        Self { tokens, statements }
    }

    /// The text that the tree was made from.
    pub fn text(&self) -> String {
        self.tokens.iter().map(|token| token.raw.as_str()).collect()
    }
}

impl Word {
    /// The two halves of `key=value`, where this is one: the key is `[a-z][a-z0-9-]*` and the word is not quoted as a whole.
    pub fn option(&self) -> Option<(Self, Self)> {
        if self.form == Form::Quoted {
            return None;
        }
        let (key, value) = self.text.split_once('=')?;
        if !is_key(key) {
            return None;
        }
        let at = key.len();
        let form = if self.form == Form::QuotedValue { Form::Quoted } else { Form::Bare };
        Some((
            Self { text: key.to_owned(), span: self.span.part(0, at), form: Form::Bare },
            Self { text: value.to_owned(), span: self.span.part(at.saturating_add(1), usize::MAX), form },
        ))
    }

    /// The pieces of a list: the word split at commas, each with its place. A quoted word is one piece.
    pub fn pieces(&self) -> Vec<Self> {
        if self.form != Form::Bare || !self.text.contains(',') {
            return vec![self.clone()];
        }
        let mut from = 0usize;
        self.text
            .split(',')
            .map(|piece| {
                let to = from.saturating_add(piece.len());
                let span = self.span.part(from, to);
                from = to.saturating_add(1);
                Self { text: piece.to_owned(), span, form: Form::Bare }
            })
            .collect()
    }

    /// The word as it is written in a file: bare where that says the same, quoted elsewhere.
    pub fn written(&self) -> String {
        write_word(&self.text, self.form == Form::Quoted && self.text.contains(['=', ',']))
    }
}

impl Statement {
    /// The place of its words, from the first to the last.
    pub fn head(&self) -> Span {
        let first = self.words.first().map(|word| word.span);
        let last = self.words.last().map(|word| word.span);
        // A statement has at least its name.
        first.zip(last).map(|(first, last)| first.to(last)).expect("a statement has at least one word")
    }
}

/// A text as one word of a file. `quote` asks for quotes even where the text could stand bare.
pub fn write_word(text: &str, quote: bool) -> String {
    let bare = !quote
        && !text.is_empty()
        && !matches!(text, "{" | "}" | "\\")
        && !text.starts_with(['#', '"'])
        && !text.ends_with(['{', '}', ';', '\\'])
        && !text.contains('"')
        && text.chars().all(lex::may_stand_bare);
    if bare {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether a text can be the key of `key=value`.
pub(crate) fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests;

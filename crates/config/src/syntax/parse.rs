//! Tokens to statements. Nothing is rejected: what breaks the rules is reported and read as it was probably meant.
//!
//! The invariant: one mistake on a line gives one diagnostic, and the lines after it are read as if it were mended.

use evenkeel_model::caps;

use crate::syntax::{Block, Form, Statement, Token, TokenKind, Word};
use crate::{Code, Diagnostics, Span};

/// Builds the statements of a file.
pub(super) fn statements(tokens: &[Token], diagnostics: &mut Diagnostics) -> Vec<Statement> {
    let mut builder = Builder { open: Vec::new(), top: Vec::new(), complained: false, diagnostics };
    let mut line = Vec::new();
    let mut joined = false;
    for token in tokens {
        match &token.kind {
            TokenKind::Blank | TokenKind::Comment => {}
            TokenKind::Join => joined = true,
            TokenKind::Newline if joined => joined = false,
            TokenKind::Newline => builder.line(std::mem::take(&mut line)),
            TokenKind::Word { text, form } => {
                line.push(Word { text: text.clone(), span: token.span, form: *form });
            }
        }
    }
    builder.line(line);
    builder.finish()
}

struct Builder<'a> {
    /// The statements whose blocks are open, outermost first.
    open: Vec<Statement>,
    top: Vec<Statement>,
    /// Whether a mistake of the line at hand was reported already.
    complained: bool,
    diagnostics: &'a mut Diagnostics,
}

impl Builder<'_> {
    fn line(&mut self, mut words: Vec<Word>) {
        self.complained = false;
        self.detach_marks(&mut words);
        let count = words.len();
        let mut current: Vec<Word> = Vec::new();
        for (index, word) in words.into_iter().enumerate() {
            let last = index.saturating_add(1) == count;
            if is_mark(&word, "{") {
                self.open(std::mem::take(&mut current), word.span, last);
            } else if is_mark(&word, "}") {
                let alone = count == 1;
                self.add(std::mem::take(&mut current));
                self.close(word.span, alone);
            } else {
                current.push(word);
            }
        }
        self.add(current);
    }

    /// Splits off a `{`, `}` or `;` that sticks to the last word of a line.
    fn detach_marks(&mut self, words: &mut Vec<Word>) {
        let Some(last) = words.last_mut().filter(|word| word.form == Form::Bare) else { return };
        let (text, len) = (last.text.clone(), last.text.len());
        let mark = last.span.part(len.saturating_sub(1), len);
        if text.ends_with(';') {
            self.complained = true;
            self.diagnostics.report(Code::E113, mark, "a `;` at the end of a line").help(
                "a statement ends with its line: take the `;` away, or put quotes around the word if it belongs to it",
            );
            last.text = text.trim_end_matches(';').to_owned();
            last.span = last.span.part(0, last.text.len());
            if last.text.is_empty() {
                words.pop();
            }
        } else if len > 1 && text.ends_with('{') && !text.ends_with("${") {
            self.complained = true;
            self.diagnostics.report(Code::E108, mark, "a `{` without a blank before it").help(format!(
                "write `{} {{`, or put quotes around the word if the brace belongs to it",
                text.trim_end_matches('{')
            ));
            last.text.truncate(len.saturating_sub(1));
            last.span = last.span.part(0, len.saturating_sub(1));
            words.push(Word { text: "{".to_owned(), span: mark, form: Form::Bare });
        } else if len > 1 && text.ends_with('}') && !text.contains('{') {
            self.complained = true;
            self.diagnostics
                .report(Code::E109, mark, "a `}` that does not stand alone on its line")
                .help("put it on the next line");
            last.text.truncate(len.saturating_sub(1));
            last.span = last.span.part(0, len.saturating_sub(1));
            words.push(Word { text: "}".to_owned(), span: mark, form: Form::Bare });
        }
    }

    fn complain(&mut self, code: Code, span: Span, message: &str, help: &str) {
        if !self.complained {
            self.diagnostics.report(code, span, message).help(help);
        }
        self.complained = true;
    }

    fn add(&mut self, words: Vec<Word>) {
        if !words.is_empty() {
            self.current().push(Statement { words, block: None });
        }
    }

    /// The statements of the innermost open block.
    fn current(&mut self) -> &mut Vec<Statement> {
        match self.open.last_mut().and_then(|statement| statement.block.as_mut()) {
            Some(block) => &mut block.statements,
            None => &mut self.top,
        }
    }

    fn open(&mut self, words: Vec<Word>, brace: Span, last: bool) {
        if !last {
            self.complain(
                Code::E108,
                brace,
                "a `{` that does not end its line",
                "start a new line after `{`, and put `}` on a line of its own",
            );
        }
        if self.open.len() == caps::BLOCK_DEPTH {
            self.complain(
                Code::E111,
                brace,
                "more than 16 blocks within each other",
                "look for a `}` that is missing above",
            );
        }
        let block = Some(Block { open: brace, statements: Vec::new() });
        if !words.is_empty() {
            return self.open.push(Statement { words, block });
        }
        self.complain(
            Code::E110,
            brace,
            "a `{` without a statement before it",
            "put it at the end of the line whose block it opens",
        );
        let owner = match self.current().pop() {
            Some(previous) if previous.block.is_none() => Statement { block, ..previous },
            other => {
                self.current().extend(other);
                // A block that belongs to nothing: its brace stands for the missing name, and its words are not looked at.
                let name = Word { text: "{".to_owned(), span: brace, form: Form::Bare };
                Statement { words: vec![name], block }
            }
        };
        self.open.push(owner);
    }

    fn close(&mut self, brace: Span, alone: bool) {
        if !alone {
            self.complain(
                Code::E109,
                brace,
                "a `}` that does not stand alone on its line",
                "put it on a line of its own",
            );
        }
        match self.open.pop() {
            // Past the bound a block is read and forgotten, so that no text makes a tree too deep to walk.
            Some(statement) if is_mark_text(&statement) || self.open.len() >= caps::BLOCK_DEPTH => {}
            Some(statement) => self.current().push(statement),
            None => self.complain(
                Code::E107,
                brace,
                "a `}` that closes no block",
                "take it away, or find the `{` that is missing above",
            ),
        }
    }

    fn finish(mut self) -> Vec<Statement> {
        while let Some(statement) = self.open.pop() {
            if let Some(block) = &statement.block {
                let name = statement.words.first().map(|word| word.text.clone()).unwrap_or_default();
                self.diagnostics
                    .report(Code::E106, block.open, format!("the block of `{name}` is not closed"))
                    .label("opened here")
                    .help("put a `}` on a line of its own where the block ends");
            }
            if !is_mark_text(&statement) && self.open.len() < caps::BLOCK_DEPTH {
                self.current().push(statement);
            }
        }
        self.top
    }
}

/// Whether the word is this brace and not a quoted text.
fn is_mark(word: &Word, mark: &str) -> bool {
    word.form == Form::Bare && word.text == mark
}

fn is_mark_text(statement: &Statement) -> bool {
    statement.words.first().is_some_and(|word| is_mark(word, "{"))
}

//! Text to tokens. No words are put together to statements here.
//!
//! The invariant: the raw texts of the tokens, in order, are the text.

use crate::syntax::Form;
use crate::{Code, Diagnostics, FileId, Span};

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes as written.
    pub raw: String,
    /// Where it is.
    pub span: Span,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks, tabs, carriage returns, or the mark at a file's start that some editors leave.
    Blank,
    /// The end of a line.
    Newline,
    /// `#` to the end of the line.
    Comment,
    /// `\` as last word of a line: the next line goes on with this one.
    Join,
    /// A word.
    Word {
        /// What it says.
        text: String,
        /// How it is written.
        form: Form,
    },
}

/// Whether a character may stand in a word without quotes.
pub(super) fn may_stand_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_lookalike(c)
}

/// Characters that look like a blank, like a quote or like nothing.
fn is_lookalike(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || matches!(c, '\u{2018}'..='\u{201f}')
        || (c.is_whitespace() && !c.is_ascii())
}

/// Control characters that no form of the configuration can hold; a line break and a tab have escapes.
pub(crate) fn is_unwritable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Blanks that are not blanks here.
fn is_odd_blank(c: char) -> bool {
    c.is_whitespace() && !matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Splits a text into tokens.
pub(super) fn tokens(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut lexer = Lexer { file, text, at: 0, tokens: Vec::new(), diagnostics };
    if text.starts_with('\u{feff}') {
        lexer.take(TokenKind::Blank, '\u{feff}'.len_utf8());
    }
    while lexer.next() {}
    lexer.tokens
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    diagnostics: &'a mut Diagnostics,
}

impl Lexer<'_> {
    /// Takes one token; `false` at the end.
    fn next(&mut self) -> bool {
        let rest = self.rest();
        match rest.chars().next() {
            None => return false,
            Some('\n') => self.take(TokenKind::Newline, 1),
            Some(' ' | '\t' | '\r') => {
                let len = rest.find(|c| !matches!(c, ' ' | '\t' | '\r')).unwrap_or(rest.len());
                self.take(TokenKind::Blank, len);
            }
            Some('#') => self.take(TokenKind::Comment, line_length(rest)),
            Some('\\') if self.joins() => self.take(TokenKind::Join, 1),
            Some('"') => self.quoted(0, Form::Quoted),
            Some(odd) if is_odd_blank(odd) => self.odd_blank(odd),
            Some(_) => self.bare(),
        }
        true
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn span(&self, from: usize, to: usize) -> Span {
        let clip = |offset: usize| self.at.saturating_add(offset).min(self.text.len());
        Span { file: self.file, start: clip(from), end: clip(to) }
    }

    fn take(&mut self, kind: TokenKind, len: usize) {
        let span = self.span(0, len);
        let raw = self.text.get(span.start..span.end).unwrap_or_default().to_owned();
        self.at = span.end;
        self.tokens.push(Token { kind, raw, span });
    }

    /// Whether the backslash here is the last word of its line.
    fn joins(&self) -> bool {
        let after = self.rest().get(1..).unwrap_or_default();
        let line = after.get(..line_length(after)).unwrap_or_default();
        let next = line.trim_start_matches([' ', '\t', '\r']);
        next.is_empty() || (next.starts_with('#') && next.len() < line.len())
    }

    /// A blank that is none, read as one.
    fn odd_blank(&mut self, odd: char) {
        self.complain_of_odd(odd, 0);
        self.take(TokenKind::Blank, odd.len_utf8());
    }

    fn complain_of_odd(&mut self, odd: char, at: usize) {
        let span = self.span(at, at.saturating_add(odd.len_utf8()));
        self.diagnostics
            .report(Code::E102, span, format!("{} in a word", name_of(odd)))
            .label(format!("U+{:04X}", u32::from(odd)))
            .help("type it anew as a plain blank or a straight quote, or take it out");
    }

    /// A word without quotes, up to the next blank; or `key="…"`.
    fn bare(&mut self) {
        let rest = self.rest();
        let len = rest.find(|c| matches!(c, ' ' | '\t' | '\r' | '\n') || is_odd_blank(c)).unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        if let Some((key, value)) = word.split_once('=')
            && super::is_key(key)
            && value.starts_with('"')
        {
            let at = key.len().saturating_add(1);
            return self.quoted(at, Form::QuotedValue);
        }
        if let Some(at) = word.find('"') {
            return self.quoted_within(at);
        }
        let text = word.to_owned();
        self.complain_of_bare(&text);
        if text == "\\" {
            return self.take(TokenKind::Blank, len);
        }
        let ends = self.rest().get(len..).is_some_and(ends_line);
        match text.strip_suffix('\\').filter(|_| ends) {
            Some(before) => {
                self.take(TokenKind::Word { text: before.to_owned(), form: Form::Bare }, len.saturating_sub(1));
                self.take(TokenKind::Join, 1);
            }
            None => self.take(TokenKind::Word { text, form: Form::Bare }, len),
        }
    }

    /// A word with a quote in its middle, read up to the quote that closes it, or to the next blank.
    fn quoted_within(&mut self, at: usize) {
        let rest = self.rest();
        let line = rest.get(..line_length(rest)).unwrap_or_default();
        let inner = at.saturating_add(1);
        let close =
            line.get(inner..).and_then(|after| after.find('"')).map_or(inner, |close| inner.saturating_add(close));
        let tail = line.get(close..).and_then(|after| after.find([' ', '\t', '\r']));
        let len = tail.map_or(line.len(), |tail| close.saturating_add(tail));
        let text = line.get(..len).unwrap_or_default().replace('"', "");
        let span = self.span(at, inner);
        self.diagnostics
            .report(Code::E104, span, "a quote in the middle of a word")
            .help(format!("put the whole word in quotes: {}", super::write_word(&text, true)));
        self.take(TokenKind::Word { text, form: Form::Quoted }, len);
    }

    fn complain_of_bare(&mut self, text: &str) {
        if let Some((at, odd)) = text.char_indices().find(|(_, c)| !may_stand_bare(*c)) {
            self.complain_of_odd(odd, at);
        }
        if text == "\\" {
            let span = self.span(0, 1);
            self.diagnostics
                .report(Code::E112, span, "a `\\` that is not the last word of its line")
                .help("`\\` joins a line to the next one; a backslash as a value is written `\"\\\\\"`");
        } else if text.ends_with('\\') && self.rest().get(text.len()..).is_some_and(ends_line) {
            let span = self.span(text.len().saturating_sub(1), text.len());
            self.diagnostics
                .report(Code::E112, span, "a `\\` at the end of a line without a blank before it")
                .help("put a blank before it to join the next line, or quotes around the word if it is part of it");
        }
    }

    /// A quoted word, or the quoted value after `before` bytes of key and `=`.
    fn quoted(&mut self, before: usize, form: Form) {
        let rest = self.rest();
        let mut text = rest.get(..before).unwrap_or_default().to_owned();
        let mut chars = rest.char_indices().skip_while(|(at, _)| *at <= before);
        let mut end = None;
        let mut wrong = Vec::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at.saturating_add(1));
                    break;
                }
                '\n' => break,
                '\r' if rest.get(at..).is_some_and(|rest| rest.starts_with("\r\n")) => break,
                '\\' => match chars.next() {
                    Some((_, '"')) => text.push('"'),
                    Some((_, '\\')) => text.push('\\'),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    None | Some((_, '\n')) => break,
                    Some((next, other)) => wrong.push((at, next.saturating_add(other.len_utf8()), Code::E105)),
                },
                odd if is_unwritable(odd) && odd != '\n' => {
                    wrong.push((at, at.saturating_add(odd.len_utf8()), Code::E102));
                }
                other => text.push(other),
            }
        }
        let line = line_length(rest);
        for (from, to, code) in wrong {
            let span = self.span(from, to);
            self.complain_of_quoted(code, span);
        }
        let Some(end) = end else {
            let span = self.span(before, line);
            self.diagnostics
                .report(Code::E103, span, "a quote that is not closed on its line")
                .help("end the word with `\"`; a line break in a text is written `\\n`");
            return self.take(TokenKind::Word { text: text.trim_end().to_owned(), form }, line);
        };
        let after = self.rest().get(end..).unwrap_or_default();
        let tail = after.find([' ', '\t', '\r', '\n']).unwrap_or(after.len());
        if tail > 0 {
            let span = self.span(end, end.saturating_add(tail));
            self.diagnostics
                .report(Code::E104, span, "a word goes on after its closing quote")
                .help("put a blank after the quote, or everything within the quotes; a quote inside is written `\\\"`");
        }
        self.take(TokenKind::Word { text, form }, end.saturating_add(tail));
    }

    fn complain_of_quoted(&mut self, code: Code, span: Span) {
        if code == Code::E105 {
            self.diagnostics
                .report(code, span, "an escape that is not known")
                .note("allowed: `\\\"` `\\\\` `\\n` `\\t`")
                .help("a backslash itself is written `\\\\`");
        } else {
            self.diagnostics
                .report(code, span, "a control character in a quoted word")
                .help("take it out; a line break is written `\\n`");
        }
    }
}

/// Bytes up to the end of the line.
fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

/// Whether nothing but blanks follows on the line.
fn ends_line(rest: &str) -> bool {
    rest.get(..line_length(rest)).is_some_and(|line| line.trim().is_empty())
}

fn name_of(odd: char) -> &'static str {
    match odd {
        '\u{201c}'..='\u{201f}' | '\u{2018}'..='\u{201b}' => "a typographic quote",
        '\u{a0}' | '\u{202f}' => "a no-break space",
        c if c.is_whitespace() => "an unusual blank",
        c if c.is_control() => "a control character",
        _ => "an invisible character",
    }
}

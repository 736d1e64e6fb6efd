//! Tokens of a master file (RFC 1035, 5.1).
//!
//! Not a judge of words. The invariant: the tokens cover every byte, in order, without overlap, so that the text
//! can be put together again from them.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and tabs, and a carriage return that ends no line.
    Blank,
    /// The end of a line.
    Newline,
    /// `;` to the end of the line.
    Comment,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// A word, which may hold quotes after its first character (`key="a b"`).
    Word,
    /// Text in double quotes.
    Quoted,
    /// Text in double quotes without its closing one, to the end of the line.
    Unclosed,
}

/// A piece of the text: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// The tokens of a text, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let (bytes, start) = (self.bytes, self.at);
        let (kind, length) = match *bytes.get(start)? {
            b'\n' => (TokenKind::Newline, 1),
            b'\r' if bytes.get(start.saturating_add(1)) == Some(&b'\n') => (TokenKind::Newline, 2),
            b' ' | b'\t' | b'\r' => (TokenKind::Blank, blank_length(bytes, start)),
            b';' => (TokenKind::Comment, comment_length(bytes, start)),
            b'(' => (TokenKind::Open, 1),
            b')' => (TokenKind::Close, 1),
            b'"' => match quoted_length(bytes, start) {
                (length, true) => (TokenKind::Quoted, length),
                (length, false) => (TokenKind::Unclosed, length),
            },
            _ => word(bytes, start),
        };
        self.at = start.saturating_add(length);
        Some(Token { kind, start, end: self.at })
    }
}

fn ends_line(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        None | Some(b'\n') => true,
        Some(b'\r') => bytes.get(at.saturating_add(1)) == Some(&b'\n'),
        Some(_) => false,
    }
}

fn blank_length(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while matches!(bytes.get(end), Some(b' ' | b'\t' | b'\r')) && !ends_line(bytes, end) {
        end = end.saturating_add(1);
    }
    end.saturating_sub(at)
}

fn comment_length(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while !ends_line(bytes, end) {
        end = end.saturating_add(1);
    }
    end.saturating_sub(at)
}

/// The length of a quoted text, and whether it is closed. A quote does not cross the end of its line.
fn quoted_length(bytes: &[u8], at: usize) -> (usize, bool) {
    let mut end = at.saturating_add(1);
    while !ends_line(bytes, end) {
        match bytes.get(end) {
            Some(b'"') => return (end.saturating_add(1).saturating_sub(at), true),
            Some(b'\\') if !ends_line(bytes, end.saturating_add(1)) => end = end.saturating_add(2),
            _ => end = end.saturating_add(1),
        }
    }
    (end.saturating_sub(at), false)
}

fn word(bytes: &[u8], at: usize) -> (TokenKind, usize) {
    let mut end = at;
    loop {
        match bytes.get(end) {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')') => break,
            Some(b'\\') if !ends_line(bytes, end.saturating_add(1)) => end = end.saturating_add(2),
            Some(b'"') => match quoted_length(bytes, end) {
                (length, true) => end = end.saturating_add(length),
                (length, false) => return (TokenKind::Unclosed, end.saturating_add(length).saturating_sub(at)),
            },
            _ => end = end.saturating_add(1),
        }
    }
    (TokenKind::Word, end.saturating_sub(at))
}

//! Lines of a master file: tokens gathered across parentheses, and the head of a record.
//!
//! Not yet records: names are not completed and data is not read. The checker reads the same lines. The invariant:
//! the lines cover every token, in order.

use super::lex::{Lexer, Token, TokenKind};
use crate::kind::{Class, Type};
use crate::rdata::{Word, lossy};

/// One logical line: an entry of the file with everything up to and including its end of line.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The line's tokens.
    pub tokens: Vec<Token>,
    /// Where it begins.
    pub start: usize,
    /// Where it ends, its end of line included.
    pub end: usize,
    /// What is wrong with its parentheses or quotes: a place and a sentence.
    pub fault: Option<(Token, &'static str)>,
}

/// A file cut into lines. Nothing is lost: the lines put together are the file.
#[derive(Debug, Clone)]
pub struct ZoneText {
    /// The lines.
    pub lines: Vec<Line>,
}

impl ZoneText {
    /// Cuts a file into lines.
    pub fn new(bytes: &[u8]) -> Self {
        let (mut rest, mut lines) = (Lines::new(bytes), Vec::new());
        loop {
            let mut line = Line::default();
            if !rest.read(&mut line) {
                return Self { lines };
            }
            lines.push(line);
        }
    }
}

/// The lines of a file, one after the other.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    tokens: Lexer<'a>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { tokens: Lexer::new(bytes) }
    }

    /// Puts the next line in the place of another one, whose memory it takes over. False where there is none.
    pub(crate) fn read(&mut self, line: &mut Line) -> bool {
        line.tokens.clear();
        line.fault = None;
        let mut depth = 0_usize;
        for token in self.tokens.by_ref() {
            line.tokens.push(token);
            match token.kind {
                TokenKind::Open => depth = depth.saturating_add(1),
                TokenKind::Close if depth == 0 => {
                    line.note(token, "this `)` closes nothing; remove it or write the `(` before it");
                }
                TokenKind::Close => depth = depth.saturating_sub(1),
                TokenKind::Unclosed => {
                    line.note(token, "the quote is not closed on its line; write the closing `\"`");
                }
                TokenKind::Newline if depth == 0 => break,
                _ => {}
            }
        }
        let open = line.tokens.iter().find(|token| token.kind == TokenKind::Open && depth > 0).copied();
        if let Some(open) = open {
            line.note(open, "this `(` is never closed; write the `)` at the record's end");
        }
        line.start = line.tokens.first().map_or(line.end, |token| token.start);
        line.end = line.tokens.last().map_or(line.start, |token| token.end);
        !line.tokens.is_empty()
    }
}

impl Line {
    /// Notes what is wrong, where nothing was before.
    fn note(&mut self, token: Token, text: &'static str) {
        self.fault = self.fault.or(Some((token, text)));
    }

    /// The words, quoted or not.
    pub fn words(&self) -> impl Iterator<Item = Token> {
        let is_word = |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Unclosed);
        self.tokens.iter().filter(is_word).copied()
    }

    /// Whether the owner is that of the record before: the line begins with a blank.
    pub fn inherits_owner(&self) -> bool {
        self.tokens.first().is_some_and(|token| token.kind == TokenKind::Blank)
    }

    /// The line's last byte that is not of the end of line.
    pub fn text_end(&self) -> usize {
        match self.tokens.last() {
            Some(token) if token.kind == TokenKind::Newline => token.start,
            _ => self.end,
        }
    }
}

impl Token {
    /// The token's bytes.
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The token as a word of a record: without its quotes.
    pub fn word<'a>(&self, bytes: &'a [u8]) -> Word<'a> {
        let text = self.of(bytes);
        if self.kind != TokenKind::Quoted {
            return Word { text, quoted: false };
        }
        let inner = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        Word { text: inner.unwrap_or(text), quoted: true }
    }
}

/// The head of a record's line: what stands before the data. Numbers are indices into [`Line::words`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The owner's word; `None` where it is inherited.
    pub owner: Option<usize>,
    /// The TTL, where written.
    pub ttl: Option<(usize, u32)>,
    /// The class, where written.
    pub class: Option<(usize, Class)>,
    /// The type's word and the type.
    pub kind: (usize, Type),
    /// The first word of the data.
    pub data: usize,
}

/// Why a line has no head of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadError {
    /// Which word is wrong.
    pub word: usize,
    /// What is wrong.
    pub text: String,
}

impl Head {
    /// Reads `[owner] [ttl] [class] type`, TTL and class in any order.
    ///
    /// # Errors
    /// Where no type follows, or a TTL is larger than 2^31-1 (RFC 2181, 8).
    pub fn read(words: &[Word<'_>], inherits: bool) -> Result<Self, HeadError> {
        let mut at = usize::from(!inherits);
        let owner = (!inherits).then_some(0);
        let (mut ttl, mut class) = (None, None);
        loop {
            let Some(word) = words.get(at) else {
                let text = "the record ends before its type; write TYPE and data after the owner".to_owned();
                return Err(HeadError { word: at.saturating_sub(1), text });
            };
            let starts_with_digit = word.text.first().is_some_and(u8::is_ascii_digit);
            if ttl.is_none() && starts_with_digit && !word.quoted {
                ttl = Some((at, read_ttl(word.text).map_err(|text| HeadError { word: at, text })?));
            } else if let (None, Some(found)) = (class, Class::from_text(word.text).filter(|_| !word.quoted)) {
                class = Some((at, found));
            } else if let (Some(kind), false) = (Type::from_text(word.text), word.quoted) {
                return Ok(Self { owner, ttl, class, kind: (at, kind), data: at.saturating_add(1) });
            } else {
                let given = lossy(word.text);
                let text = match Type::without_text(word.text).filter(|_| !word.quoted) {
                    Some(number) => {
                        format!("`{given}` is not read as text; write `TYPE{number} \\# LENGTH HEX` (RFC 3597)")
                    }
                    None => format!("`{given}` is no type of record; unknown types are written TYPE123"),
                };
                return Err(HeadError { word: at, text });
            }
            at = at.saturating_add(1);
        }
    }
}

/// A TTL: seconds or units, at most 2^31-1.
pub(crate) fn read_ttl(text: &[u8]) -> Result<u32, String> {
    let limit = 0x7fff_ffff;
    crate::rdata::period(text)
        .filter(|ttl| *ttl <= limit)
        .ok_or_else(|| format!("`{}` is no TTL; write seconds up to {limit} or units as in 1h30m", lossy(text)))
}

//! `fmt`: the same configuration, indented and aligned. Words, comments and their order stay as they are.
//!
//! The invariant: formatting twice is formatting once, and what is formatted means what it meant.

use std::path::Path;

use crate::syntax::{Token, TokenKind, Tree};
use crate::{Diagnostics, SourceMap, json};

/// Formats a configuration. A text that breaks the rules of writing, or is JSON, comes back as it is; so does one with a
/// word that ends in `\`, whose meaning hangs on where its line ends.
pub fn format(text: &str) -> String {
    let mut sources = SourceMap::default();
    let file = sources.add("", "");
    let mut diagnostics = Diagnostics::default();
    let tree = Tree::parse(file, text, &mut diagnostics);
    if !diagnostics.is_empty() || json::is_json(Path::new(""), text) || tree.tokens.iter().any(joins_at_an_end) {
        return text.to_owned();
    }
    let mut lines = lines(&tree.tokens);
    place(&mut lines);
    let widths = Widths::of(&lines);
    lines.iter().enumerate().map(|(index, line)| widths.write(index, line)).collect()
}

/// Whether the word would join lines if it came to stand at the end of one.
fn joins_at_an_end(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Word { .. }) && token.raw.ends_with('\\')
}

/// A statement, a comment or an empty line.
#[derive(Debug, Default)]
struct Line {
    /// The pieces of a statement that `\` joins; most have one.
    pieces: Vec<Piece>,
    /// How many blocks are around it.
    depth: usize,
    /// The lines of one block without an empty line between are a paragraph: they are aligned together.
    paragraph: usize,
}

/// What stands on one line of the file.
#[derive(Debug, Default)]
struct Piece {
    words: Vec<String>,
    comment: Option<String>,
}

impl Line {
    fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.pieces.iter().flat_map(|piece| piece.words.iter().map(String::as_str))
    }

    fn name(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    fn opens(&self) -> bool {
        self.words().next_back() == Some("{")
    }

    fn closes(&self) -> bool {
        self.name() == "}"
    }

    fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| piece.words.is_empty() && piece.comment.is_none())
    }

    fn is_statement(&self) -> bool {
        !self.name().is_empty() && !self.closes()
    }

    /// Words besides the name and the brace.
    fn values(&self) -> usize {
        self.words().count().saturating_sub(1).saturating_sub(usize::from(self.opens()))
    }

    /// Whether its values are aligned with those of its neighbours. At the top a block stands by itself.
    fn is_aligned(&self) -> bool {
        self.is_statement() && self.values() > 0 && !(self.depth == 0 && self.opens())
    }
}

fn lines(tokens: &[Token]) -> Vec<Line> {
    let mut lines = vec![Line { pieces: vec![Piece::default()], ..Line::default() }];
    let mut joined = false;
    for token in tokens {
        let line = lines.last_mut().expect("there is a line at hand from the start on");
        let piece = line.pieces.last_mut().expect("a line at hand has a piece at hand");
        match &token.kind {
            TokenKind::Blank => {}
            TokenKind::Join => joined = true,
            TokenKind::Comment => piece.comment = Some(token.raw.trim_end().to_owned()),
            TokenKind::Word { .. } => piece.words.push(token.raw.clone()),
            TokenKind::Newline if joined => {
                joined = false;
                line.pieces.push(Piece::default());
            }
            TokenKind::Newline => lines.push(Line { pieces: vec![Piece::default()], ..Line::default() }),
        }
    }
    lines.into_iter().flat_map(tidied).collect()
}

/// Takes away pieces that say nothing; pieces that are comments alone become lines of their own where no statement is around them.
fn tidied(mut line: Line) -> Vec<Line> {
    if line.name().is_empty() {
        let comments: Vec<Line> = line
            .pieces
            .drain(..)
            .filter(|piece| piece.comment.is_some())
            .map(|piece| Line { pieces: vec![piece], ..Line::default() })
            .collect();
        return if comments.is_empty() { vec![Line::default()] } else { comments };
    }
    line.pieces.retain(|piece| !piece.words.is_empty() || piece.comment.is_some());
    vec![line]
}

/// Finds depth and paragraph of each line, and drops empty lines that part nothing.
fn place(lines: &mut Vec<Line>) {
    let mut open = vec![0usize];
    let mut paragraphs = 0usize;
    let mut kept: Vec<Line> = Vec::with_capacity(lines.len());
    for mut line in lines.drain(..) {
        if line.closes() {
            open.pop();
            while kept.last().is_some_and(Line::is_empty) {
                kept.pop();
            }
        }
        if line.is_empty() {
            let parts = kept.last().is_some_and(|before| !before.is_empty() && !before.opens());
            if parts {
                paragraphs = paragraphs.saturating_add(1);
                if let Some(current) = open.last_mut() {
                    *current = paragraphs;
                }
                kept.push(line);
            }
            continue;
        }
        line.depth = open.len().saturating_sub(1);
        line.paragraph = open.last().copied().unwrap_or_default();
        if line.opens() {
            paragraphs = paragraphs.saturating_add(1);
            open.push(paragraphs);
        }
        kept.push(line);
    }
    while kept.last().is_some_and(Line::is_empty) {
        kept.pop();
    }
    *lines = kept;
}

/// What is aligned to what.
struct Widths {
    /// For each paragraph, how wide the names are with the blanks after them; 0 where one line stands alone.
    names: Vec<usize>,
    /// For each line, how wide its first value is made.
    firsts: Vec<usize>,
    /// For each paragraph, the column of its comments.
    comments: Vec<usize>,
}

const INDENT: usize = 4;

/// Longer names do not move the values of the others: one `request-header` would push a whole block aside.
const WIDEST: usize = 11;

/// Longer lines do not move the comments of the others.
const LONGEST: usize = 72;

impl Widths {
    fn of(lines: &[Line]) -> Self {
        let paragraphs = lines.iter().map(|line| line.paragraph).max().map_or(0, |last| last.saturating_add(1));
        let mut widths =
            Self { names: vec![0; paragraphs], firsts: vec![0; lines.len()], comments: vec![0; paragraphs] };
        for paragraph in 0..paragraphs {
            let own = || lines.iter().filter(move |line| line.paragraph == paragraph && line.is_aligned());
            if own().count() > 1 {
                let short = own().map(|line| width(line.name())).filter(|name| *name <= WIDEST);
                let longest = short.max().unwrap_or(0);
                // To the next stop, so that one long name more does not move the whole block.
                let stop = longest.saturating_add(1).next_multiple_of(INDENT);
                if let Some(slot) = widths.names.get_mut(paragraph) {
                    *slot = stop;
                }
            }
        }
        widths.align_firsts(lines);
        for (index, line) in lines.iter().enumerate() {
            let single = line.pieces.len() == 1 && line.is_statement();
            let commented = line.pieces.iter().any(|piece| piece.comment.is_some());
            let code = if single && commented { width(&widths.code(index, line, 0)) } else { 0 };
            let code = if code <= LONGEST { code } else { 0 };
            if let Some(slot) = widths.comments.get_mut(line.paragraph) {
                *slot = code.max(*slot);
            }
        }
        widths
    }

    /// Neighbours of one name are rows of a table: their first values get one width.
    fn align_firsts(&mut self, lines: &[Line]) {
        let mut row: Vec<usize> = Vec::new();
        let mut flush = |row: &mut Vec<usize>| {
            let first = |index: usize| lines.get(index).and_then(|line| line.words().nth(1)).map_or(0, width);
            let widest = row.iter().map(|index| first(*index)).max().unwrap_or(0);
            if row.len() > 1 {
                for index in row.iter() {
                    if let Some(slot) = self.firsts.get_mut(*index) {
                        *slot = widest.saturating_add(2);
                    }
                }
            }
            row.clear();
        };
        for (index, line) in lines.iter().enumerate() {
            let follows = row.last().and_then(|last| lines.get(*last)).is_some_and(|last| {
                last.name() == line.name() && last.paragraph == line.paragraph && last.depth == line.depth
            });
            if !follows {
                flush(&mut row);
            }
            if line.is_statement() && line.values() > 1 && line.pieces.len() == 1 {
                row.push(index);
            } else {
                flush(&mut row);
            }
        }
        flush(&mut row);
    }

    /// One piece of a line without indent and comment.
    fn code(&self, index: usize, line: &Line, piece: usize) -> String {
        let Some(words) = line.pieces.get(piece).map(|piece| piece.words.as_slice()) else { return String::new() };
        let mut out = String::new();
        for (position, word) in words.iter().enumerate() {
            out.push_str(word);
            if position.saturating_add(1) == words.len() {
                break;
            }
            let wanted = match (piece, position) {
                (0, 0) if line.is_aligned() => self.names.get(line.paragraph).copied().unwrap_or_default(),
                (0, 1) => self.firsts.get(index).copied().unwrap_or_default(),
                _ => 0,
            };
            let blanks = wanted.saturating_sub(width(word)).max(1);
            out.push_str(&" ".repeat(blanks));
        }
        out
    }

    fn write(&self, index: usize, line: &Line) -> String {
        if line.is_empty() {
            return "\n".to_owned();
        }
        let mut out = String::new();
        let count = line.pieces.len();
        for (number, piece) in line.pieces.iter().enumerate() {
            let last = number.saturating_add(1) == count;
            let depth = line.depth.saturating_add(usize::from(number > 0));
            let mut code = self.code(index, line, number);
            if !last {
                code.push_str(if code.is_empty() { "\\" } else { " \\" });
            }
            out.push_str(&" ".repeat(depth.saturating_mul(INDENT)));
            out.push_str(&code);
            if let Some(comment) = &piece.comment {
                let column =
                    if count == 1 && line.is_statement() { self.comments.get(line.paragraph).copied() } else { None };
                if !code.is_empty() {
                    let blanks = column.unwrap_or_default().saturating_sub(width(&code)).saturating_add(2);
                    out.push_str(&" ".repeat(blanks));
                }
                out.push_str(comment);
            }
            out.push('\n');
        }
        out
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests;

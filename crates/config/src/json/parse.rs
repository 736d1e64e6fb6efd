//! JSON with places (RFC 8259): what it holds, and where. Nothing is known here of what it means.
//!
//! The invariant: any text ends in a value or in one diagnostic, and no nesting exhausts the stack.

use evenkeel_model::caps;

use crate::{Code, Diagnostics, FileId, Span};

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Json {
    pub span: Span,
    pub kind: Kind,
}

/// What a value is. Numbers keep their text.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(Key, Json)>),
}

/// The name of a member.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub text: String,
    pub span: Span,
}

/// Lists and objects within each other: each block takes at most three.
const DEPTH: usize = caps::BLOCK_DEPTH * 3;

/// Where the text stopped being JSON, and what should be there.
struct Broken {
    at: usize,
    wanted: &'static str,
}

pub(super) fn document(file: FileId, text: &str, out: &mut Diagnostics) -> Option<Json> {
    let mut parser = Parser { file, text, at: 0 };
    if text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    let result = parser.value(0).and_then(|value| {
        parser.skip_blanks();
        if parser.at == text.len() { Ok(value) } else { Err(parser.broken("the end of the file")) }
    });
    match result {
        Ok(value) => Some(value),
        Err(Broken { at, wanted }) => {
            let len = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            let span = Span { file, start: at, end: at.saturating_add(len) };
            let report = out.report(Code::E117, span, format!("malformed JSON: expected {wanted}"));
            if text.get(at..).is_some_and(|rest| rest.starts_with(['#', '/'])) {
                report.help("JSON has no comments; the other form of the configuration has");
            } else if text.get(..at).is_some_and(|before| before.trim_end().ends_with(',')) && len > 0 {
                report.help("JSON allows no comma after the last one");
            }
            None
        }
    }
}

struct Parser<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn broken(&self, wanted: &'static str) -> Broken {
        Broken { at: self.at, wanted }
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start, end: self.at }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        let blanks = rest.len().saturating_sub(rest.trim_start_matches([' ', '\t', '\r', '\n']).len());
        self.at = self.at.saturating_add(blanks);
    }

    /// Takes this text if it comes next, after blanks.
    fn take(&mut self, wanted: &str) -> bool {
        self.skip_blanks();
        let here = self.rest().starts_with(wanted);
        if here {
            self.at = self.at.saturating_add(wanted.len());
        }
        here
    }

    fn value(&mut self, depth: usize) -> Result<Json, Broken> {
        self.skip_blanks();
        let start = self.at;
        if depth > DEPTH {
            return Err(self.broken("fewer objects within each other"));
        }
        let kind = match self.rest().chars().next() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Kind::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ if self.take("true") => Kind::Bool(true),
            _ if self.take("false") => Kind::Bool(false),
            _ if self.take("null") => Kind::Null,
            _ => return Err(self.broken("a value")),
        };
        Ok(Json { span: self.span(start), kind })
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Broken> {
        let mut members = Vec::new();
        self.take("{");
        if self.take("}") {
            return Ok(Kind::Object(members));
        }
        loop {
            self.skip_blanks();
            let start = self.at;
            if !self.rest().starts_with('"') {
                return Err(self.broken("a member's name in double quotes"));
            }
            let text = self.string()?;
            let key = Key { text, span: self.span(start) };
            if !self.take(":") {
                return Err(self.broken("`:` after a member's name"));
            }
            let value = self.value(depth.saturating_add(1))?;
            members.push((key, value));
            if self.take("}") {
                return Ok(Kind::Object(members));
            }
            if !self.take(",") {
                return Err(self.broken("`,` or `}` after a member"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Broken> {
        let mut values = Vec::new();
        self.take("[");
        if self.take("]") {
            return Ok(Kind::List(values));
        }
        loop {
            values.push(self.value(depth.saturating_add(1))?);
            if self.take("]") {
                return Ok(Kind::List(values));
            }
            if !self.take(",") {
                return Err(self.broken("`,` or `]` after a value"));
            }
        }
    }

    fn number(&mut self) -> Result<Kind, Broken> {
        let rest = self.rest();
        let len = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = rest.get(..len).unwrap_or_default().to_owned();
        // What is a number is decided by the library that also writes them.
        if serde_json::from_str::<serde_json::Number>(&text).is_err() {
            return Err(self.broken("a number"));
        }
        self.at = self.at.saturating_add(len);
        Ok(Kind::Number(text))
    }

    fn string(&mut self) -> Result<String, Broken> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else { return Err(self.broken("a text that ends with `\"`")) };
        let len = end.saturating_add(1);
        match rest.get(..len).map(serde_json::from_str::<String>) {
            Some(Ok(text)) => {
                self.at = self.at.saturating_add(len);
                Ok(text)
            }
            _ => Err(self.broken("a text without line breaks and with JSON's escapes")),
        }
    }
}

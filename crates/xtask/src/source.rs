//! Rust source as the tidy rules see it: code apart from comments and literals, functions, paths, test regions.
//!
//! It is a scanner and not a compiler: it knows enough of the lexical grammar (Rust reference, chapter 2) to never
//! mistake a comment or a string for code, and no types. Its invariant: blanked code has the length and the lines of
//! the text that it was made from.

/// One Rust file.
pub(crate) struct Source {
    /// Where it is, from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The text as written.
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked.
    pub(crate) code: String,
    /// For each line, whether it is compiled for tests alone.
    tests: Vec<bool>,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// A function and the lines it takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`, from 1.
    pub(crate) line: usize,
    /// Lines from its `fn` to its closing brace, both counted.
    pub(crate) length: usize,
}

impl Source {
    /// Reads the text of the file at that path.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let tests = test_lines(path, &code);
        let starts = std::iter::once(0).chain(code.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.to_owned(), text: text.to_owned(), code, tests, starts }
    }

    /// Whether the line, from 1, is compiled for tests alone.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.tests.get(line.saturating_sub(1)).copied().unwrap_or(false)
    }

    /// The line that the byte lies in, from 1.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    /// Every path in the code, `use` trees written out: `use std::{fs, io::Read}` gives `std::fs` and
    /// `std::io::Read`. A single word is a path too.
    pub(crate) fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((start, word)) = next_word(&self.code, at) {
            at = start + word.len();
            let line = self.line_of(start);
            if word == "use" {
                let end = self.code[at..].find(';').map_or(self.code.len(), |end| at + end);
                let mut leaves = Vec::new();
                expand_use("", &self.code[at..end], &mut leaves);
                found.extend(leaves.into_iter().map(|path| (line, path)));
                at = end;
                continue;
            }
            let mut path = word.to_owned();
            while let Some(rest) = self.code[at..].strip_prefix("::") {
                let Some((0, next)) = next_word(rest, 0) else { break };
                path.push_str("::");
                path.push_str(next);
                at += 2 + next.len();
            }
            found.push((line, path));
        }
        found
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((start, word)) = next_word(&self.code, at) {
            at = start + word.len();
            if word != "fn" {
                continue;
            }
            let Some((name_at, name)) = next_word(&self.code, at) else { continue };
            if !self.code[at..name_at].chars().all(char::is_whitespace) {
                continue; // a function pointer type, `fn(u8) -> u8`
            }
            if let Some(open) = body_of(&self.code, name_at) {
                let line = self.line_of(start);
                let length = self.line_of(matching_brace(&self.code, open)) - line + 1;
                found.push(Function { name: name.to_owned(), line, length });
            }
        }
        found
    }

    /// The comments, documentation and attributes that stand directly above a line, from 1, nearest first.
    pub(crate) fn above(&self, line: usize) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().take(line.saturating_sub(1)).collect();
        let heads = |text: &&&str| text.starts_with("//") || text.starts_with("#[") || text.starts_with("pub");
        lines.iter().rev().map(|text| text.trim_start()).collect::<Vec<_>>().iter().take_while(heads).copied().collect()
    }
}

/// The text with every comment, string and character literal turned into spaces, lines kept.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = literal_end(bytes, at) else {
            at += 1;
            continue;
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole literals were replaced by ASCII blanks")
}

/// Where the comment or literal that begins at this byte ends; `None` where none begins.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(find(bytes, at, b"\n").unwrap_or(bytes.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(block_comment_end(bytes, at));
    }
    match rest[0] {
        b'"' => Some(string_end(bytes, at + 1)),
        b'\'' => char_end(bytes, at),
        b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => prefixed_end(bytes, at),
        _ => None,
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character literal, or `None` for a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    let next = *bytes.get(at + 1)?;
    if next == b'\\' {
        return find(bytes, at + 3, b"'").map(|end| end + 1);
    }
    let width = match next {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

/// `r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"` and their kin.
fn prefixed_end(bytes: &[u8], at: usize) -> Option<usize> {
    let letters = bytes[at..].iter().take(2).take_while(|b| matches!(b, b'r' | b'b' | b'c')).count();
    let prefix = &bytes[at..at + letters];
    let after = at + letters;
    if prefix.last() == Some(&b'r') {
        let marks = bytes[after..].iter().take_while(|b| **b == b'#').count();
        if bytes.get(after + marks) != Some(&b'"') {
            return None;
        }
        let mut close = vec![b'"'];
        close.resize(1 + marks, b'#');
        return Some(find(bytes, after + marks + 1, &close).map_or(bytes.len(), |end| end + close.len()));
    }
    match bytes.get(after) {
        Some(b'"') => Some(string_end(bytes, after + 1)),
        Some(b'\'') if prefix == b"b" => char_end(bytes, after),
        _ => None,
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The next identifier or number at or after the byte.
fn next_word(code: &str, from: usize) -> Option<(usize, &str)> {
    let bytes = code.as_bytes();
    let start = (from..bytes.len()).find(|at| is_word(bytes[*at]))?;
    let end = (start..bytes.len()).find(|at| !is_word(bytes[*at])).unwrap_or(bytes.len());
    Some((start, &code[start..end]))
}

fn expand_use(prefix: &str, tree: &str, leaves: &mut Vec<String>) {
    for item in split_commas(tree) {
        let item = item.split(" as ").next().unwrap_or("").trim();
        if item.is_empty() {
            continue;
        }
        match item.split_once('{') {
            Some((head, inner)) => {
                let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
                expand_use(&format!("{prefix}{}", head.trim()), inner, leaves);
            }
            None => leaves.push(format!("{prefix}{item}").trim_end_matches("::self").to_owned()),
        }
    }
}

fn split_commas(tree: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    parts
}

/// The opening brace of the body that belongs to the signature at this byte; `None` for a declaration.
fn body_of(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Which lines are compiled for tests alone: whole files of tests, and items behind `#[cfg(test)]`.
fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let lines = code.lines().count();
    let parts: Vec<&str> = path.split('/').collect();
    let file = parts.last().copied().unwrap_or("");
    if file == "tests.rs" || file.ends_with("_tests.rs") || parts.iter().any(|p| matches!(*p, "tests" | "benches")) {
        return vec![true; lines];
    }
    let mut marks = vec![false; lines];
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let end = match body_of(code, at + mark.len()) {
            Some(open) => matching_brace(code, open),
            None => code[at..].find(';').map_or(code.len(), |end| at + end),
        };
        let line = |byte: usize| code.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count();
        for mark in marks.iter_mut().take(line(end) + 1).skip(line(at)) {
            *mark = true;
        }
    }
    marks
}

#[cfg(test)]
mod tests;

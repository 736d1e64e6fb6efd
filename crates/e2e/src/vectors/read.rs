//! Reads the files of cases. Only this knows their form; it checks them as strictly as they check others.
//!
//! The invariant: a case that is read has bytes, a reason and a verdict.

use std::ops::RangeInclusive;

/// One message, or several, of a client, and what is right to follow.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name; that of a row with a value has the value behind it.
    pub name: String,
    /// The name of the row of the table that it belongs to.
    pub group: String,
    /// Why it is there.
    pub why: String,
    /// What the client sends.
    pub bytes: Vec<u8>,
    /// What is right.
    pub verdict: Verdict,
}

/// What is right to follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The final answers, each with the statuses that are right and whether its body is missing by right.
    pub answers: Vec<Answer>,
    /// What becomes of the connection.
    pub end: End,
    /// What the server sees of it.
    pub seen: Vec<Seen>,
}

/// One final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The statuses that are right.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Whether it has no body whatever it says, being one to HEAD.
    pub is_bodiless: bool,
}

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// It ends.
    #[default]
    Close,
    /// It carries another request.
    Keep,
    /// It ends, or carries another request.
    Any,
    /// More bytes are awaited.
    Wait,
}

/// A request as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The body; `None`: it may come to the server, but never whole.
    pub body: Option<Vec<u8>>,
    /// Whether it need not come, or not whole.
    pub is_optional: bool,
    /// Fields that it has with these values, in any case.
    pub has: Vec<(String, String)>,
    /// Fields that it lacks.
    pub lacks: Vec<String>,
}

/// What stands for the client's own address in a case.
pub const CLIENT: &str = "CLIENT";

/// A case whose verdict is not read yet.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Its name.
    pub name: String,
    /// The name of its row of the table.
    pub group: String,
    /// Why it is there.
    pub why: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The verdict, as written.
    pub verdict: String,
}

/// The cases of a file of clients' bytes.
///
/// # Panics
/// Where the file is not in its form, with the line.
pub fn cases(text: &str) -> Vec<Case> {
    let case = |raw: Raw| {
        let verdict = verdict_of(&raw.verdict);
        let verdict = verdict.unwrap_or_else(|| panic!("{}: `{}` is no verdict", raw.name, raw.verdict));
        Case { name: raw.name, group: raw.group, why: raw.why, bytes: raw.bytes, verdict }
    };
    raw(text).into_iter().map(case).collect()
}

/// The cases of a file, whatever their verdicts are.
///
/// # Panics
/// Where the file is not in its form, with the line.
pub fn raw(text: &str) -> Vec<Raw> {
    let mut cases: Vec<Raw> = Vec::new();
    let mut open: Option<Open> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            assert!(open.as_ref().is_none_or(|open| open.is_used), "`{name}` follows a case without a verdict");
            assert!(cases.iter().all(|case| case.group != name), "`{name}` stands twice");
            open = Some(Open::new(name));
            continue;
        }
        let Some(open) = &mut open else {
            assert!(line.is_empty() || line.starts_with('#'), "`{line}` belongs to no case");
            continue;
        };
        if let Some(why) = line.strip_prefix("# ") {
            open.add_reason(why);
        } else if let Some(row) = line.strip_prefix("%% ") {
            let (value, verdict) = row.rsplit_once(" --- ").unwrap_or_else(|| panic!("`{row}` has no verdict"));
            cases.push(open.case(value.trim_end(), verdict));
        } else if let Some(verdict) = line.strip_prefix("--- ") {
            cases.push(open.case("", verdict));
        } else {
            assert!(line.is_empty() || !open.is_used, "`{line}` follows the verdict of {}", open.name);
            open.bytes.push_str(line);
        }
    }
    assert!(open.is_none_or(|open| open.is_used), "the last case has no verdict");
    cases
}

/// A case that is being read.
struct Open {
    name: String,
    why: String,
    bytes: String,
    is_used: bool,
}

impl Open {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), why: String::new(), bytes: String::new(), is_used: false }
    }

    fn add_reason(&mut self, why: &str) {
        if !self.why.is_empty() {
            self.why.push(' ');
        }
        self.why.push_str(why);
    }

    fn case(&mut self, value: &str, verdict: &str) -> Raw {
        assert!(!self.why.is_empty(), "{} has no reason", self.name);
        let is_row = self.bytes.contains("{%}");
        assert!(is_row != value.is_empty() || is_row, "{}: `{{%}}` and `%%` go together", self.name);
        self.is_used = true;
        let name = if is_row { format!("{}: {value}", self.name) } else { self.name.clone() };
        let bytes = unescape(&self.bytes.replace("{%}", value));
        Raw { group: self.name.clone(), why: self.why.clone(), bytes, verdict: verdict.to_owned(), name }
    }
}

fn verdict_of(text: &str) -> Option<Verdict> {
    let mut parts = text.split(" | ");
    let mut words: Vec<&str> = parts.next()?.split_whitespace().collect();
    let end = match words.pop()? {
        "close" => End::Close,
        "keep" => End::Keep,
        "any" => End::Any,
        "wait" => End::Wait,
        _ => return None,
    };
    let answers = words.into_iter().filter(|word| *word != "none").map(answer_of).collect::<Option<Vec<_>>>()?;
    Some(Verdict { answers, end, seen: parts.map(seen_of).collect::<Option<Vec<_>>>()? })
}

/// `200`, `400/501`, `4xx`, each with a `-` behind it where the answer has no body.
fn answer_of(word: &str) -> Option<Answer> {
    let is_bodiless = word.ends_with('-');
    let status = |word: &str| match word.strip_suffix("xx") {
        Some(hundred) => hundred.parse::<u16>().ok().map(|hundred| hundred * 100..=hundred * 100 + 99),
        None => word.parse::<u16>().ok().map(|status| status..=status),
    };
    let statuses = word.trim_end_matches('-').split('/').map(status).collect::<Option<Vec<_>>>()?;
    Some(Answer { statuses, is_bodiless })
}

/// `METHOD TARGET BODY [+name=value] [-name]`.
fn seen_of(text: &str) -> Option<Seen> {
    let mut words = text.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), String::from_utf8(unescape(words.next()?)).ok()?);
    let text = words.next()?;
    let body = match text {
        "-" => Some(Vec::new()),
        "!" => None,
        body => Some(unescape(body.trim_start_matches('~'))),
    };
    let is_optional = text.starts_with(['!', '~']);
    let (mut has, mut lacks) = (Vec::new(), Vec::new());
    for word in words {
        match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(field), _) => {
                let (name, value) = field.split_once('=')?;
                has.push((name.to_owned(), value.to_owned()));
            }
            (None, Some(name)) => lacks.push(name.to_owned()),
            (None, None) => return None,
        }
    }
    Some(Seen { method, target, body, is_optional, has, lacks })
}

/// The bytes that a text stands for: `\r \n \t \s \\ \xNN`, and `{TEXT*COUNT}`, which may be nested.
///
/// # Panics
/// Where an escape is none.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((inner, count, tail)) = repetition(rest) {
            out.extend(unescape(inner).repeat(count));
            rest = tail;
            continue;
        }
        if first != '\\' {
            out.push(u8::try_from(first).expect("the files are ASCII"));
            rest = &rest[1..];
            continue;
        }
        let (byte, length) = match rest.as_bytes().get(1) {
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b's') => (b' ', 2),
            Some(b'\\') => (b'\\', 2),
            Some(b'x') => (u8::from_str_radix(&rest[2..4], 16).expect("two hexadecimal digits follow `\\x`"), 4),
            other => panic!("`\\{}` is no escape", other.copied().map_or(' ', char::from)),
        };
        out.push(byte);
        rest = &rest[length..];
    }
    out
}

fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 0usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                let (body, count) = inner[..at].rsplit_once('*')?;
                return Some((body, count.parse().ok()?, &inner[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{End, cases, unescape};

    #[test]
    fn a_case_is_read_in_full() {
        let text = "# head\n\n=== one {x}\n# because\nGET /{%} HTTP/1.1\\r\\n\n\\r\\n\n\
                    %% a --- 200 4xx- keep | GET /a - +host=a -cookie | POST /b !\n%% b --- none wait\n";
        let cases = cases(text);
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].name.as_str(), cases[0].group.as_str()), ("one {x}: a", "one {x}"));
        assert_eq!(cases[0].bytes, b"GET /a HTTP/1.1\r\n\r\n");
        let verdict = &cases[0].verdict;
        assert_eq!((verdict.answers.len(), verdict.end), (2, End::Keep));
        assert!(verdict.answers[1].is_bodiless && verdict.answers[1].statuses[0].contains(&431));
        assert_eq!(verdict.seen[0].has, [("host".to_owned(), "a".to_owned())]);
        assert_eq!((verdict.seen[0].lacks.len(), verdict.seen[1].body.is_none()), (1, true));
        assert_eq!((cases[1].verdict.answers.len(), cases[1].verdict.end), (0, End::Wait));
    }

    #[test]
    fn texts_stand_for_bytes() {
        assert_eq!(unescape("a\\x00\\s{b{c*2}*2}{d"), b"a\0 bccbcc{d");
    }
}

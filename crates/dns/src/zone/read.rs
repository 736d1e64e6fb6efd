//! From the lines of master files to records: origins, defaults, inherited owners, includes, generated lines.
//!
//! Not a judge of the records together (see `check`). The invariant: reading goes on after an error, so that all
//! of them are reported at once.

use std::sync::Arc;

use evenkeel_model::caps;

use super::generate::{Range, fill};
use super::lex::Token;
use super::lines::{Head, Line, Lines, read_ttl};
use super::problem::{File, Problems, Span};
use super::sheet::Mark;
use crate::kind::{Class, Type};
use crate::name::Name;
use crate::rdata::{self, Rdata, Word, lossy};

/// Lines between two marks, or a few more.
const STRETCH: usize = 64;

/// Where `$INCLUDE`d files come from.
pub trait Source {
    /// The file `file`, as it stands in the file `from`: the name that messages should call it, and its bytes.
    ///
    /// # Errors
    /// A sentence that says why it cannot be had.
    fn read(&mut self, from: &str, file: &str) -> Result<(String, Vec<u8>), String>;
}

/// A source that has no files: every `$INCLUDE` is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSource;

impl Source for NoSource {
    fn read(&mut self, _from: &str, _file: &str) -> Result<(String, Vec<u8>), String> {
        Err("files cannot be included here".to_owned())
    }
}

/// One record of a zone file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub owner: Name,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The type.
    pub kind: Type,
    /// The data.
    pub data: Rdata,
    /// Where it stands.
    pub span: Span,
}

/// What was read from a zone file and its includes.
#[derive(Debug)]
pub struct Parsed {
    /// The records in the order of the files.
    pub records: Vec<Record>,
    /// What was wrong.
    pub problems: Problems,
    /// The files.
    pub files: Vec<File>,
    /// Places of the first file, but for its beginning, at which it can be read again.
    pub(super) marks: Vec<Mark>,
    /// What a line at its end would inherit.
    pub(super) end: Context,
}

/// Reads a zone file with everything it includes.
pub fn parse(name: &str, bytes: Vec<u8>, origin: &Name, source: &mut dyn Source) -> Parsed {
    let mut reader = Reader::new(source, Context::of(origin));
    reader.file(name.to_owned(), &Arc::new(bytes));
    reader.finish()
}

/// What lines inherit from those before them.
#[derive(Debug, Clone)]
pub(super) struct Context {
    origin: Name,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Context {
    /// That of a zone's first line.
    pub(super) fn of(origin: &Name) -> Self {
        Self { origin: origin.clone(), owner: None, default_ttl: None, last_ttl: None }
    }

    /// Whether lines are the same records under it, the case of their names included.
    pub(super) fn is(&self, other: &Self) -> bool {
        let owners = self.owner.as_ref().map(Name::as_wire) == other.owner.as_ref().map(Name::as_wire);
        let ttls = (self.default_ttl, self.last_ttl) == (other.default_ttl, other.last_ttl);
        owners && ttls && self.origin.as_wire() == other.origin.as_wire()
    }
}

/// Reads lines one after the other.
pub(super) struct Reader<'s> {
    source: &'s mut dyn Source,
    parsed: Parsed,
    /// The files being read, innermost last.
    open: Vec<usize>,
    bytes: usize,
    context: Context,
    /// How many lines may follow before a place is marked again.
    unmarked: usize,
}

/// The memory for one line, which is that for all.
#[derive(Default)]
pub(super) struct Scratch<'a> {
    tokens: Vec<Token>,
    words: Vec<Word<'a>>,
}

/// A line with its bytes: of a file, or made by `$GENERATE`.
struct Input<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    /// What the tokens say.
    words: &'a [Word<'a>],
    inherits: bool,
    file: usize,
    /// The place to report where the bytes are not those of a file.
    fixed: Option<Span>,
}

impl Input<'_> {
    fn span(&self, word: usize) -> Span {
        if let Some(span) = self.fixed {
            return span;
        }
        let token = self.tokens.get(word).or(self.tokens.last());
        token.map_or(Span { file: self.file, start: 0, end: 0 }, |t| Span {
            file: self.file,
            start: t.start,
            end: t.end,
        })
    }

    fn all(&self) -> Span {
        let (first, last) = (self.span(0), self.span(self.tokens.len()));
        Span { file: first.file, start: first.start, end: last.end }
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s mut dyn Source, context: Context) -> Self {
        let (records, problems, files, marks) = (Vec::new(), Problems::default(), Vec::new(), Vec::new());
        let parsed = Parsed { records, problems, files, marks, end: context.clone() };
        Self { source, parsed, open: Vec::new(), bytes: 0, context, unmarked: STRETCH }
    }

    pub(super) fn finish(self) -> Parsed {
        Parsed { end: self.context, ..self.parsed }
    }

    /// What the next line inherits.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// What was read so far.
    pub(super) fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    fn file(&mut self, name: String, bytes: &Arc<Vec<u8>>) {
        let file = self.parsed.files.len();
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.parsed.files.push(File { name, bytes: Arc::clone(bytes) });
        self.open.push(file);
        if self.bytes > caps::DNS_ZONE_BYTES {
            let text = format!("the zone's files have more than {} bytes together", caps::DNS_ZONE_BYTES);
            self.parsed.problems.error("zone-too-large", Span { file, start: 0, end: 0 }, text);
        } else {
            self.lines(file, bytes);
        }
        self.open.pop();
    }

    fn lines(&mut self, file: usize, bytes: &[u8]) {
        let (mut lines, mut line, mut scratch) = (Lines::new(bytes), Line::default(), Scratch::default());
        while lines.read(&mut line) {
            if file == 0 {
                self.marked_line(bytes, &line, &mut scratch);
            } else {
                self.line(file, bytes, &line, &mut scratch);
            }
        }
    }

    /// Reads a line of the first file, and marks its place where it is time to.
    pub(super) fn marked_line<'a>(&mut self, bytes: &'a [u8], line: &Line, scratch: &mut Scratch<'a>) {
        let Some(left) = self.unmarked.checked_sub(1) else {
            let before = self.context.clone();
            self.line(0, bytes, line, scratch);
            // The records of one owner mostly stand together, and are best read together.
            if before.owner.as_ref().map(Name::as_wire) != self.context.owner.as_ref().map(Name::as_wire) {
                self.parsed.marks.push(Mark::new(bytes, line.start, before));
                self.unmarked = STRETCH;
            }
            return;
        };
        self.unmarked = left;
        self.line(0, bytes, line, scratch);
    }

    fn line<'a>(&mut self, file: usize, bytes: &'a [u8], line: &Line, scratch: &mut Scratch<'a>) {
        if let Some((token, text)) = line.fault {
            let span = Span { file, start: token.start, end: token.end };
            return self.parsed.problems.error("zone-unbalanced", span, text);
        }
        let Scratch { tokens, words } = scratch;
        tokens.clear();
        tokens.extend(line.words());
        words.clear();
        words.extend(tokens.iter().map(|token: &Token| token.word(bytes)));
        let inherits = line.inherits_owner();
        let input = Input { bytes, tokens, words, inherits, file, fixed: None };
        match tokens.first().map(|first| first.of(bytes).starts_with(b"$")) {
            Some(true) if inherits => {
                let given = lossy(tokens.first().map_or(&[], |first| first.of(bytes)));
                let text = format!("`{given}` stands behind a blank; a directive begins its line");
                self.parsed.problems.error("zone-directive", input.span(0), text);
            }
            Some(true) => self.directive(&input),
            Some(false) => self.record(&input),
            None => {}
        }
    }

    fn directive(&mut self, input: &Input<'_>) {
        let (Some(first), rest) = (input.words.first(), input.words.get(1..).unwrap_or_default()) else { return };
        match (first.text.to_ascii_uppercase().as_slice(), rest) {
            (b"$ORIGIN" | b"$TTL", [value]) if value.quoted => {
                let text = format!("`{}` stands in quotes; write it without them", lossy(value.text));
                let code = if first.text.eq_ignore_ascii_case(b"$TTL") { "zone-ttl" } else { "zone-name" };
                self.parsed.problems.error(code, input.span(1), text);
            }
            (b"$ORIGIN", [name]) => match self.name(*name) {
                Ok(name) => self.context.origin = name,
                Err(text) => self.parsed.problems.error("zone-name", input.span(1), text),
            },
            (b"$TTL", [ttl]) => match read_ttl(ttl.text) {
                Ok(ttl) => self.context.default_ttl = Some(ttl),
                Err(text) => self.parsed.problems.error("zone-ttl", input.span(1), text),
            },
            (b"$INCLUDE", [file]) => self.include(input, *file, None),
            (b"$INCLUDE", [file, origin]) => self.include(input, *file, Some(*origin)),
            (b"$GENERATE", [range, _, ..]) => self.generate(input, *range),
            (b"$ORIGIN" | b"$TTL" | b"$INCLUDE" | b"$GENERATE", _) => {
                let text = "wrong number of words; write $ORIGIN NAME, $TTL TTL, $INCLUDE FILE [ORIGIN] or $GENERATE RANGE OWNER TYPE DATA";
                self.parsed.problems.error("zone-directive", input.all(), text);
            }
            _ => {
                let text =
                    format!("`{}` is no directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE", lossy(first.text));
                self.parsed.problems.error("zone-directive", input.span(0), text);
            }
        }
    }

    /// RFC 1035, 5.1: an included file changes neither the origin nor the owner of the file that includes it.
    fn include(&mut self, input: &Input<'_>, file: Word<'_>, origin: Option<Word<'_>>) {
        let depth = self.open.len();
        if depth >= caps::INCLUDE_DEPTH {
            let text = format!("files include each other more than {} deep; look for a loop", caps::INCLUDE_DEPTH);
            return self.parsed.problems.error("zone-include", input.all(), text);
        }
        let origin = match origin.map(|word| self.name(word)).transpose() {
            Ok(origin) => origin,
            Err(text) => return self.parsed.problems.error("zone-name", input.span(2), text),
        };
        let wanted = rdata::decode_text(file.text).unwrap_or_else(|| file.text.to_vec());
        let from = self.parsed.files.get(input.file).map(|file| file.name.clone()).unwrap_or_default();
        match self.source.read(&from, &lossy(&wanted)) {
            Ok((name, _)) if self.is_open(&name) => {
                self.parsed.problems.error("zone-include", input.span(1), format!("`{name}` includes itself"));
            }
            Ok((name, bytes)) => {
                let outer = self.context.clone();
                self.context.origin = origin.unwrap_or_else(|| outer.origin.clone());
                self.file(name, &Arc::new(bytes));
                self.context =
                    Context { last_ttl: self.context.last_ttl, default_ttl: self.context.default_ttl, ..outer };
            }
            Err(text) => {
                let text = format!("`{}` cannot be included: {text}", lossy(&wanted));
                self.parsed.problems.error("zone-include", input.span(1), text);
            }
        }
    }

    fn is_open(&self, name: &str) -> bool {
        self.open.iter().filter_map(|at| self.parsed.files.get(*at)).any(|file| file.name == name)
    }

    fn generate(&mut self, input: &Input<'_>, range: Word<'_>) {
        let range = match Range::read(range.text) {
            Ok(range) => range,
            Err(text) => return self.parsed.problems.error("zone-generate", input.span(1), text),
        };
        let errors = self.parsed.problems.errors();
        let template = input.tokens.get(2).zip(input.tokens.last());
        let template = template.and_then(|(first, last)| input.bytes.get(first.start..last.end)).unwrap_or_default();
        let unquoted = unquoted(input, template);
        let template = unquoted.as_deref().unwrap_or(template);
        let owner = self.context.owner.clone();
        for number in range.numbers() {
            let line = match fill(template, number) {
                Ok(line) => line,
                Err(text) => return self.parsed.problems.error("zone-generate", input.all(), text),
            };
            let mut made = Line::default();
            Lines::new(&line).read(&mut made);
            let tokens: Vec<Token> = made.words().collect();
            let words: Vec<Word<'_>> = tokens.iter().map(|token| token.word(&line)).collect();
            let (file, fixed) = (input.file, Some(input.all()));
            self.record(&Input { bytes: &line, tokens: &tokens, words: &words, inherits: false, file, fixed });
            // One wrong template is one error, not thousands.
            if self.parsed.problems.errors() > errors {
                break;
            }
        }
        self.context.owner = owner;
    }

    fn record(&mut self, input: &Input<'_>) {
        let words = input.words;
        let head = match Head::read(words, input.inherits) {
            Ok(head) => head,
            Err(error) => return self.parsed.problems.error("zone-record", input.span(error.word), error.text),
        };
        if !self.take_owner(&head, input) {
            return;
        }
        if let Some((at, class)) = head.class
            && class != Class::IN
        {
            let text = format!(
                "the class `{}` is not served; write IN or nothing",
                lossy(input.tokens.get(at).map_or(&[], |t| t.of(input.bytes)))
            );
            return self.parsed.problems.error("zone-class", input.span(at), text);
        }
        if head.kind.1.is_meta() {
            let text = format!("{} is a type of questions only; no record may have it", head.kind.1);
            return self.parsed.problems.error("zone-record", input.span(head.kind.0), text);
        }
        let data = words.get(head.data..).unwrap_or_default();
        let data = match rdata::parse(head.kind.1, data, Some(&self.context.origin)) {
            Ok(data) => data,
            Err(error) => {
                let at = error.word.map_or(words.len(), |word| word.saturating_add(head.data));
                return self.parsed.problems.error("zone-data", input.span(at), error.text);
            }
        };
        let Some(ttl) = self.ttl(&head, &data, input) else { return };
        let Some(owner) = self.context.owner.clone() else { return };
        if self.parsed.records.len() >= caps::DNS_ZONE_RECORDS {
            let text = format!("the zone has more than {} records", caps::DNS_ZONE_RECORDS);
            return self.parsed.problems.error("zone-too-large", input.all(), text);
        }
        self.parsed.records.push(Record { owner, ttl, kind: head.kind.1, data, span: input.all() });
    }

    /// Notes the line's owner. False where there is none to be had.
    fn take_owner(&mut self, head: &Head, input: &Input<'_>) -> bool {
        match head.owner.and_then(|at| input.words.get(at)) {
            Some(word) => match self.name(*word) {
                Ok(name) => self.context.owner = Some(name),
                Err(text) => {
                    self.parsed.problems.error("zone-name", input.span(0), text);
                    return false;
                }
            },
            None if self.context.owner.is_none() => {
                let text = "the line begins with a blank and no record stands before it to take the owner from; write the owner";
                self.parsed.problems.error("zone-name", input.span(0), text);
                return false;
            }
            None => {}
        }
        true
    }

    /// The TTL: written, else `$TTL` (RFC 2308, 4), else the one before (RFC 1035, 5.1), else a SOA's minimum.
    fn ttl(&mut self, head: &Head, data: &Rdata, input: &Input<'_>) -> Option<u32> {
        let minimum = || data.as_soa().filter(|_| head.kind.1 == Type::SOA).map(|soa| soa.minimum);
        let ttl = head.ttl.map(|(_, ttl)| ttl).or(self.context.default_ttl).or(self.context.last_ttl).or_else(minimum);
        if ttl.is_none() {
            let text = "the record has no TTL, and neither $TTL nor a record with one stands before it; write $TTL 1h at the top";
            self.parsed.problems.error("zone-ttl", input.all(), text);
        }
        self.context.last_ttl = ttl.or(self.context.last_ttl);
        ttl
    }

    fn name(&self, word: Word<'_>) -> Result<Name, String> {
        if word.text == b"@" && !word.quoted {
            return Ok(self.context.origin.clone());
        }
        Name::from_text(word.text, Some(&self.context.origin))
            .map_err(|error| format!("`{}`: {error}", lossy(word.text)))
    }
}

/// The template of a `$GENERATE` line whose data is one word in quotes, without those: as in BIND they only hold it
/// together, and what is in them is read as any data. A quote of its own is written `\"`.
fn unquoted(input: &Input<'_>, template: &[u8]) -> Option<Vec<u8>> {
    let words = input.words.get(2..)?;
    let head = Head::read(words, false).ok()?;
    let data = words.get(head.data).filter(|word| word.quoted && head.data.saturating_add(1) == words.len())?;
    let before = template.len().checked_sub(data.text.len().checked_add(2)?)?;
    let mut made = template.get(..before)?.to_vec();
    let mut rest = data.text;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail.split_first()) {
            (b'\\', Some((b'"', after))) => {
                made.push(b'"');
                rest = after;
            }
            (b'\\', Some((&next, after))) => {
                made.extend_from_slice(&[byte, next]);
                rest = after;
            }
            _ => {
                made.push(byte);
                rest = tail;
            }
        }
    }
    Some(made)
}

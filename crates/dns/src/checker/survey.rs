//! What a zone file holds for the checker: its balanced sets, and what each record means.
//!
//! The meaning of a record is its owner and TTL as read with every parked record of a block in its place: so a
//! record that takes its owner from a parked one still means that owner. The invariant: nothing outside a block
//! is ever a member.

use std::collections::HashMap;
use std::net::IpAddr;

use evenkeel_model::caps;

use super::options::{Note, Owners, SetOptions, read_note};
use crate::kind::Type;
use crate::name::Name;
use crate::rdata::{self, Rdata, Word};
use crate::zone::{Head, Line, Problem, Problems, Severity, Span, Token, TokenKind, ZoneText};

/// The code of the warning that there is no serial to raise.
const NO_SERIAL: &str = "checker-no-serial";

/// How a target is probed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// A connection that is accepted.
    Tcp,
    /// An answer to a request for this path.
    Http(String),
}

/// What is probed: the same for every record with the same address, port and check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// How.
    pub check: Check,
}

/// A record of a balanced set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What is probed for it.
    pub target: Target,
    /// Whether it is parked in the file.
    pub is_parked: bool,
    /// The record's TTL, where one can be told.
    pub ttl: Option<u32>,
    /// Which of the survey's entries it is.
    pub(super) entry: usize,
}

/// The records of one owner and type under one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancedSet {
    /// The owner; absolute where the zone's name is known.
    pub owner: Name,
    /// A or AAAA.
    pub kind: Type,
    /// The header's line, counted from 1.
    pub line: usize,
    /// How it is checked.
    pub options: SetOptions,
    /// Its records, in the order of the file.
    pub members: Vec<Member>,
}

/// A record of the file, live or parked in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where each of its physical lines begins, `;;` included.
    pub(super) rows: Vec<usize>,
    pub(super) is_parked: bool,
    /// Where an owner can be written: before its first byte (after `;;`).
    pub(super) start: usize,
    /// The end of the owner's word; `None` where the owner is inherited.
    pub(super) owner_end: Option<usize>,
    /// What the owner means, and how to write it here.
    pub(super) owner: Option<Name>,
    pub(super) owner_text: Vec<u8>,
    /// Whether the TTL is written or comes from `$TTL`, so that no record before matters.
    pub(super) has_own_ttl: bool,
    pub(super) ttl: Option<u32>,
    /// Whether the line could be read far enough to tell its TTL.
    pub(super) is_read: bool,
    /// The type, where it could be read.
    pub(super) kind: Option<Type>,
    /// The rest of the record, for comparing before and after.
    pub(super) data: Vec<u8>,
}

/// The place of the zone's serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SerialPlace {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) value: u32,
}

/// What a zone file holds for the checker.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The balanced sets.
    pub sets: Vec<BalancedSet>,
    /// What is wrong; with an error nothing may be changed.
    pub problems: Vec<Problem>,
    pub(super) entries: Vec<Entry>,
    /// The zone that the file is of, where it says so by a SOA with an absolute owner or below an `$ORIGIN`.
    pub zone: Option<Name>,
    pub(super) serial: Option<SerialPlace>,
    /// The origin that names were read with.
    pub(super) origin: Name,
    /// A number that stands for the bytes that were read.
    pub(super) print: u64,
}

impl Survey {
    /// Every target to probe, each once, in order.
    pub fn targets(&self) -> Vec<Target> {
        let mut all: Vec<Target> =
            self.sets.iter().flat_map(|set| &set.members).map(|member| member.target.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether an error was found.
    pub fn is_broken(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Leaves the serial alone: the file is read for its sets and never written.
    pub fn without_serial(&mut self) {
        self.serial = None;
        self.problems.retain(|problem| problem.code != NO_SERIAL);
    }

    /// Warnings for sets whose records are kept longer by resolvers than a change of verdict takes: parking a
    /// record helps only after its TTL.
    pub fn ttl_warnings(&self, horizon_seconds: u32) -> Vec<String> {
        let mut out = Vec::new();
        for set in &self.sets {
            let longest = set.members.iter().filter_map(|member| member.ttl).max().unwrap_or(0);
            if longest > horizon_seconds {
                out.push(format!(
                    "the {} records of `{}` may be kept for {longest} s, checks decide within {horizon_seconds} s; lower the TTL",
                    set.kind, set.owner
                ));
            }
        }
        out
    }
}

/// A number that stands for a file's bytes: FNV-1a, enough to see that an editor was there.
pub(super) fn print_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads a zone file. Without a known `origin` names are taken relative to the root, which is enough to tell them
/// apart.
pub fn survey(bytes: &[u8], origin: Option<&Name>) -> Survey {
    survey_with(bytes, origin, &SetOptions::default())
}

/// [`survey`], with what holds for blocks whose options do not say.
pub fn survey_with(bytes: &[u8], origin: Option<&Name>, defaults: &SetOptions) -> Survey {
    let text = ZoneText::new(bytes);
    let origin = origin.cloned().unwrap_or_else(Name::root);
    let mut reader = Reader {
        bytes,
        defaults,
        zone: None,
        problems: Problems::default(),
        entries: Vec::new(),
        sets: Vec::new(),
        serials: Vec::new(),
        context: Context {
            origin: origin.clone(),
            owner: None,
            owner_text: Vec::new(),
            default_ttl: None,
            last_ttl: None,
        },
        block: None,
        cut: None,
        counted: (0, 0),
        pending: None,
    };
    let mut at = 0_usize;
    while let Some(line) = text.lines.get(at) {
        let used = reader.line(text.lines.get(at..).unwrap_or_default(), line);
        at = at.saturating_add(used.max(1));
    }
    reader.end_block();
    reader.finish(origin)
}

struct Context {
    origin: Name,
    owner: Option<Name>,
    /// The owner as last written.
    owner_text: Vec<u8>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

/// A header and what it covers so far.
struct Block {
    header: Span,
    line: usize,
    port: u16,
    options: SetOptions,
    /// By owner and type, in the order found.
    sets: Vec<BalancedSet>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    defaults: &'a SetOptions,
    zone: Option<Name>,
    problems: Problems,
    entries: Vec<Entry>,
    sets: Vec<BalancedSet>,
    serials: Vec<Result<SerialPlace, Span>>,
    context: Context,
    block: Option<Block>,
    /// The block that a comment or an empty line has just ended: its line and owner.
    cut: Option<(usize, Name)>,
    /// How many ends of line stand before a byte.
    counted: (usize, usize),
    pending: Option<(Span, SetOptions)>,
}

/// A record's line as far as the checker needs it.
struct Reading {
    entry: Entry,
    /// The type and the address of an A or AAAA record.
    address: Option<(Type, IpAddr)>,
    is_soa: Option<Result<SerialPlace, ()>>,
}

impl<'a> Reader<'a> {
    /// Reads what begins at the first of `lines`; gives how many lines it took.
    fn line(&mut self, lines: &[Line], line: &Line) -> usize {
        if let Some((token, text)) = line.fault {
            self.problems.error("zone-unbalanced", Span { file: 0, start: token.start, end: token.end }, text);
            return 1;
        }
        let words: Vec<Token> = line.words().collect();
        let Some(first) = words.first() else { return self.note(lines, line) };
        self.drop_pending();
        if first.of(self.bytes).starts_with(b"$") {
            self.end_block();
            self.directive(&words);
            return 1;
        }
        let rows = rows(self.bytes, line.start, line.text_end());
        let reading = self.read(self.bytes, &words, line.inherits_owner(), line.start, rows, false);
        self.accept(reading, Span { file: 0, start: first.start, end: line.text_end() });
        1
    }

    /// A line without words: header, options, parked record, or the end of a block.
    fn note(&mut self, lines: &[Line], line: &Line) -> usize {
        let text = self.bytes.get(line.start..line.text_end()).unwrap_or_default();
        let span = Span { file: 0, start: line.start, end: line.text_end() };
        match read_note(text, self.defaults) {
            Note::Header(port) => {
                self.end_block();
                self.cut = None;
                let options = self.pending.take().map_or_else(|| self.defaults.clone(), |(_, options)| options);
                let line = self.line_number(line.start);
                self.block = Some(Block { header: span, line, port, options, sets: vec![] });
            }
            Note::Options(options) => {
                self.end_block();
                self.drop_pending();
                self.pending = Some((span, options));
            }
            note @ (Note::Wrong(_) | Note::Other) => {
                // A record's own comment may speak of headers.
                if self.block.is_some()
                    && let Some((reading, used)) = self.parked(lines)
                {
                    self.accept(reading, span);
                    return used;
                }
                if let Note::Wrong(text) = note {
                    self.problems.error("checker-header", span, text);
                }
                self.cut_block(lines, span);
                self.drop_pending();
            }
        }
        1
    }

    /// The number of the line that begins at `start`, counted on from the last one asked for.
    fn line_number(&mut self, start: usize) -> usize {
        let (from, count) = self.counted;
        let more = self.bytes.get(from..start).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        self.counted = (start, count.saturating_add(more));
        self.counted.1.saturating_add(1)
    }

    /// Ends the block at a comment or an empty line, and sees whether a parked record is lost behind it.
    fn cut_block(&mut self, lines: &[Line], span: Span) {
        if let Some(block) = &self.block {
            self.cut = block.sets.last().map(|set| (block.line, set.owner.clone()));
            self.end_block();
        } else if self.cut.is_some()
            && let Some((reading, _)) = self.parked(lines)
        {
            self.warn_if_cut_off(&reading, span);
        }
    }

    fn warn_if_cut_off(&mut self, reading: &Reading, span: Span) {
        let Some((line, owner)) = self.cut.take() else { return };
        if reading.address.is_some() && reading.entry.owner.as_ref() == Some(&owner) {
            let text = format!(
                "the block of line {line} ended before this record of `{owner}`, which is not covered; remove what stands between or write a header"
            );
            self.problems.warn("checker-uncovered", span, text);
        }
    }

    fn drop_pending(&mut self) {
        if let Some((span, _)) = self.pending.take() {
            self.problems.error(
                "checker-header",
                span,
                "options without a header on the next line; write `;; BALANCED_AUTOCHECK::PORT` there",
            );
        }
    }

    fn directive(&mut self, words: &[Token]) {
        let texts: Vec<Word<'_>> = words.iter().map(|token| token.word(self.bytes)).collect();
        let [keyword, value, ..] = texts.as_slice() else { return };
        match keyword.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => {
                if let Ok(origin) = Name::from_text(value.text, Some(&self.context.origin)) {
                    self.context.origin = origin;
                }
                // The owner keeps its meaning; as written it would mean something else now.
                if let Some(owner) = &self.context.owner {
                    self.context.owner_text = owner.to_string().into_bytes();
                }
            }
            b"$TTL" => self.context.default_ttl = rdata::period(value.text),
            _ => {}
        }
    }

    /// A parked record at the first of `lines`: `;;` and a record, on as many lines as its parentheses need.
    fn parked(&self, lines: &[Line]) -> Option<(Reading, usize)> {
        let mut content = Vec::new();
        let mut rows = Vec::new();
        for (count, line) in lines.iter().take(caps::DNS_PARKED_LINES).enumerate() {
            if line.words().next().is_some() {
                return None;
            }
            let row = self.bytes.get(line.start..line.end)?;
            content.extend_from_slice(row.strip_prefix(b";;")?);
            rows.push(line.start);
            let text = ZoneText::new(&content);
            let [whole] = text.lines.as_slice() else { return None };
            if whole.fault.is_some() {
                continue;
            }
            let words: Vec<Token> = whole.words().collect();
            // Put back, a word with a dollar would be a directive.
            if words.first().is_none_or(|word| word.of(&content).starts_with(b"$")) {
                return None;
            }
            let start = rows.first().copied()?.checked_add(2)?;
            let reading = self.read(&content, &words, whole.inherits_owner(), start, rows, true);
            return reading.address.is_some().then_some((reading, count.saturating_add(1)));
        }
        None
    }

    /// Reads a record's line. `bytes` are the file's, or those of a parked record without its marks.
    fn read(
        &self,
        bytes: &[u8],
        words: &[Token],
        inherits: bool,
        start: usize,
        rows: Vec<usize>,
        parked: bool,
    ) -> Reading {
        let texts: Vec<Word<'_>> = words.iter().map(|token| token.word(bytes)).collect();
        let owner_word = texts.first().filter(|_| !inherits);
        let owner = match owner_word {
            Some(word) if word.text == b"@" => Some(self.context.origin.clone()),
            Some(word) => Name::from_text(word.text, Some(&self.context.origin)).ok(),
            None => self.context.owner.clone(),
        };
        let owner_token = words.first().filter(|_| !inherits);
        let owner_text = owner_token.map_or_else(|| self.context.owner_text.clone(), |token| token.of(bytes).to_vec());
        let owner_length = owner_token.map(|token| token.end.saturating_sub(token.start));
        let head = Head::read(&texts, inherits).ok();
        let written = head.and_then(|head| head.ttl).map(|(_, ttl)| ttl);
        // A line that cannot be read is kept whole, without its owner.
        let data = head.map_or(usize::from(!inherits), |head| head.kind.0);
        let data = texts.get(data..).unwrap_or_default().iter().flat_map(|word| [word.text, b" "].concat()).collect();
        let entry = Entry {
            rows,
            is_parked: parked,
            start,
            owner_end: owner_length.map(|length| start.saturating_add(length)),
            owner,
            owner_text,
            has_own_ttl: written.or(self.context.default_ttl).is_some(),
            ttl: written.or(self.context.default_ttl).or(self.context.last_ttl),
            is_read: head.is_some(),
            kind: head.map(|head| head.kind.1),
            data,
        };
        let rest = |head: Head| texts.get(head.data..).unwrap_or_default();
        let parsed = head.and_then(|head| {
            let kind = head.kind.1;
            let wanted = matches!(kind, Type::A | Type::AAAA);
            let data = if wanted { rdata::parse(kind, rest(head), None).ok() } else { None };
            Some((kind, address(kind, &data?)?))
        });
        let is_soa = head
            .filter(|head| head.kind.1 == Type::SOA && !parked)
            .map(|head| words.get(head.data.saturating_add(2)).and_then(|token| serial_at(bytes, token)).ok_or(()));
        Reading { entry, address: parsed, is_soa }
    }

    /// Takes a record into the file's chain and, where it belongs there, into the block.
    fn accept(&mut self, reading: Reading, span: Span) {
        if self.block.is_none() {
            self.warn_if_cut_off(&reading, span);
        }
        let Reading { entry, address, is_soa } = reading;
        self.context.owner = entry.owner.clone();
        self.context.owner_text.clone_from(&entry.owner_text);
        if entry.is_read {
            self.context.last_ttl = entry.ttl.or(self.context.last_ttl);
        }
        if let Some(found) = is_soa {
            self.zone = entry.owner.clone().filter(|owner| !owner.is_root());
            self.serials.push(found.map_err(|()| span));
        }
        let index = self.entries.len();
        match (address, &entry.owner) {
            (Some((kind, ip)), Some(owner)) if self.block.is_some() => {
                self.join(index, &entry, owner, kind, ip, span);
            }
            _ => {
                let spoiled = self.block.as_ref().filter(|_| matches!(entry.kind, Some(Type::A | Type::AAAA)));
                if let Some(block) = spoiled {
                    let text =
                        format!("the address cannot be read, so the block of line {} does not cover it", block.line);
                    self.problems.error("checker-address", span, text);
                }
                self.end_block();
            }
        }
        self.entries.push(entry);
    }

    fn join(&mut self, index: usize, entry: &Entry, owner: &Name, kind: Type, address: IpAddr, span: Span) {
        let Some(block) = &mut self.block else { return };
        if entry.rows.len() > caps::DNS_PARKED_LINES {
            let text = format!("the record stands on more than {} lines; write it on one", caps::DNS_PARKED_LINES);
            return self.problems.error("checker-address", span, text);
        }
        let other = block.sets.first().filter(|set| set.owner != *owner && block.options.owners == Owners::One);
        if let Some(other) = other {
            let text = format!(
                "the block of line {} covers `{}` and ends here, where `{owner}` begins; write a header of its own, or owners=any",
                block.line, other.owner
            );
            self.problems.warn("checker-owner", span, text);
            return self.end_block();
        }
        let check = block.options.http.clone().map_or(Check::Tcp, Check::Http);
        let target = Target { address, port: block.port, check };
        let member = Member { target, is_parked: entry.is_parked, ttl: entry.ttl, entry: index };
        match block.sets.iter_mut().find(|set| set.owner == *owner && set.kind == kind) {
            Some(set) => set.members.push(member),
            None => block.sets.push(BalancedSet {
                owner: owner.clone(),
                kind,
                line: block.line,
                options: block.options.clone(),
                members: vec![member],
            }),
        }
    }

    fn end_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        if block.sets.is_empty() {
            let text = "the header covers nothing; the next line must be an A or AAAA record";
            self.problems.error("checker-header", block.header, text);
        }
        self.sets.extend(block.sets);
    }

    fn finish(mut self, origin: Name) -> Survey {
        self.drop_pending();
        let nowhere = Span { file: 0, start: 0, end: 0 };
        let serial = match self.serials.as_slice() {
            [Ok(place)] => Some(*place),
            [Err(span)] => {
                self.problems.error("checker-serial", *span, "the serial of the SOA cannot be read; write a number");
                None
            }
            [] if self.sets.is_empty() => None,
            [] => {
                let text = "the file has no SOA; the serial of the file that includes it is not bumped, so secondaries will not follow";
                self.problems.warn(NO_SERIAL, nowhere, text);
                None
            }
            _ => {
                self.problems.error("checker-serial", nowhere, "the file has more than one SOA record; keep one");
                None
            }
        };
        Survey {
            sets: self.sets,
            problems: self.problems.into_sorted(),
            entries: self.entries,
            zone: self.zone,
            serial,
            origin,
            print: print_of(self.bytes),
        }
    }
}

fn address(kind: Type, data: &Rdata) -> Option<IpAddr> {
    match kind {
        Type::A => <[u8; 4]>::try_from(data.as_wire()).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(data.as_wire()).ok().map(IpAddr::from),
    }
}

fn serial_at(bytes: &[u8], token: &Token) -> Option<SerialPlace> {
    let text = std::str::from_utf8(token.of(bytes)).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
    (token.kind == TokenKind::Word).then_some(SerialPlace {
        start: token.start,
        end: token.end,
        value: text.parse().ok()?,
    })
}

/// Where the physical lines of a logical one begin.
fn rows(bytes: &[u8], start: usize, end: usize) -> Vec<usize> {
    let inner = bytes.get(start..end).unwrap_or_default().iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    std::iter::once(start).chain(inner.map(|(at, _)| start.saturating_add(at).saturating_add(1))).collect()
}

/// What records mean, for comparing before and after: owner, TTL, data and whether it is parked.
pub(super) type Meaning = Vec<(Option<Name>, Option<u32>, Vec<u8>, bool)>;

pub(super) fn meaning(survey: &Survey, parked: &HashMap<usize, bool>) -> Meaning {
    let state = |(at, entry): (usize, &Entry)| {
        let is_parked = parked.get(&at).copied().unwrap_or(entry.is_parked);
        (entry.owner.clone(), entry.ttl, without_serial(entry, survey), is_parked)
    };
    survey.entries.iter().enumerate().map(state).collect()
}

/// The SOA's words differ in the serial by design.
fn without_serial(entry: &Entry, survey: &Survey) -> Vec<u8> {
    let Some(place) = survey.serial.filter(|_| entry.kind == Some(Type::SOA)) else { return entry.data.clone() };
    // By its value: it may be written with zeros before it.
    let is_serial = |word: &&[u8]| std::str::from_utf8(word).is_ok_and(|text| text.parse() == Ok(place.value));
    let mut words: Vec<&[u8]> = entry.data.split(|byte| *byte == b' ').collect();
    if let Some(at) = words.iter().position(is_serial) {
        words.remove(at);
    }
    words.join(&b' ')
}

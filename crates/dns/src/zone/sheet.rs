//! The text that a zone was read from, and where it can be read again.
//!
//! A file that has changed mostly has the same lines before and after. What a line means depends on what stands before it
//! only by its [`Context`], so that a stretch of lines that are as they were, under the same context, is the same records.
//! The invariant: marks stand at beginnings of lines, in the order of the text, the first at its beginning.

use std::ops::Range;
use std::sync::Arc;

use super::lines::{Line, Lines};
use super::read::{Context, NoSource, Parsed, Reader, Record, Scratch};
use crate::hash::hash;
use crate::name::Name;

/// A place of a text with what its line inherits.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    at: usize,
    /// The hash of the line's bytes.
    line: u64,
    context: Context,
}

impl Mark {
    pub(super) fn new(bytes: &[u8], at: usize, context: Context) -> Self {
        Self { at, line: hash_of_line(bytes, at), context }
    }
}

/// A text as it was read without a word to be said about it.
#[derive(Debug)]
pub(super) struct Sheet {
    text: Arc<Vec<u8>>,
    marks: Vec<Mark>,
    /// What a line at its end would inherit.
    end: Context,
    /// How many records it has.
    records: usize,
}

/// What differs between two texts.
pub(super) struct Difference {
    /// The records of the stretches that are no longer there, in their order.
    pub(super) before: Vec<Record>,
    /// The records of those that are new.
    pub(super) after: Vec<Record>,
    /// The new text.
    pub(super) sheet: Sheet,
}

impl Sheet {
    /// Of what was read; `None` where more was read than this text, or anything was to be said about it.
    pub(super) fn of(origin: &Name, parsed: &mut Parsed, records: usize) -> Option<Self> {
        let [file] = parsed.files.as_slice() else { return None };
        if !parsed.problems.is_empty() {
            return None;
        }
        let text = Arc::clone(&file.bytes);
        let first = Mark::new(&text, 0, Context::of(origin));
        let marks = std::iter::once(first).chain(parsed.marks.drain(..)).collect();
        Some(Self { text, marks, end: parsed.end.clone(), records })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// What differs in another text. `None` where anything is to be said about it, or where most of it differs, so that
    /// reading it as a whole is as quick.
    pub(super) fn difference(&self, origin: &Name, text: &Arc<Vec<u8>>) -> Option<Difference> {
        let most = (self.records / 8).max(1024);
        if self.marks.len() > most {
            // Lines were added so often that marks stand close to one another.
            return None;
        }
        let mut walk = Walk { old: self, text, by_line: self.by_line(), at: 0, next: 0, marks: Vec::new() };
        let (mut before, mut after, mut context) = (Vec::new(), Vec::new(), Context::of(origin));
        loop {
            walk.take_over(&mut context);
            if walk.at == text.len() && walk.next == self.marks.len() {
                break;
            }
            let from = walk.next;
            let parsed = walk.read_on(context, most)?;
            after.extend(parsed.records);
            context = parsed.end;
            before.extend(self.read(from..walk.next)?);
            if before.len().max(after.len()) > most {
                return None;
            }
        }
        let records = self.records.checked_sub(before.len())?.checked_add(after.len())?;
        let sheet = Self { text: Arc::clone(text), marks: walk.marks, end: context, records };
        Some(Difference { before, after, sheet })
    }

    /// The numbers of marks by the hashes of their lines.
    fn by_line(&self) -> Vec<(u64, usize)> {
        let mut by_line: Vec<_> = self.marks.iter().map(|mark| mark.line).zip(0..).collect();
        by_line.sort_unstable();
        by_line
    }

    /// The bytes from one mark to another one, or to the end.
    fn stretch(&self, marks: Range<usize>) -> &[u8] {
        let place = |number: usize| self.marks.get(number).map_or(self.text.len(), |mark| mark.at);
        self.text.get(place(marks.start)..place(marks.end)).unwrap_or_default()
    }

    /// The records from one mark to another one, or to the end.
    fn read(&self, marks: Range<usize>) -> Option<Vec<Record>> {
        let Some(first) = self.marks.get(marks.start) else { return Some(Vec::new()) };
        let mut source = NoSource;
        let mut reader = Reader::new(&mut source, first.context.clone());
        let bytes = self.stretch(marks);
        let (mut lines, mut line, mut scratch) = (Lines::new(bytes), Line::default(), Scratch::default());
        while lines.read(&mut line) {
            reader.marked_line(bytes, &line, &mut scratch);
        }
        let parsed = reader.finish();
        parsed.problems.is_empty().then_some(parsed.records)
    }
}

/// The way through a new text, beside the old one.
struct Walk<'a> {
    old: &'a Sheet,
    text: &'a [u8],
    by_line: Vec<(u64, usize)>,
    /// How far the new text has been read.
    at: usize,
    /// The old mark that comes next.
    next: usize,
    /// Those of the new text.
    marks: Vec<Mark>,
}

impl<'a> Walk<'a> {
    /// Passes over stretches as long as they are the same.
    fn take_over(&mut self, context: &mut Context) {
        while let Some(mark) = self.old.marks.get(self.next).filter(|mark| mark.context.is(context))
            && let Some(length) = self.same_stretch(self.next, self.at)
        {
            self.marks.push(Mark { at: self.at, line: mark.line, context: mark.context.clone() });
            self.at = self.at.saturating_add(length);
            self.next = self.next.saturating_add(1);
            *context = self.old.marks.get(self.next).map_or(&self.old.end, |mark| &mark.context).clone();
        }
    }

    /// The length of an old stretch, where the new text has it there: whole lines, or the end of both.
    fn same_stretch(&self, number: usize, at: usize) -> Option<usize> {
        let stretch = self.old.stretch(number..number.saturating_add(1));
        let rest = self.text.get(at..)?.strip_prefix(stretch)?;
        (stretch.ends_with(b"\n") || rest.is_empty()).then_some(stretch.len())
    }

    /// Reads the new text until an old stretch begins that is the same, or to the end.
    fn read_on(&mut self, context: Context, most: usize) -> Option<Parsed> {
        let (mut source, start) = (NoSource, self.at);
        let bytes: &'a [u8] = self.text.get(start..)?;
        let mut reader = Reader::new(&mut source, context.clone());
        let (mut lines, mut line, mut scratch) = (Lines::new(bytes), Line::default(), Scratch::default());
        self.at = self.text.len();
        let mut synced = self.old.marks.len();
        while lines.read(&mut line) {
            let at = start.saturating_add(line.start);
            if let Some(number) = self.same_mark(at, reader.context()) {
                (self.at, synced) = (at, number);
                break;
            }
            reader.marked_line(bytes, &line, &mut scratch);
            if !reader.parsed().problems.is_empty() || reader.parsed().records.len() > most {
                return None;
            }
        }
        self.next = synced;
        let parsed = reader.finish();
        if self.at > start {
            self.marks.push(Mark::new(self.text, start, context));
            self.marks
                .extend(parsed.marks.iter().map(|mark| Mark { at: start.saturating_add(mark.at), ..mark.clone() }));
        }
        Some(parsed)
    }

    /// The next old mark whose stretch begins there.
    fn same_mark(&self, at: usize, context: &Context) -> Option<usize> {
        let line = hash_of_line(self.text, at);
        let first = self.by_line.partition_point(|known| *known < (line, self.next));
        let same = self.by_line.get(first..)?.iter().take_while(|(hash, _)| *hash == line);
        let mut fitting = same.map(|(_, number)| *number).filter(|number| {
            let mark = self.old.marks.get(*number);
            mark.is_some_and(|mark| mark.context.is(context)) && self.same_stretch(*number, at).is_some()
        });
        fitting.next()
    }
}

fn hash_of_line(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    hash(rest.split(|byte| *byte == b'\n').next().unwrap_or_default())
}

//! Places in the operator's files. A span is bytes of one file; what line that is, only the [`SourceMap`] knows.
//!
//! The invariant: a [`Span`] made by this crate lies within its file and on character boundaries.

/// A file of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// A range of bytes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The range of both and of what lies between; `self` where the other is of another file.
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// A part of this span, by offsets from its start; clipped to it.
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        let clip = |offset: usize| self.start.saturating_add(offset).min(self.end);
        Self { file: self.file, start: clip(start), end: clip(end) }
    }
}

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name as it was asked for, or `command line`.
    pub name: String,
    /// Its text; bytes that are not UTF-8 are replaced, and reported.
    pub text: String,
    /// Where each line begins: made once, so that a place costs no look at the whole file.
    lines: Vec<usize>,
}

impl SourceFile {
    fn new(name: String, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.saturating_add(1));
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { name, text, lines }
    }

    /// The line that holds a byte, from 1, and where it begins.
    pub(crate) fn line(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        (line, self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default())
    }
}

/// The files of one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Takes a file in.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile::new(name.into(), text.into()));
        id
    }

    /// The file of that id; `None` for an id of another map.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// Every file in the order of reading, the entry file first.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file).and_then(|file| file.text.get(span.start..span.end)).unwrap_or_default()
    }

    /// Puts stars in the place of a span's characters; lines stay where they are.
    pub(crate) fn mask(&mut self, span: Span) {
        let Some(file) = usize::try_from(span.file.0).ok().and_then(|index| self.files.get_mut(index)) else { return };
        let star = |byte: u8| if byte == b'\n' { '\n' } else { '*' };
        let stars = file.text.get(span.start..span.end).map(|secret| secret.bytes().map(star).collect::<String>());
        if let Some(stars) = stars {
            file.text.replace_range(span.start..span.end, &stars);
        }
    }

    /// Line and column of a span's start, both from 1; columns count characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(file) = self.file(span.file) else { return (1, 1) };
        let (line, start) = file.line(span.start);
        match file.text.get(start..span.start) {
            Some(before) => (line, before.chars().count().saturating_add(1)),
            // No place of this file.
            None => (1, 1),
        }
    }

    /// `file:line:column` of a span's start.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.line_column(span);
        let name = self.file(span.file).map_or("", |file| file.name.as_str());
        format!("{name}:{line}:{column}")
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceMap, Span};

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let mut map = SourceMap::default();
        let file = map.add("f", "ab\nä€x\n");
        for (start, place) in
            [(0, "f:1:1"), (1, "f:1:2"), (3, "f:2:1"), (5, "f:2:2"), (8, "f:2:3"), (10, "f:3:1"), (99, "f:1:1")]
        {
            assert_eq!(map.place(Span { file, start, end: start }), place, "{start}");
        }
    }

    #[test]
    fn a_part_stays_within_its_span_and_two_spans_make_one() {
        let mut map = SourceMap::default();
        let (file, other) = (map.add("f", "0123456789"), map.add("g", "x"));
        let span = Span { file, start: 2, end: 6 };
        assert_eq!(map.text(span.part(1, 2)), "3");
        assert_eq!(map.text(span.part(3, usize::MAX)), "5");
        assert_eq!(map.text(span.to(Span { file, start: 8, end: 9 })), "2345678");
        assert_eq!(span.to(Span { file: other, start: 0, end: 1 }), span);
    }

    #[test]
    fn a_masked_secret_is_gone_and_everything_else_stays() {
        let mut map = SourceMap::default();
        let file = map.add("f", "key=geheim ä");
        map.mask(Span { file, start: 4, end: 10 });
        assert_eq!(map.files()[0].text, "key=****** ä");
        map.mask(Span { file, start: 4, end: 999 });
        assert_eq!(map.files()[0].text, "key=****** ä");
        let file = map.add("g", "a\nb\nc");
        map.mask(Span { file, start: 0, end: 3 });
        assert_eq!(map.files()[1].text, "*\n*\nc");
        assert_eq!(map.place(Span { file, start: 4, end: 5 }), "g:3:1");
    }
}

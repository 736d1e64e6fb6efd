//! The table of a message's fields: where each name and value lies in the caller's buffer.
//!
//! Not a map: order, case and repetition stay as they came, and nothing is copied. The table is kept from message to
//! message, so that reading one allocates nothing once the table has grown to its use. Every span was cut from the
//! buffer that the head was parsed from; with any other buffer the answers are empty or wrong, never a panic.

use crate::known::Known;

/// A stretch of the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The stretch between two offsets. Heads are bounded far below 4 GiB; an offset above that would give an empty
    /// answer later.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// So many bytes from an offset.
    pub(crate) fn of_length(start: usize, length: usize) -> Self {
        Self::new(start, start + length)
    }

    /// So many bytes of it, from its beginning.
    pub(crate) fn front(self, length: usize) -> Self {
        let end = u32::try_from(length).map_or(self.end, |length| self.start.saturating_add(length).min(self.end));
        Self { start: self.start, end }
    }

    /// Both with the two bytes between them, where there are just so many.
    pub(crate) fn joined(self, next: Self) -> Option<Self> {
        (self.end.checked_add(2) == Some(next.start)).then_some(Self { start: self.start, end: next.end })
    }

    /// The bytes.
    pub(crate) fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'b> {
    /// The name as it came.
    pub name: &'b [u8],
    /// The value without blanks around it.
    pub value: &'b [u8],
    /// What the name means to us.
    pub known: Known,
}

/// Where one field lies, and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    name: Span,
    value: Span,
    known: Known,
}

impl Row {
    pub(crate) fn known(&self) -> Known {
        self.known
    }

    pub(crate) fn name<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.name.of(buf)
    }

    pub(crate) fn value<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.value.of(buf)
    }

    /// Where name, colon, blanks and value lie.
    pub(crate) fn line(&self) -> Span {
        Span { start: self.name.start, end: self.value.end }
    }
}

/// The fields of one message, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    rows: Vec<Row>,
}

impl Fields {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn push(&mut self, name: Span, value: Span, known: Known) {
        self.rows.push(Row { name, value, known });
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Where the values with that meaning lie.
    pub(crate) fn spans(&self, known: Known) -> impl Iterator<Item = Span> + use<'_> {
        self.rows.iter().filter(move |row| row.known == known).map(|row| row.value)
    }

    /// Where the value read last lies.
    pub(crate) fn last_value(&self) -> Option<Span> {
        self.rows.last().map(|row| row.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of them.
    pub fn iter<'b>(&'b self, buf: &'b [u8]) -> impl DoubleEndedIterator<Item = Field<'b>> + use<'b> {
        self.rows.iter().map(move |row| Field { name: row.name.of(buf), value: row.value.of(buf), known: row.known })
    }

    /// The values of every field with that meaning.
    pub fn known<'b>(&'b self, buf: &'b [u8], known: Known) -> impl DoubleEndedIterator<Item = &'b [u8]> + use<'b> {
        self.rows.iter().filter(move |row| row.known == known).map(move |row| row.value.of(buf))
    }

    /// The first value with that meaning.
    pub fn first<'b>(&self, buf: &'b [u8], known: Known) -> Option<&'b [u8]> {
        self.rows.iter().find(|row| row.known == known).map(|row| row.value.of(buf))
    }

    /// The values of every field of that name, in any case.
    pub fn named<'b>(&'b self, buf: &'b [u8], name: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        self.rows
            .iter()
            .filter(move |row| row.name.of(buf).eq_ignore_ascii_case(name))
            .map(move |row| row.value.of(buf))
    }

    /// The first value of that name, in any case.
    pub fn find<'b>(&self, buf: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
        self.rows.iter().find(|row| row.name.of(buf).eq_ignore_ascii_case(name)).map(|row| row.value.of(buf))
    }

    /// Whether there is a field with that meaning.
    pub fn has(&self, known: Known) -> bool {
        self.rows.iter().any(|row| row.known == known)
    }
}

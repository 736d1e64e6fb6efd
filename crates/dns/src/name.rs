//! Domain names: case-preserving, compared without case, never longer than the protocol allows.
//!
//! Not a parser of messages: compression is undone in `wire`. The one invariant: a [`Name`] is a valid,
//! uncompressed, absolute name in wire form of at most 255 bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::octets::Octets;

/// Most bytes of a name in wire form (RFC 1035, 2.3.4).
pub const NAME_BYTES: usize = 255;

/// Most bytes of a label (RFC 1035, 2.3.4).
pub const LABEL_BYTES: usize = 63;

/// Most labels of a name: each has two bytes at least, and the root one.
const MOST_LABELS: usize = 127;

/// An absolute domain name. It keeps the case it was written in; equality, order and hash ignore case (RFC 4343).
#[derive(Clone)]
pub struct Name {
    wire: Octets,
}

/// Why a text or a row of labels is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing at all, or two dots in a row.
    EmptyLabel,
    /// A label of more than 63 bytes.
    LabelTooLong(usize),
    /// A name of more than 255 bytes in wire form.
    NameTooLong(usize),
    /// `\` followed by neither one character nor three digits up to 255.
    BadEscape,
    /// A `"` that is not escaped.
    Quote,
    /// A label of bits, `\[x1/8]`, as RFC 2673 had them (withdrawn by RFC 6891, 5).
    Bits,
    /// A relative name where no origin is known.
    NoOrigin,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLabel => f.write_str("the name has an empty label; write each dot between two labels"),
            Self::LabelTooLong(n) => write!(f, "a label has {n} bytes; at most {LABEL_BYTES} are allowed"),
            Self::NameTooLong(n) => write!(f, "the name has {n} bytes; at most {NAME_BYTES} are allowed"),
            Self::BadEscape => f.write_str("`\\` must be followed by one character or by three digits up to 255"),
            Self::Quote => f.write_str("a `\"` in a name is written `\\\"`"),
            Self::Bits => f.write_str("labels of bits (`\\[`) are no longer in use; a `[` is written without `\\`"),
            Self::NoOrigin => {
                f.write_str("the name is relative and no origin is known; end it with a dot or set $ORIGIN")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self { wire: Octets::of(&[0]) }
    }

    /// A name from its labels, leftmost first, without the root's empty one.
    ///
    /// # Errors
    /// Where a label is empty or longer than 63 bytes, or the whole is longer than 255.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut draft = Draft::new();
        for label in labels {
            draft.put(label);
            draft.end_label()?;
        }
        draft.finish()
    }

    /// A name from master-file text (`www`, `a\.b.example.`, `@` is not special here). A name without a final dot
    /// is completed with `origin`.
    ///
    /// # Errors
    /// Where the text is no name, or is relative and `origin` is `None`.
    pub fn from_text(text: &[u8], origin: Option<&Self>) -> Result<Self, NameError> {
        if text == b"." {
            return Ok(Self::root());
        }
        let mut draft = Draft::new();
        let mut rest = text;
        let mut ends_with_dot = false;
        while let Some((&byte, tail)) = rest.split_first() {
            let begins = std::mem::replace(&mut ends_with_dot, byte == b'.') || rest.len() == text.len();
            rest = match byte {
                b'.' => {
                    draft.end_label()?;
                    tail
                }
                b'"' => return Err(NameError::Quote),
                b'\\' if begins && tail.first() == Some(&b'[') => return Err(NameError::Bits),
                b'\\' => {
                    let (value, tail) = unescape(tail).ok_or(NameError::BadEscape)?;
                    draft.push(value);
                    tail
                }
                other => {
                    draft.push(other);
                    tail
                }
            };
        }
        if ends_with_dot {
            return draft.finish();
        }
        draft.end_label()?;
        draft.finish_below(origin.ok_or(NameError::NoOrigin)?)
    }

    /// A name from uncompressed wire form, which must end exactly with the root label.
    pub(crate) fn from_wire(wire: &[u8]) -> Option<Self> {
        if wire.len() > NAME_BYTES {
            return None;
        }
        let mut rest = wire;
        loop {
            let (&length, tail) = rest.split_first()?;
            if length == 0 {
                return tail.is_empty().then(|| Self { wire: Octets::of(wire) });
            }
            if usize::from(length) > LABEL_BYTES {
                return None;
            }
            rest = tail.get(usize::from(length)..)?;
        }
    }

    /// This name below another label: `www` before `example.` gives `www.example.`.
    ///
    /// # Errors
    /// As for [`Name::from_labels`].
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        let mut draft = Draft::new();
        draft.put(label);
        draft.end_label()?;
        draft.finish_below(self)
    }

    /// This name with the end `from` replaced by `to` (the substitution of RFC 6672, 2.2). `None` where this name
    /// is not below `from`.
    ///
    /// # Errors
    /// Where the result is longer than 255 bytes.
    pub fn rebase(&self, from: &Self, to: &Self) -> Result<Option<Self>, NameError> {
        if !self.is_below(from) {
            return Ok(None);
        }
        let mut draft = Draft::new();
        for label in self.labels().take(self.label_count().saturating_sub(from.label_count())) {
            draft.put(label);
            draft.end_label()?;
        }
        draft.finish_below(to).map(Some)
    }

    /// The same name in lower case.
    pub fn to_lower(&self) -> Self {
        let mut room = [0; NAME_BYTES];
        Self { wire: Octets::of(lower(&self.wire, &mut room)) }
    }

    /// The uncompressed wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels, leftmost first, without the root's empty one.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.wire }
    }

    /// How many labels the name has; the root has none.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// Whether the leftmost label is `*` (RFC 4592, 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some(b"*")
    }

    /// The name without its leftmost label; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let length = usize::from(*self.wire.first()?);
        if length == 0 {
            return None;
        }
        Some(Self { wire: Octets::of(self.wire.get(length.saturating_add(1)..)?) })
    }

    /// Whether this name is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let mut ends = suffixes(&self.wire).skip_while(|suffix| suffix.len() > other.wire.len());
        ends.next().is_some_and(|end| is_same(end, &other.wire))
    }

    /// Whether this name lies below `other` and is not `other` itself.
    pub fn is_below(&self, other: &Self) -> bool {
        self.wire.len() > other.wire.len() && self.is_within(other)
    }

    /// The text of the name relative to `origin` where it lies there (`@` for the origin itself), else absolute.
    pub fn relative_to(&self, origin: &Self) -> String {
        if self == origin {
            return "@".to_owned();
        }
        if origin.is_root() || !self.is_below(origin) {
            return self.to_string();
        }
        let full = self.to_string();
        let cut = full.len().saturating_sub(origin.to_string().len()).saturating_sub(1);
        full.get(..cut).unwrap_or(&full).to_owned()
    }

    /// Where each label begins, leftmost first. Names are sorted by the hundred thousand, so that no memory is asked for.
    fn starts<'a>(&self, starts: &'a mut [u8; MOST_LABELS]) -> &'a [u8] {
        let (mut count, mut at) = (0_usize, 0_u8);
        while let Some(length) = self.wire.get(usize::from(at)).filter(|length| **length > 0) {
            let Some(slot) = starts.get_mut(count) else { break };
            *slot = at;
            count = count.saturating_add(1);
            at = at.saturating_add(*length).saturating_add(1);
        }
        starts.get(..count).unwrap_or_default()
    }

    /// The label that begins there.
    fn label_at(&self, start: u8) -> &[u8] {
        let rest = self.wire.get(usize::from(start)..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first() else { return &[] };
        rest.get(..usize::from(*length)).unwrap_or_default()
    }
}

/// A name in the making. Bytes past the end of what a name can be are counted and not kept, so that the error can tell
/// how many there are.
struct Draft {
    wire: [u8; NAME_BYTES],
    length: usize,
    /// Where the length of the label in the making goes; the root's, where no other label follows.
    label: usize,
}

impl Draft {
    fn new() -> Self {
        Self { wire: [0; NAME_BYTES], length: 1, label: 0 }
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.wire.get_mut(self.length) {
            *slot = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(room) = self.wire.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn end_label(&mut self) -> Result<(), NameError> {
        let bytes = self.length.saturating_sub(self.label).saturating_sub(1);
        if bytes == 0 {
            return Err(NameError::EmptyLabel);
        }
        let length = u8::try_from(bytes).ok().filter(|length| usize::from(*length) <= LABEL_BYTES);
        let length = length.ok_or(NameError::LabelTooLong(bytes))?;
        if let Some(slot) = self.wire.get_mut(self.label) {
            *slot = length;
        }
        self.label = self.length;
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    /// The name of the labels that were ended, below the root.
    fn finish(self) -> Result<Name, NameError> {
        let wire = self.wire.get(..self.length).ok_or(NameError::NameTooLong(self.length))?;
        Ok(Name { wire: Octets::of(wire) })
    }

    /// The same below another name.
    fn finish_below(mut self, name: &Name) -> Result<Name, NameError> {
        self.length = self.label;
        self.put(&name.wire);
        self.finish()
    }
}

/// Whether two names in wire form are the same. Mostly they are written the same too, which is seen at once.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a == b || a.eq_ignore_ascii_case(b)
}

/// The wire form of a name in lower case. Lengths are at most 63, below every letter, so that the whole row of bytes may
/// be folded.
pub(crate) fn lower<'a>(wire: &[u8], room: &'a mut [u8; NAME_BYTES]) -> &'a [u8] {
    let room = room.get_mut(..wire.len()).unwrap_or_default();
    for (to, from) in room.iter_mut().zip(wire) {
        *to = from.to_ascii_lowercase();
    }
    room
}

/// The wire-form suffixes of an uncompressed wire-form name, longest first, the root's last.
pub(crate) fn suffixes(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = Some(wire);
    std::iter::from_fn(move || {
        let current = next?;
        let length = usize::from(*current.first()?);
        next = if length == 0 { None } else { current.get(length.saturating_add(1)..) };
        Some(current)
    })
}

/// Reads what follows a `\`: three digits or one character. Gives the byte meant and the rest.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    if !first.is_ascii_digit() {
        return Some((first, rest));
    }
    let digits = text.get(..3)?;
    let mut value: u16 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u16::from(digit.wrapping_sub(b'0')))?;
    }
    Some((u8::try_from(value).ok()?, text.get(3..)?))
}

/// The labels of a name, leftmost first.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, tail) = self.rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = tail.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(label)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.wire, &other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A name ends with the root's label, so that no name's bytes begin another's.
        let mut room = [0; NAME_BYTES];
        state.write(lower(&self.wire, &mut room));
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// The canonical order of RFC 4034, 6.1: by labels from the right, without case.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut mine, mut theirs) = ([0; MOST_LABELS], [0; MOST_LABELS]);
        let (mine, theirs) = (self.starts(&mut mine), other.starts(&mut theirs));
        for (a, b) in mine.iter().rev().zip(theirs.iter().rev()) {
            let (a, b) = (self.label_at(*a), other.label_at(*b));
            let order = || a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
            // Names of one zone end alike.
            if a != b && order().is_ne() {
                return order();
            }
        }
        mine.len().cmp(&theirs.len())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", char::from(byte))?,
                    0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// An absolute name; the final dot may be left out.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text.as_bytes(), Some(&Self::root()))
    }
}

#[cfg(test)]
mod tests;

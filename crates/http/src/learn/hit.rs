//! What one find of a name means: an id in a link, a hidden input, or nothing.
//!
//! The invariant: the verdict depends on the bytes from `BACK` before the find to `AHEAD` behind it and on nothing
//! else, so that every cut of the text comes to the same.

use super::id;
use super::link::{self, Leads, OwnHosts};
use super::names::{IdName, Word};
use super::tag::{self, Tag};
use crate::uri::hex_pair;

/// How far back a find's link or tag may begin: no link that programs make is longer.
pub(super) const BACK: usize = 2048;
/// How far ahead its id or tag may end.
pub(super) const AHEAD: usize = 2048;

/// Stretch of text around a find.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'t> {
    /// The text; at least `BACK` bytes before the find, or all that there are, and no more than that.
    pub(super) text: &'t [u8],
    /// Where the find begins.
    pub(super) at: usize,
    /// What lies behind the text.
    pub(super) then: Then,
}

/// What follows the text of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More may come.
    More,
    /// Nothing: the body ends.
    End,
    /// There is more, and it is not looked at.
    Cut,
}

/// What a find means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It cannot be told before more has come.
    Wait,
    /// Nothing.
    Nothing,
    /// This is the id.
    Id(Vec<u8>),
    /// The page says that its relative links lead there.
    Base(Leads),
}

/// What is known of the page so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'p> {
    pub(super) own: &'p OwnHosts,
    /// Where relative links lead.
    pub(super) base: Leads,
}

impl<'t> Window<'t> {
    fn before(&self) -> &'t [u8] {
        self.text.get(..self.at).unwrap_or_default()
    }

    fn after(&self, length: usize) -> &'t [u8] {
        let end = self.at.saturating_add(AHEAD).min(self.text.len());
        self.text.get(self.at.saturating_add(length)..end).unwrap_or_default()
    }

    /// What it means that the text ended too early.
    fn ended(&self) -> Verdict {
        let is_all = self.text.len().saturating_sub(self.at) >= AHEAD;
        if self.then == Then::More && !is_all { Verdict::Wait } else { Verdict::Nothing }
    }

    /// Whether a value may end where the text does.
    fn may_end(&self) -> bool {
        self.then == Then::End && self.text.len().saturating_sub(self.at) < AHEAD
    }
}

/// What the find of a word means.
pub(super) fn judge(window: Window<'_>, word: &Word, page: Page<'_>) -> Verdict {
    match word {
        Word::Base(length) => base(window, *length, page.own),
        Word::Name(name) => match window.after(name.text.len()).first() {
            None => window.ended(),
            Some(b'=') => in_link(window, name, page),
            Some(&byte) if matches!(byte, b'"' | b'\'' | b'/' | b'>') || tag::is_blank(byte) => hidden(window, name),
            Some(_) => Verdict::Nothing,
        },
    }
}

fn base(window: Window<'_>, length: usize, own: &OwnHosts) -> Verdict {
    let after = window.after(length);
    match after.first() {
        None => return window.ended(),
        Some(&byte) if tag::is_blank(byte) || byte == b'/' => {}
        Some(_) => return Verdict::Nothing,
    }
    match tag::read(after) {
        Tag::Cut => window.ended(),
        Tag::Read(found) => match found.href {
            None => Verdict::Nothing,
            Some(href) => {
                let mut undone = Vec::new();
                link::undo(href, &mut undone);
                Verdict::Base(link::leads(&undone, own))
            }
        },
    }
}

/// A link with the name as a parameter.
fn in_link(window: Window<'_>, name: &IdName, page: Page<'_>) -> Verdict {
    let before = window.before();
    // Undone, a parameter's name follows one of `?&;`: cheap to see in all but the rarest spellings.
    if !before.last().is_some_and(|byte| matches!(byte, b'?' | b'&' | b';' | b'6' | b'f' | b'F')) {
        return Verdict::Nothing;
    }
    let Some(begins) = link_begins(before) else { return Verdict::Nothing };
    let mut undone = Vec::with_capacity(before.len().saturating_sub(begins));
    link::undo(before.get(begins..).unwrap_or_default(), &mut undone);
    let link = link::refreshed(&undone);
    let is_parameter = match link.last() {
        Some(b'?' | b'&') => name.in_query,
        // Before the query it is a parameter of the path, behind it the older separator of pairs.
        Some(b';') if memchr::memchr(b'?', link).is_some() => name.in_query,
        Some(b';') => name.in_path,
        _ => false,
    };
    let leads = match link::leads(link, page.own) {
        Leads::Along => page.base,
        leads => leads,
    };
    if !is_parameter || leads == Leads::Away {
        return Verdict::Nothing;
    }
    let in_path = link.last() == Some(&b';');
    value(window, name.text.len().saturating_add(1), in_path)
}

/// Where the link begins that these bytes end in the middle of; `None` where that is too far back.
fn link_begins(before: &[u8]) -> Option<usize> {
    let is_far = before.len() >= BACK;
    let mark = before.iter().rposition(|b| matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'('));
    let quote = mark.filter(|at| matches!(before.get(*at), Some(b'"' | b'\'' | b'`' | b'(')));
    if let Some(quote) = quote
        && opens(before.get(..quote).unwrap_or_default(), before.get(quote).copied())
    {
        return Some(quote.saturating_add(1));
    }
    // No quotes: the link begins behind a blank, and behind an attribute's name with its `=`.
    let from = mark.map_or(0, |at| at.saturating_add(1));
    let text = before.get(from..)?;
    let blank = text.iter().rposition(|&b| tag::is_blank(b)).map(|at| at.saturating_add(1));
    if is_far && mark.is_none() && blank.is_none() {
        return None;
    }
    let from = from.saturating_add(blank.unwrap_or(0));
    let text = before.get(from..)?;
    let named = text.iter().position(|&b| !(b.is_ascii_alphanumeric() || b == b'-')).filter(|at| *at > 0);
    match named {
        Some(at) if text.get(at) == Some(&b'=') => Some(from.saturating_add(at).saturating_add(1)),
        _ => Some(from),
    }
}

/// Whether a quote behind these bytes opens a text, and does not close one.
fn opens(before: &[u8], quote: Option<u8>) -> bool {
    let last = before.iter().rev().copied().find(|&b| !tag::is_blank(b) && b != b'\\');
    quote == Some(b'(')
        || last.is_none_or(|b| matches!(b, b'=' | b'(' | b',' | b'[' | b'{' | b':' | b'+' | b'?' | b'>'))
}

/// The value of a parameter, which begins so far behind the find.
fn value(window: Window<'_>, from: usize, in_path: bool) -> Verdict {
    let mut found = Vec::with_capacity(64);
    let mut rest = window.after(from);
    loop {
        let (meant, length) = match rest {
            [] if window.may_end() => break,
            [] => return window.ended(),
            [b'%', high, low, ..] => match hex_pair(*high, *low) {
                Some(meant) if id::is_id_byte(meant) => (meant, 3),
                _ => return Verdict::Nothing,
            },
            [b'%', ..] => return if window.may_end() { Verdict::Nothing } else { window.ended() },
            [b'&', b'#', ..] => match link::numeric(rest) {
                Some((meant, length)) if id::is_id_byte(meant) => (meant, length),
                Some(_) => break,
                None if rest.len() < NUMERIC && !window.may_end() => return window.ended(),
                None => break,
            },
            [b'&'] if !window.may_end() => return window.ended(),
            [b'/', ..] if in_path => break,
            [byte, ..] if id::is_id_byte(*byte) => (*byte, 1),
            _ => break,
        };
        found.push(meant);
        if found.len() > id::LONGEST {
            return Verdict::Nothing;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    if id::is_link_id(&found) { Verdict::Id(found) } else { Verdict::Nothing }
}

/// Bytes of the longest numeric entity that is read.
const NUMERIC: usize = 11;

/// A hidden input of that name.
fn hidden(window: Window<'_>, name: &IdName) -> Verdict {
    let before = window.before();
    if !before.last().is_some_and(|&byte| matches!(byte, b'"' | b'\'' | b'=') || tag::is_blank(byte)) {
        return Verdict::Nothing;
    }
    const INPUT: usize = b"<input".len();
    let Some(begins) = memchr::memrchr(b'<', before) else { return Verdict::Nothing };
    let tag = before.get(begins..).unwrap_or_default();
    let is_input = tag.get(..INPUT).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<input"))
        && tag.get(INPUT).is_some_and(|&b| tag::is_blank(b) || b == b'/');
    if !is_input {
        return Verdict::Nothing;
    }
    let end = window.at.saturating_add(AHEAD).min(window.text.len());
    match tag::read(window.text.get(begins.saturating_add(INPUT)..end).unwrap_or_default()) {
        Tag::Cut => window.ended(),
        Tag::Read(found) => {
            let is_it =
                found.name == Some(&name.text) && found.kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"hidden"));
            let mut id = Vec::new();
            link::undo(found.value.unwrap_or_default(), &mut id);
            if is_it && name.in_query && id::is_link_id(&id) { Verdict::Id(id) } else { Verdict::Nothing }
        }
    }
}

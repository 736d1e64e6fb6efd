//! What one find of a name means: an id in a link, a hidden input, or nothing.
//!
//! What is cheap to see is looked at first: a page may be made of finds. The invariant: the verdict depends on the bytes
//! from `BACK` before the find to `AHEAD` behind it and on the verdicts before, and on nothing else, so that every cut of
//! the text comes to the same.

use evenkeel_model::caps;

use super::link::{self, Leads, OwnHosts};
use super::names::{IdName, Word};
use super::tag::{self, Tag};
use super::{TOLD, id};
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
#[derive(Debug)]
pub(super) struct Page {
    own: OwnHosts,
    /// Where the page says that relative links lead.
    base: Option<Leads>,
    /// The ids that were told.
    told: Vec<Vec<u8>>,
    /// Finds whose surroundings were looked at.
    pub(super) looks: usize,
}

impl Page {
    /// A page of these hosts.
    pub(super) fn new(own: OwnHosts) -> Self {
        Self { own, base: None, told: Vec::new(), looks: 0 }
    }

    /// Notes an id that is told.
    pub(super) fn tell(&mut self, id: Vec<u8>) {
        self.told.push(id);
    }

    /// Notes where relative links lead.
    pub(super) fn lead(&mut self, base: Leads) {
        // The first one counts (HTML, section 4.2.3).
        self.base.get_or_insert(base);
    }

    /// Whether the page has no more to tell: it told as much as any page does, or made more work than any.
    pub(super) fn is_over(&self) -> bool {
        self.told.len() >= TOLD || self.looks >= caps::PAGE_LOOKS
    }

    /// Nothing for an id that was told already.
    fn news(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Id(id) if self.told.contains(&id) => Verdict::Nothing,
            verdict => verdict,
        }
    }

    /// Counts what took a look around, once: not while it waits, so that every cut comes to the same.
    fn looked(&mut self, verdict: Verdict) -> Verdict {
        self.looks = self.looks.saturating_add(usize::from(verdict != Verdict::Wait));
        verdict
    }
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
pub(super) fn judge(window: Window<'_>, word: &Word, page: &mut Page) -> Verdict {
    match word {
        Word::Base(_) if page.base.is_some() => Verdict::Nothing,
        Word::Base(length) => base(window, *length, page),
        Word::Name(name) => match window.after(name.text.len()).first() {
            None => window.ended(),
            Some(b'=') => in_link(window, name, page),
            Some(&byte) if matches!(byte, b'"' | b'\'' | b'/' | b'>') || tag::is_blank(byte) => {
                hidden(window, name, page)
            }
            Some(_) => Verdict::Nothing,
        },
    }
}

fn base(window: Window<'_>, length: usize, page: &mut Page) -> Verdict {
    let after = window.after(length);
    match after.first() {
        None => return window.ended(),
        Some(&byte) if tag::is_blank(byte) || byte == b'/' => {}
        Some(_) => return Verdict::Nothing,
    }
    let verdict = match tag::read(after) {
        Tag::Cut => window.ended(),
        Tag::Read(found) => match found.href {
            None => Verdict::Nothing,
            Some(href) => {
                let mut undone = Vec::new();
                link::undo(href, &mut undone);
                Verdict::Base(link::leads(&undone, &page.own))
            }
        },
    };
    page.looked(verdict)
}

/// A link with the name as a parameter.
fn in_link(window: Window<'_>, name: &IdName, page: &mut Page) -> Verdict {
    let before = window.before();
    // Undone, a parameter's name follows one of `?&;`: cheap to see in all but the rarest spellings.
    let Some(last @ (b'?' | b'&' | b';' | b'6' | b'f' | b'F')) = before.last() else { return Verdict::Nothing };
    // The way back to where the link begins is long. It is gone only for what may be an id, and a new one.
    let from = name.text.len().saturating_add(1);
    let read = |is_wanted: bool, place: Place| match is_wanted {
        true => page.news(value(window, from, place)),
        false => Verdict::Nothing,
    };
    let in_query = read(name.in_query, Place::Query);
    let in_path = read(name.in_path && *last == b';', Place::Path);
    match (&in_query, &in_path) {
        (Verdict::Nothing, Verdict::Nothing) => return Verdict::Nothing,
        (Verdict::Id(_), _) | (_, Verdict::Id(_)) => {}
        _ => return Verdict::Wait,
    }
    let verdict = match place(before, page) {
        Some(Place::Query) => in_query,
        Some(Place::Path) => in_path,
        None => Verdict::Nothing,
    };
    page.looked(verdict)
}

/// Where in a link a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Query,
    Path,
}

/// Where a parameter stands whose name follows these bytes, if they are the beginning of a link of the page's own site.
fn place(before: &[u8], page: &Page) -> Option<Place> {
    let begins = link_begins(before)?;
    let mut undone = Vec::with_capacity(before.len().saturating_sub(begins));
    link::undo(before.get(begins..)?, &mut undone);
    let link = link::refreshed(&undone);
    let place = match link.last()? {
        b'?' | b'&' => Place::Query,
        // Before the query it is a parameter of the path, behind it the older separator of pairs.
        b';' if memchr::memchr(b'?', link).is_some() => Place::Query,
        b';' => Place::Path,
        _ => return None,
    };
    let leads = match link::leads(link, &page.own) {
        Leads::Along => page.base.unwrap_or(Leads::Home),
        leads => leads,
    };
    (leads != Leads::Away).then_some(place)
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
fn value(window: Window<'_>, from: usize, place: Place) -> Verdict {
    let mut found = Vec::new();
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
            [b'/', ..] if place == Place::Path => break,
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
fn hidden(window: Window<'_>, name: &IdName, page: &mut Page) -> Verdict {
    let before = window.before();
    if !name.in_query || !ends_in_name(before) {
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
    let verdict = match tag::read(window.text.get(begins.saturating_add(INPUT)..end).unwrap_or_default()) {
        Tag::Cut => window.ended(),
        Tag::Read(found) => {
            let is_it =
                found.name == Some(&name.text) && found.kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"hidden"));
            let mut id = Vec::new();
            link::undo(found.value.unwrap_or_default(), &mut id);
            if is_it && id::is_link_id(&id) { page.news(Verdict::Id(id)) } else { Verdict::Nothing }
        }
    };
    page.looked(verdict)
}

/// Whether a value begins here of an attribute whose name ends in `name`.
fn ends_in_name(before: &[u8]) -> bool {
    let unquoted = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before);
    let Some(named) = without_blanks(unquoted).strip_suffix(b"=") else { return false };
    let named = without_blanks(named);
    named.len().checked_sub(4).and_then(|at| named.get(at..)).is_some_and(|name| name.eq_ignore_ascii_case(b"name"))
}

/// The text without the blanks at its end.
fn without_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&b| !tag::is_blank(b)).map_or(0, |at| at.saturating_add(1));
    text.get(..end).unwrap_or_default()
}

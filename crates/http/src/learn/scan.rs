//! The search of a body for ids, piece by piece as it passes.
//!
//! It copies nothing but the text around a border between pieces. The invariants: every cut of the same text gives the same
//! ids in the same order; and an id is told before the byte that completes it is passed on, since its end is known by the
//! byte behind it, or by the body's end.

use std::ops::Range;

use super::hit::{AHEAD, BACK, Page, Then, Verdict, Window, judge};
use super::link::{Leads, OwnHosts};
use super::names::{IdNames, Word};

/// Bytes of a body that are searched: pages name their session near the top, and this is more than most have.
pub const SEARCHED: usize = 256 * 1024;
/// Different ids that are told of one body: a page names one session, and a planted list of them gets no further.
pub const TOLD: usize = 8;

/// Searches one body.
#[derive(Debug)]
pub struct Scanner {
    pub(super) page: Page,
    /// The end of what came so far: everything undecided, and `BACK` bytes before it.
    tail: Vec<u8>,
    /// Where in the tail the undecided begins.
    undecided: usize,
    /// Text around a border.
    seam: Vec<u8>,
    passed: usize,
    is_over: bool,
}

/// How far a search came.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// To this place: everything before it is decided.
    At(usize),
    /// There is nothing more to look for.
    Over,
}

/// What came of one find.
enum Decided {
    On,
    Waits,
    Over,
}

impl Scanner {
    /// A search of a page of these hosts.
    pub fn new(own: OwnHosts) -> Self {
        Self { page: Page::new(own), tail: Vec::new(), undecided: 0, seam: Vec::new(), passed: 0, is_over: false }
    }

    /// Whether nothing that comes is looked at any more.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What comes is not looked at any more.
    pub(super) fn give_up(&mut self) {
        self.is_over = true;
    }

    /// Searches the next piece.
    pub fn feed(&mut self, names: &IdNames, piece: &[u8], tell: &mut dyn FnMut(&[u8])) {
        if self.is_over || piece.is_empty() {
            return;
        }
        let left = SEARCHED.saturating_sub(self.passed);
        let (piece, is_cut) = match piece.get(..left) {
            Some(piece) => (piece, true),
            None => (piece, false),
        };
        self.passed = self.passed.saturating_add(piece.len());
        let then = if is_cut { Then::Cut } else { Then::More };
        self.search(names, piece, then, tell);
        self.is_over |= is_cut;
    }

    /// The body has ended: what was undecided is decided.
    pub fn finish(&mut self, names: &IdNames, tell: &mut dyn FnMut(&[u8])) {
        if !self.is_over {
            self.search(names, b"", Then::End, tell);
            self.is_over = true;
        }
    }

    fn search(&mut self, names: &IdNames, piece: &[u8], then: Then, tell: &mut dyn FnMut(&[u8])) {
        let mut tail = std::mem::take(&mut self.tail);
        if piece.len() <= AHEAD {
            tail.extend_from_slice(piece);
            let step = self.search_text(names, (&tail, self.undecided..tail.len()), then, tell);
            self.keep(tail, b"", step);
            return;
        }
        // What begins in the tail ends within `AHEAD`, so that this much of the piece decides it.
        let border = tail.len();
        tail.extend_from_slice(piece.get(..AHEAD).unwrap_or_default());
        let mut step = Step::At(border);
        if self.undecided < border {
            step = self.search_text(names, (&tail, self.undecided..border), Then::Cut, tell);
        }
        tail.truncate(border);
        if !matches!(step, Step::Over) {
            step = self.search_piece(names, (&tail, piece), then, tell);
        }
        self.keep(tail, piece, step);
    }

    /// Decides the finds that begin in a range of a text.
    fn search_text(
        &mut self,
        names: &IdNames,
        (text, range): (&[u8], Range<usize>),
        then: Then,
        tell: &mut dyn FnMut(&[u8]),
    ) -> Step {
        let mut at = range.start;
        while let Some((word, found)) = names.find(text, at).filter(|(_, found)| range.contains(found)) {
            match self.decide(window(text, found, then), word, tell) {
                Decided::On => at = found.saturating_add(1),
                Decided::Waits => return Step::At(found.min(resume(names, text.len(), then))),
                Decided::Over => return Step::Over,
            }
        }
        Step::At(resume(names, text.len(), then))
    }

    /// Decides the finds that begin in the piece. Places count from the tail's beginning.
    fn search_piece(
        &mut self,
        names: &IdNames,
        (tail, piece): (&[u8], &[u8]),
        then: Then,
        tell: &mut dyn FnMut(&[u8]),
    ) -> Step {
        let mut at = 0usize;
        let end = resume(names, piece.len(), then);
        while let Some((word, found)) = names.find(piece, at) {
            let missing = BACK.saturating_sub(found).min(tail.len());
            let decided = if missing == 0 {
                self.decide(window(piece, found, then), word, tell)
            } else {
                let mut seam = std::mem::take(&mut self.seam);
                seam.clear();
                seam.extend_from_slice(tail.get(tail.len().saturating_sub(missing)..).unwrap_or_default());
                seam.extend_from_slice(piece.get(..found.saturating_add(AHEAD).min(piece.len())).unwrap_or_default());
                let window = Window { text: &seam, at: missing.saturating_add(found), then };
                let decided = self.decide(window, word, tell);
                self.seam = seam;
                decided
            };
            match decided {
                Decided::On => at = found.saturating_add(1),
                Decided::Waits => return Step::At(tail.len().saturating_add(found.min(end))),
                Decided::Over => return Step::Over,
            }
        }
        Step::At(tail.len().saturating_add(end))
    }

    fn decide(&mut self, window: Window<'_>, word: &Word, tell: &mut dyn FnMut(&[u8])) -> Decided {
        match judge(window, word, &mut self.page) {
            Verdict::Wait => return Decided::Waits,
            Verdict::Nothing => {}
            Verdict::Base(leads) => self.page.lead(if leads == Leads::Along { Leads::Home } else { leads }),
            Verdict::Id(id) => {
                tell(&id);
                self.page.tell(id);
            }
        }
        if self.page.is_over() { Decided::Over } else { Decided::On }
    }

    /// Keeps what the next piece may need of tail and piece.
    fn keep(&mut self, mut tail: Vec<u8>, piece: &[u8], step: Step) {
        let Step::At(at) = step else {
            self.is_over = true;
            return;
        };
        let from = at.saturating_sub(BACK);
        let behind = from.saturating_sub(tail.len());
        tail.drain(..from.min(tail.len()));
        tail.extend_from_slice(piece.get(behind..).unwrap_or_default());
        self.undecided = at.saturating_sub(from);
        self.tail = tail;
    }
}

/// Where a search of text of that length is to go on: a word may have begun at its end.
fn resume(names: &IdNames, length: usize, then: Then) -> usize {
    match then {
        Then::More => length.saturating_sub(names.longest().saturating_sub(1)),
        Then::End | Then::Cut => length,
    }
}

fn window(text: &[u8], found: usize, then: Then) -> Window<'_> {
    let from = found.saturating_sub(BACK);
    Window { text: text.get(from..).unwrap_or_default(), at: found.saturating_sub(from), then }
}

//! Buffers and the desk: the memory that one exchange works on, lent from a worker's free list.
//!
//! Not here: what the bytes mean. The invariant: a connection holds a desk only while bytes of it are in flight, so
//! that an idle connection costs no buffer, and a worker keeps at most `caps::FREE_BUFFERS_PER_WORKER` of each kind.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_http::{RequestHead, ResponseHead};
use evenkeel_model::caps;

/// Bytes in a fixed room: `start..end` are there, the rest is free.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    /// Where the bytes begin.
    pub(crate) start: usize,
    /// Where they end.
    pub(crate) end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Every byte from the room's beginning to the end of what is there.
    pub(crate) fn written(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// The bytes that are there.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// A stretch of the room.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// The free room behind the bytes, at most `most` of it.
    pub(crate) fn room(&mut self, most: usize) -> &mut [u8] {
        let to = self.end.saturating_add(most).min(self.bytes.len());
        self.bytes.get_mut(self.end..to).unwrap_or_default()
    }

    /// How much room is free behind the bytes.
    pub(crate) fn free(&self) -> usize {
        self.bytes.len().saturating_sub(self.end)
    }

    /// Says that `count` more bytes are there.
    pub(crate) fn grow(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Moves `from..to` so that it begins at `target`, which lies before.
    pub(crate) fn shift(&mut self, from: usize, to: usize, target: usize) {
        if from != target && from <= to && to <= self.bytes.len() && target <= from {
            self.bytes.copy_within(from..to, target);
        }
    }

    /// Gives back the room behind the bytes.
    fn fit(&mut self) {
        self.bytes = self.written().into();
    }

    /// Replaces everything by these bytes, which fit.
    pub(crate) fn refill(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.start = 0;
            self.end = bytes.len();
        }
    }

    /// Forgets everything before `from` and moves the rest to the front.
    pub(crate) fn drop_front(&mut self, from: usize) {
        let from = from.min(self.end);
        self.bytes.copy_within(from..self.end, 0);
        self.end -= from;
        self.start = 0;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Moves into a room of this size, where it is larger.
    pub(crate) fn widen(&mut self, capacity: usize) {
        if capacity <= self.capacity() {
            return;
        }
        let mut wide = Self::new(capacity);
        wide.refill(self.filled());
        *self = wide;
    }

    /// The size of the room.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

/// What one exchange works on.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The client's bytes: the head of the request, and what came behind it.
    pub(crate) input: Buffer,
    /// The request's head, as spans into `input`.
    pub(crate) request: RequestHead,
    /// The server's bytes; no room at all until the first of them are there.
    pub(crate) answer: Buffer,
    /// The answer's head, as spans into `answer`.
    pub(crate) response: ResponseHead,
    /// The head that goes to the server.
    pub(crate) out: Vec<u8>,
    /// The head that goes to the client, or an answer of our own.
    pub(crate) reply: Vec<u8>,
    /// The request's path in normal form, where it is not so already.
    pub(crate) normal: Vec<u8>,
    /// Rendered values: of edits, paths and pages.
    pub(crate) text: Vec<u8>,
    /// Where each rendered value of an edit ends in `text`.
    pub(crate) ends: Vec<usize>,
    /// Bytes of the request's body that have left `input` and are kept for another attempt.
    pub(crate) kept: Vec<u8>,
    /// What it counts for among the bytes that are lent.
    charge: u64,
}

impl Desk {
    fn new() -> Self {
        Self {
            input: Buffer::new(caps::HEAD_BUFFER),
            request: RequestHead::new(),
            answer: Buffer::new(0),
            response: ResponseHead::new(),
            out: Vec::with_capacity(1024),
            reply: Vec::new(),
            normal: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            kept: Vec::new(),
            charge: 0,
        }
    }

    /// A desk on which that head lies, which is cut where it is longer than any listener takes.
    pub(crate) fn with_request(head: &[u8]) -> Self {
        let mut desk = Self::new();
        desk.input.widen(caps::CONNECTION_BUFFER);
        desk.input.refill(head.get(..caps::CONNECTION_BUFFER).unwrap_or(head));
        desk
    }

    /// Makes ready for the next message on the connection: what is left in `input` stays.
    pub(crate) fn reset(&mut self) {
        self.request.clear();
        self.response.clear();
        self.answer.clear();
        self.out.clear();
        self.reply.clear();
        self.text.clear();
        self.kept.clear();
    }

    /// Gives back what a tunnel does not need, which may stand for hours: all but what its log line speaks of.
    pub(crate) fn shrink(&mut self, free: &FreeList) {
        free.return_answer(&mut self.answer);
        self.input.fit();
        free.charge(&mut self.charge, TUNNEL);
        for vec in [&mut self.out, &mut self.reply, &mut self.text, &mut self.kept] {
            *vec = Vec::new();
        }
    }

    /// Gives back what one unusual exchange made grow.
    fn trim(&mut self) {
        for vec in [&mut self.out, &mut self.reply, &mut self.normal, &mut self.text, &mut self.kept] {
            if vec.capacity() > caps::BODY_BUFFER {
                *vec = Vec::new();
            }
        }
    }
}

/// A worker's free desks and body buffers.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// Bytes that may be lent, as configured.
    most: Arc<AtomicU64>,
    /// Bytes that are lent, by what each kind takes at most.
    held: Cell<u64>,
    // A desk travels between the list and its connection; the box keeps that to a pointer.
    #[allow(clippy::vec_box)]
    desks: RefCell<Vec<Box<Desk>>>,
    bodies: RefCell<Vec<Buffer>>,
    answers: RefCell<Vec<Buffer>>,
    /// Buffers of either kind that are lent now.
    lent: Cell<usize>,
    /// The most that were since memory was last given back.
    peak: Cell<usize>,
}

/// What a desk takes: a head of the largest kind, its answer's, and the tables and texts of both.
const DESK: u64 = 2 * caps::CONNECTION_BUFFER as u64 + 8 * 1024;
/// What is left of it in a tunnel.
const TUNNEL: u64 = 4 * 1024;

/// Buffers that must have come back since the peak before the memory of the others is worth giving back: about 20 MB.
const TIDE: usize = 512;

impl FreeList {
    /// A list that lends about so many bytes.
    pub(crate) fn new(most: Arc<AtomicU64>) -> Self {
        Self {
            most,
            held: Cell::new(0),
            desks: RefCell::default(),
            bodies: RefCell::default(),
            answers: RefCell::default(),
            lent: Cell::new(0),
            peak: Cell::new(0),
        }
    }

    /// Whether nothing more is to be lent for new requests.
    pub(crate) fn is_full(&self) -> bool {
        self.held.get().saturating_add(DESK) > self.most.load(Ordering::Relaxed)
    }

    /// A desk with nothing on it. Whoever begins a request asks [`Self::is_full`] before.
    pub(crate) fn desk(&self) -> Box<Desk> {
        self.lend();
        let mut desk = self.desks.borrow_mut().pop().unwrap_or_else(|| Box::new(Desk::new()));
        self.charge(&mut desk.charge, DESK);
        desk
    }

    /// Changes what something counts for.
    fn charge(&self, charge: &mut u64, now: u64) {
        self.held.set(self.held.get().saturating_sub(*charge).saturating_add(now));
        *charge = now;
    }

    /// Takes a desk back.
    pub(crate) fn return_desk(&self, mut desk: Box<Desk>) {
        self.lent.set(self.lent.get().saturating_sub(1));
        desk.reset();
        desk.input.clear();
        desk.trim();
        self.return_answer(&mut desk.answer);
        self.charge(&mut desk.charge, 0);
        let mut desks = self.desks.borrow_mut();
        if desks.len() < caps::FREE_BUFFERS_PER_WORKER && desk.input.capacity() >= caps::HEAD_BUFFER {
            desks.push(desk);
        }
    }

    /// Counts bytes that are held elsewhere. Whoever takes much asks [`Self::is_full`] before.
    pub(crate) fn hold(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_add(bytes));
    }

    /// Counts them no more.
    pub(crate) fn release(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// Gives a desk room for a server's answer, where it has none.
    pub(crate) fn lend_answer(&self, answer: &mut Buffer) {
        if answer.capacity() == 0 {
            *answer = self.answers.borrow_mut().pop().unwrap_or_else(|| Buffer::new(caps::CONNECTION_BUFFER));
        }
    }

    /// Takes the room for an answer back.
    pub(crate) fn return_answer(&self, answer: &mut Buffer) {
        let mut buffer = std::mem::replace(answer, Buffer::new(0));
        let mut answers = self.answers.borrow_mut();
        // One that was widened for an unusual head is no use to others.
        if buffer.capacity() == caps::CONNECTION_BUFFER && answers.len() < caps::FREE_BUFFERS_PER_WORKER {
            buffer.clear();
            answers.push(buffer);
        }
    }

    /// A buffer for a large body; without one it goes through the ordinary buffer, in smaller pieces.
    pub(crate) fn body(&self) -> Option<Buffer> {
        if self.is_full() {
            return None;
        }
        self.lend();
        self.held.set(self.held.get().saturating_add(caps::BODY_BUFFER as u64));
        Some(self.bodies.borrow_mut().pop().unwrap_or_else(|| Buffer::new(caps::BODY_BUFFER)))
    }

    /// Takes a body's buffer back.
    pub(crate) fn return_body(&self, mut buffer: Buffer) {
        self.held.set(self.held.get().saturating_sub(caps::BODY_BUFFER as u64));
        self.lent.set(self.lent.get().saturating_sub(1));
        buffer.clear();
        let mut bodies = self.bodies.borrow_mut();
        if bodies.len() < caps::FREE_BUFFERS_PER_WORKER {
            bodies.push(buffer);
        }
    }

    /// Whether so many fewer buffers are lent than were that the allocator holds much for nobody. Asked once, it is
    /// answered for what went before.
    pub(crate) fn has_ebbed(&self) -> bool {
        let (lent, peak) = (self.lent.get(), self.peak.get());
        let has_ebbed = peak.saturating_sub(lent) > TIDE && lent < peak / 2;
        if has_ebbed {
            self.peak.set(lent);
        }
        has_ebbed
    }

    fn lend(&self) {
        let lent = self.lent.get() + 1;
        self.lent.set(lent);
        self.peak.set(self.peak.get().max(lent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_each_tide() {
        let list = FreeList::new(Arc::new(AtomicU64::new(u64::MAX)));
        for _ in 0..2 {
            let mut lent: Vec<Box<Desk>> = (0..TIDE + 10).map(|_| list.desk()).collect();
            assert!(!list.has_ebbed());
            lent.drain(..5).for_each(|desk| list.return_desk(desk));
            assert!(!list.has_ebbed());
            lent.drain(..).for_each(|desk| list.return_desk(desk));
            assert!(list.has_ebbed());
            assert!(!list.has_ebbed());
        }
    }

    #[test]
    fn no_more_is_lent_than_may_be_and_what_comes_back_is_lent_again() {
        let list = FreeList::new(Arc::new(AtomicU64::new(3 * DESK + caps::BODY_BUFFER as u64)));
        let mut desks: Vec<Box<Desk>> = (0..3).map(|_| list.desk()).collect();
        let body = list.body().unwrap();
        assert!(list.is_full() && list.body().is_none());
        // A tunnel counts for what it keeps.
        desks.iter_mut().for_each(|desk| desk.shrink(&list));
        assert!(!list.is_full());
        desks.drain(..).for_each(|desk| list.return_desk(desk));
        list.return_body(body);
        assert_eq!(list.held.get(), 0);
    }
}

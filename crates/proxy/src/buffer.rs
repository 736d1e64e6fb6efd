//! Buffers and the desk: the memory that one exchange works on, lent from a worker's free list.
//!
//! Not here: what the bytes mean. The invariants: a connection holds a desk only while bytes of it are in flight, so that an
//! idle connection costs no buffer; whatever a client or a server can make grow is charged for as long as it stands; and a
//! worker keeps no more than it lately needed ([`Spares`]), nor more than it may lend.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_http::{RequestHead, ResponseHead};
use evenkeel_model::caps;

use crate::spares::Spares;

/// What something counts for among the bytes that a worker lends, for as long as it stands.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    ledger: Option<Rc<Cell<u64>>>,
    bytes: u64,
}

impl Charge {
    /// Changes what it counts for.
    pub(crate) fn set(&mut self, bytes: u64) {
        if let Some(ledger) = &self.ledger {
            ledger.set(ledger.get().saturating_sub(self.bytes).saturating_add(bytes));
            self.bytes = bytes;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Bytes that left a buffer and may be needed again.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    charge: Charge,
}

impl Kept {
    /// Adds bytes to those that are kept; `false` where there is no memory for them.
    pub(crate) fn add(&mut self, bytes: &[u8], free: &FreeList) -> bool {
        if bytes.is_empty() {
            return true;
        }
        if free.is_full() {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        free.charge(&mut self.charge, self.bytes.capacity() as u64);
        true
    }

    /// Keeps these instead of all before. They come out of a buffer that is lent, and count with it.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        self.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > caps::CONNECTION_BUFFER {
            self.bytes = Vec::new();
        }
        self.charge.set(0);
    }
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes in a fixed room: `start..end` are there, the rest is free.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    /// What it counts for beside its desk.
    charge: Charge,
    /// Where the bytes begin.
    pub(crate) start: usize,
    /// Where they end.
    pub(crate) end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), charge: Charge::default(), start: 0, end: 0 }
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
    pub(crate) kept: Kept,
    charge: Charge,
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
            kept: Kept::default(),
            charge: Charge::default(),
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
        self.kept = Kept::default();
        for vec in [&mut self.out, &mut self.reply, &mut self.text] {
            *vec = Vec::new();
        }
    }

    /// Gives back what one unusual exchange made grow.
    fn trim(&mut self) {
        for vec in [&mut self.out, &mut self.reply, &mut self.normal, &mut self.text] {
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
    held: Rc<Cell<u64>>,
    // A desk travels between the list and its connection; the box keeps that to a pointer.
    desks: Spares<Box<Desk>>,
    bodies: Spares<Buffer>,
    answers: Spares<Buffer>,
    /// How many were let go since memory was last given back.
    gone: Cell<usize>,
}

/// What a desk takes: a head of the largest kind, its answer's, and the tables and texts of both.
const DESK: u64 = 2 * caps::CONNECTION_BUFFER as u64 + 8 * 1024;
/// What is left of it in a tunnel.
const TUNNEL: u64 = 4 * 1024;

/// Buffers that must have been let go before their memory is worth giving back to the system: some 10 MB.
const TIDE: usize = 512;

impl FreeList {
    /// A list that lends about so many bytes.
    pub(crate) fn new(most: Arc<AtomicU64>) -> Self {
        Self {
            most,
            held: Rc::default(),
            desks: Spares::default(),
            bodies: Spares::default(),
            answers: Spares::default(),
            gone: Cell::new(0),
        }
    }

    /// Whether nothing more is to be lent for new requests. One desk may always be lent, however little there is for each
    /// of many workers: else a process that does nothing turned everybody away.
    pub(crate) fn is_full(&self) -> bool {
        self.held.get().saturating_add(DESK) > self.most.load(Ordering::Relaxed).max(DESK)
    }

    /// Whether less than half would be left once so much more is lent. What makes bodies faster, and stands for as long as a
    /// peer likes, is lent from the first half: the other one is for requests.
    pub(crate) fn is_half_full_with(&self, more: u32) -> bool {
        self.held.get().saturating_add(u64::from(more)) > self.most.load(Ordering::Relaxed) / 2
    }

    /// A desk with nothing on it. Whoever begins a request asks [`Self::is_full`] before.
    pub(crate) fn desk(&self) -> Box<Desk> {
        let mut desk = self.desks.take().unwrap_or_else(|| {
            self.make_room(DESK, &self.bodies);
            Box::new(Desk::new())
        });
        self.charge(&mut desk.charge, DESK);
        desk
    }

    /// Changes what something counts for.
    pub(crate) fn charge(&self, charge: &mut Charge, now: u64) {
        charge.ledger.get_or_insert_with(|| Rc::clone(&self.held));
        charge.set(now);
    }

    /// Takes a desk back.
    pub(crate) fn return_desk(&self, mut desk: Box<Desk>) {
        desk.reset();
        desk.input.clear();
        desk.trim();
        self.return_answer(&mut desk.answer);
        desk.charge.set(0);
        if desk.input.capacity() >= caps::HEAD_BUFFER && self.has_room(DESK) {
            self.desks.put(desk);
        }
    }

    /// Counts bytes that are held elsewhere, for as long as the charge stands. Whoever takes much asks [`Self::is_full`]
    /// before.
    pub(crate) fn hold(&self, bytes: u64) -> Charge {
        let mut charge = Charge::default();
        self.charge(&mut charge, bytes);
        charge
    }

    /// Gives a desk room for a server's answer, where it has none.
    pub(crate) fn lend_answer(&self, answer: &mut Buffer) {
        if answer.capacity() == 0 {
            *answer = self.answers.take().unwrap_or_else(|| Buffer::new(caps::CONNECTION_BUFFER));
        }
    }

    /// Gives an answer the room that the largest head takes.
    pub(crate) fn widen_answer(&self, answer: &mut Buffer) {
        answer.widen(caps::SERVER_HEAD_BYTES);
        self.charge(&mut answer.charge, (caps::SERVER_HEAD_BYTES - caps::CONNECTION_BUFFER) as u64);
    }

    /// Takes the room for an answer back.
    pub(crate) fn return_answer(&self, answer: &mut Buffer) {
        let mut buffer = std::mem::replace(answer, Buffer::new(0));
        // One that was widened for an unusual head is no use to others.
        if buffer.capacity() == caps::CONNECTION_BUFFER {
            buffer.clear();
            self.answers.put(buffer);
        }
    }

    /// A buffer for a large body; without one it goes through the ordinary buffer, in smaller pieces.
    pub(crate) fn body(&self) -> Option<Buffer> {
        if self.is_full() {
            return None;
        }
        let mut body = self.bodies.take().unwrap_or_else(|| {
            self.make_room(caps::BODY_BUFFER as u64, &self.desks);
            Buffer::new(caps::BODY_BUFFER)
        });
        self.charge(&mut body.charge, caps::BODY_BUFFER as u64);
        Some(body)
    }

    /// Takes a body's buffer back.
    pub(crate) fn return_body(&self, mut buffer: Buffer) {
        buffer.charge.set(0);
        buffer.clear();
        if self.has_room(caps::BODY_BUFFER as u64) {
            self.bodies.put(buffer);
        }
    }

    /// Whether so much more, lent or kept for later, is still within what may be lent.
    fn has_room(&self, more: u64) -> bool {
        // Room for answers counts with their desks.
        let kept = self.desks.count() as u64 * DESK + self.bodies.count() as u64 * caps::BODY_BUFFER as u64;
        self.held.get().saturating_add(kept).saturating_add(more) <= self.most.load(Ordering::Relaxed)
    }

    /// Has what is kept of one kind make room for more of the other.
    fn make_room<T>(&self, more: u64, others: &Spares<T>) {
        if !self.has_room(more) {
            self.gone.set(self.gone.get() + others.clear());
        }
    }

    /// Lets go what nobody needed since it was last asked; whether the allocator now holds much for nobody. Asked once, that
    /// is answered for what went before.
    pub(crate) fn trim(&self) -> bool {
        let gone = self.gone.get() + self.desks.trim() + self.bodies.trim() + self.answers.trim();
        let is_much = gone > TIDE;
        self.gone.set(if is_much { 0 } else { gone });
        is_much
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_each_tide() {
        let list = FreeList::new(Arc::new(AtomicU64::new(u64::MAX)));
        for _ in 0..2 {
            let mut lent: Vec<Box<Desk>> = (0..2 * TIDE).map(|_| list.desk()).collect();
            assert!(!list.trim());
            lent.drain(..).for_each(|desk| list.return_desk(desk));
            // What was needed a moment ago may be needed again.
            assert!(!list.trim());
            assert!(list.trim());
            assert!(!list.trim());
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

    #[test]
    fn what_is_kept_for_later_and_what_is_lent_are_together_no_more_than_may_be_lent() {
        let list = FreeList::new(Arc::new(AtomicU64::new(4 * DESK)));
        let mut desks: Vec<Box<Desk>> = (0..4).map(|_| list.desk()).collect();
        desks.drain(..).for_each(|desk| list.return_desk(desk));
        assert_eq!(list.desks.count(), 4);
        // A body finds no room beside them.
        let body = list.body().unwrap();
        assert_eq!(list.desks.count(), 0);
        let mut desks: Vec<Box<Desk>> = (0..2).map(|_| list.desk()).collect();
        list.return_body(body);
        assert_eq!(list.bodies.count(), 1);
        desks.push(list.desk());
        assert_eq!(list.bodies.count(), 0);
        // One more than may be is served and not kept.
        desks.extend((0..2).map(|_| list.desk()));
        desks.drain(..).for_each(|desk| list.return_desk(desk));
        assert_eq!(list.desks.count(), 4);
    }

    #[test]
    fn one_request_is_served_however_little_there_is() {
        let list = FreeList::new(Arc::new(AtomicU64::new(1)));
        assert!(!list.is_full());
        let desk = list.desk();
        assert!(list.is_full());
        list.return_desk(desk);
        assert!(!list.is_full());
    }

    #[test]
    fn what_grows_is_charged_until_it_is_gone() {
        let list = FreeList::new(Arc::new(AtomicU64::new(2 * DESK)));
        let mut desk = list.desk();
        assert!(desk.kept.add(&[0; 30_000], &list));
        list.lend_answer(&mut desk.answer);
        list.widen_answer(&mut desk.answer);
        assert!(list.held.get() >= DESK + 30_000 + 46 * 1024, "{}", list.held.get());
        // Where there is no more, a body passes and cannot be sent again.
        assert!(list.is_full() && !desk.kept.add(b"more", &list));
        desk.kept.clear();
        assert_eq!(list.held.get(), DESK + 46 * 1024);
        list.return_desk(desk);
        assert_eq!(list.held.get(), 0);
        // A connection that a panic takes gives back what it had.
        drop((list.desk(), list.body()));
        assert_eq!(list.held.get(), 0);
    }
}

//! A connection in memory: two ends on one thread, a bounded number of bytes under way in each direction.
//!
//! It stands where a socket would, so that a stream of a connection that carries many can be served as if it were a
//! connection of its own. It knows no addresses and no time. The invariant: what one end wrote the other reads, in order
//! and whole, unless an end was dropped or reset before; neither end ever holds more than the capacity.
//!
//! An end that is dropped is like a socket that is closed: what it wrote can still be read, then comes the end; what is
//! written to it fails.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

/// Room of a direction that is kept for the next two ends: heads of requests are seldom larger.
const ROOM: usize = 1024;

/// Which end an end is, as the place of the direction that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    There,
}

/// One end.
#[derive(Debug)]
pub struct Half {
    lanes: Rc<RefCell<Lanes>>,
    side: Side,
}

/// Both directions.
#[derive(Debug, Default)]
struct Lanes {
    to_here: Lane,
    to_there: Lane,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    bytes: BytesMut,
    capacity: usize,
    /// Bytes that the reader took and has still in hand: they take the place of others.
    held: usize,
    /// The writer will write no more.
    is_ended: bool,
    /// Why the writer gave up, where it did: what is there is not whole.
    broken: Option<io::ErrorKind>,
    /// The reader is gone.
    is_unread: bool,
    /// Whether there was once more in it than the room that is kept.
    is_widened: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Two ends that are connected with each other; `capacity` bytes may be under way in each direction.
pub fn pair(capacity: usize) -> (Half, Half) {
    Spare::default().pair(capacity)
}

/// What two ends had between them, and two others may have.
#[derive(Debug, Default)]
pub struct Spare {
    lanes: Rc<RefCell<Lanes>>,
}

impl Spare {
    /// Two ends that are connected with each other, as those of [`pair`].
    pub fn pair(self, capacity: usize) -> (Half, Half) {
        let Self { lanes } = self;
        {
            let mut lanes = lanes.borrow_mut();
            (lanes.to_here.capacity, lanes.to_there.capacity) = (capacity, capacity);
        }
        (Half { lanes: Rc::clone(&lanes), side: Side::Here }, Half { lanes, side: Side::There })
    }
}

impl Lanes {
    /// The directions that an end reads from and writes to.
    fn of(&mut self, side: Side) -> (&mut Lane, &mut Lane) {
        match side {
            Side::Here => (&mut self.to_here, &mut self.to_there),
            Side::There => (&mut self.to_there, &mut self.to_here),
        }
    }

    /// Forgets all but some room.
    fn clear(&mut self) {
        for lane in [&mut self.to_here, &mut self.to_there] {
            lane.empty();
            *lane = Lane { bytes: std::mem::take(&mut lane.bytes), ..Lane::default() };
        }
    }
}

impl Lane {
    fn free(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len().saturating_add(self.held))
    }

    /// Whether a look at it shows something: bytes, an end, or a break.
    fn is_telling(&self) -> bool {
        !self.bytes.is_empty() || self.is_ended || self.broken.is_some()
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_unread || self.is_ended || self.broken.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for piece in pieces {
            let taken = piece.get(..self.free()).unwrap_or(piece);
            self.put(taken);
            written += taken.len();
        }
        if written == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.wake_reader();
        Ok(written)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.is_widened |= self.bytes.len() > ROOM;
    }

    /// Lets go what is there, and room that is too large to be kept.
    fn empty(&mut self) {
        match self.is_widened {
            true => self.bytes = BytesMut::new(),
            false => self.bytes.clear(),
        }
    }

    /// At most so many bytes; none at the end.
    fn take(&mut self, most: usize) -> io::Result<BytesMut> {
        if let Some(kind) = self.broken {
            return Err(kind.into());
        }
        if self.bytes.is_empty() && !self.is_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = match most >= self.bytes.len() {
            true => std::mem::take(&mut self.bytes),
            false => self.bytes.split_to(most),
        };
        self.wake_writer();
        Ok(taken)
    }

    fn break_off(&mut self, kind: io::ErrorKind) {
        if self.broken.is_none() {
            self.broken = Some(kind);
            self.bytes = BytesMut::new();
        }
        self.wake_reader();
        self.wake_writer();
    }
}

/// Keeps the waker of the task that waits, the last one only.
fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|held| held.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

/// What a non-blocking call came to, as a poll function tells it.
fn polled<T>(done: io::Result<T>, slot: &mut Option<Waker>, cx: &Context<'_>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            remember(slot, cx);
            Poll::Pending
        }
        done => Poll::Ready(done),
    }
}

impl Half {
    /// Reads what is there. 0 is the other end's end of sending.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there yet, and how the other end broke off where it did.
    pub fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, _) = lanes.of(self.side);
        let taken = inbound.take(room.len())?;
        let (front, _) = room.split_at_mut_checked(taken.len()).unwrap_or_default();
        front.copy_from_slice(&taken);
        let is_all = inbound.bytes.is_empty();
        if is_all && inbound.bytes.capacity() == 0 {
            // The room is used again for the next bytes.
            inbound.bytes = taken;
            inbound.bytes.clear();
        }
        Ok(front.len())
    }

    /// Reads what is there, and waits for it otherwise.
    pub fn poll_read(&self, cx: &Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let done = self.try_read(room);
        polled(done, &mut self.lanes.borrow_mut().of(self.side).0.reader, cx)
    }

    /// Takes what is there out, at most so many bytes, without copying them. No bytes are the end.
    pub fn poll_take(&self, cx: &Context<'_>, most: usize) -> Poll<io::Result<BytesMut>> {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, _) = lanes.of(self.side);
        polled(inbound.take(most), &mut inbound.reader, cx)
    }

    /// How many bytes stand ready to be taken.
    pub fn unread(&self) -> usize {
        self.lanes.borrow_mut().of(self.side).0.bytes.len()
    }

    /// Says how many of the bytes that were taken are still in hand: the writer gets room for others as these go on, and sees
    /// how fast they do. In steps of `step`, so that it is not woken for each few.
    pub fn hold(&self, bytes: usize, step: usize) {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, _) = lanes.of(self.side);
        let gives_way = bytes == 0 || bytes.saturating_add(step) <= inbound.held;
        if bytes > inbound.held {
            inbound.held = bytes;
        } else if gives_way && bytes < inbound.held {
            inbound.held = bytes;
            inbound.wake_writer();
        }
    }

    /// Writes as much of the pieces as fits.
    ///
    /// # Errors
    /// `WouldBlock` where nothing fits now, `BrokenPipe` where nobody will read it.
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.lanes.borrow_mut().of(self.side).1.write(pieces)
    }

    /// Writes as much of the pieces as fits, and waits for room otherwise.
    pub fn poll_write_vectored(&self, cx: &Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut lanes = self.lanes.borrow_mut();
        let (_, outbound) = lanes.of(self.side);
        polled(outbound.write(pieces), &mut outbound.writer, cx)
    }

    /// Puts bytes first of all into the direction, whether they fit or not: for a head, which has bounds of its own.
    pub fn begin_with(&self, bytes: &[u8]) {
        let mut lanes = self.lanes.borrow_mut();
        let (_, outbound) = lanes.of(self.side);
        outbound.put(bytes);
        outbound.wake_reader();
    }

    /// Lends room to what comes in first: its bytes are forgotten. It comes back with what [`Self::poll_take`] takes out.
    pub fn lend(&self, mut room: BytesMut) {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, _) = lanes.of(self.side);
        if inbound.bytes.is_empty() {
            room.clear();
            inbound.bytes = room;
        }
    }

    /// Ready once there is something to read: bytes, an end, or a break.
    pub fn poll_read_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, _) = lanes.of(self.side);
        if inbound.is_telling() {
            return Poll::Ready(Ok(()));
        }
        remember(&mut inbound.reader, cx);
        Poll::Pending
    }

    /// Ready once something can be written, or never again.
    pub fn poll_write_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut lanes = self.lanes.borrow_mut();
        let (_, outbound) = lanes.of(self.side);
        if outbound.free() > 0 || outbound.is_unread || outbound.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        remember(&mut outbound.writer, cx);
        Poll::Pending
    }

    /// Ready once the other end was dropped or broke off. Its end of sending alone is neither.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, outbound) = lanes.of(self.side);
        if inbound.broken.is_some() || outbound.is_unread {
            return Poll::Ready(());
        }
        remember(&mut inbound.reader, cx);
        Poll::Pending
    }

    /// Says that nothing more will be written; reading goes on.
    pub fn shutdown_write(&self) {
        let mut lanes = self.lanes.borrow_mut();
        let (_, outbound) = lanes.of(self.side);
        outbound.is_ended = true;
        outbound.wake_reader();
    }

    /// Breaks off both directions. What the other end has not read is lost, and it learns why.
    pub fn break_off(&self, kind: io::ErrorKind) {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, outbound) = lanes.of(self.side);
        inbound.break_off(kind);
        outbound.break_off(kind);
    }

    /// Drops it. Gives what the ends had between them, unless there is still the other one.
    pub fn into_spare(self) -> Option<Spare> {
        let spare = Spare { lanes: Rc::clone(&self.lanes) };
        drop(self);
        let is_alone = Rc::strong_count(&spare.lanes) == 1;
        is_alone.then(|| {
            spare.lanes.borrow_mut().clear();
            spare
        })
    }

    /// Whether the other end closed, broke off, or sent bytes that nobody asked for.
    pub fn is_closed_or_readable(&self) -> bool {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, outbound) = lanes.of(self.side);
        inbound.is_telling() || outbound.is_unread
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let mut lanes = self.lanes.borrow_mut();
        let (inbound, outbound) = lanes.of(self.side);
        inbound.is_unread = true;
        inbound.empty();
        inbound.wake_writer();
        outbound.is_ended = true;
        outbound.wake_reader();
    }
}

#[cfg(test)]
mod tests;

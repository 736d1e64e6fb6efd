//! Bodies on their way: one pipe for each direction.
//!
//! Not here: heads (`server::h1`, `respond`) and deadlines (`exchange`). A pipe reads only when everything it has is
//! written, so that the slower side sets the pace and memory stays at one buffer. The invariant: bytes leave in a
//! framing that was checked before, and never an end that the source did not send.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_http::{BodyDecoder, BodyError, Framing, Keep, RunState, write_chunk_head, write_last_chunk};
use evenkeel_model::caps;
use tokio::time::Instant;

use crate::buffer::{Buffer, FreeList, Kept};
use crate::learn::Page;
use crate::patience::Patience;
use crate::wire::{Stream, Wire};

/// Free room below which a body that goes on gets a new stretch rather than small reads.
const SMALL_ROOM: usize = 4096;

/// The answer to `Expect: 100-continue`.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a pipe stopped at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeError {
    /// Reading failed.
    Source,
    /// The source ended before the body did.
    Ended,
    /// The body breaks its framing.
    Body(BodyError),
    /// The body is longer than allowed.
    TooLong,
    /// Writing failed.
    Sink,
}

/// Whom a pipe waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// For bytes.
    Source,
    /// For room to write.
    Sink,
}

/// Where a pipe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The body goes on.
    Open,
    /// The body's last byte is in hand; what is in hand is still to be written.
    Ended,
    /// Everything is written.
    Done,
}

/// The patience with the client, which is on one side of the pipe.
#[derive(Debug, Clone, Copy)]
struct Sided {
    side: Waits,
    patience: Patience,
}

impl Sided {
    fn wait(&mut self, side: Waits, now: Instant) {
        if side == self.side {
            self.patience.wait(now);
        }
    }

    fn moved(&mut self, side: Waits, bytes: usize, now: Instant) {
        if side == self.side {
            self.patience.moved(bytes, now);
        }
    }
}

/// One direction: a head that stands ready, and the body behind it.
#[derive(Debug)]
pub(crate) struct Pipe {
    decoder: BodyDecoder,
    framing: Framing,
    keep: Keep,
    stage: Stage,
    /// Whether it was given up.
    is_broken: bool,
    /// What lies before in the ordinary buffer is not to be written over: the head, where it is still needed.
    floor: usize,
    cursor: Cursor,
    head_sent: usize,
    /// Whether the body is put into chunks that the source did not make.
    wraps: bool,
    /// What stands before the bytes in hand: the size of the chunk that they make.
    lead: Vec<u8>,
    lead_sent: usize,
    tail: Vec<u8>,
    tail_sent: usize,
    limit: Option<u64>,
    /// Bytes of the body taken from the source, chunk sizes included.
    pub(crate) passed: u64,
    /// Bytes written, the head included.
    pub(crate) sent: u64,
    /// When a byte last moved.
    pub(crate) progress: Instant,
    /// Whom it waits for.
    pub(crate) waits: Waits,
    client: Sided,
    /// A larger buffer, once the body turned out large.
    large: Option<Buffer>,
    replay: Replay,
    continue_left: usize,
    /// What reads along.
    page: Option<Box<Page>>,
}

/// Positions in the buffer at work: `base..ready` may be sent, `base + sent` is next, `at..` is not looked at yet.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    base: usize,
    ready: usize,
    sent: usize,
    at: usize,
}

/// Whether what leaves the buffer is kept, so that it can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// It is not wanted.
    Unwanted,
    /// So many bytes may be kept.
    UpTo(u64),
    /// A part is gone.
    Lost,
}

impl Pipe {
    /// A pipe for a body that begins at `at` in the buffer; the part of it that has arrived is taken from there.
    pub(crate) fn new(framing: Framing, keep: Keep, at: usize, now: Instant) -> Self {
        let decoder = BodyDecoder::new(framing);
        let stage = if decoder.is_ended() { Stage::Ended } else { Stage::Open };
        Self {
            decoder,
            framing,
            keep,
            stage,
            is_broken: false,
            floor: 0,
            cursor: Cursor { base: at, ready: at, sent: 0, at },
            head_sent: 0,
            wraps: false,
            lead: Vec::new(),
            lead_sent: 0,
            tail: Vec::new(),
            tail_sent: 0,
            limit: None,
            passed: 0,
            sent: 0,
            progress: now,
            waits: Waits::Source,
            client: Sided { side: Waits::Source, patience: Patience::new(None) },
            large: None,
            replay: Replay::Unwanted,
            continue_left: 0,
            page: None,
        }
    }

    /// Shows the body to a reader before it is written.
    pub(crate) fn read_by(mut self, page: Option<Box<Page>>) -> Self {
        self.page = page;
        self
    }

    /// Puts the body into chunks, one for each read: its end then needs no end of the connection.
    pub(crate) fn in_chunks(mut self, is_wanted: bool) -> Self {
        self.wraps = is_wanted;
        self
    }

    /// Says on which side the client is, and how many bytes a second it has to move while it is waited for.
    pub(crate) fn with_client(mut self, side: Waits, rate: Option<u64>) -> Self {
        self.client = Sided { side, patience: Patience::new(rate) };
        self
    }

    /// Leaves what lies before the body in the buffer alone.
    pub(crate) fn behind_head(mut self) -> Self {
        self.floor = self.cursor.base;
        self
    }

    /// Refuses a body above this many bytes.
    pub(crate) fn limit(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    /// Keeps up to `most` bytes of the body for another attempt.
    pub(crate) fn replayable(mut self, most: u64) -> Self {
        self.replay = Replay::UpTo(most);
        self
    }

    /// Tells the source to go on (`100 Continue`) before the first byte is read from it.
    pub(crate) fn inviting(mut self) -> Self {
        self.continue_left = CONTINUE.len();
        self
    }

    /// Takes what of the body is in the buffer already.
    pub(crate) fn begin(&mut self, buffer: &mut Buffer) -> Result<(), PipeError> {
        self.decode(buffer)?;
        if self.passed > 0 {
            self.continue_left = 0;
        }
        Ok(())
    }

    /// Puts a whole small body behind its head: copying it costs less than writing two pieces.
    pub(crate) fn fold(&mut self, head: &mut Vec<u8>, buffer: &Buffer) {
        let body = buffer.slice(self.cursor.base, self.cursor.ready);
        let is_plain = self.lead.is_empty() && self.tail.is_empty() && self.large.is_none();
        if self.stage == Stage::Ended && is_plain && body.len() <= caps::SMALL_ANSWER {
            head.extend_from_slice(body);
            self.cursor.sent = body.len();
        }
    }

    /// Begins again from the first byte, for another attempt. Only where [`Self::is_whole`].
    pub(crate) fn rewind(&mut self, now: Instant) {
        self.head_sent = 0;
        self.tail_sent = 0;
        self.cursor.sent = 0;
        self.sent = 0;
        self.progress = now;
        self.client.patience.pause();
        self.is_broken = false;
        if self.stage == Stage::Done {
            self.stage = Stage::Ended;
        }
    }

    /// Gives up.
    pub(crate) fn break_off(&mut self) {
        self.is_broken = self.stage != Stage::Done;
    }

    /// Whether everything that was taken from the source can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.replay != Replay::Lost
    }

    /// Whether the whole body could still be sent again once all of it is sent.
    pub(crate) fn survives(&self) -> bool {
        match (self.framing, self.replay) {
            (Framing::None, _) => true,
            (Framing::Length(length), Replay::UpTo(most)) => length <= most,
            _ => false,
        }
    }

    /// Until when the client may be waited for, where it may take so long.
    pub(crate) fn deadline(&self, timeout: Duration) -> Instant {
        self.client.patience.deadline(timeout, self.progress)
    }

    /// Whether nothing more will be moved.
    pub(crate) fn is_over(&self) -> bool {
        self.is_broken || self.stage == Stage::Done
    }

    /// Whether the body went through, from its first byte to its last.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the body's last byte was read.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Ended)
    }

    /// The bytes behind the body in the buffer at work.
    pub(crate) fn surplus<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        let buffer = self.large.as_ref().unwrap_or(buffer);
        buffer.slice(self.cursor.at, buffer.end)
    }

    /// Where in the ordinary buffer the next message begins; `None` where it lies in the large one.
    pub(crate) fn end(&self) -> Option<usize> {
        self.large.is_none().then_some(self.cursor.at)
    }

    /// Gives the large buffer back.
    pub(crate) fn release(&mut self, free: &FreeList) {
        if let Some(large) = self.large.take() {
            free.return_body(large);
        }
    }

    /// Moves what can be moved. Ready once the last byte is written.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut lane: Lane<'_>) -> Poll<Result<(), PipeError>> {
        loop {
            if self.is_over() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_write(cx, &mut lane))? {
                continue;
            }
            if self.stage == Stage::Ended {
                self.stage = Stage::Done;
                continue;
            }
            self.make_room(&mut lane);
            ready!(self.poll_invite(cx, &mut lane))?;
            ready!(self.poll_fill(cx, &mut lane))?;
        }
    }

    /// Writes once, if there is anything to write; whether something is left of it.
    fn poll_write(&mut self, cx: &mut Context<'_>, lane: &mut Lane<'_>) -> Poll<Result<bool, PipeError>> {
        let buffer = self.large.as_ref().unwrap_or(lane.buffer);
        let kept_sent = self.kept_sent(lane);
        let head = lane.head.get(self.head_sent..).unwrap_or_default();
        let lead = self.lead.get(self.lead_sent..).unwrap_or_default();
        let kept = lane.kept.get(kept_sent..).unwrap_or_default();
        let own_sent = self.cursor.sent.saturating_sub(lane.kept.len());
        let body = buffer.slice(self.cursor.base.saturating_add(own_sent), self.cursor.ready);
        let tail = self.tail.get(self.tail_sent..).unwrap_or_default();
        let mut parts = [IoSlice::new(&[]); 5];
        let mut count = 0;
        for piece in [head, lead, kept, body, tail].into_iter().filter(|piece| !piece.is_empty()) {
            if let Some(part) = parts.get_mut(count) {
                *part = IoSlice::new(piece);
                count += 1;
            }
        }
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        self.waits = Waits::Sink;
        let lengths = [head.len(), lead.len(), kept.len() + body.len(), tail.len()];
        let written = match lane.sink.poll_write_vectored(cx, parts.get(..count).unwrap_or_default()) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(PipeError::Sink)),
            Poll::Ready(Ok(written)) => written,
            Poll::Pending => {
                self.client.wait(Waits::Sink, lane.now);
                return Poll::Pending;
            }
        };
        self.client.moved(Waits::Sink, written, lane.now);
        let [head_len, lead_len, body_len, _] = lengths;
        let of_head = written.min(head_len);
        let of_lead = (written - of_head).min(lead_len);
        let of_body = (written - of_head - of_lead).min(body_len);
        self.head_sent += of_head;
        self.lead_sent += of_lead;
        self.cursor.sent += of_body;
        let of_tail = written - of_head - of_lead - of_body;
        self.tail_sent += of_tail;
        self.sent += written as u64;
        self.progress = lane.now;
        Poll::Ready(Ok([of_head, of_lead, of_body, of_tail] != lengths))
    }

    /// How much of the kept bytes is sent. They come before those in the buffer.
    fn kept_sent(&self, lane: &Lane<'_>) -> usize {
        self.cursor.sent.min(lane.kept.len())
    }

    /// Writes the `100 Continue` that the source waits for.
    fn poll_invite(&mut self, cx: &mut Context<'_>, lane: &mut Lane<'_>) -> Poll<Result<(), PipeError>> {
        while self.continue_left > 0 {
            self.waits = Waits::Source;
            let left = CONTINUE.get(CONTINUE.len() - self.continue_left..).unwrap_or_default();
            match ready!(lane.source.poll_write_vectored(cx, &[IoSlice::new(left)])) {
                Ok(written) => self.continue_left = self.continue_left.saturating_sub(written.max(1)),
                Err(_) => return Poll::Ready(Err(PipeError::Source)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and looks at what came.
    fn poll_fill(&mut self, cx: &mut Context<'_>, lane: &mut Lane<'_>) -> Poll<Result<(), PipeError>> {
        self.waits = Waits::Source;
        let most = self.read_limit();
        let buffer = self.large.as_mut().unwrap_or(lane.buffer);
        let read = match lane.source.poll_read(cx, buffer.room(most)) {
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(_)) => return Poll::Ready(Err(PipeError::Source)),
            Poll::Pending => {
                self.client.wait(Waits::Source, lane.now);
                return Poll::Pending;
            }
        };
        self.client.moved(Waits::Source, read, lane.now);
        self.progress = lane.now;
        if read == 0 {
            self.decoder.at_eof().map_err(|_| PipeError::Ended)?;
            self.stage = Stage::Ended;
            if let Some(mut page) = self.page.take() {
                page.end();
            }
            if self.wraps {
                self.tail.extend_from_slice(if self.lead.is_empty() { b"" } else { b"\r\n" });
                write_last_chunk(&mut self.tail, b"");
            }
            return Poll::Ready(Ok(()));
        }
        buffer.grow(read);
        self.continue_left = 0;
        match self.large.take() {
            Some(mut large) => {
                let decoded = self.decode(&mut large);
                self.large = Some(large);
                decoded?;
            }
            None => self.decode(lane.buffer)?,
        }
        Poll::Ready(Ok(()))
    }

    /// Never more than the body's rest where that is known; of chunks never more than the ordinary buffer takes, as
    /// what follows the last one must fit there.
    fn read_limit(&self) -> usize {
        match self.framing {
            Framing::Length(length) => usize::try_from(length.saturating_sub(self.passed)).unwrap_or(usize::MAX),
            // 64: the few bytes that the decoder may leave for the next read stand before them.
            Framing::Chunked if self.floor > 0 => caps::CONNECTION_BUFFER - 64,
            Framing::Chunked | Framing::None | Framing::UntilClose => usize::MAX,
        }
    }

    fn decode(&mut self, buffer: &mut Buffer) -> Result<(), PipeError> {
        while self.stage == Stage::Open && self.cursor.at < buffer.end {
            let bytes = buffer.slice(self.cursor.at, buffer.end);
            let run = match &mut self.page {
                None => self.decoder.run(bytes, self.keep),
                Some(page) => self.decoder.run_seen(bytes, self.keep, |body| page.see(body)),
            };
            let run = run.map_err(PipeError::Body)?;
            let length = run.forward.len();
            let from = self.cursor.at.saturating_add(run.forward.start);
            buffer.shift(from, from.saturating_add(length), self.cursor.ready);
            self.cursor.ready += length;
            self.cursor.at += run.consumed;
            self.passed += length as u64;
            if self.wraps && length > 0 {
                self.begin_chunk(length);
            }
            if self.limit.is_some_and(|limit| self.passed > limit) {
                return Err(PipeError::TooLong);
            }
            match run.state {
                RunState::Again => {}
                RunState::More => break,
                RunState::End => self.stage = Stage::Ended,
            }
        }
        if self.stage == Stage::Ended
            && let Some(mut page) = self.page.take()
        {
            page.end();
        }
        if self.stage == Stage::Ended && self.framing == Framing::Chunked && self.keep == Keep::Chunked {
            write_last_chunk(&mut self.tail, self.decoder.trailers());
        }
        Ok(())
    }

    /// Notes the size of the chunk that the bytes in hand make, behind the end of the chunk before. Bytes come into
    /// hand only when those before are written, so that there is one chunk at a time.
    fn begin_chunk(&mut self, length: usize) {
        let is_first = self.lead.is_empty();
        self.lead.clear();
        self.lead_sent = 0;
        self.lead.extend_from_slice(if is_first { b"" } else { b"\r\n" });
        write_chunk_head(&mut self.lead, length);
    }

    /// Everything in hand is written: makes room for the next read.
    fn make_room(&mut self, lane: &mut Lane<'_>) {
        let rest = match self.framing {
            Framing::Length(length) => usize::try_from(length.saturating_sub(self.passed)).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let free = self.large.as_ref().unwrap_or(lane.buffer).free();
        let keeps = matches!(self.replay, Replay::UpTo(_));
        if free >= rest.min(SMALL_ROOM) && (keeps || self.cursor.ready == self.cursor.base) {
            return;
        }
        self.retire(lane);
        let needs_large = self.large.is_none() && rest > lane.buffer.capacity() && free < SMALL_ROOM;
        let at = self.cursor.at;
        if let Some(mut large) = needs_large.then(|| lane.free.body()).flatten() {
            large.refill(lane.buffer.slice(at, lane.buffer.end));
            lane.buffer.end = at;
            self.large = Some(large);
            self.cursor = Cursor { base: 0, ready: 0, sent: self.cursor.sent, at: 0 };
        } else {
            let base = if self.large.is_some() { 0 } else { self.floor };
            let buffer = self.large.as_mut().unwrap_or(lane.buffer);
            let left = buffer.end.saturating_sub(at);
            buffer.shift(at, buffer.end, base);
            buffer.end = base.saturating_add(left);
            self.cursor = Cursor { base, ready: base, sent: self.cursor.sent, at: base };
        }
        if !matches!(self.replay, Replay::UpTo(_)) {
            self.cursor.sent = 0;
        }
    }

    /// Keeps what leaves the buffer for another attempt, or notes that there can be none.
    fn retire(&mut self, lane: &mut Lane<'_>) {
        let buffer = self.large.as_ref().unwrap_or(lane.buffer);
        let leaving = buffer.slice(self.cursor.base, self.cursor.ready);
        let most = match self.replay {
            Replay::UpTo(most) => most,
            _ if leaving.is_empty() => return,
            _ => 0,
        };
        let fits = lane.kept.len().saturating_add(leaving.len()) as u64 <= most;
        if !fits || !lane.kept.add(leaving, lane.free) {
            self.replay = Replay::Lost;
            lane.kept.clear();
        }
    }
}

/// What a pipe works with at one moment.
pub(crate) struct Lane<'a> {
    pub(crate) source: &'a mut Stream,
    pub(crate) sink: &'a mut Stream,
    pub(crate) head: &'a [u8],
    pub(crate) buffer: &'a mut Buffer,
    /// Bytes that left the buffer and are kept for another attempt.
    pub(crate) kept: &'a mut Kept,
    pub(crate) free: &'a FreeList,
    pub(crate) now: Instant,
}

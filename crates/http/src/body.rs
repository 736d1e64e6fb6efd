//! Bodies: where one ends, and which of its bytes may be passed on as they are.
//!
//! Not here: heads, and what happens to a connection whose body was refused. The decoder copies nothing but trailers;
//! it says of the bytes at the front of the caller's buffer what they are. The invariants: every cut of the same bytes
//! gives the same pieces, and the bytes called [`Piece::Framing`] and [`Piece::Data`], in their order, are themselves a
//! well-formed chunked body without its last chunk, size lines without extensions included.
//!
//! ```text
//!            reset(Chunked)
//!                 |                     size 0
//!   +--------> Size --> [Extension] --> TrailerLine* --> Ended
//!   |             |          |
//!   |             v          v
//!   +-- DataEnd <-- Data <-- SizeEnd
//! ```

use std::ops::Range;

use evenkeel_model::caps;

use crate::chunk::Extension;
use crate::error::BodyError;
use crate::head;
use crate::known::trailer_allowed;
use crate::message::Framing;

/// Most hexadecimal digits of a chunk's size, leading zeros included: what fits 64 bits.
const SIZE_DIGITS: usize = 16;
/// The largest chunk: sizes beyond 2^63 - 1 have overflowed somebody's arithmetic before.
const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// Room for trailers that is kept from body to body.
const TRAILERS_KEPT: usize = 512;

/// What the bytes at the front of the input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes of the body itself.
    Data(usize),
    /// So many bytes between chunks that may be passed on verbatim with the data.
    Framing(usize),
    /// So many bytes that are never passed on: extensions, the last chunk, the trailer section.
    Dropped(usize),
    /// More bytes are needed; those there (at most 17) must be offered again with them.
    More,
    /// The body is complete. Bytes that follow belong to the next message.
    End,
}

/// What of a body a [`Run`] has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Size lines and data, as a chunked body without its last chunk.
    Chunked,
    /// Data alone.
    Data,
}

/// Contiguous bytes that may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which bytes of the input to pass on. May be empty.
    pub forward: Range<usize>,
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// What comes next.
    pub state: RunState,
}

/// What follows a [`Run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Ask again with the rest of the input.
    Again,
    /// Ask again when more has come.
    More,
    /// The body is complete.
    End,
}

/// Finds the end of one body after the other.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of extensions so far, of all chunks together.
    extensions: usize,
    /// Bytes of the trailer section so far.
    trailer_bytes: usize,
    /// The trailer fields that are let through, then the line that is being read.
    trailers: Vec<u8>,
    /// Where in `trailers` the line being read begins.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of a body of known length are left.
    Length(u64),
    /// Everything is body.
    UntilClose,
    /// A chunk's size comes.
    Size,
    /// In the extensions of a chunk of that size.
    Extension(u64, Extension),
    /// The end of the size line comes.
    SizeEnd(u64),
    /// So many bytes of a chunk are left.
    Data(u64),
    /// The CR LF after a chunk's data comes.
    DataEnd,
    /// A trailer line, or the empty line that ends the body.
    Trailer,
    /// The body is complete.
    Ended,
    /// The body was refused.
    Failed(BodyError),
}

impl BodyDecoder {
    /// A decoder for a body of that framing.
    pub fn new(framing: Framing) -> Self {
        let mut new = Self { state: State::Ended, extensions: 0, trailer_bytes: 0, trailers: Vec::new(), line: 0 };
        new.reset(framing);
        new
    }

    /// Forgets the body and begins with the next one.
    pub fn reset(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        };
        self.extensions = 0;
        self.trailer_bytes = 0;
        self.trailers.clear();
        // A long section must not stay with a connection that idles.
        self.trailers.shrink_to(TRAILERS_KEPT);
        self.line = 0;
    }

    /// Says what the bytes at the front of the input are. The caller takes them away and asks again.
    ///
    /// # Errors
    /// Where the body is malformed. What was said before holds; nothing more may be passed on, and the last chunk
    /// must not be sent in the body's name.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let piece = self.step(input);
        if let Err(error) = piece {
            self.state = State::Failed(error);
        }
        piece
    }

    /// Like [`next`](Self::next), with all that is contiguous and of one fate taken together.
    ///
    /// # Errors
    /// As for [`next`](Self::next). An error after bytes that may be passed on is reported by the following call.
    pub fn run(&mut self, input: &[u8], keep: Keep) -> Result<Run, BodyError> {
        self.run_seen(input, keep, |_| {})
    }

    /// Like [`run`](Self::run), and shows each stretch of the body itself that is passed on, whatever stands between.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn run_seen(&mut self, input: &[u8], keep: Keep, mut seen: impl FnMut(&[u8])) -> Result<Run, BodyError> {
        let mut forward = 0..0;
        let mut consumed = 0usize;
        loop {
            let before = self.state;
            let piece = match self.next(input.get(consumed..).unwrap_or_default()) {
                Ok(piece) => piece,
                // The decoder keeps its error for the next call.
                Err(_) if !forward.is_empty() => return Ok(Run { forward, consumed, state: RunState::Again }),
                Err(error) => return Err(error),
            };
            let (len, passes) = match piece {
                Piece::More => return Ok(Run { forward, consumed, state: RunState::More }),
                Piece::End => return Ok(Run { forward, consumed, state: RunState::End }),
                Piece::Data(len) => (len, true),
                Piece::Framing(len) => (len, keep == Keep::Chunked),
                Piece::Dropped(len) => (len, false),
            };
            let end = consumed.saturating_add(len);
            if passes && forward.is_empty() {
                forward = consumed..end;
            } else if passes && forward.end == consumed {
                forward.end = end;
            } else if passes {
                // Neither kind of piece that passes changes anything but the state.
                self.state = before;
                return Ok(Run { forward, consumed, state: RunState::Again });
            }
            if matches!(piece, Piece::Data(_)) {
                seen(input.get(consumed..end).unwrap_or_default());
            }
            consumed = end;
        }
    }

    /// The peer closed its side: is the body complete?
    ///
    /// # Errors
    /// Where it is not.
    pub fn at_eof(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::UntilClose | State::Ended => {
                self.state = State::Ended;
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(BodyError::Truncated),
        }
    }

    /// Whether the body is complete.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The trailer fields that may be passed on, as `Name: value` lines each with its CR LF. Complete at the end.
    pub fn trailers(&self) -> &[u8] {
        self.trailers.get(..self.line).unwrap_or_default()
    }

    fn step(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        match self.state {
            State::Failed(error) => Err(error),
            State::Ended => Ok(Piece::End),
            _ if input.is_empty() => Ok(Piece::More),
            State::UntilClose => Ok(Piece::Data(input.len())),
            State::Length(left) => {
                let (len, left) = take(input, left);
                self.state = if left == 0 { State::Ended } else { State::Length(left) };
                Ok(Piece::Data(len))
            }
            State::Data(left) => {
                let (len, left) = take(input, left);
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                Ok(Piece::Data(len))
            }
            State::Size => self.read_size(input),
            State::Extension(size, extension) => self.read_extension(input, size, extension),
            State::SizeEnd(size) => {
                self.read_line_end(input, if size == 0 { State::Trailer } else { State::Data(size) })
            }
            State::DataEnd => self.read_line_end(input, State::Size),
            State::Trailer => self.read_trailer(input),
        }
    }

    /// Takes the size's digits once the byte after them is there, so that it is known whether they may be passed on.
    fn read_size(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let digits = input.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > SIZE_DIGITS {
            return Err(BodyError::BadChunkSize);
        }
        let size = input.get(..digits).and_then(hex_number).filter(|&size| size <= SIZE_MAX);
        self.state = match (input.get(digits), size) {
            (None, _) => return Ok(Piece::More),
            (_, None) => return Err(BodyError::BadChunkSize),
            (Some(b'\r'), Some(size)) => State::SizeEnd(size),
            (Some(b';'), Some(size)) => State::Extension(size, Extension::Closed),
            (Some(b'\n'), _) => return Err(BodyError::BadChunkEnd),
            (Some(_), _) => return Err(BodyError::BadChunkSize),
        };
        Ok(if size == Some(0) { Piece::Dropped(digits) } else { Piece::Framing(digits) })
    }

    fn read_extension(&mut self, input: &[u8], size: u64, begin: Extension) -> Result<Piece, BodyError> {
        let mut extension = begin;
        let mut len = 0usize;
        for &byte in input {
            if byte == b'\r' {
                if !extension.may_end() {
                    return Err(BodyError::BadChunkExtension);
                }
                self.state = State::SizeEnd(size);
                return if len == 0 { self.step(input) } else { Ok(Piece::Dropped(len)) };
            }
            extension = extension.after(byte).ok_or(BodyError::BadChunkExtension)?;
            len = len.saturating_add(1);
            self.extensions = self.extensions.saturating_add(1);
            if self.extensions > caps::CHUNK_EXTENSION_BYTES {
                return Err(BodyError::ChunkExtensionsTooLong);
            }
        }
        self.state = State::Extension(size, extension);
        Ok(Piece::Dropped(len))
    }

    fn read_line_end(&mut self, input: &[u8], then: State) -> Result<Piece, BodyError> {
        match input {
            [b'\r', b'\n', ..] => {
                self.state = then;
                Ok(if then == State::Trailer { Piece::Dropped(2) } else { Piece::Framing(2) })
            }
            [b'\r'] => Ok(Piece::More),
            _ => Err(BodyError::BadChunkEnd),
        }
    }

    /// Takes bytes of the trailer section up to the end of a line, and judges the line.
    fn read_trailer(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let feed = memchr::memchr(b'\n', input);
        let len = feed.map_or(input.len(), |feed| feed.saturating_add(1));
        self.trailer_bytes = self.trailer_bytes.saturating_add(len);
        if self.trailer_bytes > caps::TRAILER_BYTES {
            return Err(BodyError::TrailersTooLong);
        }
        self.trailers.extend_from_slice(input.get(..len).unwrap_or_default());
        if feed.is_some() {
            self.end_trailer_line()?;
        }
        Ok(Piece::Dropped(len))
    }

    fn end_trailer_line(&mut self) -> Result<(), BodyError> {
        let end = self.trailers.len().saturating_sub(2);
        if end < self.line || self.trailers.get(end) != Some(&b'\r') {
            return Err(BodyError::BadTrailer);
        }
        if end == self.line {
            self.trailers.truncate(self.line);
            self.state = State::Ended;
            return Ok(());
        }
        let line = self.trailers.get(self.line..end).unwrap_or_default();
        let (name, _) = head::cut_field(line, true).map_err(|_| BodyError::BadTrailer)?;
        if trailer_allowed(name) {
            self.line = self.trailers.len();
        } else {
            self.trailers.truncate(self.line);
        }
        Ok(())
    }
}

/// How many bytes of the input belong to a stretch, and how many of the stretch are left after them.
fn take(input: &[u8], left: u64) -> (usize, u64) {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    (len, left.saturating_sub(len as u64))
}

/// A hexadecimal number, `None` for no digits or more than fit.
fn hex_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, &digit| {
        let value = char::from(digit).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(u64::from(value))
    })
}

#[cfg(test)]
mod tests;

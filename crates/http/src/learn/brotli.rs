//! Brotli (RFC 7932), as far as the beginning of a page needs it.
//!
//! The decoder works through its whole window before it gives a byte, and a head of a few bits may ask for 16 MiB of it,
//! or, in a dialect that no browser speaks, for a gigabyte. But what stands in the first bytes of a page can only point
//! back to those: a window that is larger than what is searched changes nothing there. So a larger one is written
//! smaller. The invariant: the ring never has more than [`WINDOW`] bytes.

use std::io;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::SEARCHED;
use super::decode::{Room, STEP};

/// Bits of the largest window that is worked with.
const WINDOW_BITS: u8 = 19;
/// Bytes of it.
const WINDOW: usize = 1 << WINDOW_BITS;
/// The window's own bits at the front of a stream (section 9.1): for 18 and more a one, and how many beyond 17.
const WINDOW_MARK: u8 = ((WINDOW_BITS - 17) << 1) | 1;
/// Bytes that enter the decoder in one step: a page grows to a hundred times as many at most, far less than a window.
const TAKEN: usize = 1024;

// What is searched lies in one window, the few bytes beside that no distance may reach (section 9.1) included.
const _: () = assert!(SEARCHED < WINDOW - 16);

/// Memory that decoding takes: the ring, and tables of codes. A stream may have two hundred times the tables that pages
/// have; then it takes two megabytes more.
pub(super) const MEMORY: usize = WINDOW + 256 * 1024;

/// A stream on its way.
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_begun: bool,
    is_done: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        // Strict: without the dialect of large windows.
        let state =
            BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Self { state, is_begun: false, is_done: false }
    }

    /// Decodes the next piece into the room, as far as that goes.
    pub(super) fn unpack(&mut self, piece: &[u8], room: &mut Room) -> io::Result<()> {
        let mut rest = piece;
        if !self.is_begun
            && let Some((first, behind)) = piece.split_first()
        {
            self.is_begun = true;
            self.step(&[narrowed(*first)], room)?;
            rest = behind;
        }
        rest.chunks(TAKEN).try_for_each(|stretch| self.step(stretch, room))
    }

    fn step(&mut self, stretch: &[u8], room: &mut Room) -> io::Result<()> {
        let mut output = [0u8; STEP];
        let (mut left, mut at, mut sum) = (stretch.len(), 0, 0);
        while !self.is_done {
            let (mut free, mut given) = (STEP, 0);
            let came = BrotliDecompressStream(
                &mut left,
                &mut at,
                stretch,
                &mut free,
                &mut given,
                &mut output,
                &mut sum,
                &mut self.state,
            );
            room.give(output.get(..given).unwrap_or_default())?;
            match came {
                BrotliResult::ResultSuccess => self.is_done = true,
                BrotliResult::ResultFailure => return Err(io::ErrorKind::InvalidData.into()),
                // It takes all that there is before it asks for more, but may have more to give than fitted.
                BrotliResult::NeedsMoreInput if given < STEP => break,
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
        }
        Ok(())
    }
}

/// A stream's first byte, with a window that is not larger than ours. The sizes from 18 bits on are written in four bits
/// each, so that what follows stays where it is.
fn narrowed(first: u8) -> u8 {
    let mark = first & 0x0f;
    if mark & 1 == 1 && mark > WINDOW_MARK { (first & 0xf0) | WINDOW_MARK } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 64 MiB of blanks, by the `brotli` program with windows of 24 bits, and of 30 in the dialect.
    const BLANKS: &[u8] = include_bytes!("tests/blanks-24.br");
    const BLANKS_IN_DIALECT: &[u8] = include_bytes!("tests/blanks-30.br");

    #[test]
    fn a_window_is_never_larger_than_what_is_searched_needs() {
        for size in [1, 7, usize::MAX] {
            let (mut brotli, mut room) = (Brotli::new(), Room::of(SEARCHED));
            let came = BLANKS.chunks(size.min(BLANKS.len())).try_for_each(|piece| brotli.unpack(piece, &mut room));
            assert_eq!(came.unwrap_err().kind(), io::ErrorKind::StorageFull, "in pieces of {size}");
            assert_eq!(room.bytes(), vec![b' '; SEARCHED], "in pieces of {size}");
            assert!(brotli.state.ringbuffer_size as usize <= WINDOW, "{}", brotli.state.ringbuffer_size);
        }
    }

    #[test]
    fn the_dialect_of_large_windows_is_refused_at_its_first_byte() {
        let (mut brotli, mut room) = (Brotli::new(), Room::of(SEARCHED));
        let came = brotli.unpack(BLANKS_IN_DIALECT, &mut room);
        assert_eq!(came.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!((room.bytes().len(), brotli.state.ringbuffer_size), (0, 0));
    }

    #[test]
    fn the_sizes_of_windows_are_those_of_the_standard() {
        // RFC 7932 section 9.1: the bits, lowest first.
        for (bits, written) in [(18, 0b0011), (19, 0b0101), (20, 0b0111), (22, 0b1011), (24, 0b1111)] {
            assert_eq!(narrowed(0b0110_0000 | written), 0b0110_0000 | written.min(WINDOW_MARK), "{bits}");
        }
        // 16, 17, 10 and 15 bits.
        for small in [0b0, 0b000_0001, 0b010_0001, 0b111_0001] {
            assert_eq!(narrowed(small), small);
        }
    }
}

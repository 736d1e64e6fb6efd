//! A cursor over a message.
//!
//! The invariant: every step is checked against the message's end; a name costs at most
//! 254 steps.

use crate::name::{LABEL_BYTES, NAME_BYTES, Name};
use crate::wire::HEADER_BYTES;

/// Most pointers followed in one name: as many as it can have labels. More are a trap, since a pointer that leads to
/// a pointer is of no use.
const JUMPS: u8 = 127;

/// A place in a message, moving forward.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let part = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(part)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// A name, its compression undone. Pointers must lead to before the place where the label row that holds them
    /// began, and not into the header; so each pointer goes further back and a loop cannot be.
    pub(crate) fn name(&mut self) -> Option<Name> {
        let mut wire = Vec::with_capacity(64);
        let mut at = self.at;
        let mut row = self.at;
        let mut after: Option<usize> = None;
        let mut jumps = 0_u8;
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            let next = at.checked_add(1)?;
            match length {
                0 => {
                    wire.push(0);
                    self.at = after.unwrap_or(next);
                    return (wire.len() <= NAME_BYTES).then(|| Name::from_wire(&wire))?;
                }
                1..=LABEL_BYTES => {
                    let end = next.checked_add(length)?;
                    wire.extend_from_slice(self.bytes.get(at..end)?);
                    if wire.len() >= NAME_BYTES {
                        return None;
                    }
                    at = end;
                }
                0xc0.. => {
                    let low = usize::from(*self.bytes.get(next)?);
                    let target = ((length & 0x3f) << 8) | low;
                    if target >= row || target < HEADER_BYTES || jumps >= JUMPS {
                        return None;
                    }
                    jumps = jumps.saturating_add(1);
                    after = after.or(next.checked_add(1));
                    at = target;
                    row = target;
                }
                // 0x40 and 0x80 are reserved (RFC 6891, 5).
                _ => return None,
            }
        }
    }
}

//! The common query, read in one pass: one question of class IN, at most an OPT without options.
//!
//! The invariant: a message that is read here is one that `read_query` takes, with the same meaning.

use crate::kind::Type;
use crate::wire::{HEADER_BYTES, flag};

/// A query without anything uncommon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    /// Length of the name in wire form.
    pub(super) name_bytes: usize,
    /// Where the question ends.
    pub(super) question_end: usize,
    /// What is asked for.
    pub(super) kind: Type,
    /// The bits of the header that the answer repeats.
    pub(super) kept_flags: u16,
    /// EDNS, where the client speaks it.
    pub(super) edns: Option<Size>,
}

/// What the client said by EDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) udp_bytes: u16,
    pub(super) dnssec_ok: bool,
}

impl Plain {
    /// Reads a query and puts its name in lower case into `lower`. `None` for all that is not plain.
    pub(super) fn read(query: &[u8], lower: &mut [u8; 256]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = query.first_chunk()?;
        let [_, _, high, low, counts @ ..] = *header;
        let flags = u16::from_be_bytes([high, low]);
        // A query (opcode 0) with one question, and at most one record behind it.
        let has_opt = match counts {
            [0, 1, 0, 0, 0, 0, 0, more @ (0 | 1)] => more == 1,
            _ => return None,
        };
        if flags & (flag::QR | 0x7800) != 0 {
            return None;
        }
        let name_bytes = read_name(query.get(HEADER_BYTES..)?, lower)?;
        let after = HEADER_BYTES.checked_add(name_bytes)?;
        let rest: &[u8; 4] = query.get(after..)?.first_chunk()?;
        let [high, low, 0, 1] = *rest else { return None };
        let kind = Type(u16::from_be_bytes([high, low]));
        // Types of questions only, and DS, which the parent answers, take the long way.
        if kind == Type::DS || kind.is_meta() {
            return None;
        }
        let question_end = after.checked_add(4)?;
        let edns = read_opt(query.get(question_end..)?, has_opt)?;
        Some(Self { name_bytes, question_end, kind, kept_flags: flags & (flag::RD | flag::CD), edns })
    }
}

/// Puts the name that a query asks for into `lower`, in lower case; its length. Nothing else is looked at.
pub(super) fn name(query: &[u8], lower: &mut [u8; 256]) -> Option<usize> {
    read_name(query.get(HEADER_BYTES..)?, lower)
}

fn read_name(bytes: &[u8], lower: &mut [u8; 256]) -> Option<usize> {
    let mut end = 0_usize;
    loop {
        let length = *bytes.get(end)?;
        end = end.checked_add(usize::from(length))?.checked_add(1)?;
        // Pointers and reserved labels begin at 0x40; a name has at most 255 bytes.
        if length > 63 || end > 255 {
            return None;
        }
        if length == 0 {
            break;
        }
    }
    // All at once: a length is at most 63 and no letter.
    for (to, from) in lower.get_mut(..end)?.iter_mut().zip(bytes.get(..end)?) {
        *to = from.to_ascii_lowercase();
    }
    Some(end)
}

/// What stands behind the question: nothing, or exactly an OPT of version 0 without options.
fn read_opt(rest: &[u8], has_opt: bool) -> Option<Option<Size>> {
    match (rest, has_opt) {
        ([], false) => Some(None),
        (&[0, 0, 41, high, low, _, 0, bits, _, 0, 0], true) => {
            Some(Some(Size { udp_bytes: u16::from_be_bytes([high, low]), dnssec_ok: bits & 0x80 != 0 }))
        }
        _ => None,
    }
}

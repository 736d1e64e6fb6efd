//! The record that carries a signature: found at a message's end, taken off it, put on it (RFC 8945, 4.2).
//!
//! The invariant: what is signed is the message as it was before the record was put on, its own id restored.

use std::time::Duration;

use super::key::Algorithm;
use crate::kind::{Class, Type};
use crate::name::Name;
use crate::wire::{Cursor, HEADER_BYTES};

/// Where a header counts the additional records.
const COUNT_AT: usize = 10;

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// The key's name.
    pub(super) name: Name,
    /// The algorithm's name.
    pub(super) algorithm: Name,
    /// When it was made, since 1970, in whole seconds.
    pub(super) time: u64,
    /// How far the other clock may differ.
    pub(super) fudge: u16,
    /// The signature.
    pub(super) mac: Vec<u8>,
    /// The id that was signed.
    pub(super) id: u16,
    /// The error.
    pub(super) error: u16,
    /// The server's time, with BADTIME.
    pub(super) other: Vec<u8>,
}

/// A message and the signature that stood at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    /// The message as it was signed.
    pub(super) message: Vec<u8>,
    /// Its signature.
    pub(super) signature: Signature,
}

/// The record is not one, or stands elsewhere than last in the additional section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Takes the signature off a message; `None` where it has none.
pub(super) fn take_off(bytes: &[u8]) -> Result<Option<Signed>, Malformed> {
    let Some((start, signature)) = find(bytes).ok_or(Malformed)? else { return Ok(None) };
    let mut message = bytes.get(..start).ok_or(Malformed)?.to_vec();
    let count = read_u16(&message, COUNT_AT).and_then(|count| count.checked_sub(1)).ok_or(Malformed)?;
    set_u16(&mut message, COUNT_AT, count);
    set_u16(&mut message, 0, signature.id);
    Ok(Some(Signed { message, signature }))
}

/// Puts the signature on a message. A message that counts as many records as it can is left as it is: it cannot be.
pub(super) fn put_on(message: &mut Vec<u8>, signature: &Signature) {
    let Some(count) = read_u16(message, COUNT_AT).and_then(|count| count.checked_add(1)) else { return };
    set_u16(message, COUNT_AT, count);
    message.extend_from_slice(signature.name.as_wire());
    for number in [Type::TSIG.0, Class::ANY.0, 0, 0] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    let mut data = signature.algorithm.as_wire().to_vec();
    data.extend_from_slice(&time_bytes(signature.time));
    data.extend_from_slice(&signature.fudge.to_be_bytes());
    put_counted(&mut data, &signature.mac);
    data.extend_from_slice(&signature.id.to_be_bytes());
    data.extend_from_slice(&signature.error.to_be_bytes());
    put_counted(&mut data, &signature.other);
    put_counted(message, &data);
}

impl Signature {
    /// The record's part of what is signed (RFC 8945, 4.3.3): names in lower case.
    pub(super) fn variables(&self) -> Vec<u8> {
        let mut bytes = self.name.to_lower().as_wire().to_vec();
        bytes.extend_from_slice(&Class::ANY.0.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.algorithm.to_lower().as_wire());
        bytes.extend_from_slice(&self.timers());
        bytes.extend_from_slice(&self.error.to_be_bytes());
        put_counted(&mut bytes, &self.other);
        bytes
    }

    /// The part of it that is signed in the later messages of a row (RFC 8945, 5.3.1).
    pub(super) fn timers(&self) -> Vec<u8> {
        let mut bytes = time_bytes(self.time).to_vec();
        bytes.extend_from_slice(&self.fudge.to_be_bytes());
        bytes
    }

    /// The algorithm, where it is one of ours.
    pub(super) fn known_algorithm(&self) -> Option<Algorithm> {
        let lower = self.algorithm.to_lower();
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.wire() == lower.as_wire())
    }

    /// The other side's time, where the error is about it.
    pub(super) fn other_time(&self) -> Option<Duration> {
        let bytes = self.other.first_chunk::<6>().filter(|_| self.other.len() == 6)?;
        Some(Duration::from_secs(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))))
    }
}

/// A signature before it is made: its own field is empty.
pub(super) fn blank(name: &Name, algorithm: Algorithm, now: Duration, fudge: u16, id: u16) -> Signature {
    let algorithm = Name::from_wire(&algorithm.wire()).unwrap_or_else(Name::root);
    let (name, time) = (name.clone(), now.as_secs());
    Signature { name, algorithm, time, fudge, mac: Vec::new(), id, error: 0, other: Vec::new() }
}

/// A number of 48 bits.
pub(super) fn time_bytes(time: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = time.min((1 << 48) - 1).to_be_bytes();
    bytes
}

/// A message's id.
pub(super) fn id_of(message: &[u8]) -> u16 {
    read_u16(message, 0).unwrap_or(0)
}

/// Where the signature begins, and what it says. The outer `None` is a message or a signature that is malformed.
fn find(bytes: &[u8]) -> Option<Option<(usize, Signature)>> {
    let mut cursor = Cursor::new(bytes, 0);
    cursor.take(4)?;
    let [questions, answers, authorities, additional] = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
    debug_assert_eq!(cursor.at(), HEADER_BYTES, "the header is read");
    for _ in 0..questions {
        cursor.name()?;
        cursor.take(4)?;
    }
    let records = u32::from(answers) + u32::from(authorities) + u32::from(additional);
    for left in (0..records).rev() {
        let start = cursor.at();
        let name = cursor.name()?;
        let (kind, class, ttl, length) = (Type(cursor.u16()?), Class(cursor.u16()?), cursor.u32()?, cursor.u16()?);
        let at = cursor.at();
        cursor.take(usize::from(length))?;
        if kind == Type::TSIG {
            let is_in_place = left == 0 && additional != 0 && cursor.is_at_end();
            let signature = data(bytes, at, name).filter(|_| is_in_place && class == Class::ANY && ttl == 0)?;
            return Some(Some((start, signature)));
        }
    }
    Some(None)
}

fn data(bytes: &[u8], at: usize, name: Name) -> Option<Signature> {
    let mut cursor = Cursor::new(bytes, at);
    let algorithm = cursor.name()?;
    let time = u64::from(cursor.u16()?) << 32 | u64::from(cursor.u32()?);
    let fudge = cursor.u16()?;
    let mac = counted(&mut cursor)?;
    let (id, error) = (cursor.u16()?, cursor.u16()?);
    let other = counted(&mut cursor)?;
    cursor.is_at_end().then_some(Signature { name, algorithm, time, fudge, mac, id, error, other })
}

fn counted(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let length = cursor.u16()?;
    cursor.take(usize::from(length)).map(<[u8]>::to_vec)
}

fn put_counted(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

fn set_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(slot) = bytes.get_mut(at..at.saturating_add(2)) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

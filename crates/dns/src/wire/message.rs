//! Whole messages read back, and queries of our own: for the self-test against the parent, and for tests.
//!
//! Not on the path of answers. The invariant: data of known types fits its layout, compression undone.

use super::flag;
use super::query::Question;
use super::read::Cursor;
use super::write::Writer;
use crate::kind::{Class, Type};
use crate::name::Name;
use crate::rdata::{Field, Rdata, layout};

/// A record of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub kind: Type,
    /// The class; for OPT the sender's datagram size.
    pub class: u16,
    /// The TTL; for OPT the upper bits of the response code, version and flags.
    pub ttl: u32,
    /// The data.
    pub data: Rdata,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id.
    pub id: u16,
    /// The header's second word.
    pub flags: u16,
    /// The questions.
    pub questions: Vec<Question>,
    /// The answer section.
    pub answer: Vec<MessageRecord>,
    /// The authority section.
    pub authority: Vec<MessageRecord>,
    /// The additional section, OPT included.
    pub additional: Vec<MessageRecord>,
}

impl Message {
    /// Reads a message; `None` where it is malformed.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        let (id, flags) = (cursor.u16()?, cursor.u16()?);
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        let mut questions = Vec::new();
        for _ in 0..counts[0] {
            questions.push(Question { name: cursor.name()?, kind: Type(cursor.u16()?), class: Class(cursor.u16()?) });
        }
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip(&counts[1..]) {
            for _ in 0..*count {
                section.push(record(bytes, &mut cursor)?);
            }
        }
        let [answer, authority, additional] = sections;
        cursor.is_at_end().then_some(Self { id, flags, questions, answer, authority, additional })
    }

    /// The response code's number, with the upper bits of OPT.
    pub fn rcode(&self) -> u16 {
        let upper = self.additional.iter().find(|record| record.kind == Type::OPT).map_or(0, |opt| opt.ttl >> 24);
        (u16::try_from(upper).unwrap_or(0) << 4) | (self.flags & 0x0f)
    }

    /// Whether the answer is authoritative.
    pub fn is_authoritative(&self) -> bool {
        self.flags & flag::AA != 0
    }

    /// Whether the answer is cut.
    pub fn is_truncated(&self) -> bool {
        self.flags & flag::TC != 0
    }
}

fn record(bytes: &[u8], cursor: &mut Cursor<'_>) -> Option<MessageRecord> {
    let owner = cursor.name()?;
    let (kind, class, ttl, length) = (Type(cursor.u16()?), cursor.u16()?, cursor.u32()?, cursor.u16()?);
    let start = cursor.at();
    let raw = cursor.take(usize::from(length))?;
    let data = match layout(kind) {
        Some(fields) if fields.iter().any(|field| matches!(field, Field::Name | Field::PlainName)) => {
            let end = start.checked_add(raw.len())?;
            expand(bytes.get(..end)?, start, fields)?
        }
        _ => raw.to_vec(),
    };
    Some(MessageRecord { owner, kind, class, ttl, data: Rdata::from_wire(kind, &data)? })
}

/// Data with its names written out. What follows the last name is copied.
fn expand(bytes: &[u8], start: usize, fields: &[Field]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(bytes, start);
    let mut data = Vec::new();
    for field in fields {
        match field {
            Field::Name | Field::PlainName => data.extend_from_slice(cursor.name()?.as_wire()),
            _ => {
                let rest = bytes.get(cursor.at()..)?;
                data.extend_from_slice(cursor.take(field.length(rest)?)?);
            }
        }
    }
    cursor.is_at_end().then_some(data)
}

/// Writes a query, with EDNS where `udp_bytes` is given.
pub fn write_query(id: u16, question: &Question, recursion_desired: bool, udp_bytes: Option<u16>) -> Vec<u8> {
    let mut writer = Writer::new(usize::from(u16::MAX));
    let flags = if recursion_desired { flag::RD } else { 0 };
    for value in [id, flags, 1, 0, 0, u16::from(udp_bytes.is_some())] {
        writer.u16(value);
    }
    writer.name(question.name.as_wire());
    writer.u16(question.kind.0);
    writer.u16(question.class.0);
    if let Some(size) = udp_bytes {
        writer.put(&[0]);
        writer.u16(Type::OPT.0);
        writer.u16(size);
        writer.put(&[0; 6]);
    }
    writer.into_bytes()
}

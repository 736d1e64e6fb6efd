//! Data of records as master-file text.
//!
//! The invariant: what is shown can be read back by `text` to the same bytes.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Field, base64, layout, split, svcb};
use crate::kind::Type;
use crate::name::Name;

pub(super) fn show(kind: Type, bytes: &[u8]) -> String {
    let parts = if layout(kind).is_some() { split(kind, bytes) } else { None };
    let Some(parts) = parts else { return unknown(bytes) };
    let words: Vec<String> = parts.into_iter().map(|(field, part)| word(field, part)).collect();
    words.join(" ").trim_end().to_owned()
}

/// The form of RFC 3597, 5.
fn unknown(bytes: &[u8]) -> String {
    format!("\\# {} {}", bytes.len(), hex(bytes)).trim_end().to_owned()
}

fn word(field: Field, part: &[u8]) -> String {
    match field {
        Field::U8 | Field::Algorithm | Field::U16 | Field::U32 | Field::Period => {
            part.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)).to_string()
        }
        Field::V4 => <[u8; 4]>::try_from(part).map(|b| Ipv4Addr::from(b).to_string()).unwrap_or_default(),
        Field::V6 => <[u8; 16]>::try_from(part).map(|b| Ipv6Addr::from(b).to_string()).unwrap_or_default(),
        Field::Name | Field::PlainName => Name::from_wire(part).map(|name| name.to_string()).unwrap_or_default(),
        Field::Text => quoted(part.get(1..).unwrap_or_default()),
        Field::Tag => String::from_utf8_lossy(part.get(1..).unwrap_or_default()).into_owned(),
        Field::Tail => quoted(part),
        Field::Texts => texts(part),
        Field::Hex => hex(part),
        Field::Base64 => base64::show(part),
        Field::Params => svcb::show(part),
    }
}

fn texts(mut part: &[u8]) -> String {
    let mut words = Vec::new();
    while let Some((&length, tail)) = part.split_first() {
        let Some((text, rest)) = tail.split_at_checked(usize::from(length)) else { break };
        words.push(quoted(text));
        part = rest;
    }
    words.join(" ")
}

/// Text in double quotes, with what needs it escaped.
pub(super) fn quoted(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..=0x7e => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
    out.push('"');
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut out, byte| {
        let _ = write!(out, "{byte:02X}");
        out
    })
}

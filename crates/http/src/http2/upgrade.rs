//! What of an HTTP/1.1 head a stream's message gets: the fields that are about the message and not about the connection.
//!
//! Not here: pseudo-fields, and putting names into lower case, which whoever makes the frames does. The invariant: no
//! field that RFC 9113 section 8.2.2 forbids ever passes.

use crate::fields::Fields;
use crate::known::Known;
use crate::{ResponseHead, field};

/// The fields of an answer that go to a stream.
pub fn answer_fields<'b>(head: &'b ResponseHead, buf: &'b [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
    let has_switched = head.switches_protocols();
    passing(head.fields(), buf).filter(move |(name, _)| {
        // The proof of the handshake means nothing to who had no key (RFC 8441 section 5).
        !has_switched || !name.eq_ignore_ascii_case(b"sec-websocket-accept")
    })
}

/// The fields of a request of ours that go to a server over HTTP/2, but for the authority and what is said of trailers.
pub fn request_fields<'b>(fields: &'b Fields, buf: &'b [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
    passing(fields, buf).filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"))
}

/// Whether the fields say that their sender takes trailers.
pub fn takes_trailers(fields: &Fields, buf: &[u8]) -> bool {
    fields.known(buf, Known::Te).flat_map(field::members).any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

/// The fields of a trailer section, as a decoded body has them: lines that were checked when they were read.
pub fn trailer_fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name, field::trim(value.get(1..)?.strip_suffix(b"\r")?)))
    })
}

fn passing<'b>(fields: &'b Fields, buf: &'b [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
    let passes = |known: Known| match known {
        // Spelt with underscores it is no field of the connection.
        Known::Alias => true,
        known => !known.is_hop_by_hop(),
    };
    fields.iter(buf).filter(move |field| passes(field.known)).map(|field| (field.name, field.value))
}

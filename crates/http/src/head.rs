//! What request heads and answer heads have in common: lines, fields, and the three fields that frame a message.
//!
//! Not here: first lines, and what follows from the fields for a request or an answer. A line is judged once, when
//! all of it has come, and in the order of lines, so that the verdict does not depend on how the bytes were cut; what
//! was searched for a line's end is not searched again, so that a dripping peer costs no more than a fast one.

use std::ops::Range;

use evenkeel_model::caps;

use crate::field;
use crate::fields::{Fields, Span};
use crate::known::Known;

/// What is wrong with a line or a field, whatever the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadFault {
    LineEnd,
    TooLong,
    TooManyFields,
    FieldName,
    FieldValue,
    Folded,
    ContentLength,
    RepeatedContentLength,
    TransferEncoding,
    UnknownTransferEncoding,
    Connection,
}

/// Where a resumable parse stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Where the line begins that is not read yet.
    line: usize,
    /// Up to where its end was searched.
    scanned: usize,
}

impl Lines {
    /// The next whole line without its CR LF, or `None` where more bytes are needed.
    pub(crate) fn next(&mut self, buf: &[u8], limit: usize) -> Result<Option<Range<usize>>, HeadFault> {
        let unseen = buf.get(self.scanned..).unwrap_or_default();
        let Some(offset) = memchr::memchr(b'\n', unseen) else {
            self.scanned = buf.len();
            return if buf.len() >= limit { Err(HeadFault::TooLong) } else { Ok(None) };
        };
        let feed = self.scanned.saturating_add(offset);
        let next = feed.saturating_add(1);
        if next > limit {
            return Err(HeadFault::TooLong);
        }
        let end = feed.checked_sub(1).filter(|&end| end >= self.line && buf.get(end) == Some(&b'\r'));
        let Some(end) = end else { return Err(HeadFault::LineEnd) };
        let line = self.line..end;
        self.line = next;
        self.scanned = next;
        Ok(Some(line))
    }

    /// How many bytes the lines read so far had.
    pub(crate) fn consumed(self) -> usize {
        self.line
    }
}

/// What the fields of a message say about its body and its connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// `Connection` names fields that may have to go.
    pub(crate) names_fields: bool,
    options: usize,
}

/// Reads one field line into the table and notes what it claims.
pub(crate) fn read_field(
    fields: &mut Fields,
    claims: &mut Claims,
    buf: &[u8],
    line: Range<usize>,
    limit: usize,
) -> Result<Known, HeadFault> {
    let (name, value, known) = cut_field(buf, line)?;
    if fields.len() >= limit {
        return Err(HeadFault::TooManyFields);
    }
    note_claims(claims, known, name.of(buf), value.of(buf))?;
    fields.push(name, value, known);
    Ok(known)
}

/// Cuts a field line into name and value (RFC 9112 section 5) and checks every byte of both.
pub(crate) fn cut_field(buf: &[u8], line: Range<usize>) -> Result<(Span, Span, Known), HeadFault> {
    let bytes = buf.get(line.clone()).unwrap_or_default();
    if matches!(bytes.first(), Some(b' ' | b'\t')) {
        return Err(HeadFault::Folded);
    }
    let colon = memchr::memchr(b':', bytes).ok_or(HeadFault::FieldName)?;
    let (name, raw) = bytes.split_at_checked(colon).ok_or(HeadFault::FieldName)?;
    if !field::is_token(name) {
        return Err(HeadFault::FieldName);
    }
    let raw = raw.get(1..).unwrap_or_default();
    if !field::is_value(raw) {
        // A carriage return amid the line is a broken line, whatever else is in it.
        let fault = if memchr::memchr(b'\r', raw).is_some() { HeadFault::LineEnd } else { HeadFault::FieldValue };
        return Err(fault);
    }
    let begun = field::trim_start(raw);
    let value_start = line.end.saturating_sub(begun.len());
    let value_end = value_start.saturating_add(field::trim_end(begun).len());
    let name_end = line.start.saturating_add(colon);
    Ok((Span::new(line.start, name_end), Span::new(value_start, value_end), Known::of(name)))
}

fn note_claims(claims: &mut Claims, known: Known, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
    match known {
        Known::ContentLength => note_length(claims, value),
        Known::TransferEncoding => note_coding(claims, value),
        Known::Connection => note_options(claims, value),
        // A framing field in disguise is meant for somebody behind us.
        Known::Alias if field::is_same_or_alias(name, b"content-length") => Err(HeadFault::ContentLength),
        Known::Alias if field::is_same_or_alias(name, b"transfer-encoding") => Err(HeadFault::TransferEncoding),
        _ => Ok(()),
    }
}

/// RFC 9112 section 6.3 lets identical repetitions pass; we do not, since whoever sends them means to confuse.
fn note_length(claims: &mut Claims, value: &[u8]) -> Result<(), HeadFault> {
    let length = field::strict_number(value).ok_or(HeadFault::ContentLength)?;
    if claims.length.replace(length).is_some() {
        return Err(HeadFault::RepeatedContentLength);
    }
    Ok(())
}

fn note_coding(claims: &mut Claims, value: &[u8]) -> Result<(), HeadFault> {
    if claims.chunked {
        return Err(HeadFault::TransferEncoding);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        claims.chunked = true;
        return Ok(());
    }
    Err(if field::is_token(value) { HeadFault::UnknownTransferEncoding } else { HeadFault::TransferEncoding })
}

fn note_options(claims: &mut Claims, value: &[u8]) -> Result<(), HeadFault> {
    for option in field::members(value) {
        claims.options = claims.options.saturating_add(1);
        if claims.options > caps::CONNECTION_OPTIONS || !field::is_token(option) {
            return Err(HeadFault::Connection);
        }
        if option.eq_ignore_ascii_case(b"close") {
            claims.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            claims.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            claims.upgrade = true;
        } else {
            claims.names_fields = true;
        }
    }
    Ok(())
}

//! What request heads and answer heads have in common: lines, fields, and the three fields that frame a message.
//!
//! Not here: first lines, and what follows from the fields for a request or an answer. A line is judged once, when
//! all of it has come, and in the order of lines, so that the verdict does not depend on how the bytes were cut; what
//! was searched for a line's end is not searched again, so that a dripping peer costs no more than a fast one.

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

/// One whole line of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'b> {
    /// It, without its CR LF.
    pub(crate) bytes: &'b [u8],
    /// Where it begins in the buffer.
    pub(crate) start: usize,
    /// Whether some byte of it may not stand in a value.
    pub(crate) is_odd: bool,
}

/// Where a resumable parse stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Where the line begins that is not read yet.
    line: usize,
    /// Up to where its end was searched.
    scanned: usize,
    /// Whether a byte was seen in it that may not stand in a value.
    is_odd: bool,
}

impl Lines {
    /// The next whole line, or `None` where more bytes are needed. Most lines end at the first byte that no value may
    /// have: one pass tells both where and that the line is sound.
    #[inline]
    pub(crate) fn next<'b>(&mut self, buf: &'b [u8], limit: usize) -> Result<Option<Line<'b>>, HeadFault> {
        let unseen = buf.get(self.scanned..).unwrap_or_default();
        let sound = if self.is_odd { 0 } else { field::value_length(unseen) };
        self.scanned += sound;
        match unseen.get(sound..).unwrap_or_default() {
            [b'\r', b'\n', ..] if !self.is_odd => self.cut(buf, self.scanned, limit),
            [] | [b'\r'] if !self.is_odd => Self::wait(buf, limit),
            rest => {
                self.is_odd = true;
                let Some(offset) = memchr::memchr(b'\n', rest) else {
                    self.scanned = buf.len();
                    return Self::wait(buf, limit);
                };
                let feed = self.scanned.saturating_add(offset);
                let end = feed.checked_sub(1).filter(|&end| end >= self.line && buf.get(end) == Some(&b'\r'));
                match end {
                    Some(end) => self.cut(buf, end, limit),
                    None if feed >= limit => Err(HeadFault::TooLong),
                    None => Err(HeadFault::LineEnd),
                }
            }
        }
    }

    /// Cuts the line whose CR stands at `end`, and begins the next one.
    #[inline]
    fn cut<'b>(&mut self, buf: &'b [u8], end: usize, limit: usize) -> Result<Option<Line<'b>>, HeadFault> {
        let next = end + 2;
        if next > limit {
            return Err(HeadFault::TooLong);
        }
        let bytes = buf.get(self.line..end).unwrap_or_default();
        let line = Line { bytes, start: self.line, is_odd: self.is_odd };
        *self = Self { line: next, scanned: next, is_odd: false };
        Ok(Some(line))
    }

    /// No end is there yet.
    fn wait<'b>(buf: &[u8], limit: usize) -> Result<Option<Line<'b>>, HeadFault> {
        if buf.len() >= limit { Err(HeadFault::TooLong) } else { Ok(None) }
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
#[inline]
pub(crate) fn read_field(
    fields: &mut Fields,
    claims: &mut Claims,
    line: &Line<'_>,
    limit: usize,
) -> Result<Known, HeadFault> {
    let (name, tail) = cut_field(line.bytes, line.is_odd)?;
    if fields.len() >= limit {
        return Err(HeadFault::TooManyFields);
    }
    let value = field::trim_end(tail);
    let known = Known::of(name);
    note_claims(claims, known, name, value)?;
    let value_start = line.start + (line.bytes.len() - tail.len());
    fields.push(Span::of_length(line.start, name.len()), Span::of_length(value_start, value.len()), known);
    Ok(known)
}

/// Cuts a field line into its name and its value (RFC 9112 section 5), which may have blanks behind it, and checks every
/// byte of both.
#[inline]
pub(crate) fn cut_field(line: &[u8], is_odd: bool) -> Result<(&[u8], &[u8]), HeadFault> {
    let (name, rest) = line.split_at_checked(field::token_length(line)).unwrap_or_default();
    let raw = match (name, rest) {
        ([], [b' ' | b'\t', ..]) => return Err(HeadFault::Folded),
        ([_, ..], [b':', raw @ ..]) => raw,
        _ => return Err(HeadFault::FieldName),
    };
    if is_odd && !field::is_value(raw) {
        // A carriage return amid the line is a broken line, whatever else is in it.
        return Err(if raw.contains(&b'\r') { HeadFault::LineEnd } else { HeadFault::FieldValue });
    }
    Ok((name, field::trim_start(raw)))
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

#[cfg(test)]
mod tests;

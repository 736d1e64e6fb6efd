//! Data of records from master-file text, driven by the same layouts as the wire form.
//!
//! Not the zone file's grammar: words arrive cut. The invariant: what is made here fits its layout.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Field, Rdata, base64, layout, split, svcb, wrong_digest};
use crate::kind::Type;
use crate::name::{Name, unescape};

/// One word of a record's text. Escapes are still in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// The text; for a quoted word without its quotes.
    pub text: &'a [u8],
    /// Whether the whole word stood in quotes.
    pub quoted: bool,
}

/// Why words are not the data of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdataError {
    /// Which word is wrong, counted from 0; `None` where words are missing.
    pub word: Option<usize>,
    /// What is wrong, as a sentence.
    pub text: String,
}

impl fmt::Display for RdataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RdataError {}

struct Reader<'a> {
    words: &'a [Word<'a>],
    at: usize,
    origin: Option<&'a Name>,
}

impl<'a> Reader<'a> {
    fn next(&mut self, wanted: &str) -> Result<Word<'a>, RdataError> {
        let word = self.words.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        word.ok_or_else(|| RdataError { word: None, text: format!("{wanted} is missing at the end of the record") })
    }

    /// The next word, where no quotes may stand around it: it is no text.
    fn bare(&mut self, wanted: &str) -> Result<Word<'a>, RdataError> {
        let word = self.next(wanted)?;
        if word.quoted {
            return Err(self.wrong(format!("`{}` stands in quotes; write {wanted} without them", lossy(word.text))));
        }
        Ok(word)
    }

    fn rest(&mut self) -> &'a [Word<'a>] {
        let rest = self.words.get(self.at..).unwrap_or_default();
        self.at = self.words.len();
        rest
    }

    fn wrong(&self, text: impl Into<String>) -> RdataError {
        RdataError { word: Some(self.at.saturating_sub(1)), text: text.into() }
    }
}

/// Reads the words of a record's data.
pub(crate) fn parse(kind: Type, words: &[Word<'_>], origin: Option<&Name>) -> Result<Rdata, RdataError> {
    let cut: Vec<Word<'_>>;
    let words = if matches!(kind, Type::SVCB | Type::HTTPS) || !words.iter().any(|word| holds_quotes(word.text)) {
        words
    } else {
        cut = words.iter().flat_map(pieces).collect();
        &cut
    };
    let mut reader = Reader { words, at: 0, origin };
    if words.first().is_some_and(|word| word.text == b"\\#" && !word.quoted) {
        return unknown(kind, &mut reader);
    }
    let Some(layout) = layout(kind) else {
        let text = format!("the data of {kind} can only be given as `\\# LENGTH HEX` (RFC 3597)");
        return Err(RdataError { word: Some(0), text });
    };
    let mut bytes = Vec::with_capacity(32);
    for &field in layout {
        read_field(field, &mut reader, &mut bytes)?;
    }
    if reader.at < words.len() {
        reader.at = reader.at.saturating_add(1);
        return Err(reader.wrong(format!("{kind} takes {} words, this one is too many", reader.at.saturating_sub(1))));
    }
    if let Some(wrong) = wrong_digest(kind, &bytes) {
        let text = format!("the digest has {} bytes; one of kind {} has {}", wrong.length, wrong.kind, wrong.wanted);
        // It is the last field.
        return Err(RdataError { word: layout.len().checked_sub(1), text });
    }
    Rdata::from_wire(kind, &bytes).ok_or_else(|| RdataError {
        word: None,
        text: format!("the data has {} bytes; at most 65535 fit", bytes.len()),
    })
}

fn read_field(field: Field, reader: &mut Reader<'_>, bytes: &mut Vec<u8>) -> Result<(), RdataError> {
    match field {
        Field::U8 => bytes.push(number(reader, u8::MAX.into())?.to_be_bytes()[3]),
        Field::Algorithm => bytes.push(algorithm(reader)?),
        Field::U16 => bytes.extend_from_slice(&number(reader, u16::MAX.into())?.to_be_bytes()[2..]),
        Field::U32 => bytes.extend_from_slice(&number(reader, u32::MAX)?.to_be_bytes()),
        Field::Period => {
            let word = reader.bare("a duration")?;
            let seconds = period(word.text).ok_or_else(|| {
                reader.wrong(format!("`{}` is no duration; write seconds or units as in 1h30m", lossy(word.text)))
            })?;
            bytes.extend_from_slice(&seconds.to_be_bytes());
        }
        Field::V4 => bytes.extend_from_slice(&address::<Ipv4Addr>(reader, "an IPv4 address")?.octets()),
        Field::V6 => bytes.extend_from_slice(&address::<Ipv6Addr>(reader, "an IPv6 address")?.octets()),
        Field::Name | Field::PlainName => {
            let word = reader.bare("a name")?;
            bytes.extend_from_slice(read_name(word, reader)?.as_wire());
        }
        Field::Text => {
            let word = reader.next("a text")?;
            push_text(word, reader, bytes)?;
        }
        Field::Texts => {
            let word = reader.next("a text")?;
            push_text(word, reader, bytes)?;
            while reader.at < reader.words.len() {
                let word = reader.next("a text")?;
                push_text(word, reader, bytes)?;
            }
        }
        Field::Tag => {
            let word = reader.next("a tag")?;
            if word.text.is_empty() || !word.text.iter().all(u8::is_ascii_alphanumeric) {
                return Err(reader.wrong(format!("`{}` is no tag; use letters and digits", lossy(word.text))));
            }
            push_text(word, reader, bytes)?;
        }
        Field::Tail => {
            let word = reader.next("a value")?;
            bytes.extend_from_slice(&decode_text(word.text).ok_or_else(|| reader.wrong(BAD_ESCAPE))?);
        }
        Field::Hex => {
            let word = reader.bare("hexadecimal data")?;
            read_hex(word, reader, bytes)?;
        }
        Field::Base64 => read_base64(reader, bytes)?,
        Field::Params => {
            let first = reader.at;
            let params = svcb::parse(reader.rest());
            let params = params.map_err(|(at, text)| RdataError { word: Some(first.saturating_add(at)), text })?;
            bytes.extend_from_slice(&params);
        }
    }
    Ok(())
}

const BAD_ESCAPE: &str = "`\\` must be followed by one character or by three digits up to 255";

fn unknown(kind: Type, reader: &mut Reader<'_>) -> Result<Rdata, RdataError> {
    reader.at = 1;
    let length = number(reader, u16::MAX.into())?;
    let mut bytes = Vec::new();
    if reader.at < reader.words.len() {
        let word = reader.bare("hexadecimal data")?;
        read_hex(word, reader, &mut bytes)?;
    }
    if u32::try_from(bytes.len()).ok() != Some(length) {
        return Err(RdataError {
            word: Some(1),
            text: format!("the length is given as {length} and {} bytes follow", bytes.len()),
        });
    }
    if split(kind, &bytes).is_none() {
        return Err(RdataError { word: None, text: format!("the bytes do not fit the layout of {kind}") });
    }
    Rdata::from_wire(kind, &bytes)
        .ok_or_else(|| RdataError { word: None, text: format!("the bytes do not fit the layout of {kind}") })
}

fn number(reader: &mut Reader<'_>, most: u32) -> Result<u32, RdataError> {
    let word = reader.bare("a number")?;
    let digits = std::str::from_utf8(word.text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let value = digits.and_then(|text| text.parse::<u32>().ok()).filter(|value| *value <= most);
    value.ok_or_else(|| reader.wrong(format!("`{}` is no number from 0 to {most}", lossy(word.text))))
}

/// The names of signing algorithms (RFC 4034, A.1, and the registry), those of BIND among them.
const ALGORITHMS: [(&str, u8); 18] = [
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// RFC 4034, 2.2 and 5.3: by its number or by its name.
fn algorithm(reader: &mut Reader<'_>) -> Result<u8, RdataError> {
    let word = reader.bare("an algorithm")?;
    let is_it = |(name, _): &&(&str, u8)| name.as_bytes().eq_ignore_ascii_case(word.text);
    if let Some((_, number)) = ALGORITHMS.iter().find(is_it) {
        return Ok(*number);
    }
    let number = std::str::from_utf8(word.text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        let given = lossy(word.text);
        reader
            .wrong(format!("`{given}` is no algorithm; write a number from 0 to 255 or a name such as ECDSAP256SHA256"))
    })
}

fn address<T: std::str::FromStr>(reader: &mut Reader<'_>, wanted: &str) -> Result<T, RdataError> {
    let word = reader.bare(wanted)?;
    let parsed = std::str::from_utf8(word.text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| reader.wrong(format!("`{}` is not {wanted}", lossy(word.text))))
}

fn read_name(word: Word<'_>, reader: &Reader<'_>) -> Result<Name, RdataError> {
    let made = match (word.text, reader.origin) {
        (b"@", Some(origin)) => Ok(origin.clone()),
        (text, origin) => Name::from_text(text, origin),
    };
    made.map_err(|error| reader.wrong(format!("`{}`: {error}", lossy(word.text))))
}

fn push_text(word: Word<'_>, reader: &Reader<'_>, bytes: &mut Vec<u8>) -> Result<(), RdataError> {
    if word.text.contains(&0) {
        return Err(
            reader.wrong("a byte 0 stands in the text, as in a damaged file; one that is meant is written `\\000`")
        );
    }
    let text = decode_text(word.text).ok_or_else(|| reader.wrong(BAD_ESCAPE))?;
    let length = u8::try_from(text.len()).map_err(|_| {
        reader.wrong(format!("a text has {} bytes; at most 255 are allowed, write several", text.len()))
    })?;
    bytes.push(length);
    bytes.extend_from_slice(&text);
    Ok(())
}

fn read_hex(first: Word<'_>, reader: &mut Reader<'_>, bytes: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut digits = first.text.to_vec();
    while reader.at < reader.words.len() {
        digits.extend_from_slice(reader.bare("hexadecimal data")?.text);
    }
    for pair in digits.chunks(2) {
        let value = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2 && !text.starts_with('+'));
        let value = value.and_then(|text| u8::from_str_radix(text, 16).ok());
        bytes.push(value.ok_or_else(|| reader.wrong("hexadecimal data needs an even number of digits 0-9 and a-f"))?);
    }
    Ok(())
}

fn read_base64(reader: &mut Reader<'_>, bytes: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut digits = reader.bare("data in base 64")?.text.to_vec();
    while reader.at < reader.words.len() {
        digits.extend_from_slice(reader.bare("data in base 64")?.text);
    }
    let read = base64::read(&digits);
    bytes.extend(read.ok_or_else(|| reader.wrong("data in base 64 needs whole groups of four characters"))?);
    Ok(())
}

/// Whether a quote stands in a text that is not escaped.
pub(super) fn holds_quotes(text: &[u8]) -> bool {
    let mut escaped = false;
    text.iter().any(|byte| {
        let is_quote = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_quote
    })
}

/// A word cut where quotes begin and end in it, each part a word of its own: `key="a b"` is `key=` and `a b`, as BIND
/// reads it.
fn pieces<'a>(word: &Word<'a>) -> Vec<Word<'a>> {
    if word.quoted {
        return vec![*word];
    }
    let (mut all, mut rest, mut quoted) = (Vec::new(), word.text, false);
    while !rest.is_empty() {
        let mut escaped = false;
        let quote = rest.iter().position(|byte| {
            let is_quote = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            is_quote
        });
        let (text, tail) = rest.split_at(quote.unwrap_or(rest.len()));
        if quoted || !text.is_empty() {
            all.push(Word { text, quoted });
        }
        quoted = !quoted;
        rest = tail.get(1..).unwrap_or_default();
    }
    all
}

/// The text of a word with its escapes undone; `None` at a bad escape.
pub fn decode_text(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let (value, tail) = unescape(tail)?;
            out.push(value);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// Seconds from digits, with units if wished: `300`, `1h30m`, `2W`. `None` where it is no duration or more than
/// 32 bits.
pub(crate) fn period(text: &[u8]) -> Option<u32> {
    let mut total: u32 = 0;
    let mut pending: Option<u32> = None;
    let mut seen_unit = false;
    for &byte in text {
        if byte.is_ascii_digit() {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            pending = Some(pending.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match byte.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(pending.take()?.checked_mul(unit)?)?;
        seen_unit = true;
    }
    match pending {
        // `1h30` says nothing about the 30.
        Some(_) if seen_unit => None,
        Some(plain) => Some(plain),
        None => seen_unit.then_some(total),
    }
}

pub(crate) fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

//! Paths and queries: which are sound, their normal form for matching, and prefixes taken off and put before.
//!
//! Not here: hosts (`authority`) and patterns (`matching`). The invariant: rules are matched on one normal form, and what
//! is forwarded is what the client wrote, byte for byte, unless a rewrite was configured. A path whose normal form and
//! servers' own reading could differ in where it leads is not sound, and refused before any rule is asked.
//!
//! The normal form is that of RFC 3986 section 6.2.2 (unreserved characters unescaped, escapes in upper case, dot
//! segments resolved), and runs of slashes count as one, as most servers have it: a rule that could be dodged by writing
//! a slash twice is no rule. An escaped slash stays an escape: it is data.

use evenkeel_model::config::PathRewrite;

/// Whether every server reads the path alike: escapes are whole, none stands for NUL or a backslash, no octets are an
/// overlong form of UTF-8, there is no backslash, and no dot segment carries parameters (`..;`).
pub(crate) fn is_sound_path(path: &[u8]) -> bool {
    if memchr::memchr3(b'%', b'\\', b';', path).is_none() {
        return true;
    }
    memchr::memchr(b'\\', path).is_none()
        && has_sound_escapes(path)
        && path.split(|&b| b == b'/').all(|segment| !is_parametrised_dots(segment))
}

fn has_sound_escapes(path: &[u8]) -> bool {
    let mut before = 0u8;
    octets(path).all(|octet| {
        let value = octet.value();
        let overlong = match before {
            0xc0 | 0xc1 => matches!(value, 0x80..=0xbf),
            0xe0 => matches!(value, 0x80..=0x9f),
            0xf0 => matches!(value, 0x80..=0x8f),
            0xf8 => matches!(value, 0x80..=0x87),
            0xfc => matches!(value, 0x80..=0x83),
            _ => false,
        };
        before = value;
        !overlong && !matches!(octet, Octet::Plain(b'%') | Octet::Escaped(0 | b'\\'))
    })
}

/// Whether the segment is `.;…` or `..;…`, escaped or not: some servers drop what follows the `;` and go up.
fn is_parametrised_dots(segment: &[u8]) -> bool {
    let dots = octets(segment).take_while(|octet| octet.value() == b'.').count();
    matches!(dots, 1 | 2) && octets(segment).nth(dots).is_some_and(|octet| octet.value() == b';')
}

/// A byte of a target, or what an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Octet {
    Plain(u8),
    Escaped(u8),
}

impl Octet {
    pub(crate) fn value(self) -> u8 {
        match self {
            Self::Plain(value) | Self::Escaped(value) => value,
        }
    }
}

/// The octets that the bytes stand for. A `%` that begins no escape stands for itself.
pub(crate) fn octets(bytes: &[u8]) -> impl Iterator<Item = Octet> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if let [b'%', high, low, tail @ ..] = rest
            && let Some(meant) = hex_pair(*high, *low)
        {
            rest = tail;
            return Some(Octet::Escaped(meant));
        }
        let (first, tail) = rest.split_first()?;
        rest = tail;
        Some(Octet::Plain(*first))
    })
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The path in normal form: `raw` itself where it is that already, else written into `scratch`.
pub fn normal_path<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if is_normal(raw) {
        return raw;
    }
    scratch.clear();
    unescape(raw, scratch);
    resolve(scratch);
    scratch
}

/// Whether nothing in the path could change. May err on the side of no.
fn is_normal(path: &[u8]) -> bool {
    let twins = path.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
    !twins && memchr::memchr(b'%', path).is_none()
}

/// Unescapes what needs no escape and writes the other escapes in upper case.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    for octet in octets(raw) {
        match octet {
            Octet::Escaped(value) if !is_unreserved(value) => {
                out.extend_from_slice(&[b'%', digit(value >> 4), digit(value & 0xf)]);
            }
            // A `%` that begins no escape must not begin one when what follows it is unescaped.
            Octet::Plain(b'%') => out.extend_from_slice(b"%25"),
            octet => out.push(octet.value()),
        }
    }
}

/// Resolves dot segments and merges slashes, in place: what is kept is never longer than what was read so far.
fn resolve(path: &mut Vec<u8>) {
    if path.first() != Some(&b'/') {
        return;
    }
    // Segments are copied to the front one by one; `kept` is where the next one goes, always after a slash.
    let (mut read, mut kept) = (1usize, 1usize);
    loop {
        let rest = path.get(read..).unwrap_or_default();
        let len = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let last = len == rest.len();
        match rest.get(..len).unwrap_or_default() {
            b"" | b"." => {}
            b".." => {
                let parent = path.get(..kept.saturating_sub(1)).unwrap_or_default();
                kept = memchr::memrchr(b'/', parent).map_or(1, |slash| slash.saturating_add(1));
            }
            _ => {
                let end = read.saturating_add(len).saturating_add(usize::from(!last));
                path.copy_within(read..end, kept);
                kept = kept.saturating_add(end.saturating_sub(read));
            }
        }
        if last {
            break;
        }
        read = read.saturating_add(len).saturating_add(1);
    }
    path.truncate(kept);
}

/// Appends the path that a server gets: without the prefix to strip, behind the prefix to add.
///
/// The client's own bytes are kept where no segment of theirs could lead out of the prefix that is added, or elsewhere
/// once one is gone; else the normal form is cut. A path that does not begin with the prefix to strip keeps it all.
pub fn rewrite_path(out: &mut Vec<u8>, raw: &[u8], normal: &[u8], rewrite: &PathRewrite) {
    if raw.first() != Some(&b'/') {
        out.extend_from_slice(raw);
        return;
    }
    let base = if has_plain_segments(raw) { raw } else { normal };
    let strip = rewrite.strip.as_ref().map_or("", |prefix| prefix.strip_suffix('/').unwrap_or(prefix)).as_bytes();
    let rest = below(base, strip).or_else(|| below(normal, strip)).unwrap_or(base);
    if let Some(add) = &rewrite.add {
        out.extend_from_slice(add.strip_suffix('/').unwrap_or(add).as_bytes());
    }
    out.extend_from_slice(if rest.is_empty() { b"/" } else { rest });
}

/// Whether the path has no dot segments, escaped ones included, and no two slashes in a row.
fn has_plain_segments(path: &[u8]) -> bool {
    let is_dots = |segment: &[u8]| {
        !segment.is_empty()
            && octets(segment).take(3).all(|octet| octet.value() == b'.')
            && octets(segment).count() <= 2
    };
    memchr::memmem::find(path, b"//").is_none() && !path.split(|&b| b == b'/').any(is_dots)
}

/// What follows a prefix of whole segments: empty or beginning with a slash.
pub(crate) fn below<'p>(path: &'p [u8], prefix: &[u8]) -> Option<&'p [u8]> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// The names and values of a query, as written; a part without `=` has an empty value.
pub fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&b| b == b'&').filter(|part| !part.is_empty()).map(|part| match memchr::memchr(b'=', part) {
        Some(at) => (part.get(..at).unwrap_or_default(), part.get(at.saturating_add(1)..).unwrap_or_default()),
        None => (part, &[][..]),
    })
}

/// The first value of that name as written. Names are compared unescaped.
pub fn query_value<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query_pairs(query).find(|(found, _)| means(found, name)).map(|(_, value)| value)
}

/// The first value of the path parameter of that name (`/cart;jsessionid=abc`, RFC 3986 section 3.3), as written.
pub fn path_parameter<'p>(path: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let parameters = path.split(|&b| b == b'/').flat_map(|segment| segment.split(|&b| b == b';').skip(1));
    let mut pairs = parameters.filter_map(|part| {
        let at = memchr::memchr(b'=', part)?;
        Some((part.get(..at)?, part.get(at.saturating_add(1)..)?))
    });
    pairs.find(|(found, _)| means(found, name)).map(|(_, value)| value)
}

/// Whether a part of a query stands for these bytes: escapes are undone, and `+` is a blank, as forms send it.
pub(crate) fn means(written: &[u8], wanted: &[u8]) -> bool {
    let meant = octets(written).map(|octet| if octet == Octet::Plain(b'+') { b' ' } else { octet.value() });
    meant.eq(wanted.iter().copied())
}

#[cfg(test)]
mod tests;

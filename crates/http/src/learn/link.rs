//! Links as text: what stands in an attribute, a script or a field, undone as browsers do; and whether it leads to the
//! site that it was found on.
//!
//! Not a parser of URLs in full: it answers one question, and what it cannot read leads elsewhere. Ports are not looked
//! at, as they are not for cookies; names with other than ASCII letters are compared as written. The invariant: no bytes
//! make it panic.

use crate::field::trim;
use crate::uri::hex_pair;

/// The hosts that are one site: that of the request, and those that the site is configured for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnHosts {
    hosts: Vec<Vec<u8>>,
}

impl OwnHosts {
    /// The site of these hosts, given with or without a port, in any case.
    pub fn new<'h>(hosts: impl IntoIterator<Item = &'h [u8]>) -> Self {
        let mut own = Self::default();
        for host in hosts {
            let host = without_port(host).to_ascii_lowercase();
            if !host.is_empty() && !own.hosts.contains(&host) {
                own.hosts.push(host);
            }
        }
        own
    }

    /// Whether an authority, as a link has it, is one of the hosts.
    fn contains(&self, authority: &[u8]) -> bool {
        let host = authority.rsplit(|&b| b == b'@').next().unwrap_or_default();
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(without_port(host)))
    }
}

fn without_port(authority: &[u8]) -> &[u8] {
    match authority {
        [b'[', rest @ ..] => {
            let end = memchr::memchr(b']', rest).map_or(authority.len(), |at| at.saturating_add(2));
            authority.get(..end).unwrap_or(authority)
        }
        _ => authority.split(|&b| b == b':').next().unwrap_or_default(),
    }
}

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// To where its page is, or its page's `<base>` says.
    Along,
    /// To a host of the site, which it names.
    Home,
    /// Elsewhere, or nowhere that requests go.
    Away,
}

/// Where a link leads, of which at least everything before the path is there. It is undone already.
pub(super) fn leads(link: &[u8], own: &OwnHosts) -> Leads {
    let link = trim_controls(link);
    let rest = match scheme(link) {
        Some((name, rest)) if name.eq_ignore_ascii_case(b"http") || name.eq_ignore_ascii_case(b"https") => rest,
        Some(_) => return Leads::Away,
        None => match link {
            [b'/' | b'\\', b'/' | b'\\', ..] => link,
            _ => return Leads::Along,
        },
    };
    let slashes = rest.iter().take_while(|&&b| is_slash(b)).count();
    let authority = rest.get(slashes..).unwrap_or_default();
    let end = authority.iter().position(|&b| is_slash(b) || matches!(b, b'?' | b'#')).unwrap_or(authority.len());
    let authority = authority.get(..end).unwrap_or_default();
    if own.contains(authority) { Leads::Home } else { Leads::Away }
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Browsers drop control characters and blanks around a link.
fn trim_controls(link: &[u8]) -> &[u8] {
    let from = link.iter().position(|&b| b > b' ').unwrap_or(link.len());
    link.get(from..).unwrap_or_default()
}

/// A link's scheme and what follows its colon (RFC 3986 section 3.1).
fn scheme(link: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = link.iter().position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))?;
    let name = link.get(..colon)?;
    let begins = name.first().is_some_and(u8::is_ascii_alphabetic);
    (begins && link.get(colon) == Some(&b':')).then(|| (name, link.get(colon.saturating_add(1)..).unwrap_or_default()))
}

/// The link of a `Refresh` value or of a `<meta>` that stands for one (`5; url=/next`); other text stays as it is.
pub(super) fn refreshed(text: &[u8]) -> &[u8] {
    let text = trim(text);
    let digits = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let after = trim(text.get(digits..).unwrap_or_default());
    let ([b';' | b',', rest @ ..], 1..) = (after, digits) else { return text };
    let rest = trim(rest);
    let named = rest.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"url"));
    match (named, trim(rest.get(3..).unwrap_or_default())) {
        (true, [b'=', link @ ..]) => {
            let link = trim(link);
            link.strip_prefix(b"'").or(link.strip_prefix(b"\"")).unwrap_or(link)
        }
        _ => rest,
    }
}

/// Appends the text with its entities and the escapes of scripts undone, and without the line ends that browsers drop
/// from links. Of named entities there are those that links are made of.
pub(super) fn undo(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'&' | b'\\' => match escape(rest) {
                Some((meant, length)) => {
                    out.push(meant);
                    rest.get(length..).unwrap_or_default()
                }
                None => {
                    out.push(byte);
                    after
                }
            },
            b'\t' | b'\r' | b'\n' => after,
            _ => {
                out.push(byte);
                after
            }
        };
    }
}

/// What the escape at the front stands for, if it is one and stands for ASCII, and its length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'&', b'#', ..] => numeric(text),
        [b'&', ..] => {
            const NAMED: [(&[u8], u8); 10] = [
                (b"&amp;", b'&'),
                (b"&AMP;", b'&'),
                (b"&quot;", b'"'),
                (b"&apos;", b'\''),
                (b"&sol;", b'/'),
                (b"&colon;", b':'),
                (b"&quest;", b'?'),
                (b"&equals;", b'='),
                (b"&semi;", b';'),
                (b"&period;", b'.'),
            ];
            NAMED.iter().find(|(name, _)| text.starts_with(name)).map(|(name, meant)| (*meant, name.len()))
        }
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((ascii(*high, *low)?, 6)),
        [b'\\', b'x', high, low, ..] => Some((ascii(*high, *low)?, 4)),
        _ => None,
    }
}

/// A numeric entity with its semicolon.
pub(super) fn numeric(text: &[u8]) -> Option<(u8, usize)> {
    let digits = text.get(2..).unwrap_or_default();
    let (radix, from) = if matches!(digits.first(), Some(b'x' | b'X')) { (16, 3usize) } else { (10, 2usize) };
    let mut value = 0u32;
    for (step, &byte) in text.get(from..)?.iter().take(NUMERIC_DIGITS).enumerate() {
        match char::from(byte).to_digit(radix) {
            Some(digit) => value = value.checked_mul(radix)?.checked_add(digit)?,
            None if byte == b';' && step > 0 => {
                let meant = u8::try_from(value).ok().filter(|b| b.is_ascii() && *b != 0)?;
                return Some((meant, from.saturating_add(step).saturating_add(1)));
            }
            None => return None,
        }
    }
    None
}

/// Digits of a numeric entity, its semicolon included: browsers take any number of zeros, people write a few.
const NUMERIC_DIGITS: usize = 8;

fn ascii(high: u8, low: u8) -> Option<u8> {
    hex_pair(high, low).filter(|value| value.is_ascii() && *value != 0)
}

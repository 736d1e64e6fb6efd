//! Cookies: found by name, taken out, and set (RFC 6265).
//!
//! Not here: what a cookie means; the tokens of sticky sessions are made and read in `balance`. Reading forgives what
//! applications send (`;;=;`), is linear, and never changes a byte of a cookie that it leaves in.

use crate::encode::write_number;
use crate::field;
use crate::fields::Fields;
use crate::known::Known;

/// The cookies of one `Cookie` value in order, each with name and value as written. A part without `=` is none.
pub fn pairs(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|&b| b == b';').filter_map(cut)
}

fn cut(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', part)?;
    let name = field::trim(part.get(..at)?);
    let value = field::trim(part.get(at.saturating_add(1)..)?);
    (!name.is_empty()).then_some((name, value))
}

/// The values of every cookie of that name, over all `Cookie` fields, in the order in which they came. Names are
/// case-sensitive.
pub fn values<'b>(fields: &'b Fields, buf: &'b [u8], name: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    fields.known(buf, Known::Cookie).flat_map(pairs).filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// Appends a `Cookie` value without the cookies of that name; the rest keeps its bytes. Answers whether anything is
/// left: where not, the field has to go.
pub fn write_without(out: &mut Vec<u8>, value: &[u8], name: &[u8]) -> bool {
    let is_it = |part: &[u8]| cut(part).is_some_and(|(found, _)| found == name);
    if memchr::memmem::find(value, name).is_none() {
        out.extend_from_slice(value);
        return true;
    }
    let mut any = false;
    for part in value.split(|&b| b == b';').filter(|part| !is_it(part)) {
        // The first part that stays loses the blank that stood between it and its predecessor.
        let part = if any { part } else { field::trim(part) };
        if any {
            out.push(b';');
        }
        if any || !part.is_empty() {
            out.extend_from_slice(part);
            any = true;
        }
    }
    any
}

/// The name of the cookie that a `Set-Cookie` value sets.
pub fn set_name(value: &[u8]) -> Option<&[u8]> {
    let pair = value.split(|&b| b == b';').next()?;
    cut(pair).map(|(name, _)| name)
}

/// Whether a cookie goes with requests that other sites cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// With links from other sites, not with their embedded requests.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always; browsers ask for `Secure` with it.
    None,
}

/// A cookie to set. Name and value must have only bytes that cookies may have; others make the field be left out
/// where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// `Path`
    pub path: &'a [u8],
    /// `Domain`; the answering host alone where it is not given.
    pub domain: Option<&'a [u8]>,
    /// `Max-Age` in seconds; 0 deletes the cookie; a session cookie where it is not given.
    pub max_age: Option<u64>,
    /// Only over TLS.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// Which sites' requests carry it.
    pub same_site: SameSite,
}

impl<'a> SetCookie<'a> {
    /// A session cookie for the whole site, hidden from scripts, `SameSite=Lax`.
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            name,
            value,
            path: b"/",
            domain: None,
            max_age: None,
            secure: false,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }

    /// Appends the value of the `Set-Cookie` field.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name);
        out.push(b'=');
        out.extend_from_slice(self.value);
        out.extend_from_slice(b"; Path=");
        out.extend_from_slice(self.path);
        if let Some(domain) = self.domain {
            out.extend_from_slice(b"; Domain=");
            out.extend_from_slice(domain);
        }
        if let Some(seconds) = self.max_age {
            out.extend_from_slice(b"; Max-Age=");
            write_number(out, seconds);
        }
        if self.secure {
            out.extend_from_slice(b"; Secure");
        }
        if self.http_only {
            out.extend_from_slice(b"; HttpOnly");
        }
        out.extend_from_slice(match self.same_site {
            SameSite::Lax => b"; SameSite=Lax",
            SameSite::Strict => b"; SameSite=Strict",
            SameSite::None => b"; SameSite=None",
        });
    }
}

#[cfg(test)]
mod tests;

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
    pieces(value).filter_map(cut)
}

/// What stands between semicolons: every byte of every cookie is looked at for each method of a pool, so that it is not
/// done one by one.
fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let held = rest?;
        let Some(at) = memchr::memchr(b';', held) else { return rest.take() };
        let (piece, after) = held.split_at_checked(at)?;
        rest = after.get(1..);
        Some(piece)
    })
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

/// What becomes of a cookie on its way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieRule<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Everything of its value up to this byte goes; where `None`, the whole cookie.
    pub until: Option<u8>,
}

/// What becomes of a cookie that a server sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCookieRule<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What is done.
    pub action: SetCookieAction<'a>,
}

/// What is done with a cookie that a server sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookieAction<'a> {
    /// It does not reach the client.
    Drop,
    /// Its value is replaced, unless it is empty: then it is being deleted.
    Replace(&'a [u8]),
    /// This goes before its value, unless that is empty.
    Prefix(&'a [u8]),
}

/// Appends a `Cookie` value with the rules applied. Answers whether anything is left: where not, the field has to go.
pub(crate) fn write_ruled(out: &mut Vec<u8>, value: &[u8], rules: &[CookieRule<'_>]) -> bool {
    let is_ruled = |(found, _): (&[u8], &[u8])| rules.iter().any(|rule| rule.name == found);
    if !pairs(value).any(is_ruled) {
        out.extend_from_slice(value);
        return true;
    }
    let mut any = false;
    for part in pieces(value) {
        let rule = cut(part).and_then(|(found, value)| Some((rules.iter().find(|rule| rule.name == found)?, value)));
        // The first part that stays loses the blank that stood between it and its predecessor.
        let shown = if any { part } else { field::trim(part) };
        match rule {
            Some((CookieRule { until: None, .. }, _)) => {}
            Some((CookieRule { name, until: Some(mark) }, value)) => {
                let own = memchr::memchr(*mark, value).and_then(|at| value.get(at.saturating_add(1)..));
                out.extend_from_slice(if any { b"; " } else { b"" });
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(own.unwrap_or(value));
                any = true;
            }
            None if any || !shown.is_empty() => {
                out.extend_from_slice(if any { b";" } else { b"" });
                out.extend_from_slice(shown);
                any = true;
            }
            None => {}
        }
    }
    any
}

/// Appends a `Set-Cookie` value with its rule applied. `false` where the field has to go.
pub(crate) fn write_ruled_set(out: &mut Vec<u8>, value: &[u8], rules: &[SetCookieRule<'_>]) -> bool {
    let rule = set_name(value).and_then(|name| rules.iter().find(|rule| rule.name == name));
    let Some(rule) = rule else {
        out.extend_from_slice(value);
        return true;
    };
    let pair_end = memchr::memchr(b';', value).unwrap_or(value.len());
    let (pair, rest) = value.split_at(pair_end);
    let held = cut(pair).map(|(_, held)| held).unwrap_or_default();
    let (own, kept): (&[u8], &[u8]) = match rule.action {
        SetCookieAction::Drop => return false,
        _ if held.is_empty() => (b"", b""),
        SetCookieAction::Replace(own) => (own, b""),
        SetCookieAction::Prefix(own) => (own, held),
    };
    for piece in [rule.name, b"=", own, kept, rest] {
        out.extend_from_slice(piece);
    }
    true
}

/// The name of the cookie that a `Set-Cookie` value sets.
pub fn set_name(value: &[u8]) -> Option<&[u8]> {
    let pair = value.split(|&b| b == b';').next()?;
    cut(pair).map(|(name, _)| name)
}

/// The name and the value that a `Set-Cookie` value sets; the value is `None` where it deletes the cookie: it is empty, or
/// its time is over at `now_unix` (RFC 6265 section 5.3).
pub fn set_pair(value: &[u8], now_unix: u64) -> Option<(&[u8], Option<&[u8]>)> {
    let mut parts = value.split(|&b| b == b';');
    let (name, held) = cut(parts.next()?)?;
    let mut max_age = None;
    let mut expires = None;
    for part in parts {
        let Some((attribute, said)) = cut(part) else { continue };
        if attribute.eq_ignore_ascii_case(b"max-age") {
            max_age = is_spent(said).or(max_age);
        } else if attribute.eq_ignore_ascii_case(b"expires") {
            expires = crate::date::parse_cookie_date(said).map(|until| until <= now_unix).or(expires);
        }
    }
    let is_over = held.is_empty() || max_age.or(expires).unwrap_or(false);
    Some((name, (!is_over).then_some(held)))
}

/// Whether a `Max-Age` ends its cookie; `None` where it is no number, and so says nothing (RFC 6265 section 5.2.2).
fn is_spent(said: &[u8]) -> Option<bool> {
    let (is_negative, digits) = said.strip_prefix(b"-").map_or((false, said), |digits| (true, digits));
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| is_negative || digits.iter().all(|digit| *digit == b'0'))
}

/// What becomes of a cookie in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'b> {
    /// The answer does not speak of it.
    Nothing,
    /// It has this value from now on.
    Set(&'b [u8]),
    /// It is deleted.
    Deleted,
}

/// What the `Set-Cookie` fields of an answer say of the cookie of that name. The last one counts.
pub fn told<'b>(fields: &'b Fields, buf: &'b [u8], name: &[u8], now_unix: u64) -> Told<'b> {
    let mut set = fields.known(buf, Known::SetCookie).rev().filter_map(|value| set_pair(value, now_unix));
    match set.find(|(set, _)| *set == name) {
        None => Told::Nothing,
        Some((_, Some(value))) => Told::Set(value),
        Some((_, None)) => Told::Deleted,
    }
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
    /// Which sites' requests carry it; the browser's own rule where it is not given.
    pub same_site: Option<SameSite>,
    /// Kept apart for each site that embeds ours.
    pub partitioned: bool,
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
            same_site: Some(SameSite::Lax),
            partitioned: false,
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
            Some(SameSite::Lax) => b"; SameSite=Lax",
            Some(SameSite::Strict) => b"; SameSite=Strict",
            Some(SameSite::None) => b"; SameSite=None",
            None => b"".as_slice(),
        });
        if self.partitioned {
            out.extend_from_slice(b"; Partitioned");
        }
    }
}

#[cfg(test)]
mod tests;

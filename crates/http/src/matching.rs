//! Whether a request fits what a route asks for. Nothing is decided here beyond yes or no, and nothing is allocated.

use evenkeel_model::caps;
use evenkeel_model::config::{FieldMatch, HostPattern, Matcher, PathPattern};

use crate::field;
use crate::fields::Fields;
use crate::request::RequestHead;
use crate::uri;

/// Whether the request fits all that a route asks for. `normal` is the path's [normal form](uri::normal_path).
pub fn matcher_fits(matcher: &Matcher, head: &RequestHead, buf: &[u8], normal: &[u8]) -> bool {
    let method = head.method_text(buf);
    path_fits(&matcher.path, normal)
        && (matcher.methods.is_empty() || matcher.methods.iter().any(|wanted| wanted.as_bytes() == method))
        && hosts_fit(&matcher.hosts, head.host(buf))
        && matcher.fields.iter().all(|wanted| field_fits(wanted, head.fields(), buf))
        && matcher.query.iter().all(|wanted| query_fits(wanted, head.query(buf)))
}

/// Whether one of the patterns takes the host, or there is none.
pub fn hosts_fit(patterns: &[HostPattern], host: &[u8]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| host_fits(pattern, host))
}

/// Whether the pattern takes the host, given without port and final dot, in any case.
pub fn host_fits(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Exact(wanted) => host.eq_ignore_ascii_case(wanted.as_bytes()),
        HostPattern::Below(suffix) => host
            .len()
            .checked_sub(suffix.len())
            .filter(|&rest| rest > 0)
            .and_then(|rest| host.get(rest..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
    }
}

/// Whether the pattern takes the path, given in [normal form](uri::normal_path).
pub fn path_fits(pattern: &PathPattern, normal: &[u8]) -> bool {
    match pattern {
        PathPattern::Any => true,
        PathPattern::Exact(wanted) => normal == wanted.as_bytes(),
        PathPattern::Below(prefix) => uri::below(normal, prefix.as_bytes()).is_some(),
        PathPattern::Glob(glob) => glob_fits(glob.as_bytes(), normal),
    }
}

/// Whether a field of that name is there, with that value if one is asked for. Of a field that came more than once, any
/// may fit.
pub fn field_fits(wanted: &FieldMatch, fields: &Fields, buf: &[u8]) -> bool {
    fields
        .iter(buf)
        .filter(|found| found.name.eq_ignore_ascii_case(wanted.name.as_bytes()))
        .any(|found| wanted.value.as_ref().is_none_or(|value| found.value == value.as_bytes()))
}

/// Whether a parameter of that name is there, with that value if one is asked for, both unescaped.
pub fn query_fits(wanted: &FieldMatch, query: Option<&[u8]>) -> bool {
    uri::query_pairs(query.unwrap_or_default())
        .filter(|(name, _)| uri::means(name, wanted.name.as_bytes()))
        .any(|(_, value)| wanted.value.as_ref().is_none_or(|wanted| uri::means(value, wanted.as_bytes())))
}

/// Whether the list of tokens in a field's values holds the token, in any case.
pub fn lists<'v>(values: impl IntoIterator<Item = &'v [u8]>, token: &[u8]) -> bool {
    values.into_iter().flat_map(field::members).any(|member| member.eq_ignore_ascii_case(token))
}

/// `*` takes any bytes but `/`, `**` any bytes, `?` one byte that is not `/`.
///
/// Every place in the glob that the path read so far may have led to is kept as a bit, and one byte of the path moves
/// them all: no path can make this cost more than its length times the glob's, as going back would. A glob longer than
/// [`caps::GLOB_BYTES`] fits nothing; the configuration refuses it.
fn glob_fits(glob: &[u8], path: &[u8]) -> bool {
    if glob.len() > caps::GLOB_BYTES {
        return false;
    }
    let mut places = reach(glob, 0);
    for &byte in path {
        let mut next = 0u128;
        let mut rest = places;
        while rest != 0 {
            let place = rest.trailing_zeros();
            rest &= rest - 1;
            next |= step(glob, place, byte);
        }
        if next == 0 {
            return false;
        }
        places = next;
    }
    u32::try_from(glob.len()).is_ok_and(|end| places & bit(end) != 0)
}

/// Where a byte of the path leads from a place in the glob.
fn step(glob: &[u8], place: u32, byte: u8) -> u128 {
    match glob.get(place as usize..).unwrap_or_default() {
        [b'*', b'*', ..] => reach(glob, place),
        [b'*', ..] if byte != b'/' => reach(glob, place),
        [b'?', ..] if byte != b'/' => reach(glob, place.saturating_add(1)),
        [wanted, ..] if *wanted == byte => reach(glob, place.saturating_add(1)),
        _ => 0,
    }
}

/// A place, and those behind the stars that begin there, as stars may take nothing.
fn reach(glob: &[u8], place: u32) -> u128 {
    match glob.get(place as usize..).unwrap_or_default() {
        [b'*', b'*', ..] => bit(place) | reach(glob, place.saturating_add(2)),
        [b'*', ..] => bit(place) | reach(glob, place.saturating_add(1)),
        _ => bit(place),
    }
}

fn bit(place: u32) -> u128 {
    1u128.checked_shl(place).unwrap_or(0)
}

#[cfg(test)]
mod tests;

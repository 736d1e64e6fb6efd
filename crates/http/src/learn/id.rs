//! What an id of a session may look like, and where requests carry one.
//!
//! The invariant: an id that was read from a link equals the id read from the request that follows the link, whatever
//! of it was escaped on the way.

use crate::uri::{Octet, octets, path_parameter, query_value};

/// Bytes of the shortest id in a link: what is shorter can be guessed, and is a flag or a page more often than a session.
pub const SHORTEST: usize = 8;
/// Bytes of the longest id in a link.
pub const LONGEST: usize = 128;
/// Bytes of the longest id in a field: a signed cookie of a framework fits.
pub const LONGEST_IN_FIELD: usize = 1024;

/// Whether the byte may stand in an id in a link: what common frameworks make, base64 included.
pub(super) fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'~' | b',' | b'+' | b'/' | b'=' | b'!' | b'-' | b':' | b'@' | b'$' | b'*')
}

/// Whether these bytes, escapes undone, are an id as links carry them.
pub(super) fn is_link_id(id: &[u8]) -> bool {
    (SHORTEST..=LONGEST).contains(&id.len()) && id.iter().copied().all(is_id_byte)
}

/// The id in a field's or a cookie's value: all of it, if it has a length that ids have.
pub fn in_field(value: &[u8]) -> Option<&[u8]> {
    (1..=LONGEST_IN_FIELD).contains(&value.len()).then_some(value)
}

/// Writes the id in the query parameter of that name into `out`; whether there is one.
pub fn in_query(query: &[u8], name: &[u8], out: &mut Vec<u8>) -> bool {
    query_value(query, name).is_some_and(|value| take(value, out))
}

/// Writes the id in the path parameter of that name (`/page;name=id`) into `out`; whether there is one.
pub fn in_path(path: &[u8], name: &[u8], out: &mut Vec<u8>) -> bool {
    path_parameter(path, name).is_some_and(|value| take(value, out))
}

/// Undoes the escapes of a value; whether it is an id.
fn take(value: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    if value.len() > LONGEST.saturating_mul(3) {
        return false;
    }
    out.extend(octets(value).map(Octet::value));
    is_link_id(out)
}

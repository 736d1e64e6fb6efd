//! What both sides of HTTP/2 share: the socket under the library, and the bodies of streams in either direction.
//!
//! Not here: whose connection it is. Clients' are in `serve::h2`, servers' in `server::h2`.

pub(crate) mod gate;
pub(crate) mod inflow;
pub(crate) mod outflow;

use bytes::{Bytes, BytesMut};
use evenkeel_model::caps;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What a stream's two directions may hold.
pub(crate) const STREAM_HELD: u64 = 2 * caps::HTTP2_STREAM_BUFFER as u64;

/// Puts what came behind what is there; nothing is copied where nothing was.
pub(crate) fn join(have: &mut BytesMut, fresh: BytesMut) {
    match have.is_empty() {
        true => *have = fresh,
        false => have.unsplit(fresh),
    }
}

/// Adds a field. One that no frame could carry cannot be here: every byte was checked when the head was read.
pub(crate) fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

/// The same, of a name and a value in `text`, which the value keeps hold of.
pub(crate) fn append_shared(headers: &mut HeaderMap, text: &Bytes, name: &[u8], value: &[u8]) {
    let value = HeaderValue::from_maybe_shared(text.slice_ref(value));
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
        headers.append(name, value);
    }
}

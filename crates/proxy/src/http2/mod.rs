//! What both sides of HTTP/2 share: the socket under the library, and the bodies of streams in either direction.
//!
//! Not here: whose connection it is. Clients' are in `serve::h2`, servers' in `server::h2`.

pub(crate) mod gate;
pub(crate) mod inflow;
pub(crate) mod outflow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds a field. One that no frame could carry cannot be here: every byte was checked when the head was read.
pub(crate) fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

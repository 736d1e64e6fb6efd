//! The key and the proof of a WebSocket's handshake over HTTP/1.1 (RFC 6455 section 1.3).
//!
//! An extended CONNECT over HTTP/2 has neither; who stands between makes the one and checks the other. It is no secret:
//! it shows that the other side understood what was asked, and is no cache that repeats itself.

use sha1::{Digest, Sha1};

/// What every server adds to the key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key from 16 bytes of chance.
pub fn key(chance: &[u8; 16]) -> Vec<u8> {
    base64(chance)
}

/// The proof that belongs to a key.
pub fn proof(key: &[u8]) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    base64(&hash.finalize())
}

/// Base 64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let joined = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = LETTERS.get((joined >> shift & 63) as usize).copied().unwrap_or(b'=');
            text.push(if at <= three.len() { letter } else { b'=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_of_the_standard() {
        // RFC 6455 section 1.3.
        assert_eq!(proof(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key(b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    }
}

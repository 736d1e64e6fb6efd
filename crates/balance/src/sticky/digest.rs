//! Digests of servers' addresses, as the sticky modules of nginx make them.
//!
//! They are read and written for a change of balancer without losing sessions. Nobody should choose them anew: a digest
//! without a key can be reversed by trying every address of a network.

use std::net::SocketAddr;

use evenkeel_model::config::Digest;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest as _, Md5};
use sha1::Sha1;

/// Appends the digest in lower-case hexadecimal digits.
pub(super) fn write(digest: Digest, key: &[u8], input: &[u8], out: &mut Vec<u8>) {
    match digest {
        Digest::Md5 => hex(&Md5::digest(input), out),
        Digest::Sha1 => hex(&Sha1::digest(input), out),
        Digest::HmacMd5 => {
            let mut mac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length is taken");
            mac.update(input);
            hex(&mac.finalize().into_bytes(), out);
        }
        Digest::HmacSha1 => {
            let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length is taken");
            mac.update(input);
            hex(&mac.finalize().into_bytes(), out);
        }
    }
}

/// The address as Linux holds it (`sockaddr_in`, 16 bytes, or `sockaddr_in6`, 28) on a little-endian machine, which is
/// what nginx-sticky-module up to 1.2 takes its digests of.
pub(super) fn socket_address(addr: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match addr {
        SocketAddr::V4(v4) => {
            bytes.extend_from_slice(&[2, 0]);
            bytes.extend_from_slice(&v4.port().to_be_bytes());
            bytes.extend_from_slice(&v4.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend_from_slice(&[10, 0]);
            bytes.extend_from_slice(&v6.port().to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&v6.ip().octets());
            bytes.extend_from_slice(&v6.scope_id().to_le_bytes());
        }
    }
    bytes
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
}

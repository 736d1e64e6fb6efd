//! Server cookies as all nodes with one secret make them (RFC 9018).
//!
//! The invariant: a cookie is good for the address it was made for, for an hour, and for no one without the secret.

use std::hash::Hasher;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use super::respond::Cookies;
use crate::wire::Cookie;

/// Seconds that a cookie is good for (RFC 9018, 4.3).
const LIFE: u32 = 3_600;

/// Seconds that another node's clock may be ahead.
const AHEAD: u32 = 300;

/// The secret and the time.
#[derive(Clone, Copy)]
pub struct CookieJar {
    secret: [u8; 16],
    now: u32,
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CookieJar(at {})", self.now)
    }
}

impl CookieJar {
    /// A jar of that secret; `now` is in seconds since 1970.
    pub fn new(secret: [u8; 16], now: u32) -> Self {
        Self { secret, now }
    }

    /// The secret of a jar from a secret of any length, which stays unknown to who learns the jar's.
    pub fn secret_of(bytes: &[u8]) -> [u8; 16] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(bytes).expect("HMAC takes a key of any length");
        mac.update(b"evenkeel dns cookies 1");
        mac.finalize().into_bytes().first_chunk().copied().unwrap_or_default()
    }

    fn server_part(&self, client: IpAddr, client_part: [u8; 8], time: u32) -> [u8; 16] {
        let [a, b, c, d] = time.to_be_bytes();
        let head = [1, 0, 0, 0, a, b, c, d];
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&client_part);
        hasher.write(&head);
        match client.to_canonical() {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
        let mut part = [0; 16];
        let (first, last) = part.split_at_mut(8);
        first.copy_from_slice(&head);
        last.copy_from_slice(&hasher.finish().to_le_bytes());
        part
    }
}

impl Cookies for CookieJar {
    fn is_good(&self, client: IpAddr, cookie: &Cookie) -> bool {
        let Some([1, 0, 0, 0, a, b, c, d]) = cookie.server.first_chunk::<8>().copied() else { return false };
        let time = u32::from_be_bytes([a, b, c, d]);
        // RFC 1982 arithmetic: the counter wraps in 2106.
        let is_fresh = self.now.wrapping_sub(time) <= LIFE || time.wrapping_sub(self.now) <= AHEAD;
        let made = self.server_part(client, cookie.client, time);
        // Every byte is looked at, so that the time taken tells nothing.
        let differs = made.iter().zip(&cookie.server).fold(0, |sum, (a, b)| sum | (a ^ b));
        is_fresh && cookie.server.len() == made.len() && differs == 0
    }

    fn make(&self, client: IpAddr, client_part: [u8; 8]) -> Vec<u8> {
        self.server_part(client, client_part, self.now).to_vec()
    }

    fn is_demanded(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9018, appendix A.1 and A.2.
    #[test]
    fn cookies_are_those_of_the_document() {
        let secret = [0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf];
        let client = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
        let from: IpAddr = "198.51.100.100".parse().unwrap();
        let made = CookieJar::new(secret, 1_559_731_985).make(from, client);
        assert_eq!(made, [0x01, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80]);
        let cookie = Cookie { client, server: made };
        assert!(CookieJar::new(secret, 1_559_731_985 + 3_600).is_good(from, &cookie));
        assert!(!CookieJar::new(secret, 1_559_731_985 + 3_601).is_good(from, &cookie));
        assert!(CookieJar::new(secret, 1_559_731_985 - 300).is_good(from, &cookie));
        assert!(!CookieJar::new(secret, 1_559_731_985 - 301).is_good(from, &cookie));
        assert!(!CookieJar::new(secret, 1_559_731_985).is_good("198.51.100.101".parse().unwrap(), &cookie));
        assert!(!CookieJar::new([0; 16], 1_559_731_985).is_good(from, &cookie));
    }
}

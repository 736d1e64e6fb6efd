//! The seal of a channel between two nodes: what is said there is read by nobody else, and nobody else says anything.
//!
//! Each side begins with a hello that holds a nonce. Both nonces and the cluster's key make a key for each direction, under
//! which every frame is sealed with its number (ChaCha20-Poly1305), so that no frame can be read, changed, left out or
//! said again, in this connection or another. The invariant: a frame that opens is the next one that the other side sealed.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key as CipherKey, Nonce};

use crate::key::Keyring;

const MAGIC: [u8; 4] = *b"EKC1";

/// What each side says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Which key it signs with.
    pub key: u8,
    /// The id of the cluster.
    pub cluster: u32,
    /// The sender's id.
    pub sender: u32,
    /// Bytes of chance, never used before.
    pub nonce: [u8; 32],
}

impl Hello {
    /// Bytes of it.
    pub const BYTES: usize = 45;

    /// As it stands on the wire.
    pub fn write(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let parts = [&MAGIC[..], &[self.key], &self.cluster.to_be_bytes(), &self.sender.to_be_bytes(), &self.nonce];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        bytes
    }

    /// Reads it.
    pub fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (head, nonce) = bytes.split_first_chunk::<13>()?;
        let [m1, m2, m3, m4, key, c1, c2, c3, c4, s1, s2, s3, s4] = *head;
        let nonce = *nonce.first_chunk::<32>()?;
        let (cluster, sender) = (u32::from_be_bytes([c1, c2, c3, c4]), u32::from_be_bytes([s1, s2, s3, s4]));
        ([m1, m2, m3, m4] == MAGIC).then_some(Self { key, cluster, sender, nonce })
    }
}

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that called.
    Caller,
    /// The one that was called.
    Called,
}

/// Seals what goes out.
pub struct Sealer(Numbered);

/// Opens what comes in.
pub struct Opener(Numbered);

struct Numbered {
    cipher: ChaCha20Poly1305,
    next: u64,
}

/// Both directions of a connection, for one end of it. `None` where the ring has not the key that the caller signs with.
pub fn agree(keys: &Keyring, caller: &Hello, called: &Hello, end: End) -> Option<(Sealer, Opener)> {
    let of = |direction: u8| {
        let mut text = Vec::with_capacity(128);
        text.extend(b"evenkeel 2026-11 channel");
        text.push(direction);
        text.extend(caller.write());
        text.extend(called.write());
        let key = keys.channel_key(caller.key, &text)?;
        Some(Numbered { cipher: ChaCha20Poly1305::new(&CipherKey::from(key)), next: 0 })
    };
    let (from_caller, from_called) = (of(0)?, of(1)?);
    Some(match end {
        End::Caller => (Sealer(from_caller), Opener(from_called)),
        End::Called => (Sealer(from_called), Opener(from_caller)),
    })
}

impl Numbered {
    fn take(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        // At a million frames a second it ends after half a million years.
        self.next = self.next.saturating_add(1);
        Nonce::from(nonce)
    }
}

impl Sealer {
    /// The next frame. `None` where it is too long for the cipher, which no frame of ours is.
    pub fn seal(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.0.take();
        self.0.cipher.encrypt(&nonce, Payload { msg: text, aad: &[] }).ok()
    }
}

impl Opener {
    /// What the next frame says. `None` where it is not that: then nothing of the connection can be believed any more.
    pub fn open(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.0.take();
        self.0.cipher.decrypt(&nonce, Payload { msg: frame, aad: &[] }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn ring(secrets: &[&[u8]]) -> Keyring {
        Keyring::new(secrets.iter().map(|secret| Key::derive(secret).unwrap()).collect()).unwrap()
    }

    fn hello(keys: &Keyring, sender: u32) -> Hello {
        Hello { key: keys.signing(), cluster: 7, sender, nonce: [sender as u8; 32] }
    }

    #[test]
    fn frames_open_once_in_their_order_and_in_their_direction() {
        let keys = ring(&[b"a secret of the cluster"]);
        let (caller, called) = (hello(&keys, 1), hello(&keys, 2));
        let (mut seal, mut back) = agree(&keys, &caller, &called, End::Caller).unwrap();
        let (mut answer, mut open) = agree(&keys, &caller, &called, End::Called).unwrap();
        let (one, two) = (seal.seal(b"one").unwrap(), seal.seal(b"two").unwrap());
        assert_eq!(open.open(&one).as_deref(), Some(&b"one"[..]));
        assert_eq!(open.open(&one), None, "said again");
        let mut fresh = agree(&keys, &caller, &called, End::Called).unwrap().1;
        assert_eq!(fresh.open(&two), None, "the first is left out");
        assert_eq!(back.open(&one), None, "its own words, come back");
        let reply = answer.seal(b"yes").unwrap();
        let mut back = agree(&keys, &caller, &called, End::Caller).unwrap().1;
        assert_eq!(back.open(&reply).as_deref(), Some(&b"yes"[..]));
        for at in 0..one.len() {
            let mut changed = one.clone();
            changed[at] ^= 1;
            assert_eq!(agree(&keys, &caller, &called, End::Called).unwrap().1.open(&changed), None);
        }
    }

    #[test]
    fn the_callers_key_is_used_while_keys_change_and_a_foreign_one_never() {
        let (old, new) = (ring(&[b"the old secret, long enough"]), ring(&[b"the new secret, long enough"]));
        let both = ring(&[b"the new secret, long enough", b"the old secret, long enough"]);
        let (caller, called) = (hello(&old, 1), hello(&both, 2));
        let mut seal = agree(&old, &caller, &called, End::Caller).unwrap().0;
        let mut open = agree(&both, &caller, &called, End::Called).unwrap().1;
        assert!(open.open(&seal.seal(b"x").unwrap()).is_some());
        assert!(agree(&new, &caller, &called, End::Called).is_none());
    }

    #[test]
    fn a_hello_is_read_as_it_was_written() {
        let hello = Hello { key: 3, cluster: 5, sender: 9, nonce: [8; 32] };
        let mut bytes = hello.write();
        assert_eq!(Hello::read(&bytes), Some(hello));
        bytes[0] = 0;
        assert_eq!(Hello::read(&bytes), None);
    }
}

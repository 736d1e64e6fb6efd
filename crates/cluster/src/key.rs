//! The keys of a cluster: one signs, several are accepted.
//!
//! A key is changed in three sweeps over the nodes, none of which stops anything: each accepts the new one, then each
//! signs with it, then each forgets the old one. The invariant: what is accepted was sealed under a key of this ring.

use std::fmt;

use evenkeel_model::caps;

/// Bytes of a seal.
pub(crate) const SEAL: usize = 32;
/// The shortest secret, in bytes.
const SECRET_BYTES: usize = 16;

/// A key of the cluster. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: u8,
    bytes: [u8; 32],
}

impl Key {
    /// The key that belongs to a secret.
    ///
    /// # Errors
    /// Where the secret has less than 16 bytes: who records a heartbeat can try secrets on it at leisure.
    pub fn derive(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SECRET_BYTES {
            return Err(KeyError::Weak(secret.len()));
        }
        let bytes = blake3::derive_key("evenkeel 2026-11 cluster heartbeat seal", secret);
        let [id, ..] = blake3::derive_key("evenkeel 2026-11 cluster heartbeat key id", secret);
        Ok(Self { id, bytes })
    }

    /// What tells it from other keys on the wire. Two keys may share it by chance.
    pub fn id(&self) -> u8 {
        self.id
    }

    fn seal(&self, message: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.bytes, message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:02x})", self.id)
    }
}

/// The keys of a node: the first signs, all are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// A ring of the keys.
    ///
    /// # Errors
    /// Where there is no key, or more than three.
    pub fn new(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.is_empty() || keys.len() > caps::CLUSTER_KEYS {
            return Err(KeyError::Count(keys.len()));
        }
        Ok(Self(keys))
    }

    /// The id of the key that signs.
    pub(crate) fn signing_id(&self) -> u8 {
        self.0.first().map_or(0, Key::id)
    }

    /// What each key is for the channel between nodes: the first is the one to prove, all are accepted.
    pub fn channel_secrets(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|key| blake3::derive_key("evenkeel 2026-11 cluster channel", &key.bytes)).collect()
    }

    /// A seed that all nodes share, for names which mean the same on each of them.
    pub fn seed(&self) -> [u8; 16] {
        let whole = self.seal(b"evenkeel 2026-11 seed of learned sessions");
        whole.first_chunk::<16>().copied().unwrap_or_default()
    }

    /// The seal of a message.
    pub(crate) fn seal(&self, message: &[u8]) -> [u8; SEAL] {
        self.0.first().map_or([0; SEAL], |key| *key.seal(message).as_bytes())
    }

    /// Whether a key of the ring has that id.
    pub(crate) fn knows(&self, id: u8) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Whether the message was sealed under a key of that id. Takes the same time wherever the seal is wrong.
    pub(crate) fn accepts(&self, id: u8, message: &[u8], seal: [u8; SEAL]) -> bool {
        // `blake3::Hash` compares in constant time.
        self.0.iter().any(|key| key.id == id && key.seal(message) == blake3::Hash::from_bytes(seal))
    }
}

/// Keys that cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// A secret of that many bytes.
    Weak(usize),
    /// That many keys.
    Count(usize),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weak(bytes) => write!(
                f,
                "the cluster's secret has {bytes} bytes and needs at least {SECRET_BYTES}: make one with `evenkeel cluster key`"
            ),
            Self::Count(count) => write!(f, "{count} keys: a node takes 1 to {}", caps::CLUSTER_KEYS),
        }
    }
}

impl std::error::Error for KeyError {}

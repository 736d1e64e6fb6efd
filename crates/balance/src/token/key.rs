//! Keys of tokens, derived from a secret that balancers share.

use std::fmt;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

/// The shortest secret: 16 bytes of chance are beyond guessing. Anybody who has a token can try secrets on it
/// at leisure, so that a word or a date would not do.
const SECRET_BYTES: usize = 16;

/// A sealing key. It does not show itself.
#[derive(Clone)]
pub struct Key {
    id: u8,
    /// Tells keys apart within this process, where the id may be the same by chance.
    mark: u64,
    cipher: XChaCha20Poly1305,
}

/// The keys of a cookie. Replacing a secret without losing sessions: the old one stays as `previous` for one `idle`.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Seals, and opens.
    pub current: Key,
    /// Only open.
    pub previous: Vec<Key>,
}

/// What the cookie of one sticky method needs of secrets.
#[derive(Clone, Default)]
pub struct MethodKeys {
    /// The keys of tokens, where it has tokens.
    pub token: Option<Keys>,
    /// The secret of keyed digests; empty where there is none.
    pub hmac: Vec<u8>,
}

impl fmt::Debug for MethodKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodKeys({:?}, {})", self.token, if self.hmac.is_empty() { "no hmac" } else { "hmac" })
    }
}

impl Key {
    /// The key that belongs to a secret. The secret's bytes are taken as they are, a final newline included.
    ///
    /// It is derived by BLAKE3's `derive_key`, which takes input of any length in one step; HKDF would bring two
    /// crates for the same, and the ChaCha family itself has no function for input of any length.
    ///
    /// # Errors
    /// Where the secret has less than 16 bytes.
    pub fn derive(secret: &[u8]) -> Result<Self, WeakSecret> {
        if secret.len() < SECRET_BYTES {
            return Err(WeakSecret { bytes: secret.len() });
        }
        let key = blake3::derive_key("evenkeel 2026-11 sticky token seal", secret);
        // The id tells keys apart without a setting; where two ids meet by chance, both keys are tried.
        let [id, rest @ ..] = blake3::derive_key("evenkeel 2026-11 sticky token key id", secret);
        let mark = rest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(Self { id, mark, cipher: XChaCha20Poly1305::new(&key.into()) })
    }

    pub(super) fn id(&self) -> u8 {
        self.id
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }
}

/// Keys are equal that were derived from the same secret.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.mark) == (other.id, other.mark)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:02x})", self.id)
    }
}

/// A secret that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakSecret {
    /// How long it is.
    pub bytes: usize,
}

impl fmt::Display for WeakSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the sticky secret has {} bytes and needs at least {SECRET_BYTES}: make one with `openssl rand -base64 32`",
            self.bytes
        )
    }
}

impl std::error::Error for WeakSecret {}

//! What proves who somebody is: the hash of a password, or of a token.
//!
//! The invariant: nothing here keeps a password or a token, and every comparison takes the same time wherever two differ.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64ct::{Base64UrlUnpadded, Encoding};

/// How the hash of a token begins.
const TOKEN: &str = "$blake3$";

/// What proves who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The Argon2 hash of a password, as a PHC string.
    Password(String),
    /// The BLAKE3 hash of a token. A token is too long to guess, so that a fast hash will do.
    Token(blake3::Hash),
}

impl Proof {
    /// Reads a hash as `evenkeel passwd` prints it.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not repeat it: it may be a password by mistake.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(hex) = text.strip_prefix(TOKEN) {
            return blake3::Hash::from_hex(hex)
                .map(Self::Token)
                .map_err(|_| "the hash of a token is 64 digits of base 16");
        }
        if !text.starts_with("$argon2") {
            return Err("it is no hash; `evenkeel passwd` makes one");
        }
        PasswordHash::new(text)
            .map(|_| Self::Password(text.to_owned()))
            .map_err(|_| "it is no whole hash of a password")
    }

    /// Whether the password or token is the right one. For a password this takes some 20 ms and 19 MiB.
    pub(crate) fn is_proven_by(&self, secret: &[u8]) -> bool {
        match self {
            Self::Token(hash) => blake3::hash(secret) == *hash,
            Self::Password(phc) => {
                PasswordHash::new(phc).is_ok_and(|hash| Argon2::default().verify_password(secret, &hash).is_ok())
            }
        }
    }
}

/// Whether a text is a hash that an admin user may have.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub fn look_at_hash(text: &str) -> Result<(), &'static str> {
    Proof::read(text).map(drop)
}

/// The hash of a password, with that salt.
///
/// # Errors
/// Where the password is too long to hash.
pub fn hash_password(password: &[u8], salt: &[u8; 16]) -> Result<String, String> {
    let hash: PasswordHash =
        Argon2::default().hash_password_with_salt(password, salt).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// A token made of those bytes of chance, and its hash.
pub fn make_token(chance: &[u8; 32]) -> (String, String) {
    let token = Base64UrlUnpadded::encode_string(chance);
    let hash = format!("{TOKEN}{}", blake3::hash(token.as_bytes()).to_hex());
    (token, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_proven_by_its_password_alone() {
        let hash = hash_password(b"correct horse", &[7; 16]).unwrap();
        let proof = Proof::read(&hash).unwrap();
        assert!(proof.is_proven_by(b"correct horse"));
        for wrong in [&b"correct hors"[..], b"Correct horse", b"", b"correct horse "] {
            assert!(!proof.is_proven_by(wrong));
        }
        assert_ne!(hash, hash_password(b"correct horse", &[8; 16]).unwrap());
    }

    #[test]
    fn a_token_is_proven_by_itself_alone() {
        let (token, hash) = make_token(&[9; 32]);
        let proof = Proof::read(&hash).unwrap();
        assert!(token.len() >= 43 && proof.is_proven_by(token.as_bytes()));
        assert!(!proof.is_proven_by(&token.as_bytes()[1..]) && !proof.is_proven_by(hash.as_bytes()));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        for wrong in ["", "hunter2", "$argon2id$", "$argon2id$v=19$m=1$x", "$blake3$zz", "$2y$10$abc"] {
            let said = Proof::read(wrong).unwrap_err();
            assert!(wrong.is_empty() || !said.contains(wrong), "{said}");
        }
    }
}

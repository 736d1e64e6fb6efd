//! Keys: a name, an algorithm and a secret, as operators write them.
//!
//! The invariant: a key's secret goes into signatures and nowhere else.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::Mac;
use crate::name::Name;
use crate::rdata::base64;

/// Shortest secret taken, in bytes: below it a signature can be guessed offline (RFC 8945, 8 asks for the output's
/// length; tools in use make shorter ones).
const SECRET_BYTES: usize = 16;

/// How signatures are made (RFC 8945, 6). MD5 and SHA-1 are left out: nothing current needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `hmac-sha224`
    Sha224,
    /// `hmac-sha256`, the usual one.
    Sha256,
    /// `hmac-sha384`
    Sha384,
    /// `hmac-sha512`
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in key files and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha224 => "hmac-sha224",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    /// The algorithm of that name, in any case.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    /// Bytes of a whole signature.
    pub fn mac_bytes(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm's name in wire form: one label.
    pub(super) fn wire(self) -> Vec<u8> {
        let label = self.as_str().as_bytes();
        let mut wire = vec![u8::try_from(label.len()).unwrap_or(0)];
        wire.extend_from_slice(label);
        wire.push(0);
        wire
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A shared secret with the name that both sides know it by.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm)
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl Key {
    /// A key of its parts.
    ///
    /// # Errors
    /// Where the secret is shorter than 16 bytes.
    pub fn new(name: Name, algorithm: Algorithm, secret: Vec<u8>) -> Result<Self, KeyError> {
        if secret.len() < SECRET_BYTES {
            let count = secret.len();
            return Err(KeyError(format!(
                "the secret of key `{name}` has {count} bytes; at least {SECRET_BYTES} are needed (tsig-keygen makes one)"
            )));
        }
        Ok(Self { name, algorithm, secret })
    }

    /// The keys of a text: BIND's statements `key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`, as
    /// `tsig-keygen` and `rndc-confgen` write them, with any other statements around them; or one line
    /// `[ALGORITHM:]NAME:BASE64`, as `nsupdate -y` takes it.
    ///
    /// # Errors
    /// Where there is no key in it, or one of them is wrong. No message holds any of the secret.
    pub fn read_all(text: &str) -> Result<Vec<Self>, KeyError> {
        let words = split_words(text);
        let is_statement = |at: &usize| {
            words.get(*at).is_some_and(|word| word == "key") && words.get(*at + 2).is_some_and(|word| word == "{")
        };
        let starts: Vec<usize> = (0..words.len()).filter(is_statement).collect();
        if !starts.is_empty() {
            return starts.into_iter().map(|at| read_statement(words.get(at..).unwrap_or_default())).collect();
        }
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            [line] => Ok(vec![read_line(line)?]),
            _ => Err(KeyError(
                "there is no key in it; write `key \"NAME\" { algorithm hmac-sha256; secret \"BASE64\"; };` or \
                 `hmac-sha256:NAME:BASE64`"
                    .to_owned(),
            )),
        }
    }

    /// A key whose secret may be too short, as those of test vectors are.
    #[cfg(test)]
    pub(super) fn of_any_length(secret: &[u8]) -> Self {
        Self { name: Name::root(), algorithm: Algorithm::Sha256, secret: secret.to_vec() }
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many bytes longer its signature makes an answer: a record of type TSIG (RFC 8945, 4.2).
    pub fn signature_bytes(&self) -> usize {
        // Type, class, TTL and length; then time, fudge, the signature's length, id, error and the length of nothing.
        let fixed = 10 + 6 + 2 + 2 + 2 + 2 + 2;
        self.name.as_wire().len() + self.algorithm.wire().len() + fixed + self.algorithm.mac_bytes()
    }

    /// The signature of the parts in a row.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Mac {
        Mac(match self.algorithm {
            Algorithm::Sha224 => fed::<Hmac<Sha224>>(&self.secret, parts).finalize().into_bytes().to_vec(),
            Algorithm::Sha256 => fed::<Hmac<Sha256>>(&self.secret, parts).finalize().into_bytes().to_vec(),
            Algorithm::Sha384 => fed::<Hmac<Sha384>>(&self.secret, parts).finalize().into_bytes().to_vec(),
            Algorithm::Sha512 => fed::<Hmac<Sha512>>(&self.secret, parts).finalize().into_bytes().to_vec(),
        })
    }

    /// Whether that is the signature of the parts, or the beginning of it; compared in constant time.
    pub(super) fn fits(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha224 => fed::<Hmac<Sha224>>(&self.secret, parts).verify_truncated_left(mac).is_ok(),
            Algorithm::Sha256 => fed::<Hmac<Sha256>>(&self.secret, parts).verify_truncated_left(mac).is_ok(),
            Algorithm::Sha384 => fed::<Hmac<Sha384>>(&self.secret, parts).verify_truncated_left(mac).is_ok(),
            Algorithm::Sha512 => fed::<Hmac<Sha512>>(&self.secret, parts).verify_truncated_left(mac).is_ok(),
        }
    }
}

fn fed<M: hmac::Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// Words, strings without their quotes, and the signs `{ } ;` of a text in BIND's manner, comments left out. As there,
/// a comment begins at the start of a word only: base 64 may hold `//`.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(sign) = rest.chars().next() {
        rest = if sign == '#' || rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(string) = rest.strip_prefix('"') {
            let (string, after) = string.split_once('"').unwrap_or((string, ""));
            words.push(string.to_owned());
            after
        } else {
            let length = rest.find(|sign: char| sign.is_whitespace() || "{};\"".contains(sign)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length.max(sign.len_utf8()));
            words.push(word.to_owned());
            after
        }
        .trim_start();
    }
    words
}

/// A statement from its word `key` on.
fn read_statement(words: &[String]) -> Result<Key, KeyError> {
    let name = words.get(1).map(String::as_str).unwrap_or_default();
    let body = words.iter().skip(3).take_while(|word| *word != "}").map(String::as_str).collect::<Vec<_>>();
    let value = |wanted: &str| {
        let clauses = body.split(|word| *word == ";");
        clauses.into_iter().find_map(|clause| match clause {
            [word, value] if word.eq_ignore_ascii_case(wanted) => Some(*value),
            _ => None,
        })
    };
    let missing = |what: &str| KeyError(format!("key `{name}` has no `{what}`"));
    let algorithm = value("algorithm").ok_or_else(|| missing("algorithm"))?;
    let secret = value("secret").ok_or_else(|| missing("secret"))?;
    build(name, algorithm, secret)
}

/// `[ALGORITHM:]NAME:BASE64`.
fn read_line(line: &str) -> Result<Key, KeyError> {
    match line.split(':').collect::<Vec<_>>().as_slice() {
        [algorithm, name, secret] => build(name, algorithm, secret),
        [name, secret] => build(name, Algorithm::Sha256.as_str(), secret),
        _ => Err(KeyError("this is no key; write `hmac-sha256:NAME:BASE64`".to_owned())),
    }
}

fn build(name: &str, algorithm: &str, secret: &str) -> Result<Key, KeyError> {
    let wrong = |text: String| KeyError(format!("key `{name}`: {text}"));
    let parsed = Name::from_text(name.as_bytes(), Some(&Name::root())).map_err(|error| wrong(error.to_string()))?;
    let known = Algorithm::ALL.map(Algorithm::as_str).join(", ");
    let algorithm = Algorithm::from_text(algorithm)
        .ok_or_else(|| wrong(format!("the algorithm `{algorithm}` is not supported; there are {known}")))?;
    // BIND takes a secret that is broken over several strings or lines.
    let digits: Vec<u8> = secret.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let secret = base64::read(&digits).ok_or_else(|| wrong("its secret is not base 64".to_owned()))?;
    Key::new(parsed, algorithm, secret)
}

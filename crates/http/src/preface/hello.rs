//! A TLS client's first words (RFC 8446 section 4.1.2), read for the name that it asks for and nothing else.
//!
//! Nothing is decrypted: the hello is in the open. Reading is strict, so that a hello in which another program would
//! find another name is refused. Where a client encrypts its hello (ECH), the name is that of the outer one.

use std::fmt;

use evenkeel_model::caps;

#[cfg(test)]
mod tests;

/// Type of a record that carries handshakes.
const HANDSHAKE: u8 = 22;
/// Most bytes in a record (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 1 << 14;
/// Type, version and length of a record.
const RECORD_HEAD: usize = 5;
/// Type and length of a handshake.
const HANDSHAKE_HEAD: usize = 4;
/// Type of the hello among handshakes.
const CLIENT_HELLO: u8 = 1;
/// The extension that holds names (RFC 6066 section 3).
const SERVER_NAME: u16 = 0;
/// The extension that holds protocols (RFC 7301).
const ALPN: u16 = 16;

/// What a client's first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Not TLS.
    Other,
    /// A hello.
    Hello(Hello),
}

/// What a hello asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// The name of the server, in lower case, if one is given.
    pub name: Option<String>,
    /// The first protocol that is offered (ALPN).
    pub alpn: Option<Vec<u8>>,
}

/// Why bytes that begin like TLS are no hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloError {
    /// A record that is none, or not of a handshake.
    Record,
    /// Longer than we read.
    TooLong,
    /// Not a hello, or one whose parts do not add up.
    Malformed,
    /// A name that is none.
    Name,
}

impl HelloError {
    /// The label of the counter of refused connections.
    pub fn code(self) -> &'static str {
        match self {
            Self::Record => "tls-record",
            Self::TooLong => "tls-hello-too-long",
            Self::Malformed => "tls-hello",
            Self::Name => "tls-name",
        }
    }
}

impl fmt::Display for HelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "it began like TLS and went on otherwise",
            Self::TooLong => "its TLS hello is too long",
            Self::Malformed => "its TLS hello is malformed",
            Self::Name => "the name in its TLS hello is none",
        })
    }
}

/// A reading of a client's first bytes, which goes on where it stopped when more of them are there.
#[derive(Debug, Default)]
pub struct Reading {
    /// Where the first record begins that is not whole yet.
    at: usize,
    /// What the whole ones carry.
    handshake: Vec<u8>,
}

impl Reading {
    /// Looks at all that the client has said so far; `None` where more is needed.
    ///
    /// # Errors
    /// As soon as bytes that begin like TLS cannot become a hello.
    pub fn look(&mut self, bytes: &[u8]) -> Result<Option<Seen>, HelloError> {
        match (bytes.first(), bytes.get(1)) {
            (None, _) | (Some(&HANDSHAKE), None) => return Ok(None),
            (Some(&HANDSHAKE), Some(3)) => {}
            _ => return Ok(Some(Seen::Other)),
        }
        while let Some(fragment) = next_record(bytes.get(self.at..).unwrap_or_default())? {
            self.handshake.extend_from_slice(fragment);
            self.at = self.at.saturating_add(RECORD_HEAD).saturating_add(fragment.len());
            if let Some(whole) = whole_of(&self.handshake)? {
                let hello = self.handshake.get(HANDSHAKE_HEAD..whole).unwrap_or_default();
                return read_hello(hello).map(|hello| Some(Seen::Hello(hello)));
            }
        }
        // Each record may carry as little as one byte.
        if bytes.len() > caps::HELLO_BYTES.saturating_mul(2) {
            return Err(HelloError::TooLong);
        }
        Ok(None)
    }
}

/// What the next record carries, once it is whole.
fn next_record(bytes: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    match (bytes.first(), bytes.get(1)) {
        (None, _) | (Some(&HANDSHAKE), None | Some(3)) => {}
        _ => return Err(HelloError::Record),
    }
    let Some(length) = bytes.get(3..RECORD_HEAD).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes) else {
        return Ok(None);
    };
    let length = usize::from(length);
    // An empty one means nothing in a handshake (section 5.1).
    if length == 0 || length > RECORD_BYTES {
        return Err(HelloError::Record);
    }
    Ok(bytes.get(RECORD_HEAD..RECORD_HEAD.saturating_add(length)))
}

/// How long the handshake is with its head, once all of it is there. It is refused as soon as its head shows that it
/// cannot be a hello.
fn whole_of(handshake: &[u8]) -> Result<Option<usize>, HelloError> {
    if handshake.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloError::Malformed);
    }
    let Some([high, middle, low]) = handshake.get(1..HANDSHAKE_HEAD) else { return Ok(None) };
    let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    let whole = length.saturating_add(HANDSHAKE_HEAD);
    if whole > caps::HELLO_BYTES {
        return Err(HelloError::TooLong);
    }
    Ok((handshake.len() >= whole).then_some(whole))
}

fn read_hello(bytes: &[u8]) -> Result<Hello, HelloError> {
    let mut hello = Reader(bytes);
    // Version and random.
    hello.take(2 + 32)?;
    if hello.short()?.len() > 32 {
        return Err(HelloError::Malformed);
    }
    let ciphers = hello.long()?;
    if ciphers.len() < 2 || ciphers.len() % 2 == 1 || hello.short()?.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut read = Hello::default();
    if hello.0.is_empty() {
        // Before TLS 1.3 a hello may do without extensions.
        return Ok(read);
    }
    let mut extensions = Reader(hello.long()?);
    hello.end()?;
    let mut kinds: Vec<u16> = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.long()?;
        if kinds.contains(&kind) || kinds.len() >= caps::HELLO_EXTENSIONS {
            return Err(HelloError::Malformed);
        }
        kinds.push(kind);
        match kind {
            SERVER_NAME => read.name = Some(server_name(body)?),
            ALPN => read.alpn = Some(first_protocol(body)?),
            _ => {}
        }
    }
    Ok(read)
}

/// The name in a list that may hold one of each type, of which there is one.
fn server_name(body: &[u8]) -> Result<String, HelloError> {
    let mut outer = Reader(body);
    let mut list = Reader(outer.long()?);
    outer.end()?;
    let kind = list.take(1)?;
    let name = list.long()?;
    list.end()?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if kind != [0] || name.is_empty() || name.len() > 255 || !name.iter().all(is_plain) {
        return Err(HelloError::Name);
    }
    let text = std::str::from_utf8(name).map_err(|_| HelloError::Name)?;
    // A dot at the end names the same host, and is not to be sent.
    Ok(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
}

fn first_protocol(body: &[u8]) -> Result<Vec<u8>, HelloError> {
    let mut outer = Reader(body);
    let mut list = Reader(outer.long()?);
    outer.end()?;
    let first = list.short()?.to_vec();
    while !list.0.is_empty() {
        if list.short()?.is_empty() {
            return Err(HelloError::Malformed);
        }
    }
    if first.is_empty() { Err(HelloError::Malformed) } else { Ok(first) }
}

/// Bytes that are taken from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, HelloError> {
        let two = <[u8; 2]>::try_from(self.take(2)?).map_err(|_| HelloError::Malformed)?;
        Ok(u16::from_be_bytes(two))
    }

    /// A part whose length stands before it in one byte.
    fn short(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.take(1)?.first().copied().unwrap_or_default();
        self.take(usize::from(length))
    }

    /// A part whose length stands before it in two bytes.
    fn long(&mut self) -> Result<&'a [u8], HelloError> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    fn end(&self) -> Result<(), HelloError> {
        if self.0.is_empty() { Ok(()) } else { Err(HelloError::Malformed) }
    }
}

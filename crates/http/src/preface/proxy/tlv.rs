//! The values behind the addresses of a header of version 2 (section 2.2.1 to 2.2.7 of the specification).

use super::{ProxyError, crc};

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CHECKSUM: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
/// The client connected over TLS.
const CLIENT_SSL: u8 = 0x01;
/// It showed a certificate, on this connection and in its session.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;

/// The longest unique id (section 2.2.5).
const UNIQUE_ID_BYTES: usize = 128;
/// The longest name that a host can have.
const NAME_BYTES: usize = 255;

/// What a header tells beside the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The protocol that was agreed on by TLS (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for, in lower case: of TLS (SNI), or of a request.
    pub authority: Option<String>,
    /// Whether the client came over TLS.
    pub is_over_tls: bool,
    /// What is known of it where it ended here. It is told, and never read: what others tell of it is of no use here.
    pub own_tls: Option<Box<OwnTls>>,
}

/// What is told of TLS that ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTls {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// The suite, as OpenSSL calls it.
    pub cipher: &'static str,
    /// Whether the client showed a certificate, which was then verified.
    pub has_certificate: bool,
    /// The common name in it.
    pub common_name: Option<String>,
}

/// Reads the values from `at` to the header's end.
pub(super) fn read(header: &[u8], at: usize) -> Result<Facts, ProxyError> {
    let mut facts = Facts::default();
    let mut rest = header.get(at..).unwrap_or_default();
    while !rest.is_empty() {
        let (kind, value, behind) = next(rest)?;
        match kind {
            ALPN if !value.is_empty() => facts.alpn = Some(value.to_vec()),
            ALPN => return Err(ProxyError::Value),
            AUTHORITY => facts.authority = Some(name(value)?),
            CHECKSUM => {
                let offset = header.len().saturating_sub(behind.len()).saturating_sub(value.len());
                check(header, offset, value)?;
            }
            UNIQUE_ID if value.len() > UNIQUE_ID_BYTES => return Err(ProxyError::Value),
            SSL => facts.is_over_tls = ssl(value)?,
            // Unknown ones are to be skipped, and so are those of no use here (NOOP, NETNS and their like).
            _ => {}
        }
        rest = behind;
    }
    Ok(facts)
}

/// The first value, and what is behind it.
fn next(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), ProxyError> {
    let (kind, rest) = bytes.split_first().ok_or(ProxyError::Value)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(ProxyError::Value)?;
    let (value, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(ProxyError::Value)?;
    Ok((*kind, value, behind))
}

/// A host's name: what else it may be is nothing that we could use.
fn name(value: &[u8]) -> Result<String, ProxyError> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() || *byte >= 0x80;
    let text = std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_plain));
    let text = text.filter(|text| (1..=NAME_BYTES).contains(&text.len())).ok_or(ProxyError::Value)?;
    Ok(text.to_ascii_lowercase())
}

/// The checksum is that of the whole header with zeros in its own place.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), ProxyError> {
    let told = <[u8; 4]>::try_from(value).map(u32::from_be_bytes).map_err(|_| ProxyError::Value)?;
    let mut zeroed = header.to_vec();
    let place = zeroed.iter_mut().skip(at).take(4);
    place.for_each(|byte| *byte = 0);
    if crc::crc32c(&zeroed) == told { Ok(()) } else { Err(ProxyError::Checksum) }
}

/// What is told of TLS: a byte of flags, a result of verifying, and values of its own.
fn ssl(value: &[u8]) -> Result<bool, ProxyError> {
    let (flags, rest) = value.split_first().ok_or(ProxyError::Value)?;
    let (_verify, mut rest) = rest.split_first_chunk::<4>().ok_or(ProxyError::Value)?;
    while !rest.is_empty() {
        (_, _, rest) = next(rest)?;
    }
    Ok(flags & 1 == 1)
}

/// Appends the facts.
pub(super) fn write(facts: &Facts, out: &mut Vec<u8>) {
    let mut value = |kind: u8, bytes: &[u8]| {
        if let Ok(length) = u16::try_from(bytes.len()) {
            out.push(kind);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
    };
    if let Some(alpn) = facts.alpn.as_deref().filter(|alpn| alpn.len() <= NAME_BYTES) {
        value(ALPN, alpn);
    }
    if let Some(authority) = facts.authority.as_deref().filter(|name| name.len() <= NAME_BYTES) {
        value(AUTHORITY, authority.as_bytes());
    }
    if facts.is_over_tls {
        value(SSL, &ssl_value(facts.own_tls.as_deref()));
    }
}

/// Flags, the result of verifying, and what is known besides (section 2.2.6).
fn ssl_value(own: Option<&OwnTls>) -> Vec<u8> {
    let Some(own) = own else {
        // The client connected over TLS and showed no certificate; 1 says that none was verified.
        return vec![CLIENT_SSL, 0, 0, 0, 1];
    };
    let mut value = match own.has_certificate {
        true => vec![CLIENT_SSL | CLIENT_CERTIFICATE, 0, 0, 0, 0],
        false => vec![CLIENT_SSL, 0, 0, 0, 1],
    };
    let name = own.common_name.as_deref().unwrap_or_default();
    for (kind, text) in [(SSL_VERSION, own.version), (SSL_CIPHER, own.cipher), (SSL_COMMON_NAME, name)] {
        if let Some(length) = u16::try_from(text.len()).ok().filter(|_| (1..=NAME_BYTES).contains(&text.len())) {
            value.push(kind);
            value.extend_from_slice(&length.to_be_bytes());
            value.extend_from_slice(text.as_bytes());
        }
    }
    value
}

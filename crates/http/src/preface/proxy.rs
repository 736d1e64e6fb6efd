//! The PROXY protocol, versions 1 and 2: who a connection is from, told by the proxy that made it.
//!
//! After its specification ("The PROXY protocol, versions 1 & 2", of HAProxy). Reading is strict: a header that breaks
//! a rule is refused, and the connection with it, since what follows cannot be told from what the header was to be.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use evenkeel_model::caps;

mod crc;
mod tlv;

#[cfg(test)]
mod tests;

pub use tlv::{Facts, OwnTls};

/// What begins a header of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What begins a header of version 1.
const WORD: &[u8] = b"PROXY ";
/// The longest header of version 1, its line end included.
const LINE_BYTES: usize = 107;
/// Signature, version, family and length of version 2.
const FIXED_BYTES: usize = 16;

/// Who a connection is from and whom it called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// The address that it called.
    pub destination: SocketAddr,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The ends that it announces. `None` where the proxy speaks for itself (a check of its own), or does not know, or means
    /// something that is no connection of TCP: the connection's own ends count then.
    pub ends: Option<Ends>,
    /// What else it tells.
    pub facts: Facts,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// They begin with neither version's signature.
    Signature,
    /// A line of version 1 that is too long or does not end as it should.
    Line,
    /// A protocol, address or port of version 1 that is none.
    Address,
    /// A version, command or family of version 2 that does not exist.
    Command,
    /// A block of version 2 that is shorter than its addresses, or longer than we read.
    Length,
    /// A value of version 2 that is longer than the rest of its block, or malformed.
    Value,
    /// A checksum of version 2 that does not fit.
    Checksum,
}

impl ProxyError {
    /// The label of the counter of refused connections.
    pub fn code(self) -> &'static str {
        match self {
            Self::Signature => "proxy-signature",
            Self::Line => "proxy-line",
            Self::Address => "proxy-address",
            Self::Command => "proxy-command",
            Self::Length => "proxy-length",
            Self::Value => "proxy-value",
            Self::Checksum => "proxy-checksum",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "it begins with no PROXY header",
            Self::Line => "the line of its PROXY header is malformed",
            Self::Address => "an address of its PROXY header is malformed",
            Self::Command => "version, command or family of its PROXY header are unknown",
            Self::Length => "the length of its PROXY header is wrong",
            Self::Value => "a value of its PROXY header is malformed",
            Self::Checksum => "the checksum of its PROXY header is wrong",
        })
    }
}

/// Reads a header from the front of `bytes`: its length and what it says, or `None` where more bytes are needed. While
/// it is `None`, every byte belongs to the header.
///
/// # Errors
/// As soon as the bytes cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyError> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => parse_line(bytes),
        Some(_) => parse_block(bytes),
    }
}

/// Version 1: a line of text (section 2.1).
fn parse_line(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyError> {
    let common = bytes.len().min(WORD.len());
    if bytes.get(..common) != WORD.get(..common) {
        return Err(ProxyError::Signature);
    }
    let line = bytes.get(..bytes.len().min(LINE_BYTES)).unwrap_or_default();
    let Some(end) = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if line.len() == LINE_BYTES { Err(ProxyError::Line) } else { Ok(None) };
    };
    match (line.get(end), line.get(end.saturating_add(1))) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) if line.len() < LINE_BYTES => return Ok(None),
        _ => return Err(ProxyError::Line),
    }
    let text = line.get(WORD.len()..end).ok_or(ProxyError::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| ProxyError::Line)?;
    let header = Header { ends: ends_of_line(text)?, facts: Facts::default() };
    Ok(Some((end.saturating_add(2), header)))
}

fn ends_of_line(text: &str) -> Result<Option<Ends>, ProxyError> {
    // Whatever follows this word is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(ProxyError::Address);
    let family = word()?;
    let (source, destination) = match family {
        "TCP4" => (v4(word()?)?, v4(word()?)?),
        "TCP6" => (v6(word()?)?, v6(word()?)?),
        _ => return Err(ProxyError::Address),
    };
    let (from, to) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(ProxyError::Address);
    }
    Ok(Some(Ends { source: plain(source, from), destination: plain(destination, to) }))
}

/// Four numbers without leading zeros; the standard library takes no others.
fn v4(word: &str) -> Result<IpAddr, ProxyError> {
    word.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| ProxyError::Address)
}

/// Groups of hexadecimal digits; also with the last two as an IPv4 address, as systems write mapped ones.
fn v6(word: &str) -> Result<IpAddr, ProxyError> {
    word.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| ProxyError::Address)
}

fn port(word: &str) -> Result<u16, ProxyError> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse::<u16>().ok().filter(|_| is_plain).ok_or(ProxyError::Address)
}

/// Version 2: a block of fixed and of announced length (section 2.2).
fn parse_block(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyError> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes.get(..common) != SIGNATURE.get(..common) {
        return Err(ProxyError::Signature);
    }
    let command = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(ProxyError::Command),
    };
    let Some(family) = bytes.get(13) else { return Ok(None) };
    let family = Family::of(*family, command)?;
    let Some(length) = bytes.get(14..FIXED_BYTES).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes) else {
        return Ok(None);
    };
    let length = usize::from(length);
    let whole = length.saturating_add(FIXED_BYTES);
    if length < family.address_bytes() || whole > caps::PROXY_HEADER_BYTES {
        return Err(ProxyError::Length);
    }
    let Some(header) = bytes.get(..whole) else { return Ok(None) };
    let block = header.get(FIXED_BYTES..).unwrap_or_default();
    let facts = match family.has_values() {
        true => tlv::read(header, FIXED_BYTES.saturating_add(family.address_bytes()))?,
        false => Facts::default(),
    };
    Ok(Some((whole, Header { ends: family.ends(block), facts })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The proxy speaks for itself: the block is to be skipped, whatever it holds.
    Local,
    Proxy,
}

/// What the addresses of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// To be skipped: unspecified, or the proxy's own.
    None,
    Tcp4,
    Tcp6,
    /// Well-formed, and nothing that a connection of TCP can be from: datagrams and local sockets.
    Other(usize),
}

impl Family {
    fn of(byte: u8, command: Command) -> Result<Self, ProxyError> {
        match (byte, command) {
            (_, Command::Local) | (0x00, _) => Ok(Self::None),
            (0x11, _) => Ok(Self::Tcp4),
            (0x21, _) => Ok(Self::Tcp6),
            (0x12, _) => Ok(Self::Other(12)),
            (0x22, _) => Ok(Self::Other(36)),
            (0x31 | 0x32, _) => Ok(Self::Other(216)),
            _ => Err(ProxyError::Command),
        }
    }

    fn address_bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Tcp4 => 12,
            Self::Tcp6 => 36,
            Self::Other(bytes) => bytes,
        }
    }

    fn has_values(self) -> bool {
        self != Self::None
    }

    fn ends(self, block: &[u8]) -> Option<Ends> {
        let ip = |at: usize| -> Option<IpAddr> {
            match self {
                Self::Tcp4 => Some(IpAddr::from(<[u8; 4]>::try_from(block.get(at..at.checked_add(4)?)?).ok()?)),
                Self::Tcp6 => Some(IpAddr::from(<[u8; 16]>::try_from(block.get(at..at.checked_add(16)?)?).ok()?)),
                Self::None | Self::Other(_) => None,
            }
        };
        let port = |at: usize| -> Option<u16> {
            Some(u16::from_be_bytes(block.get(at..at.checked_add(2)?)?.try_into().ok()?))
        };
        let bytes = if self == Self::Tcp4 { 4 } else { 16 };
        Some(Ends { source: plain(ip(0)?, port(2 * bytes)?), destination: plain(ip(bytes)?, port(2 * bytes + 2)?) })
    }
}

/// An IPv4 address that is written as IPv6 is the same address.
fn plain(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

/// Appends a header of version 1; without ends one that speaks for us alone.
pub fn write_v1(out: &mut Vec<u8>, ends: Option<&Ends>) {
    let line = match ends {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some(Ends { source, destination }) => {
            let (from, to, family) = match (source.ip(), destination.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => (from.to_string(), to.to_string(), "TCP4"),
                (from, to) => (sixth(from).to_string(), sixth(to).to_string(), "TCP6"),
            };
            format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port())
        }
    };
    out.extend_from_slice(line.as_bytes());
}

/// Appends a header of version 2; without ends one that speaks for us alone, which tells no facts.
pub fn write_v2(out: &mut Vec<u8>, ends: Option<&Ends>, facts: &Facts) {
    out.extend_from_slice(&SIGNATURE);
    let Some(Ends { source, destination }) = ends else {
        // LOCAL, unspecified, nothing behind.
        return out.extend_from_slice(&[0x20, 0x00, 0, 0]);
    };
    let mut block = Vec::with_capacity(64);
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            block.extend_from_slice(&from.octets());
            block.extend_from_slice(&to.octets());
            0x11
        }
        (from, to) => {
            block.extend_from_slice(&sixth(from).octets());
            block.extend_from_slice(&sixth(to).octets());
            0x21
        }
    };
    block.extend_from_slice(&source.port().to_be_bytes());
    block.extend_from_slice(&destination.port().to_be_bytes());
    tlv::write(facts, &mut block);
    let length = u16::try_from(block.len()).unwrap_or(0);
    out.extend_from_slice(&[0x21, family]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(block.get(..usize::from(length)).unwrap_or_default());
}

/// As IPv6, mapped where it is IPv4.
fn sixth(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

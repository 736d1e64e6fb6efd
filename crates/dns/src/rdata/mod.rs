//! The data of a record: kept as uncompressed wire bytes, read and shown by one table of layouts.
//!
//! Not a type per record: a new type is a row in [`layout`]. The invariant: an [`Rdata`] fits the layout of the
//! type it was made for, so that splitting it later cannot fail; unknown types have no layout and any bytes.

pub(crate) mod base64;
mod show;
mod svcb;
mod text;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::kind::Type;
use crate::name::Name;
use crate::octets::Octets;

pub use text::{RdataError, Word, decode_text};
pub(crate) use text::{lossy, parse, period};

/// The data of one record in uncompressed wire form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rdata(Octets);

/// One field of a type's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// A number of one byte.
    U8,
    /// The number of a signing algorithm, one byte; it may be written by its name.
    Algorithm,
    /// A number of two bytes.
    U16,
    /// A number of four bytes.
    U32,
    /// A duration in seconds of four bytes, written with units if wished.
    Period,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// A name that other names in a message may shorten (only the types of RFC 1035; RFC 3597, 4).
    Name,
    /// A name that is always sent in full.
    PlainName,
    /// One character string.
    Text,
    /// One or more character strings, to the end.
    Texts,
    /// A CAA tag: a character string of letters and digits.
    Tag,
    /// Text without a length, to the end.
    Tail,
    /// Bytes to the end, written in hexadecimal.
    Hex,
    /// Bytes to the end, written in base 64.
    Base64,
    /// Parameters of SVCB, to the end.
    Params,
}

/// The layout of a type's data; `None` for the types that we carry without looking inside.
pub(crate) fn layout(kind: Type) -> Option<&'static [Field]> {
    use Field::{Algorithm, Base64, Hex, Name, Params, Period, PlainName};
    use Field::{Tag, Tail, Text, Texts, U8, U16, U32, V4, V6};
    Some(match kind {
        Type::A => &[V4],
        Type::AAAA => &[V6],
        Type::NS | Type::CNAME | Type::PTR => &[Name],
        Type::DNAME => &[PlainName],
        Type::SOA => &[Name, Name, U32, Period, Period, Period, Period],
        Type::MX => &[U16, Name],
        Type::TXT | Type::SPF => &[Texts],
        Type::HINFO => &[Text, Text],
        Type::SRV => &[U16, U16, U16, PlainName],
        Type::CAA => &[U8, Tag, Tail],
        Type::SVCB | Type::HTTPS => &[U16, PlainName, Params],
        Type::NAPTR => &[U16, U16, Text, Text, Text, PlainName],
        Type::DS | Type::CDS => &[U16, Algorithm, U8, Hex],
        Type::TLSA | Type::SMIMEA => &[U8, U8, U8, Hex],
        Type::DNSKEY | Type::CDNSKEY => &[U16, U8, Algorithm, Base64],
        Type::OPENPGPKEY => &[Base64],
        Type::RP => &[PlainName, PlainName],
        Type::AFSDB => &[U16, PlainName],
        Type::URI => &[U16, U16, Tail],
        Type::SSHFP => &[U8, U8, Hex],
        _ => return None,
    })
}

impl Field {
    /// How many bytes of `rest` the field takes; `None` where it does not fit.
    pub(crate) fn length(self, rest: &[u8]) -> Option<usize> {
        let fixed = match self {
            Self::U8 | Self::Algorithm => 1,
            Self::U16 => 2,
            Self::U32 | Self::Period | Self::V4 => 4,
            Self::V6 => 16,
            Self::Name | Self::PlainName => name_length(rest)?,
            Self::Text => text_length(rest)?,
            Self::Tag => tag_length(rest)?,
            Self::Texts => return texts_fit(rest).then_some(rest.len()),
            Self::Params => return svcb::fits(rest).then_some(rest.len()),
            Self::Tail => rest.len(),
            // A digest or a key of no bytes is none.
            Self::Hex | Self::Base64 => rest.len().max(1),
        };
        (fixed <= rest.len()).then_some(fixed)
    }
}

fn text_length(rest: &[u8]) -> Option<usize> {
    usize::from(*rest.first()?).checked_add(1)
}

/// RFC 8659, 4.1: one letter or digit at least.
fn tag_length(rest: &[u8]) -> Option<usize> {
    let length = text_length(rest)?;
    let tag = rest.get(1..length)?;
    (!tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric)).then_some(length)
}

fn texts_fit(mut rest: &[u8]) -> bool {
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match text_length(rest).and_then(|n| rest.get(n..)) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    true
}

fn name_length(rest: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let length = usize::from(*rest.get(at)?);
        at = at.checked_add(1)?;
        if length == 0 {
            return (at <= crate::name::NAME_BYTES).then_some(at);
        }
        if length > crate::name::LABEL_BYTES {
            return None;
        }
        at = at.checked_add(length)?;
    }
}

/// Splits data into the fields of its type. A type without layout is one [`Field::Hex`]. `None` where the bytes do
/// not fit.
pub(crate) fn split(kind: Type, bytes: &[u8]) -> Option<Vec<(Field, &[u8])>> {
    let Some(layout) = layout(kind) else { return Some(vec![(Field::Hex, bytes)]) };
    let mut rest = bytes;
    let mut parts = Vec::with_capacity(layout.len());
    for &field in layout {
        let (part, tail) = rest.split_at_checked(field.length(rest)?)?;
        parts.push((field, part));
        rest = tail;
    }
    rest.is_empty().then_some(parts)
}

/// Whether bytes are data of a type: whether they can be split.
fn fits(kind: Type, bytes: &[u8]) -> bool {
    let Some(layout) = layout(kind) else { return true };
    let rest = layout.iter().try_fold(bytes, |rest, field| rest.get(field.length(rest)?..));
    rest.is_some_and(<[u8]>::is_empty) && wrong_digest(kind, bytes).is_none()
}

/// A digest whose length is not that of its kind.
pub(crate) struct WrongDigest {
    pub(crate) kind: u8,
    pub(crate) length: usize,
    pub(crate) wanted: usize,
}

/// Looks at the digest in data of DS and SSHFP, which ends it, behind its kind. A resolver that knows the kind holds the
/// child of a DS for forged where the length is wrong (RFC 4034, 5.1.4; RFC 4509; RFC 6605); BIND refuses whole
/// zones with such an SSHFP (RFC 4255, 3.1.2; RFC 6594, 4.2).
pub(crate) fn wrong_digest(kind: Type, bytes: &[u8]) -> Option<WrongDigest> {
    let (at, lengths): (usize, &[(u8, usize)]) = match kind {
        Type::DS | Type::CDS => (3, &[(1, 20), (2, 32), (4, 48)]),
        Type::SSHFP => (1, &[(1, 20), (2, 32)]),
        _ => return None,
    };
    let (kind, digest) = bytes.get(at..)?.split_first()?;
    let (_, wanted) = *lengths.iter().find(|(known, _)| known == kind)?;
    (digest.len() != wanted).then_some(WrongDigest { kind: *kind, length: digest.len(), wanted })
}

impl Rdata {
    /// Data from uncompressed wire bytes. `None` where they do not fit the type, or are longer than a record can be.
    pub fn from_wire(kind: Type, bytes: &[u8]) -> Option<Self> {
        if !fits(kind, bytes) {
            return None;
        }
        (bytes.len() <= usize::from(u16::MAX)).then(|| Self(Octets::of(bytes)))
    }

    /// The data of an A record.
    pub fn a(address: Ipv4Addr) -> Self {
        Self(Octets::of(&address.octets()))
    }

    /// The data of an AAAA record.
    pub fn aaaa(address: Ipv6Addr) -> Self {
        Self(Octets::of(&address.octets()))
    }

    /// The data of a record that is one name: NS, CNAME, DNAME, PTR.
    pub fn name(name: &Name) -> Self {
        Self(Octets::of(name.as_wire()))
    }

    /// The data of a TXT record with one string, cut at 255 bytes.
    pub fn txt(text: &[u8]) -> Self {
        let kept = text.get(..255).unwrap_or(text);
        let mut bytes = vec![u8::try_from(kept.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(kept);
        Self(Octets::of(&bytes))
    }

    /// The data of a SOA record.
    pub fn soa(soa: &Soa) -> Self {
        let mut bytes = soa.primary.as_wire().to_vec();
        bytes.extend_from_slice(soa.mailbox.as_wire());
        for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Self(Octets::of(&bytes))
    }

    /// The uncompressed wire bytes.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The data in master-file text, names absolute. Data that does not fit `kind` is shown as RFC 3597 says.
    pub fn show(&self, kind: Type) -> String {
        show::show(kind, &self.0)
    }

    /// The first name in the data: the target of NS, CNAME, DNAME, PTR, MX, SRV, SVCB, HTTPS and NAPTR.
    pub fn target(&self, kind: Type) -> Option<Name> {
        let parts = split(kind, &self.0)?;
        let (_, bytes) = parts.iter().find(|(field, _)| matches!(field, Field::Name | Field::PlainName))?;
        Name::from_wire(bytes)
    }

    /// Whether it is an alias of SVCB or HTTPS with parameters, which nobody looks at (RFC 9460, 2.4.2).
    pub(crate) fn has_idle_parameters(&self, kind: Type) -> bool {
        if !matches!(kind, Type::SVCB | Type::HTTPS) {
            return false;
        }
        let parts = split(kind, &self.0).unwrap_or_default();
        let is_alias = parts.first().is_some_and(|(_, priority)| priority.iter().all(|byte| *byte == 0));
        is_alias && parts.last().is_some_and(|(field, bytes)| *field == Field::Params && !bytes.is_empty())
    }

    /// Whether it is SVCB or HTTPS with addresses, which clients may use without asking for those (RFC 9460, 7.3).
    pub fn has_address_hints(&self, kind: Type) -> bool {
        matches!(kind, Type::SVCB | Type::HTTPS)
            && split(kind, &self.0).and_then(|parts| parts.last().map(|(_, params)| svcb::has_hints(params)))
                == Some(true)
    }

    /// The address of an A or AAAA record.
    pub fn as_ip(&self) -> Option<IpAddr> {
        let wire = self.as_wire();
        let v4 = <[u8; 4]>::try_from(wire).ok().map(IpAddr::from);
        v4.or_else(|| <[u8; 16]>::try_from(wire).ok().map(IpAddr::from))
    }

    /// The data as a SOA's; `None` where it is none.
    pub fn as_soa(&self) -> Option<Soa> {
        let parts = split(Type::SOA, &self.0)?;
        let number = |at: usize| parts.get(at).and_then(|(_, b)| <[u8; 4]>::try_from(*b).ok()).map(u32::from_be_bytes);
        Some(Soa {
            primary: Name::from_wire(parts.first()?.1)?,
            mailbox: Name::from_wire(parts.get(1)?.1)?,
            serial: number(2)?,
            refresh: number(3)?,
            retry: number(4)?,
            expire: number(5)?,
            minimum: number(6)?,
        })
    }

    /// Whether it is the same data, but for the case of names.
    pub(crate) fn is_same(&self, other: &Self, kind: Type) -> bool {
        self == other || self.0.eq_ignore_ascii_case(&other.0) && self.folded(kind) == other.folded(kind)
    }

    /// The same data with its names in lower case, for comparing without case (RFC 4034, 6.2).
    pub(crate) fn folded(&self, kind: Type) -> Vec<u8> {
        let Some(parts) = split(kind, &self.0) else { return self.0.to_vec() };
        let mut bytes = Vec::with_capacity(self.0.len());
        for (field, part) in parts {
            match field {
                Field::Name | Field::PlainName => bytes.extend(part.iter().map(u8::to_ascii_lowercase)),
                _ => bytes.extend_from_slice(part),
            }
        }
        bytes
    }
}

/// The fields of a SOA record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The primary server's name.
    pub primary: Name,
    /// The mailbox of who is responsible, with a dot for the `@`.
    pub mailbox: Name,
    /// The zone's version (RFC 1982).
    pub serial: u32,
    /// Seconds between a secondary's looks.
    pub refresh: u32,
    /// Seconds until it looks again after a failure.
    pub retry: u32,
    /// Seconds after which an unreachable primary's data is thrown away.
    pub expire: u32,
    /// Seconds that a negative answer may be kept (RFC 2308).
    pub minimum: u32,
}

#[cfg(test)]
mod tests;

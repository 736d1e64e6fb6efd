//! What a certificate says of itself, read out of its DER (X.690, RFC 5280): names, validity, issuer, serial number.
//!
//! Not a verifier: signatures and trust are rustls' matter. It reads what people are to see, and the names by which a
//! certificate is chosen. The invariant: any bytes give facts or none; nothing here panics or loops.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The deepest that a name or an extension is looked into.
const MOST_ITEMS: usize = 1024;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// 2.5.29.17, 2.5.29.19.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject, as RFC 4514 writes it: `CN=shop.example.com,O=Shop`.
    pub subject: String,
    /// The issuer, written alike.
    pub issuer: String,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// From when it is valid, in seconds since 1970.
    pub not_before: u64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: u64,
    /// What it stands for.
    pub names: Names,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Subject and issuer as they stand in the certificate, to compare.
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
}

/// The names that a certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// Host names in lower case; `*.example.com` stands for one label.
    pub hosts: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

impl CertificateFacts {
    /// Reads a certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Reader(der).enter(SEQUENCE)?;
        let mut body = certificate.enter(SEQUENCE)?;
        if body.peek() == Some(0xa0) {
            body.any()?;
        }
        let serial = body.take(INTEGER)?;
        body.take(SEQUENCE)?;
        let issuer = body.take(SEQUENCE)?;
        let mut validity = body.enter(SEQUENCE)?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = body.take(SEQUENCE)?;
        body.take(SEQUENCE)?;
        let mut facts = Self {
            subject: written(subject)?,
            issuer: written(issuer)?,
            serial: hexadecimal(serial),
            not_before,
            not_after,
            names: Names::default(),
            is_authority: false,
            subject_der: subject.to_vec(),
            issuer_der: issuer.to_vec(),
        };
        while let Some((tag, content)) = body.any() {
            if tag == 0xa3 {
                facts.read_extensions(Reader(content).enter(SEQUENCE)?)?;
            }
        }
        if facts.names == Names::default() {
            // Old certificates have their host in the subject alone; clients of today do not take it for one.
            facts.names.hosts.clear();
        }
        Some(facts)
    }

    /// Whether this certificate names that one as its issuer.
    pub fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer_der == other.subject_der
    }

    /// The common name in the subject, the last where there are several: who somebody is, and for hosts of no meaning.
    pub fn common_name(&self) -> Option<String> {
        let mut name = Reader(&self.subject_der);
        let mut found = None;
        for _ in 0..MOST_ITEMS {
            let Some(mut set) = name.enter(SET) else { break };
            while let Some(mut pair) = set.enter(SEQUENCE) {
                if pair.take(OID) == Some(COMMON_NAME) {
                    found = pair.any().map(|(tag, value)| text(tag, value)).or(found);
                }
            }
        }
        found.filter(|name| !name.chars().any(char::is_control))
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der == self.subject_der
    }

    fn read_extensions(&mut self, mut extensions: Reader<'_>) -> Option<()> {
        for _ in 0..MOST_ITEMS {
            if extensions.0.is_empty() {
                break;
            }
            let mut extension = extensions.enter(SEQUENCE)?;
            let id = extension.take(OID)?;
            if extension.peek() == Some(BOOLEAN) {
                extension.any()?;
            }
            let value = extension.take(OCTETS)?;
            match id {
                SUBJECT_ALT_NAME => self.read_names(Reader(value).enter(SEQUENCE)?),
                BASIC_CONSTRAINTS => {
                    self.is_authority = Reader(value).enter(SEQUENCE)?.take(BOOLEAN).is_some_and(|it| it != [0]);
                }
                _ => {}
            }
        }
        Some(())
    }

    /// GeneralNames (RFC 5280 section 4.2.1.6): host names are `[2]`, addresses `[7]`.
    fn read_names(&mut self, mut names: Reader<'_>) {
        for _ in 0..MOST_ITEMS {
            match names.any() {
                Some((0x82, host)) => {
                    if let Ok(host) = std::str::from_utf8(host) {
                        self.names.hosts.push(host.trim_end_matches('.').to_ascii_lowercase());
                    }
                }
                Some((0x87, bytes)) => {
                    let v4 = <[u8; 4]>::try_from(bytes).map(|it| IpAddr::V4(Ipv4Addr::from(it)));
                    let v6 = <[u8; 16]>::try_from(bytes).map(|it| IpAddr::V6(Ipv6Addr::from(it)));
                    self.names.addresses.extend(v4.or(v6).ok());
                }
                Some(_) => {}
                None => break,
            }
        }
    }
}

impl Names {
    /// Whether a client that asks for the host takes the certificate: by the very name, or by a wildcard for its first
    /// label (RFC 9525 section 6.3).
    pub fn cover(&self, host: &str) -> bool {
        if let Ok(addr) = host.parse::<IpAddr>() {
            return self.addresses.contains(&addr);
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let below = host.split_once('.').map(|(_, rest)| rest);
        self.hosts.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => below == Some(suffix),
            None => *name == host,
        })
    }
}

/// Bytes that are read piece by piece.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, with its tag.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0usize, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next value, if it has that tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.peek() != Some(tag) {
            return None;
        }
        self.any().map(|(_, content)| content)
    }

    fn enter(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5), in seconds since 1970.
    fn time(&mut self) -> Option<u64> {
        let (tag, text) = self.any()?;
        let digits = text.strip_suffix(b"Z")?;
        let number = |from: usize, to: usize| -> Option<u64> {
            let part = digits.get(from..to)?;
            part.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
        };
        let (year, at) = match (tag, digits.len()) {
            // Two digits: those from 50 on are of the century before.
            (UTC_TIME, 12) => (number(0, 2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
            (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
            _ => return None,
        };
        let (month, day) = (number(at, at + 2)?, number(at + 2, at + 4)?);
        let (hour, minute, second) = (number(at + 4, at + 6)?, number(at + 6, at + 8)?, number(at + 8, at + 10)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        Some((days_to(year, month, day) * 24 + hour) * 3600 + minute * 60 + second)
    }
}

/// Days from 1970 to a date of the Gregorian calendar; 0 for one before.
fn days_to(year: u64, month: u64, day: u64) -> u64 {
    // The year begins in March, so that the day that comes and goes is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    days.saturating_sub(719_469)
}

/// A distinguished name as text, the last part first (RFC 4514 section 2).
fn written(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut name = Reader(name);
    for _ in 0..MOST_ITEMS {
        if name.0.is_empty() {
            break;
        }
        let mut set = name.enter(SET)?;
        let mut several = Vec::new();
        while !set.0.is_empty() && several.len() < MOST_ITEMS {
            let mut pair = set.enter(SEQUENCE)?;
            let id = pair.take(OID)?;
            let (tag, value) = pair.any()?;
            several.push(format!("{}={}", attribute(id), escaped(tag, value)));
        }
        parts.push(several.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

/// The short name of an attribute, or its number.
fn attribute(id: &[u8]) -> String {
    let known = match id {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 4] => "SN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 12] => "title",
        [0x55, 4, 42] => "GN",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        _ => return dotted(id),
    };
    known.to_owned()
}

fn dotted(id: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut gathered = 0u64;
    for byte in id {
        gathered = (gathered << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if numbers.is_empty() {
            let first = (gathered / 40).min(2);
            numbers.push(first);
            gathered -= first * 40;
        }
        numbers.push(gathered);
        gathered = 0;
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// A value of a name.
fn text(tag: u8, value: &[u8]) -> String {
    /// BMPString: two bytes a character.
    const BMP_STRING: u8 = 0x1e;
    match tag {
        BMP_STRING => {
            let units: Vec<u16> =
                value.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, it| (sum << 8) | u16::from(*it))).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// A value with what RFC 4514 section 2.4 has escaped, and nothing that could end a line of a log or a field.
fn escaped(tag: u8, value: &[u8]) -> String {
    let text = text(tag, value);
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (place, letter) in text.chars().enumerate() {
        let is_special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (place == 0 && matches!(letter, '#' | ' '))
            || (place == last && letter == ' ');
        if is_special {
            out.push('\\');
            out.push(letter);
        } else if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("\\{byte:02X}"));
            }
        } else {
            out.push(letter);
        }
    }
    out
}

fn hexadecimal(bytes: &[u8]) -> String {
    // A leading zero byte only says that the number is positive.
    let bytes = bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

//! The numbers of the protocol that have names: types, classes, response codes, extended errors.
//!
//! Not the contents of records (see `rdata`). The invariant: every 16-bit number is a valid [`Type`], named or not.

use std::fmt;

/// The type of a record or of a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Type(pub u16);

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl Type {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The mnemonic, where the type has one here.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            fn from_mnemonic(text: &str) -> Option<Self> {
                match text {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

types! {
    /// An IPv4 address (RFC 1035).
    A = 1;
    /// A name server (RFC 1035).
    NS = 2;
    /// An alias (RFC 1035).
    CNAME = 5;
    /// The start of a zone (RFC 1035).
    SOA = 6;
    /// A pointer, used for reverse names (RFC 1035).
    PTR = 12;
    /// Kind of host; used to answer ANY (RFC 8482).
    HINFO = 13;
    /// A mail exchanger (RFC 1035).
    MX = 15;
    /// Text (RFC 1035).
    TXT = 16;
    /// Who is responsible for a name (RFC 1183).
    RP = 17;
    /// A cell's database server (RFC 1183).
    AFSDB = 18;
    /// An IPv6 address (RFC 3596).
    AAAA = 28;
    /// A service's place (RFC 2782).
    SRV = 33;
    /// A rewriting rule (RFC 3403).
    NAPTR = 35;
    /// An alias of a whole tree (RFC 6672).
    DNAME = 39;
    /// The pseudo record of EDNS (RFC 6891).
    OPT = 41;
    /// The digest of a child's key (RFC 4034).
    DS = 43;
    /// An SSH host key's fingerprint (RFC 4255).
    SSHFP = 44;
    /// A signature (RFC 4034).
    RRSIG = 46;
    /// A gap between names (RFC 4034).
    NSEC = 47;
    /// A zone's key (RFC 4034).
    DNSKEY = 48;
    /// A hashed gap between names (RFC 5155).
    NSEC3 = 50;
    /// How NSEC3 is made (RFC 5155).
    NSEC3PARAM = 51;
    /// A service's certificate (RFC 6698).
    TLSA = 52;
    /// A mail certificate (RFC 8162).
    SMIMEA = 53;
    /// What the child wants as its DS (RFC 7344).
    CDS = 59;
    /// What the child wants as its DS, as a key (RFC 7344).
    CDNSKEY = 60;
    /// A key for mail (RFC 7929).
    OPENPGPKEY = 61;
    /// A service's ways in (RFC 9460).
    SVCB = 64;
    /// A web service's ways in (RFC 9460).
    HTTPS = 65;
    /// Text about mail senders, replaced by TXT (RFC 7208, 3.1).
    SPF = 99;
    /// A key exchange (RFC 2930).
    TKEY = 249;
    /// A transaction's signature (RFC 8945).
    TSIG = 250;
    /// An incremental transfer (RFC 1995).
    IXFR = 251;
    /// A whole transfer (RFC 5936).
    AXFR = 252;
    /// Historic: mailbox records.
    MAILB = 253;
    /// Historic: mail agents.
    MAILA = 254;
    /// Every type (RFC 8482).
    ANY = 255;
    /// A service's address as a URI (RFC 7553).
    URI = 256;
    /// Which authorities may certify (RFC 8659).
    CAA = 257;
}

impl Type {
    /// The type that a mnemonic or `TYPE123` (RFC 3597) names, in any case.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let mut room = [0; WORD_BYTES];
        let upper = upper(text, &mut room)?;
        Self::from_mnemonic(upper).or_else(|| numbered(upper, "TYPE").map(Self))
    }

    /// The number of a type that we know by its name alone: what its records hold cannot be read or shown as text.
    pub(crate) fn without_text(text: &[u8]) -> Option<u16> {
        let is_it = |(name, _): &&(&str, u16)| name.as_bytes().eq_ignore_ascii_case(text);
        WITHOUT_TEXT.iter().find(is_it).map(|(_, number)| *number)
    }

    /// Whether no record of a zone may have this type: OPT and the types that only questions carry.
    pub fn is_meta(self) -> bool {
        self == Self::OPT || (128..=255).contains(&self.0) || self.0 == 0
    }
}

/// Types of the registry whose records are only carried.
const WITHOUT_TEXT: [(&str, u16); 36] = [
    ("MD", 3),
    ("MF", 4),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("WKS", 11),
    ("MINFO", 14),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP", 22),
    ("SIG", 24),
    ("KEY", 25),
    ("PX", 26),
    ("GPOS", 27),
    ("LOC", 29),
    ("NXT", 30),
    ("KX", 36),
    ("CERT", 37),
    ("A6", 38),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("TALINK", 58),
    ("CSYNC", 62),
    ("ZONEMD", 63),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("AVC", 258),
    ("DOA", 259),
    ("AMTRELAY", 260),
];

/// More bytes than any word for a type or a class has, some leading zeros included.
const WORD_BYTES: usize = 24;

/// A word in upper case; `None` where it is longer than any that means something.
fn upper<'a>(text: &[u8], room: &'a mut [u8; WORD_BYTES]) -> Option<&'a str> {
    let room = room.get_mut(..text.len())?;
    room.copy_from_slice(text);
    room.make_ascii_uppercase();
    std::str::from_utf8(room).ok()
}

fn numbered(text: &str, prefix: &str) -> Option<u16> {
    let digits = text.strip_prefix(prefix)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.write_str(text),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The class of a record or of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaos, in which servers tell their version.
    pub const CH: Self = Self(3);
    /// Hesiod.
    pub const HS: Self = Self(4);
    /// Every class, in questions.
    pub const ANY: Self = Self(255);

    /// The class that a mnemonic or `CLASS1` (RFC 3597) names, in any case.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let mut room = [0; WORD_BYTES];
        let upper = upper(text, &mut room)?;
        match upper {
            "IN" => Some(Self::IN),
            "CH" => Some(Self::CH),
            "HS" => Some(Self::HS),
            _ => numbered(upper, "CLASS").map(Self),
        }
    }
}

/// The outcome of a query (RFC 1035 4.1.1, RFC 6895 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// Answered.
    NoError,
    /// The query could not be read.
    FormErr,
    /// We failed.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// Not implemented.
    NotImp,
    /// Not served here or not allowed.
    Refused,
    /// The name that a DNAME leads to is too long (RFC 6672, 2.2).
    YxDomain,
    /// The request is not authentic (RFC 8945, 5.2), or the name is not in the zone (RFC 2136, 2.2).
    NotAuth,
    /// The version of EDNS is not known (RFC 6891, 6.1.3).
    BadVers,
    /// The server cookie is missing or stale (RFC 7873, 5.2.3).
    BadCookie,
}

impl Rcode {
    /// The number, up to 12 bits: the upper eight travel in OPT.
    pub fn code(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::YxDomain => 6,
            Self::NotAuth => 9,
            Self::BadVers => 16,
            Self::BadCookie => 23,
        }
    }

    /// The usual mnemonic, as in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
            Self::BadCookie => "BADCOOKIE",
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why, beside the response code (RFC 8914). Sent without text: an answer of refusal must not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtendedError {
    /// No view of what is healthy yet.
    NotReady,
    /// The server may not be asked this.
    Prohibited,
    /// The name is in no zone of ours.
    NotAuthoritative,
    /// What is asked is not supported.
    NotSupported,
}

impl ExtendedError {
    /// The INFO-CODE.
    pub fn code(self) -> u16 {
        match self {
            Self::NotReady => 14,
            Self::Prohibited => 18,
            Self::NotAuthoritative => 20,
            Self::NotSupported => 21,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_mnemonic_and_by_number() {
        for (text, kind) in [("a", Type::A), ("Https", Type::HTTPS), ("TYPE257", Type::CAA), ("type65280", Type(65280))]
        {
            assert_eq!(Type::from_text(text.as_bytes()), Some(kind), "{text}");
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "B", "10"] {
            assert_eq!(Type::from_text(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Type::AAAA.to_string(), "AAAA");
        assert_eq!(Type(65280).to_string(), "TYPE65280");
    }

    #[test]
    fn classes_are_read_by_mnemonic_and_by_number() {
        assert_eq!(Class::from_text(b"in"), Some(Class::IN));
        assert_eq!(Class::from_text(b"CLASS3"), Some(Class::CH));
        assert_eq!(Class::from_text(b"CLASSY"), None);
    }
}

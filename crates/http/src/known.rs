//! The fields that mean something to a proxy, found by name.
//!
//! Not here: what is done with them; `write` and `body` ask the questions at the end of this file. A name is known in
//! any case, and in no other spelling: a spelling with underscores for hyphens is [`Known::Alias`], never the field.

use crate::field;

macro_rules! known {
    ($( $variant:ident = $name:literal, )*) => {
        /// A field's meaning to us.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Known {
            /// A field that we pass on and do not look at.
            Other,
            /// A known field spelt with underscores (`X_Forwarded_For`). Servers that turn fields into variables take
            /// it for the field itself, so that it is never passed on.
            Alias,
            /// An `X-Forwarded-…` field beside the three below.
            XForwardedOther,
            $(
                #[doc = concat!("`", $name, "`")]
                $variant,
            )*
        }

        /// Every known name, in lower case.
        const NAMES: &[(&[u8], Known)] = &[ $( ($name.as_bytes(), Known::$variant), )* ];
    };
}

known! {
    Host = "host",
    Connection = "connection",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    Expect = "expect",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    Te = "te",
    Trailer = "trailer",
    Http2Settings = "http2-settings",
    Proxy = "proxy",
    Cookie = "cookie",
    SetCookie = "set-cookie",
    SetCookie2 = "set-cookie2",
    Authorization = "authorization",
    ProxyAuthorization = "proxy-authorization",
    ProxyAuthenticate = "proxy-authenticate",
    WwwAuthenticate = "www-authenticate",
    XForwardedFor = "x-forwarded-for",
    XForwardedProto = "x-forwarded-proto",
    XForwardedHost = "x-forwarded-host",
    XRealIp = "x-real-ip",
    Forwarded = "forwarded",
    XRequestId = "x-request-id",
    Via = "via",
    Date = "date",
    Server = "server",
    Location = "location",
    Origin = "origin",
    Referer = "referer",
    UserAgent = "user-agent",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    ContentType = "content-type",
    ContentEncoding = "content-encoding",
    CacheControl = "cache-control",
    Pragma = "pragma",
    Expires = "expires",
    Age = "age",
    Vary = "vary",
    Range = "range",
    RetryAfter = "retry-after",
    MaxForwards = "max-forwards",
}

/// What every forwarding field of the de-facto kind begins with.
const FORWARDED_PREFIX: &[u8] = b"x-forwarded-";

/// Where in [`SLOTS`] a name's number stands, by its length, first and last byte. The factors were found by trying;
/// that no two known names meet is checked while the crate is compiled.
const fn slot(len: usize, first: u8, last: u8) -> usize {
    (len % SLOT_COUNT * 2 + (first | 0x20) as usize * 24 + (last | 0x20) as usize) % SLOT_COUNT
}

/// For each slot the position in [`NAMES`] of the one known name that it is for.
static SLOTS: [u8; SLOT_COUNT] = fill_slots();
const SLOT_COUNT: usize = 256;
const NO_NAME: u8 = u8::MAX;

const fn fill_slots() -> [u8; SLOT_COUNT] {
    let mut slots = [NO_NAME; SLOT_COUNT];
    let mut i = 0;
    while i < NAMES.len() {
        let name = NAMES[i].0;
        let at = slot(name.len(), name[0], name[name.len() - 1]);
        assert!(slots[at] == NO_NAME, "two known names share a slot: try other factors");
        assert!(name[0] != b'-' && name[name.len() - 1] != b'-', "an alias would not be found");
        slots[at] = i as u8;
        i += 1;
    }
    slots
}

/// Whether a name is that one, which is in lower case.
fn is_in_any_case(name: &[u8], lower: &[u8]) -> bool {
    match lower.len() {
        length if length != name.len() => false,
        8.. => agree::<8>(name, lower),
        4.. => agree::<4>(name, lower),
        _ => agree::<1>(name, lower),
    }
}

/// Whether two names of one length, at least `N`, agree in blocks of `N` bytes. The last block overlaps the one before, so
/// that no byte has to be looked at alone.
fn agree<const N: usize>(name: &[u8], lower: &[u8]) -> bool {
    let is_same = |(name, lower): (&[u8; N], &[u8; N])| {
        name.iter().zip(lower).fold(0, |sum, (a, b)| sum | (a.to_ascii_lowercase() ^ b)) == 0
    };
    name.as_chunks().0.iter().zip(lower.as_chunks().0).all(is_same)
        && name.last_chunk().zip(lower.last_chunk()).is_some_and(is_same)
}

impl Known {
    /// The meaning of a field by its name, in any case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return Self::Other };
        let position = SLOTS.get(slot(name.len(), first, last)).copied().unwrap_or(NO_NAME);
        // No known name begins or ends with a hyphen: its aliases share its slot.
        let candidate = NAMES.get(usize::from(position));
        if let Some((known, meaning)) = candidate
            && is_in_any_case(name, known)
        {
            return *meaning;
        }
        let prefix = name.get(..FORWARDED_PREFIX.len()).filter(|it| field::is_same_or_alias(it, FORWARDED_PREFIX));
        if prefix.is_some_and(|prefix| !prefix.contains(&b'_')) {
            return Self::XForwardedOther;
        }
        let is_alias = candidate.is_some_and(|(known, _)| field::is_same_or_alias(name, known));
        if prefix.is_some() || is_alias { Self::Alias } else { Self::Other }
    }

    /// Whether the field is about one connection and never passes through us as it came (RFC 9110 section 7.6.1).
    /// `Proxy` is with them since servers that make variables of fields would take it for their proxy setting.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::TransferEncoding
                | Self::Upgrade
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::Te
                | Self::Http2Settings
                | Self::Proxy
                | Self::Alias
        )
    }

    /// Whether the field's fate is decided by the one who writes the message and not by edits.
    pub fn is_framing(self) -> bool {
        matches!(self, Self::ContentLength | Self::Trailer) || self.is_hop_by_hop()
    }

    /// Whether the field tells of the client and is believed only from trusted proxies.
    pub fn is_forwarding(self) -> bool {
        matches!(
            self,
            Self::XForwardedFor
                | Self::XForwardedProto
                | Self::XForwardedHost
                | Self::XForwardedOther
                | Self::XRealIp
                | Self::Forwarded
        )
    }

    /// Whether a `Connection` option of the field's name takes the field away. A client could otherwise strip what
    /// servers rely on: only fields that mean nothing to us may go.
    pub fn is_removable(self) -> bool {
        matches!(self, Self::Other)
    }
}

/// Whether a field of that name may arrive after the body. Those that frame, route, authenticate or control a
/// message may not (RFC 9110 section 6.5.1): whoever merges trailers into the head would take them for its own.
pub fn trailer_allowed(name: &[u8]) -> bool {
    const REFUSED: [&[u8]; 5] = [b"content-", b"if-", b"sec-", b"access-control-", b"x-real-"];
    let starts = |prefix: &&[u8]| name.get(..prefix.len()).is_some_and(|start| field::is_same_or_alias(start, prefix));
    Known::of(name) == Known::Other && !REFUSED.iter().any(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_its_alias_is_an_alias() {
        for (name, known) in NAMES {
            assert_eq!(Known::of(name), *known);
            assert_eq!(Known::of(&name.to_ascii_uppercase()), *known);
            if name.contains(&b'-') {
                let alias: Vec<u8> = name.iter().map(|&b| if b == b'-' { b'_' } else { b }).collect();
                assert_eq!(Known::of(&alias), Known::Alias, "{}", String::from_utf8_lossy(&alias));
            }
        }
    }

    /// The meaning of a name in the plain way: compared with every known one.
    fn plain(name: &[u8]) -> Known {
        let prefix = name.get(..FORWARDED_PREFIX.len()).unwrap_or_default();
        let spelt = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, known)| *known);
        match spelt {
            Some(known) => known,
            None if prefix.eq_ignore_ascii_case(FORWARDED_PREFIX) => Known::XForwardedOther,
            None if field::is_same_or_alias(prefix, FORWARDED_PREFIX)
                || NAMES.iter().any(|(known, _)| field::is_same_or_alias(name, known)) =>
            {
                Known::Alias
            }
            None => Known::Other,
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_name_is_compared() {
        for (name, _) in NAMES.iter().chain(&[(&b"x-forwarded-port"[..], Known::Other)]) {
            for at in 0..name.len() {
                for byte in 0..=255u8 {
                    let mut changed = name.to_vec();
                    changed[at] = byte;
                    assert_eq!(Known::of(&changed), plain(&changed), "{}", String::from_utf8_lossy(&changed));
                }
            }
            assert_eq!(Known::of(&name[1..]), plain(&name[1..]));
        }
    }

    #[test]
    fn other_names_are_other() {
        for name in ["", "X", "Hos", "Hosts", "X_Custom", "_", "0host", "Content-Lengths", "X-Forwarded"] {
            assert_eq!(Known::of(name.as_bytes()), Known::Other, "{name}");
        }
        assert_eq!(Known::of(b"X-Forwarded-Port"), Known::XForwardedOther);
        assert_eq!(Known::of(b"X_Forwarded-Port"), Known::Alias);
    }

    #[test]
    fn trailers_never_frame_route_or_authenticate() {
        for name in [
            "Content-Length",
            "Host",
            "Transfer-Encoding",
            "Authorization",
            "X-Forwarded-For",
            "Set-Cookie",
            "Cookie",
            "content_length",
            "If-Match",
            "Content-MD5",
            "Connection",
            "Sec-WebSocket-Key",
            "X-Real-IP",
            "Location",
        ] {
            assert!(!trailer_allowed(name.as_bytes()), "{name}");
        }
        for name in ["Server-Timing", "X-Checksum", "Digest", "grpc-status"] {
            assert!(trailer_allowed(name.as_bytes()), "{name}");
        }
    }
}

//! Hosts with ports, as `Host` fields and absolute targets carry them.
//!
//! Not here: which host a request is for (`request`) and host patterns (`matching`). The form is narrower than
//! RFC 3986 allows: letters, digits, `-`, `.` and `_`, or an address in brackets. No comma, user, escape or sub-delimiter
//! ever names a host that exists, and each has been used to make two programs disagree on it.

use std::net::Ipv6Addr;

use crate::field;

/// Longest host name (RFC 1035 section 2.3.4), a final dot included.
const HOST_BYTES: usize = 254;

/// The host and the port of `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where the bytes are none of these.
pub fn split(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let host_end = match authority {
        [b'[', ..] => memchr::memchr(b']', authority)?.checked_add(1)?,
        _ => field::length_listed(&NAME, authority),
    };
    let (host, rest) = authority.split_at_checked(host_end)?;
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => Some(port_number(digits)?),
        _ => return None,
    };
    let good = match host {
        [b'[', inner @ .., b']'] => is_v6(inner),
        _ => is_name(host),
    };
    good.then_some((host, port))
}

/// The host of a well-formed authority without its port and without a final dot.
pub fn host_of(authority: &[u8]) -> &[u8] {
    name(authority).unwrap_or(authority)
}

/// The same, where the authority is well-formed. The name stands at its beginning.
pub(crate) fn name(authority: &[u8]) -> Option<&[u8]> {
    let (host, _) = split(authority)?;
    Some(host.strip_suffix(b".").unwrap_or(host))
}

fn port_number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port = digits.iter().try_fold(0u32, |sum, d| sum.checked_mul(10)?.checked_add(u32::from(d - b'0')))?;
    u16::try_from(port).ok()
}

fn is_v6(inner: &[u8]) -> bool {
    std::str::from_utf8(inner).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// For each byte whether it may stand in a host's name.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        byte += 1;
    }
    table
};

/// Whether bytes that may all stand in a name make one: no label of it is empty.
fn is_name(host: &[u8]) -> bool {
    let labels = host.strip_suffix(b".").unwrap_or(host);
    let is_dotted_twice = labels.windows(2).any(|pair| pair == b"..");
    host.len() <= HOST_BYTES && !is_dotted_twice && !matches!(labels, [] | [b'.', ..] | [.., b'.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports_are_cut() {
        for (text, host, port) in [
            ("a", "a", None),
            ("shop.example.com:8080", "shop.example.com", Some(8080)),
            ("a.", "a.", None),
            ("my_host", "my_host", None),
            ("10.0.0.1:0", "10.0.0.1", Some(0)),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:65535", "[2001:db8::1]", Some(65535)),
        ] {
            assert_eq!(split(text.as_bytes()), Some((host.as_bytes(), port)), "{text}");
        }
        assert_eq!(host_of(b"Shop.Example.com.:80"), b"Shop.Example.com");
    }

    #[test]
    fn what_two_programs_could_read_differently_is_no_host() {
        for text in [
            "",
            ":80",
            "a:",
            "a:99999",
            "a:65536",
            "a:+1",
            "a:0x50",
            "a,b",
            "a, b",
            "u@a",
            "a/b",
            "a b",
            "a\0",
            "a..b",
            ".a",
            ".",
            "[::1",
            "::1",
            "[::1]x",
            "[]",
            "[1.2.3.4]",
            "a%2eb",
            "a:1:2",
            "ä",
            "[fe80::1%25eth0]",
            "a\\b",
            "a;b",
        ] {
            assert_eq!(split(text.as_bytes()), None, "{text}");
        }
        assert_eq!(split(&[b'a'; 300]), None);
    }
}

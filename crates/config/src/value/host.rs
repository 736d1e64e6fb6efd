//! Host names and patterns for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use evenkeel_model::config::{HostPattern, NameServer};

use crate::syntax::Word;
use crate::{Code, Diagnostics};

/// Whether a text can be the name of a host (RFC 1123 section 2.1, and the `_` that is in use). What ends in a number is
/// an address, or meant as one.
pub(crate) fn is_host_name(text: &str) -> bool {
    /// The longest name (RFC 1035 section 2.3.4).
    const LONGEST: usize = 253;
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= LONGEST && !numeric && text.split('.').all(label)
}

/// A name without the dot at its end.
pub(super) fn name(word: &Word, out: &mut Diagnostics) -> Option<String> {
    if is_host_name(&word.text) {
        return Some(word.text.trim_end_matches('.').to_ascii_lowercase());
    }
    out.report(Code::E313, word.span, format!("`{}` cannot be a name", word.text))
        .help("labels of letters, digits, `-` and `_` with dots between them: `example.org`");
    None
}

/// A name of DNS in lower case, its final dot as written; labels may be what hosts may not be named.
pub(super) fn dns_name(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.to_ascii_lowercase();
    if is_dns_name(&text) {
        return Some(text);
    }
    let report = out.report(Code::E313, word.span, format!("`{}` is not a name of DNS", word.text));
    if let Some((_, rest)) = text.split_once("://") {
        report.help(format!("write `{}`: a name has no scheme", rest.split(['/', ':']).next().unwrap_or_default()));
    } else if !text.is_ascii() {
        report.help("write names in other scripts in their `xn--` form");
    } else {
        report.note("a name is labels of at most 63 letters, digits, `-` and `_`, with dots between, 253 bytes in all");
    }
    None
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    text == "." || bare.len() <= 253 && bare.split('.').enumerate().all(|(at, it)| label(it) || at == 0 && it == "*")
}

/// `NAME`, or `NAME=ADDRESS,ADDRESS`.
pub(super) fn name_server(word: &Word, out: &mut Diagnostics) -> Option<NameServer> {
    let (name, addrs) = word.text.split_once('=').map_or((word.text.as_str(), ""), |(name, addrs)| (name, addrs));
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    if !is_dns_name(&lower) || lower.starts_with('*') {
        out.report(Code::E313, word.span, format!("`{name}` is not a name server's name"))
            .help("write its whole name, with its addresses: `lb1.example.com=198.51.100.10,2001:db8::10`");
        return None;
    }
    let mut server = NameServer { name: lower, addrs: Vec::new() };
    for text in addrs.split(',').filter(|text| !text.is_empty()) {
        match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(addr) => server.addrs.push(addr.to_canonical()),
            Err(_) => {
                out.report(Code::E306, word.span, format!("`{text}` is not an address"))
                    .help("write the addresses after the name: `lb1.example.com=198.51.100.10,2001:db8::10`");
                return None;
            }
        }
    }
    Some(server)
}

pub(super) fn pattern(word: &Word, out: &mut Diagnostics) -> Option<HostPattern> {
    let text = word.text.to_ascii_lowercase();
    if let Some(below) = text.strip_prefix("*.")
        && is_host_name(below)
    {
        return Some(HostPattern::Below(format!(".{}", below.trim_end_matches('.'))));
    }
    if is_host(&text) {
        return Some(HostPattern::Exact(text.trim_end_matches('.').to_owned()));
    }
    let report = out.report(Code::E313, word.span, format!("`{}` is not a host", word.text));
    if text == "*" {
        report.help("leave it out: without hosts, every host fits");
    } else if let Some((_, rest)) = text.split_once("://") {
        report.help(format!("write `{}`: a host has no scheme", rest.split(['/', ':']).next().unwrap_or_default()));
    } else if let Some(host) = text.split(':').next().filter(|host| text.contains(':') && is_host(host)) {
        report.help(format!("write `{host}`: the port of the request plays no part"));
    } else if text.starts_with('.') && is_host_name(text.trim_start_matches('.')) {
        report.help(format!("write `*{text}` for every name below"));
    } else {
        report.note("a host is a name such as `shop.example.com`, or `*.example.com` for every name below; names in other scripts in their `xn--` form");
    }
    None
}

/// Whether a text is a host by name or address, an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let v6 = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    is_host_name(text) || text.parse::<Ipv4Addr>().is_ok() || v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok())
}

/// A domain of cookies; a dot before it means nothing any more (RFC 6265 section 5.2.3).
pub(super) fn domain(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.to_ascii_lowercase();
    let bare = text.strip_prefix('.').unwrap_or(&text);
    if is_host_name(bare) && !bare.ends_with('.') {
        return Some(bare.to_owned());
    }
    out.report(Code::E313, word.span, format!("`{}` is not a domain", word.text))
        .note("a domain is a name such as `example.com`, without scheme, port and path");
    None
}

/// `HOST` or `HOST:PORT`.
pub(super) fn authority(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.to_ascii_lowercase();
    let with_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit())
    });
    if is_host(&text) || with_port {
        return Some(text);
    }
    out.report(Code::E313, word.span, format!("`{}` is not a host", word.text))
        .note("a host is a name or an address, with `:PORT` where it is not the usual one");
    None
}

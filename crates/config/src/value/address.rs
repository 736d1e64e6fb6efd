//! Addresses to listen on, of servers, of name servers, and ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use evenkeel_model::config::{Host, ListenAddr, Network, ServerAddr};

use super::host::is_host_name;
use crate::syntax::Word;
use crate::{Code, Diagnostics};

pub(super) fn listen(word: &Word, out: &mut Diagnostics) -> Option<ListenAddr> {
    let text = word.text.as_str();
    if let Some(port) = text.strip_prefix(':').and_then(parse_port) {
        return Some(ListenAddr::Every(port));
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Some(ListenAddr::One(addr));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        out.report(Code::E307, word.span, format!("a port is missing: `{text}`"))
            .help(format!("write `{}`", SocketAddr::new(ip, 80)));
        return None;
    }
    let report = out.report(Code::E305, word.span, format!("`{text}` is not an address to listen on"));
    let port = text.rsplit(':').next().and_then(parse_port);
    let host = text.rsplit_once(':').map_or("", |(host, _)| host);
    match port {
        Some(port) if host.is_empty() || host == "*" => {
            report.help(format!("write `:{port}` for every address of the machine"))
        }
        Some(port) if host == "localhost" => report.help(format!("write `127.0.0.1:{port}`")),
        Some(port) if host.parse::<Ipv6Addr>().is_ok() => report.help(format!("write `[{host}]:{port}`")),
        Some(_) if is_host_name(host) => {
            report.help("give the address itself: what a name means may change while the program runs")
        }
        _ => report.note("an address is `:PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`"),
    };
    None
}

pub(super) fn server(word: &Word, out: &mut Diagnostics) -> Option<ServerAddr> {
    let text = word.text.as_str();
    if let Ok(addr) = text.parse::<SocketAddr>()
        && addr.port() > 0
    {
        return Some(ServerAddr { host: Host::Ip(addr.ip().to_canonical()), port: addr.port() });
    }
    if let Some((host, port)) = text.split_once(':')
        && let Some(port) = parse_port(port).filter(|port| *port > 0)
        && is_host_name(host)
    {
        return Some(ServerAddr { host: Host::Name(host.trim_end_matches('.').to_ascii_lowercase()), port });
    }
    complain_of_server(word, out);
    None
}

/// The address in `https://ADDRESS:PORT`, with 443 where no port is given.
pub(super) fn of_url(word: &Word) -> Option<Word> {
    let bare = word.text.strip_prefix("https://")?;
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let has_port = bare.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let text = if has_port { bare.to_owned() } else { format!("{bare}:443") };
    Some(Word { text, ..word.clone() })
}

fn complain_of_server(word: &Word, out: &mut Diagnostics) {
    let text = word.text.as_str();
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let report = out.report(Code::E306, word.span, format!("a server is an address, not a URL: `{text}`"));
        report.help(format!("write `{}`", with_port(host, if scheme == "https" { 443 } else { 80 })));
        if scheme == "https" {
            report.note("the word `tls` in the pool speaks TLS to its servers");
        }
    } else if text.parse::<Ipv6Addr>().is_ok() {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
        let host = if host.parse::<Ipv6Addr>().is_ok() { host } else { text };
        out.report(
            Code::E306,
            word.span,
            format!("where the address ends and the port begins cannot be told: `{text}`"),
        )
        .help(format!("put the address in brackets: `[{host}]:{port}`"));
    } else if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        out.report(Code::E307, word.span, format!("a port is missing: `{text}`"))
            .help(format!("write it with the address: `{}`", SocketAddr::new(ip, 80)));
    } else if is_host_name(text) {
        out.report(Code::E307, word.span, format!("a port is missing: `{text}`"))
            .help(format!("write it with the name: `{text}:80`"));
    } else {
        let report = out.report(Code::E306, word.span, format!("`{text}` is not a server's address"));
        match text.rsplit_once(':') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => {
                report.help(format!("write `[{host}]:{port}`"));
            }
            Some((host, _)) if host.parse::<Ipv4Addr>().is_ok() => {
                report.note("a port is a number from 1 to 65535");
            }
            Some((host, _)) if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                report.help("an IPv4 address is four numbers from 0 to 255: `10.0.0.11:8080`");
            }
            _ => {
                report.note("a server is `ADDRESS:PORT`, `[IPV6]:PORT` or `NAME:PORT`");
            }
        }
    }
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

pub(super) fn resolver(word: &Word, out: &mut Diagnostics) -> Option<SocketAddr> {
    /// The port of DNS (RFC 1035 section 4.2).
    const DNS_PORT: u16 = 53;
    let text = word.text.as_str();
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Some(addr);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, DNS_PORT));
    }
    out.report(Code::E306, word.span, format!("`{text}` is not the address of a name server"))
        .note("a name server is `ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`");
    None
}

pub(super) fn ip(word: &Word, out: &mut Diagnostics) -> Option<IpAddr> {
    let text = word.text.as_str();
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let report = out.report(Code::E306, word.span, format!("`{text}` is not an address"));
    match text.parse::<SocketAddr>() {
        Ok(addr) => report.help(format!("write `{}`: a port has no place here", addr.ip())),
        Err(_) => report.note("an address is `198.51.100.10` or `2001:db8::10`; names are not looked up here"),
    };
    None
}

/// An address with or without its prefix.
pub(super) fn service(word: &Word, out: &mut Diagnostics) -> Option<(IpAddr, Option<u8>)> {
    let text = word.text.as_str();
    let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
    let Ok(addr) = addr.parse::<IpAddr>() else {
        out.report(Code::E306, word.span, format!("`{text}` is not an address")).note(
            "an address is `10.8.0.1` or `2001:db8::10`, with its prefix behind a `/` where the route does not tell it",
        );
        return None;
    };
    let most = if addr.is_ipv4() { 32 } else { 128 };
    let bits = prefix.map(|prefix| prefix.parse::<u8>().ok().filter(|bits| (1..=most).contains(bits)));
    if bits == Some(None) {
        out.report(Code::E306, word.span, format!("`/{}` is no prefix", prefix.unwrap_or_default()))
            .note(format!("a prefix is the number of bits of the network, 1 to {most}"));
        return None;
    }
    let is_usable = !addr.is_unspecified() && !addr.is_multicast() && !addr.is_loopback();
    if !is_usable {
        out.report(Code::E306, word.span, format!("`{addr}` cannot move between nodes"))
            .note("the address of a group is one that clients reach");
        return None;
    }
    Some((addr, bits.flatten()))
}

pub(super) fn network(word: &Word, out: &mut Diagnostics) -> Option<Network> {
    let text = word.text.as_str();
    let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
    let Ok(addr) = addr.parse::<IpAddr>() else {
        out.report(Code::E308, word.span, format!("`{text}` is not a range of addresses"))
            .note("a range is an address, or an address and a prefix length: `10.0.0.0/8`, `2001:db8::/32`");
        return None;
    };
    let most = if addr.is_ipv4() { 32u8 } else { 128 };
    let length = prefix.map_or(Some(most), |prefix| prefix.parse::<u8>().ok());
    let Some(prefix) = length.filter(|length| *length <= most) else {
        out.report(Code::E308, word.span, format!("`{text}` has no prefix length from 0 to {most}"))
            .help("the length counts bits: `/8` is what a mask of 255.0.0.0 is");
        return None;
    };
    let first = masked(addr, prefix);
    if first != addr {
        out.report(Code::E308, word.span, format!("`{text}` has bits past its prefix"))
            .help(format!("write `{first}/{prefix}` for the range, or `{addr}` for the one address"));
        return None;
    }
    Some(Network { addr, prefix })
}

/// The address with the bits past the prefix taken away.
fn masked(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

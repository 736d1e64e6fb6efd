//! The format of `/etc/hosts` (hosts(5)): an address, then its names, `#` starts a comment.

use std::net::IpAddr;

/// The addresses of `host`, IPv4 first, each family in the order of the file, each address once. Lines that are no
/// entry count nothing.
pub(super) fn lookup(text: &str, host: &str) -> Vec<IpAddr> {
    let wanted = host.strip_suffix('.').unwrap_or(host);
    let mut found = Vec::new();
    for addr in text.lines().filter_map(|line| entry(line, wanted)) {
        if !found.contains(&addr) {
            found.push(addr);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

fn entry(line: &str, wanted: &str) -> Option<IpAddr> {
    let line = line.split('#').next()?;
    let mut words = line.split_ascii_whitespace();
    let addr = words.next()?.parse().ok()?;
    words.any(|name| name.eq_ignore_ascii_case(wanted)).then_some(addr)
}

//! The client's address: whose word on it is believed, and what servers are told.
//!
//! Not here: which peers are trusted (the listener's `trusted` ranges) and where fields are written (`write`). The
//! invariant: what an untrusted peer says of itself or others never reaches a server, and what a trusted one says is
//! believed only as far back as the chain of trusted proxies goes.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use evenkeel_model::config::{ClientField, Network};

use crate::field;
use crate::fields::Fields;
use crate::known::Known;

/// What the client's connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as URLs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a server is told of the client.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The fields to write. What came in them is replaced, or continued where the peer is trusted. Of an untrusted
    /// peer every other forwarding field is removed too, `X-Forwarded-…` of any kind included.
    pub fields: &'a [ClientField],
    /// Whether the peer is trusted.
    pub trusted: bool,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The client, as [`client_address`] finds it.
    pub client: IpAddr,
    /// What the connection speaks.
    pub scheme: Scheme,
    /// The host and port that were asked for.
    pub host: &'a [u8],
}

/// Whether the peer is one of the trusted.
pub fn is_trusted(peer: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// Whether a request says that its client came over TLS. To be believed of those alone who are trusted.
pub fn says_tls(fields: &Fields, buf: &[u8]) -> bool {
    fields.first(buf, Known::XForwardedProto) == Some(b"https")
}

/// The client's address: the peer's own where the peer is not trusted, else the right-most address of the
/// `X-Forwarded-For` list that is not a trusted proxy's. Where the list holds nothing but trusted addresses the
/// left-most is it; at an entry that is no address the search ends with the proxy that wrote it.
pub fn client_address(fields: &Fields, buf: &[u8], peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    let hops = fields.known(buf, Known::XForwardedFor).rev().flat_map(|value| field::members(value).rev());
    for hop in hops {
        let Some(address) = hop_address(hop) else { break };
        client = address;
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

/// The address of an entry of `X-Forwarded-For`: alone, with a port, IPv6 with or without brackets.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()))
        .or_else(bracketed)
        .map(|addr| addr.to_canonical())
}

/// Appends the value of one field that tells of the client. `fields` are the request's own.
pub(crate) fn write_value(out: &mut Vec<u8>, field: ClientField, client: &Client<'_>, fields: &Fields, buf: &[u8]) {
    match field {
        ClientField::XForwardedFor => {
            write_earlier(out, client, fields, buf, Known::XForwardedFor);
            write_display(out, client.peer.to_canonical());
        }
        ClientField::XForwardedProto => {
            let ours = client.scheme.as_str().as_bytes();
            out.extend_from_slice(believed(client, fields, buf, Known::XForwardedProto).unwrap_or(ours));
        }
        ClientField::XForwardedHost => {
            out.extend_from_slice(believed(client, fields, buf, Known::XForwardedHost).unwrap_or(client.host));
        }
        ClientField::XRealIp => write_display(out, client.client.to_canonical()),
        ClientField::Forwarded => {
            write_earlier(out, client, fields, buf, Known::Forwarded);
            write_element(out, client);
        }
    }
}

/// What a trusted peer said, if it did.
fn believed<'b>(client: &Client<'_>, fields: &Fields, buf: &'b [u8], known: Known) -> Option<&'b [u8]> {
    fields.first(buf, known).filter(|value| client.trusted && !value.is_empty())
}

/// Appends what a trusted peer's list holds so far, ready for one more entry.
fn write_earlier(out: &mut Vec<u8>, client: &Client<'_>, fields: &Fields, buf: &[u8], known: Known) {
    if !client.trusted {
        return;
    }
    for value in fields.known(buf, known).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
}

/// Appends one element of `Forwarded` (RFC 7239 section 4). Colons and brackets need quotes there.
fn write_element(out: &mut Vec<u8>, client: &Client<'_>) {
    match client.peer.to_canonical() {
        IpAddr::V4(v4) => {
            out.extend_from_slice(b"for=");
            write_display(out, IpAddr::V4(v4));
        }
        IpAddr::V6(v6) => {
            out.extend_from_slice(b"for=\"[");
            write_display(out, IpAddr::V6(v6));
            out.extend_from_slice(b"]\"");
        }
    }
    if !client.host.is_empty() {
        let quote: &[u8] = if field::is_token(client.host) { b"" } else { b"\"" };
        out.extend_from_slice(b";host=");
        out.extend_from_slice(quote);
        out.extend_from_slice(client.host);
        out.extend_from_slice(quote);
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(client.scheme.as_str().as_bytes());
}

fn write_display(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        // Most requests carry one: formatting it costs as much as reading three fields.
        IpAddr::V4(v4) => v4.octets().into_iter().enumerate().for_each(|(place, octet)| {
            if place > 0 {
                out.push(b'.');
            }
            write_octet(out, octet);
        }),
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

fn write_octet(out: &mut Vec<u8>, octet: u8) {
    let digit = |value: u8| b'0' + value % 10;
    if octet >= 100 {
        out.push(digit(octet / 100));
    }
    if octet >= 10 {
        out.push(digit(octet / 10));
    }
    out.push(digit(octet));
}

#[cfg(test)]
mod tests;

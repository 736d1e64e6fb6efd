//! The frames of announcements, byte by byte.
//!
//! Invariant: a frame is complete, with its Ethernet header, and its lengths and sums are right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest frame that is written here: Ethernet, IPv6 and a neighbour advertisement with one option.
const LONGEST: usize = 14 + 40 + 32;

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Frame {
    fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    fn put(mut self, part: &[u8]) -> Self {
        let end = self.length + part.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(part);
            self.length = end;
        }
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

const EVERYBODY: [u8; 6] = [0xff; 6];

/// ARP announcement as a request: "who has this address? Tell this address" (RFC 5227 section 3).
pub fn arp_request(mac: [u8; 6], addr: Ipv4Addr) -> Frame {
    arp(mac, addr, 1, [0; 6])
}

/// ARP announcement as a reply that nobody asked for (RFC 2002 section 4.6).
pub fn arp_reply(mac: [u8; 6], addr: Ipv4Addr) -> Frame {
    arp(mac, addr, 2, mac)
}

fn arp(mac: [u8; 6], addr: Ipv4Addr, operation: u8, target: [u8; 6]) -> Frame {
    Frame::new()
        .put(&EVERYBODY)
        .put(&mac)
        .put(&[0x08, 0x06])
        // Ethernet, IPv4, their lengths (RFC 826).
        .put(&[0, 1, 8, 0, 6, 4, 0, operation])
        .put(&mac)
        .put(&addr.octets())
        .put(&target)
        .put(&addr.octets())
}

/// Unsolicited neighbour advertisement to all nodes, with the override flag (RFC 4861 sections 4.4 and 7.2.6).
pub fn neighbour_advertisement(mac: [u8; 6], addr: Ipv6Addr) -> Frame {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let payload = Frame::new()
        // Type 136, code 0, sum, override.
        .put(&[136, 0, 0, 0, 0x20, 0, 0, 0])
        .put(&addr.octets())
        // Option 2: target link-layer address, in units of eight bytes.
        .put(&[2, 1])
        .put(&mac);
    let sum = icmp_sum(addr, all_nodes, payload.bytes());
    let mut payload = payload;
    if let Some(place) = payload.bytes.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    Frame::new()
        // Multicast to ff02::1 goes to 33:33 and its last four bytes (RFC 2464 section 7).
        .put(&[0x33, 0x33, 0, 0, 0, 1])
        .put(&mac)
        .put(&[0x86, 0xdd])
        // Version 6, payload of 32 bytes, next header 58, hop limit 255.
        .put(&[0x60, 0, 0, 0, 0, 32, 58, 255])
        .put(&addr.octets())
        .put(&all_nodes.octets())
        .put(payload.bytes())
}

/// The sum over the pseudo-header and the message (RFC 4443 section 2.3).
fn icmp_sum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        let word = |pair: &[u8]| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(*high) << 8,
            _ => 0,
        };
        bytes.chunks(2).map(word).sum()
    };
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut sum = words(&from.octets()) + words(&to.octets()) + length + 58 + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The address that a frame claims, and for whom.
pub(super) fn claim(frame: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    match frame.get(12..14)? {
        [0x08, 0x06] => arp_claim(frame).map(|(addr, mac)| (addr.into(), mac)),
        [0x86, 0xdd] => advertised(frame).map(|(addr, mac)| (addr.into(), mac)),
        _ => None,
    }
}

fn arp_claim(frame: &[u8]) -> Option<(Ipv4Addr, [u8; 6])> {
    if frame.get(14..20)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let mac = part(frame, 22)?;
    let addr = part(frame, 28)?;
    // A probe comes from nobody and claims nothing (RFC 5227 section 1.1).
    (addr != [0; 4]).then(|| (Ipv4Addr::from(addr), mac))
}

/// A neighbour advertisement that is valid by RFC 4861 section 7.1.2.
fn advertised(frame: &[u8]) -> Option<(Ipv6Addr, [u8; 6])> {
    let (header, rest) = frame.get(14..)?.split_at_checked(40)?;
    // ICMPv6 right behind the header, with the hop limit that nothing from beyond a router has.
    let [0x60..=0x6f, _, _, _, high, low, 58, 255, ..] = header else { return None };
    let message = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    let [136, 0, _, _, flags, ..] = message else { return None };
    let [from, to] = [part(header, 8)?, part(header, 24)?].map(Ipv6Addr::from);
    let target = Ipv6Addr::from(part::<16>(message, 8)?);
    // Nobody asked where all are answered.
    let is_odd = target.is_multicast() || to.is_multicast() && flags & 0x40 != 0;
    if is_odd || icmp_sum(from, to, message) != 0 {
        return None;
    }
    // Who sent it, where it does not say whose the address is.
    let mut mac = part(frame, 6)?;
    let mut options = message.get(24..)?;
    while let [kind, units, ..] = options {
        let (option, others) = options.split_at_checked(usize::from(*units) * 8).filter(|_| *units > 0)?;
        if *kind == 2 {
            mac = part(option, 2)?;
        }
        options = others;
    }
    Some((target, mac))
}

fn part<const LENGTH: usize>(bytes: &[u8], at: usize) -> Option<[u8; LENGTH]> {
    bytes.get(at..)?.first_chunk().copied()
}

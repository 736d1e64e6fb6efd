//! Echo requests to one address (RFC 792, RFC 4443 section 4): whether the network beyond this machine is there.
//!
//! Invariant: an answer counts only if it carries the cookie of this socket, whoever sent it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use crate::rng;

/// Bytes of a request: the header, and a cookie.
const REQUEST: usize = 8 + COOKIE;
const COOKIE: usize = 16;

/// Asks one address.
#[derive(Debug)]
pub struct Ping {
    socket: Socket,
    is_v4: bool,
    cookie: [u8; COOKIE],
    sequence: u16,
}

impl Ping {
    /// For that address. Unprivileged where `net.ipv4.ping_group_range` allows it, else with `CAP_NET_RAW`.
    ///
    /// # Errors
    /// Where neither is to be had.
    pub fn open(addr: IpAddr) -> io::Result<Self> {
        let (domain, protocol) = match addr {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))
            .or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))?;
        socket.set_nonblocking(true)?;
        socket.connect(&SocketAddr::new(addr, 0).into())?;
        let mut cookie = [0; COOKIE];
        cookie.copy_from_slice(rng::seed().first_chunk::<COOKIE>().unwrap_or(&[0; COOKIE]));
        Ok(Self { socket, is_v4: addr.is_ipv4(), cookie, sequence: 0 })
    }

    /// Sends a request. One that cannot leave is not answered, which is all that counts.
    pub fn ask(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = [0; REQUEST];
        let [high, low] = self.sequence.to_be_bytes();
        let kind = if self.is_v4 { 8 } else { 128 };
        let [id_high, id_low, ..] = self.cookie;
        let head = [kind, 0, 0, 0, id_high, id_low, high, low];
        let (first, rest) = bytes.split_at_mut(head.len());
        first.copy_from_slice(&head);
        rest.copy_from_slice(&self.cookie);
        if self.is_v4 {
            let sum = checksum(&bytes);
            if let Some(place) = bytes.get_mut(2..4) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
        let _ = self.socket.send(&bytes);
    }

    /// Whether an answer has come since the last look.
    pub fn is_answered(&mut self) -> bool {
        let mut is_answered = false;
        let mut bytes = [0; 256];
        loop {
            match recv(&self.socket, &mut bytes, RecvFlags::empty()) {
                Ok((length, _)) => is_answered |= bytes.get(..length).is_some_and(|bytes| self.is_ours(bytes)),
                Err(Errno::INTR) => {}
                // Nothing more; or an unreachable network, told by an earlier request.
                Err(_) => return is_answered,
            }
        }
    }

    /// With or without an IPv4 header in front, the reply ends with the cookie.
    fn is_ours(&self, bytes: &[u8]) -> bool {
        let reply = if self.is_v4 { 0 } else { 129 };
        let Some(start) = bytes.len().checked_sub(REQUEST) else { return false };
        bytes.get(start) == Some(&reply) && bytes.ends_with(&self.cookie)
    }
}

impl AsFd for Ping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sum of RFC 1071 over an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::beat::{readable, wait};

    #[test]
    fn the_machine_itself_answers() {
        for addr in ["127.0.0.1", "::1"] {
            let Ok(mut ping) = Ping::open(addr.parse().unwrap()) else {
                println!("\nSKIPPED the_machine_itself_answers: no right to send echo requests here");
                return;
            };
            let mut is_answered = false;
            for _ in 0..20 {
                ping.ask();
                // A raw socket hears its own request first.
                for _ in 0..3 {
                    wait(&mut [readable(ping.as_fd())], Duration::from_millis(200)).unwrap();
                    is_answered |= ping.is_answered();
                }
                if is_answered {
                    break;
                }
            }
            assert!(is_answered, "{addr}");
        }
    }

    #[test]
    fn another_cookie_is_no_answer() {
        let Ok(ping) = Ping::open("127.0.0.1".parse().unwrap()) else { return };
        assert!(!ping.is_ours(&[0; REQUEST]));
        let mut reply = vec![0; 8];
        reply.extend(ping.cookie);
        assert!(ping.is_ours(&reply));
        reply[0] = 8;
        assert!(!ping.is_ours(&reply));
    }
}

//! A netlink socket: requests with their answers, and what comes unasked.
//!
//! Invariant: an answer is matched to its request by the sequence number, and what belongs to another is passed over.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::RouteAddress;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;

/// `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const GROUPS: [u32; 3] = [1, 5, 9];
/// Bytes of one read. The kernel fills at most 32 KiB at a time into a dump.
const READ: usize = 32 * 1024;
/// Reads for one answer, at the very most: a machine with some ten thousand routes.
const READS: usize = 4096;

/// A socket that speaks to the kernel.
pub(super) struct Conversation {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Conversation {
    /// For requests.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(READ) })
    }

    /// For what the kernel tells unasked.
    pub(super) fn open_watch() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(READ) })
    }

    /// Sends a request and hands over every answer to it, to the last.
    pub(super) fn ask(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        mut take: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        header.flags = NLM_F_REQUEST | flags | if is_dump { 0 } else { NLM_F_ACK };
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        for _ in 0..READS {
            if self.read_answers(&mut take)? {
                return Ok(());
            }
        }
        Err(io::Error::other("the kernel's answer does not end"))
    }

    /// Reads once. Whether the answer is complete.
    fn read_answers(&mut self, take: &mut impl FnMut(RouteNetlinkMessage)) -> io::Result<bool> {
        self.read()?;
        let sequence = self.sequence;
        let mut end = Ok(false);
        each(&self.buffer, |message| {
            if message.header.sequence_number != sequence {
                return;
            }
            match message.payload {
                NetlinkPayload::Done(_) => end = Ok(true),
                NetlinkPayload::Error(error) => {
                    end = match error.code {
                        None => Ok(true),
                        Some(_) => Err(error.to_io()),
                    }
                }
                NetlinkPayload::InnerMessage(answer) => take(answer),
                _ => {}
            }
        });
        end
    }

    /// Reads what came unasked, once. Whether there was anything.
    pub(super) fn hear(&mut self, mut take: impl FnMut(RouteNetlinkMessage)) -> io::Result<bool> {
        match self.read() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        each(&self.buffer, |message| {
            if let NetlinkPayload::InnerMessage(news) = message.payload {
                take(news);
            }
        });
        Ok(true)
    }

    fn read(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        super::borrow(&self.socket)
    }
}

/// Every message of one read. What cannot be read is passed over: a newer kernel may tell more than we know.
fn each(mut bytes: &[u8], mut take: impl FnMut(NetlinkMessage<RouteNetlinkMessage>)) {
    // The length comes first, in the machine's own order (netlink(7)), and messages begin at multiples of four.
    while let Some(Ok(length)) = bytes.get(..4).map(<[u8; 4]>::try_from) {
        let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(..length).filter(|_| length >= 16) else { return };
        if let Ok(message) = NetlinkMessage::deserialize(message) {
            take(message);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

pub(super) fn family(addr: IpAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

pub(super) fn ip_of(addr: &RouteAddress) -> Option<IpAddr> {
    match addr {
        RouteAddress::Inet(addr) => Some((*addr).into()),
        RouteAddress::Inet6(addr) => Some((*addr).into()),
        _ => None,
    }
}

/// Whether two addresses have their first bits in common.
pub(super) fn share_prefix(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let shared = |one: u128, other: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(bits));
        (one ^ other).checked_shr(rest).unwrap_or(0) == 0
    };
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => shared(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => shared(one.into(), other.into(), 128),
        _ => false,
    }
}

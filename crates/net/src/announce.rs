//! Tells neighbours that an address is here: gratuitous ARP in both forms, unsolicited neighbour advertisements.
//!
//! Some equipment heeds only ARP requests, some only replies, so both are sent (RFC 5227 section 3 describes the
//! request's form). IPv6 has one form (RFC 4861 section 7.2.6). Frames are written here whole: an address must be
//! announced from a device that may have it only this moment, and the kernel would ask first.
//!
//! Invariant: an announcement names the device's own Ethernet address, or is not sent.

mod frame;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};

use crate::addresses::Device;

pub use frame::{Frame, arp_reply, arp_request, neighbour_advertisement};

/// `ETH_P_ARP` of linux/if_ether.h.
const ETHERTYPE_ARP: u16 = 0x0806;
/// `ETH_P_IPV6` of the same.
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Another station that says it has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The address.
    pub addr: IpAddr,
    /// Who says so.
    pub mac: [u8; 6],
}

/// Announces on one device, and hears what others say there: by ARP, and by neighbour advertisements once an IPv6 address was
/// announced, so that no other packet of IPv6 is looked at in vain.
#[derive(Debug)]
pub struct Announcer {
    socket: Socket,
    advertisements: Option<Socket>,
    device: u32,
    mac: [u8; 6],
}

impl Announcer {
    /// For a device that has an Ethernet address.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or where the device is gone; with what to do about it.
    pub fn open(device: &Device, mac: [u8; 6]) -> io::Result<Self> {
        let socket = open(device.index, ETHERTYPE_ARP, &[]).map_err(|error| explain(&error))?;
        Ok(Self { socket, advertisements: None, device: device.index, mac })
    }

    /// The Ethernet address that it announces.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Says once that the address is here: for IPv4 in both forms, for IPv6 in its one.
    ///
    /// # Errors
    /// Where the frame does not leave, or others could not be heard.
    pub fn announce(&mut self, addr: IpAddr) -> io::Result<()> {
        match addr {
            IpAddr::V4(addr) => {
                self.send(&arp_request(self.mac, addr))?;
                self.send(&arp_reply(self.mac, addr))
            }
            IpAddr::V6(addr) => {
                self.send(&neighbour_advertisement(self.mac, addr))?;
                if self.advertisements.is_none() {
                    self.advertisements = Some(open(self.device, ETHERTYPE_IPV6, &advertisements_alone())?);
                }
                Ok(())
            }
        }
    }

    fn send(&self, frame: &Frame) -> io::Result<()> {
        self.socket.send(frame.bytes()).map(|_| ())
    }

    /// The sockets by which others are heard.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(&self.socket), self.advertisements.as_ref()].into_iter().flatten().map(AsFd::as_fd)
    }

    /// The next claim of another station to an address, without waiting for any.
    ///
    /// # Errors
    /// Where a socket fails; a device that is down is no failure.
    pub fn heard(&self) -> io::Result<Option<Sighting>> {
        for socket in self.sockets() {
            if let Some(sighting) = self.heard_by(socket)? {
                return Ok(Some(sighting));
            }
        }
        Ok(None)
    }

    fn heard_by(&self, socket: BorrowedFd<'_>) -> io::Result<Option<Sighting>> {
        let mut bytes = [0; 128];
        loop {
            let length = match rustix::net::recv(socket, &mut bytes, rustix::net::RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN | Errno::NETDOWN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let claim = bytes.get(..length).and_then(frame::claim);
            if let Some((addr, mac)) = claim.filter(|(_, mac)| *mac != self.mac) {
                return Ok(Some(Sighting { addr, mac }));
            }
        }
    }
}

/// A socket for the frames of one protocol on a device, of which the kernel passes on those that the filter lets through.
fn open(device: u32, protocol: u16, filter: &[SockFilter]) -> io::Result<Socket> {
    // For no protocol yet (packet(7)), so that nothing comes past the filter. And one that hears all devices already is bound
    // to one of them only after the kernel has waited until nobody looks at it, for tens of milliseconds in the middle of a
    // failover.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_nonblocking(true)?;
    if !filter.is_empty() {
        socket.attach_filter(filter)?;
    }
    socket.bind(&link_address(device, protocol)?)?;
    Ok(socket)
}

/// Lets neighbour advertisements through and nothing else, or every packet of IPv6 would wake who listens.
fn advertisements_alone() -> [SockFilter; 6] {
    // Of linux/bpf_common.h: load a byte of the frame; go on where it is that value, else past so many; end with so many bytes.
    let load = |at: u32| SockFilter::new(0x30, 0, 0, at);
    let is = |value: u32, past: u8| SockFilter::new(0x15, 0, past, value);
    let end = |bytes: u32| SockFilter::new(0x06, 0, 0, bytes);
    // The next header is at 6 behind the header of Ethernet, the type of ICMPv6 behind the header of IPv6.
    [load(14 + 6), is(58, 3), load(14 + 40), is(136, 1), end(u32::MAX), end(0)]
}

fn explain(error: &io::Error) -> io::Error {
    let next = match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => "it takes CAP_NET_RAW, or a start by root",
        // What a process under systemd gets where its unit's list lacks the family.
        Some(Errno::AFNOSUPPORT) => "the unit's RestrictAddressFamilies has to name AF_PACKET",
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), format!("{error}: {next}"))
}

/// The address that binds a packet socket to a device and a protocol (packet(7)).
pub(crate) fn link_address(device: u32, protocol: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(device).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut storage = SockAddrStorage::zeroed();
    let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: `sockaddr_ll` is a socket address of the system, for which all zeros are a value, and fits the storage.
    #[allow(unsafe_code)]
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as libc::sa_family_t;
    link.sll_protocol = protocol.to_be();
    link.sll_ifindex = index;
    // SAFETY: the storage holds a `sockaddr_ll` whose family says so, and `length` is its size.
    #[allow(unsafe_code)]
    let address = unsafe { SockAddr::new(storage, length) };
    Ok(address)
}

#[cfg(test)]
mod tests;

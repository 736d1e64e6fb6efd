//! The kernel's view of a batch: headers that point into buffers.
//!
//! The invariants: buffers are allocated once and never move or grow, so that the pointers in the headers stay good
//! as long as the slots live; the kernel is given lengths that are those of the buffers.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null_mut;

use evenkeel_model::caps;
use socket2::Socket;

use super::{Datagram, Patience, address};

/// Bytes of a control message that tells an arrival: its head and the larger of the two kinds, aligned.
const CONTROL_BYTES: usize = 64;

/// Control bytes, aligned as the kernel wants them.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// Where one datagram and the answer to it lie.
struct Slot {
    name: libc::sockaddr_in6,
    control: Control,
    input: [u8; caps::DNS_QUERY_BYTES],
    output: [u8; caps::DNS_UDP_BYTES],
    read: libc::iovec,
    write: libc::iovec,
}

/// The slots and the headers that point at them.
pub(super) struct Slots {
    slots: Box<[Slot]>,
    incoming: Box<[libc::mmsghdr]>,
    outgoing: Box<[libc::mmsghdr]>,
    /// How many of the incoming ones the last call has written to, and whether they were told to tell arrivals.
    used: usize,
    tells_arrival: bool,
}

/// Asks for the arrival address of each datagram.
pub(super) fn ask_for_arrival(socket: &Socket, is_v6: bool) -> io::Result<()> {
    let (level, option) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the pointer is to an integer that outlives the call, and the length is its own.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        // SAFETY: every field is an integer, an array of integers or a pointer, for which zeros are a value.
        let slot = || unsafe { zeroed::<Slot>() };
        let slots: Box<[Slot]> = (0..count).map(|_| slot()).collect();
        // SAFETY: as above; a header of zeros names no buffer.
        let header = || unsafe { zeroed::<libc::mmsghdr>() };
        let headers = || (0..count).map(|_| header()).collect::<Box<[libc::mmsghdr]>>();
        let mut all = Self { slots, incoming: headers(), outgoing: headers(), used: count, tells_arrival: false };
        for (slot, header) in all.slots.iter_mut().zip(all.incoming.iter_mut()) {
            slot.read = libc::iovec { iov_base: slot.input.as_mut_ptr().cast(), iov_len: slot.input.len() };
            slot.write = libc::iovec { iov_base: slot.output.as_mut_ptr().cast(), iov_len: 0 };
            header.msg_hdr.msg_name = (&raw mut slot.name).cast();
            header.msg_hdr.msg_iov = &raw mut slot.read;
            header.msg_hdr.msg_iovlen = 1;
        }
        all
    }

    /// Receives what is there; 0 where nothing is there, or came in time.
    pub(super) fn receive(&mut self, fd: RawFd, tells_arrival: bool, patience: Patience) -> io::Result<usize> {
        // What the kernel has not written to is as it was left.
        let stale = if self.tells_arrival == tells_arrival { self.used } else { self.slots.len() };
        self.tells_arrival = tells_arrival;
        for (slot, header) in self.slots.iter_mut().zip(self.incoming.iter_mut()).take(stale) {
            let message = &mut header.msg_hdr;
            message.msg_namelen = libc::socklen_t::try_from(size_of::<libc::sockaddr_in6>()).unwrap_or(0);
            message.msg_flags = 0;
            (message.msg_control, message.msg_controllen) =
                if tells_arrival { ((&raw mut slot.control).cast(), CONTROL_BYTES as _) } else { (null_mut(), 0) };
        }
        let count = libc::c_uint::try_from(self.incoming.len()).unwrap_or(1);
        let headers = self.incoming.as_mut_ptr();
        let flags = match patience {
            Patience::None => libc::MSG_DONTWAIT,
            // Only the first one is waited for, as long as the socket's timeout says.
            Patience::Short => libc::MSG_WAITFORONE,
        };
        // SAFETY: the headers are as many as said; each names a buffer, an address and control bytes of this batch
        // with their lengths, which live and do not move as long as `self` does.
        let received = unsafe { libc::recvmmsg(fd, headers, count, flags as _, null_mut()) };
        // One more than it says: the header of a datagram that failed may have been written to.
        self.used = usize::try_from(received).unwrap_or(0).saturating_add(1).min(self.slots.len());
        usize::try_from(received).or_else(|_| {
            let error = io::Error::last_os_error();
            match error.kind() {
                // What an ICMP message says of an earlier answer is nobody's business here.
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => Ok(0),
                _ => Err(error),
            }
        })
    }

    /// The bytes of the first `count` datagrams.
    pub(super) fn inputs(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().zip(&self.incoming).take(count).filter_map(|(slot, header)| {
            let length = usize::try_from(header.msg_len).unwrap_or(0);
            slot.input.get(..length)
        })
    }

    /// Has one datagram answered; puts the answer to the outgoing ones at `place`. Says whether there is one.
    pub(super) fn answer(
        &mut self,
        at: usize,
        place: usize,
        fixed: Option<IpAddr>,
        answer: &mut dyn FnMut(&Datagram<'_>, &mut [u8]) -> usize,
    ) -> bool {
        let (Some(slot), Some(header)) = (self.slots.get_mut(at), self.incoming.get_mut(at)) else { return false };
        let length = usize::try_from(header.msg_len).unwrap_or(0);
        let is_cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let Slot { name, control, input, output, .. } = slot;
        let (Some(bytes), Some(from), false) = (input.get(..length), address(name, header.msg_hdr.msg_namelen), is_cut)
        else {
            return false;
        };
        // Its type differs between C libraries.
        let told: usize = header.msg_hdr.msg_controllen as _;
        let arrived_at = fixed.or_else(|| arrival(control, told));
        let written = answer(&Datagram { bytes, from, arrived_at }, output);
        if written == 0 || written > output.len() {
            return false;
        }
        let Some(outgoing) = self.outgoing.get_mut(place) else { return false };
        slot.write.iov_len = written;
        outgoing.msg_hdr = header.msg_hdr;
        outgoing.msg_hdr.msg_iov = &raw mut slot.write;
        if fixed.is_some() || arrived_at.is_none() {
            (outgoing.msg_hdr.msg_control, outgoing.msg_hdr.msg_controllen) = (null_mut(), 0);
        }
        true
    }

    /// Sends the first `count` answers. What the system does not take is lost.
    pub(super) fn send(&mut self, fd: RawFd, count: usize) {
        let mut sent = 0;
        // One that cannot be sent (no route back, a filter) must not keep the others: it is passed over.
        while let Some(rest) = self.outgoing.get_mut(sent..count).filter(|rest| !rest.is_empty()) {
            let length = libc::c_uint::try_from(rest.len()).unwrap_or(1);
            // SAFETY: the headers are as many as said; each names buffers of this batch that live and do not move as
            // long as `self` does, with lengths within them.
            let result = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), length, libc::MSG_DONTWAIT as _) };
            match usize::try_from(result) {
                Ok(0) => return,
                Ok(done) => sent += done,
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => sent += 1,
            }
        }
    }
}

/// The address that a control message tells, made ready to be sent back: the answer leaves from there, by whatever
/// interface the routes say, or by the same one where the address is of that link alone.
fn arrival(control: &mut Control, told: usize) -> Option<IpAddr> {
    const HEAD: usize = size_of::<libc::cmsghdr>();
    let number =
        |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk::<4>().map(|four| libc::c_int::from_ne_bytes(*four));
    let bytes = control.0.get_mut(..told)?;
    let (level, kind) = (number(bytes, size_of::<usize>())?, number(bytes, size_of::<usize>() + 4)?);
    if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
        // ipi_ifindex, ipi_spec_dst, ipi_addr: the second is what an answer leaves from.
        let info: &mut [u8; 12] = bytes.get_mut(HEAD..)?.first_chunk_mut()?;
        let [_, _, _, _, a, b, c, d, ..] = *info;
        info[..4].fill(0);
        return Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
    }
    if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
        // ipi6_addr, ipi6_ifindex.
        let info: &mut [u8; 20] = bytes.get_mut(HEAD..)?.first_chunk_mut()?;
        let ip = Ipv6Addr::from(*info.first_chunk::<16>()?);
        if !ip.is_unicast_link_local() {
            info[16..].fill(0);
        }
        return Some(IpAddr::V6(ip).to_canonical());
    }
    None
}

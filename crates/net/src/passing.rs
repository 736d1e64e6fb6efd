//! Segments of connections that began on another machine, passed on to it: the address has come here, they have not.
//!
//! Every segment for the address is seen beside the kernel's own way. A connection whose first segment is seen begins here; what
//! belongs to any other one goes on to the machine that had the address before, frame by frame, to its Ethernet address.
//!
//! Invariant: a frame that is passed on leaves from our own Ethernet address, so that no switch learns a client's wrongly.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use evenkeel_model::caps;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Socket, Type};

use crate::addresses::Device;
use crate::announce::link_address;

/// `ETH_P_IP` of linux/if_ether.h.
const ETHERTYPE_IP: u16 = 0x0800;
/// What the kernel puts before each frame (`virtio_net_hdr`): which sums are missing, how large segments are to be cut.
const OFFLOADS: usize = 10;
/// The Ethernet header.
const ETHERNET: usize = 14;
/// The longest packet, with what stands before it.
const LONGEST: usize = OFFLOADS + ETHERNET + 65_535;
/// Bytes that the kernel keeps for us: some thousand segments.
const KERNEL_BUFFER: usize = 4 * 1024 * 1024;
/// Frames in one turn.
const BATCH: usize = 256;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A client's end of a connection, and the port that it speaks to.
type Flow = ([u8; 4], [u8; 2], [u8; 2]);

/// Passes segments on for one address.
#[derive(Debug)]
pub struct Passing {
    socket: Socket,
    own: [u8; 6],
    to: [u8; 6],
    addr: Ipv4Addr,
    begun_here: HashSet<Flow>,
    buffer: Vec<u8>,
}

impl Passing {
    /// Begins to see what comes for `addr` on a device whose Ethernet address is `own`, and to pass it on to `to`.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or where the device is gone.
    pub fn open(device: &Device, own: [u8; 6], to: [u8; 6], addr: Ipv4Addr) -> io::Result<Self> {
        // For no protocol yet, as with announcements: the kernel would make us wait, and other devices be heard until then.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        turn_on(&socket, libc::PACKET_VNET_HDR)?;
        turn_on(&socket, libc::PACKET_IGNORE_OUTGOING)?;
        // The kernel gives what it allows.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        socket.bind(&link_address(device.index, ETHERTYPE_IP)?)?;
        Ok(Self { socket, own, to, addr, begun_here: HashSet::new(), buffer: vec![0; LONGEST] })
    }

    /// The address.
    pub fn addr(&self) -> Ipv4Addr {
        self.addr
    }

    /// Passes on what has come. `false` where that is over: so many connections began here that they cannot be told any
    /// more, or the device is gone.
    pub fn pass(&mut self) -> bool {
        for _ in 0..BATCH {
            let length = match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::NETDOWN | Errno::NOBUFS) => continue,
                Err(_) => return false,
            };
            let Some(frame) = self.buffer.get_mut(..length) else { continue };
            match look(frame.get(OFFLOADS..).unwrap_or_default(), self.addr) {
                Seen::Nothing => {}
                Seen::Begin(flow) => {
                    self.begun_here.insert(flow);
                    if self.begun_here.len() > caps::PASSING_FLOWS {
                        return false;
                    }
                }
                Seen::Segment(flow) if self.begun_here.contains(&flow) => {}
                Seen::Segment(_) => {
                    if let Some(ends) = frame.get_mut(OFFLOADS..OFFLOADS + 12) {
                        let (to, from) = ends.split_at_mut(6);
                        to.copy_from_slice(&self.to);
                        from.copy_from_slice(&self.own);
                        // A segment that does not leave is one that was lost: its sender repeats it.
                        let _ = self.socket.send(frame);
                    }
                }
            }
        }
        true
    }
}

impl AsFd for Passing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

enum Seen {
    /// Nothing of a connection to the address.
    Nothing,
    /// The first segment of a connection.
    Begin(Flow),
    /// Any other one.
    Segment(Flow),
}

/// What a frame is (RFC 791, RFC 9293). Later fragments carry no ports, and are nothing.
fn look(frame: &[u8], addr: Ipv4Addr) -> Seen {
    let Some(packet) = frame.get(ETHERNET..) else { return Seen::Nothing };
    let Some([first, _, _, _, _, _, fragment, fragment_low, _, 6, _, _, s1, s2, s3, s4, d1, d2, d3, d4]) =
        packet.first_chunk::<20>()
    else {
        return Seen::Nothing;
    };
    let is_whole = fragment & 0x1f == 0 && *fragment_low == 0;
    if first >> 4 != 4 || !is_whole || [*d1, *d2, *d3, *d4] != addr.octets() {
        return Seen::Nothing;
    }
    let head = usize::from(first & 0x0f) * 4;
    let segment = packet.get(head..).and_then(|segment| segment.first_chunk::<14>());
    let Some([p1, p2, q1, q2, _, _, _, _, _, _, _, _, _, flags]) = segment else { return Seen::Nothing };
    let flow = ([*s1, *s2, *s3, *s4], [*p1, *p2], [*q1, *q2]);
    if flags & (SYN | ACK) == SYN { Seen::Begin(flow) } else { Seen::Segment(flow) }
}

fn turn_on(socket: &Socket, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    let fd = socket.as_raw_fd();
    // SAFETY: the value is one `int` that lives over the call, and the length is its size.
    #[allow(unsafe_code)]
    let done = unsafe { libc::setsockopt(fd, libc::SOL_PACKET, option, (&raw const on).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of TCP over IPv4 with these flags, from port 4660 to port 80 of that address.
    fn frame(to: [u8; 4], flags: u8, fragment: u8) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET];
        frame.extend([0x46, 0, 0, 44, 0, 0, 0, fragment, 64, 6, 0, 0, 10, 0, 0, 9]);
        frame.extend(to);
        frame.extend([1, 1, 1, 1]);
        frame.extend([0x12, 0x34, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags]);
        frame
    }

    #[test]
    fn connections_are_told_by_their_first_segment() {
        let addr = Ipv4Addr::new(10, 8, 0, 1);
        let wanted = ([10, 0, 0, 9], [0x12, 0x34], [0, 80]);
        assert!(matches!(look(&frame(addr.octets(), SYN, 0), addr), Seen::Begin(flow) if flow == wanted));
        assert!(matches!(look(&frame(addr.octets(), SYN | ACK, 0), addr), Seen::Segment(flow) if flow == wanted));
        assert!(matches!(look(&frame(addr.octets(), ACK, 0), addr), Seen::Segment(_)));
        assert!(matches!(look(&frame([10, 8, 0, 2], ACK, 0), addr), Seen::Nothing));
        assert!(matches!(look(&frame(addr.octets(), ACK, 7), addr), Seen::Nothing));
    }

    #[test]
    fn no_length_is_too_short_to_be_looked_at() {
        let whole = frame([10, 8, 0, 1], ACK, 0);
        for length in 0..whole.len() {
            assert!(matches!(look(&whole[..length], Ipv4Addr::new(10, 8, 0, 1)), Seen::Nothing), "{length}");
        }
    }
}

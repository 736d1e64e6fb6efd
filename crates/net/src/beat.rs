//! The sockets of heartbeats, and waiting for all of them at once.
//!
//! Invariant: nothing here blocks but [`wait`], and that no longer than it is told.

mod membership;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub use membership::Membership;

/// Class selector 6, network control, in the place of the type of service (RFC 2474, RFC 4594 section 3.1).
const NETWORK_CONTROL: u32 = 0xc0;

/// One way on which nodes hear each other: an own address, and each peer's, or one that all of them hear.
#[derive(Debug)]
pub struct Path {
    socket: UdpSocket,
    /// Hears what is told to all.
    all: Option<UdpSocket>,
    peers: Vec<SocketAddr>,
}

impl Path {
    /// A socket on the own address of the path, and whom it speaks to: peers, or a multicast group or broadcast address. The
    /// own address need not be there yet: the place in a multicast group is lost then ([`Membership`]).
    ///
    /// # Errors
    /// Where the port is taken, or the family is not to be had.
    pub fn open(own: SocketAddr, peers: Vec<SocketAddr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
        if own.is_ipv4() {
            socket.set_freebind_v4(true)?;
            socket.set_tos_v4(NETWORK_CONTROL)?;
            socket.set_broadcast(true)?;
        } else {
            socket.set_freebind_v6(true)?;
            socket.set_only_v6(true)?;
            socket.set_multicast_hops_v6(1)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&own.into())?;
        let path = Self { socket: socket.into(), all: None, peers };
        if let Some(mut membership) = path.membership()? {
            unless_absent(membership.renew())?;
        }
        Ok(path)
    }

    /// Has one of the node's paths hear what its peers tell to all under this address, a multicast group or a broadcast
    /// address. The own address of the path need not be there yet; but all paths have to be open: none can be opened later.
    ///
    /// # Errors
    /// Where there is no such path, the network of the own address knows no such thing, or the port is taken.
    pub fn hear_all(paths: &mut [Self], which: usize, to: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
        // Another node on this machine hears it as well.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if to.is_ipv4() {
            // That of a network that is not there yet.
            socket.set_freebind_v4(true)?;
            socket.bind(&to.into())?;
            // Or it would hear what comes to the group on other networks, where another socket has joined it.
            socket.set_multicast_all_v4(false)?;
        } else {
            socket.set_only_v6(true)?;
            socket.set_multicast_all_v6(false)?;
            Self::bind_beside(paths, &socket, SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), to.port()))?;
        }
        let path = paths.get_mut(which).ok_or(io::ErrorKind::NotFound)?;
        path.all = Some(socket.into());
        match path.membership()? {
            Some(mut membership) => unless_absent(membership.renew()),
            None => Ok(()),
        }
    }

    /// Binds to every address beside the own ones, from which nobody else takes the port all the same. A socket bound to a
    /// group of one network would be bound to its device as well, and deaf when that is made anew.
    fn bind_beside(paths: &[Self], socket: &Socket, to: SocketAddr) -> io::Result<()> {
        let lend = |is_lent| paths.iter().try_for_each(|path| SockRef::from(&path.socket).set_reuse_address(is_lent));
        let bound = lend(true).and_then(|()| socket.bind(&to.into()));
        lend(false)?;
        bound
    }

    /// The path's place in the multicast group that it speaks to, if there is one, to be kept where devices go and come.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn membership(&self) -> io::Result<Option<Membership>> {
        let Some(group) = self.peers.iter().find(|peer| peer.ip().is_multicast()) else { return Ok(None) };
        let own = self.own_addr()?.ip();
        let ears = self.all.as_ref().map(UdpSocket::try_clone).transpose()?;
        Ok(Some(Membership::new(own, group.ip(), self.socket.try_clone()?, ears)))
    }

    /// Sends the same to every peer. What cannot leave is lost, like any datagram.
    pub fn send(&self, bytes: &[u8]) {
        for peer in &self.peers {
            // A peer that is down answers through ICMP, which comes back here as an error of the next call.
            if self.socket.send_to(bytes, peer).is_err() {
                let _ = self.socket.send_to(bytes, peer);
            }
        }
    }

    /// The next datagram, without waiting for any: its length, and who sent it.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, IpAddr)> {
        std::iter::once(&self.socket).chain(&self.all).find_map(|socket| receive(socket, buffer))
    }

    /// What to wait for.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(&self.socket).chain(&self.all).map(AsFd::as_fd)
    }

    /// The socket itself, to hand to another process.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn own_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Without the own address there is no place to take yet.
fn unless_absent(renewed: io::Result<()>) -> io::Result<()> {
    match renewed {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL) => Ok(()),
        outcome => outcome,
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, IpAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok((length, from)) => return Some((length, from.ip())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            // An ICMP error that an earlier packet met; the next call gives what is waiting.
            Err(_) => {}
        }
    }
}

/// Waits until one of them has something to read, or the time has passed.
///
/// # Errors
/// Where the system refuses to wait.
pub fn wait(these: &mut [PollFd<'_>], within: Duration) -> io::Result<()> {
    let timeout = Timespec {
        tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(within.subsec_nanos()),
    };
    match poll(these, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What to wait for: that there is something to read.
pub fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

#[cfg(test)]
mod tests;

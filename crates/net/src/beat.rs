//! The sockets of heartbeats, and waiting for all of them at once.
//!
//! Invariant: nothing here blocks but [`wait`], and that no longer than it is told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

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
    /// own address need not be there yet.
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
        }
        socket.set_nonblocking(true)?;
        socket.bind(&own.into())?;
        if let (IpAddr::V4(from), true) = (own.ip(), peers.iter().any(|peer| peer.ip().is_multicast())) {
            socket.set_multicast_if_v4(&from)?;
        }
        Ok(Self { socket: socket.into(), all: None, peers })
    }

    /// Has the path hear what its peers tell to all under this address, a multicast group or a broadcast address. The own
    /// address of the path has to be there.
    ///
    /// # Errors
    /// Where the network of the own address knows no such thing, or the port is taken.
    pub fn hear_all(&mut self, own: Ipv4Addr, to: SocketAddrV4) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // Another node on this machine hears it as well.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::V4(to).into())?;
        if to.ip().is_multicast() {
            socket.join_multicast_v4(to.ip(), &own)?;
            // Or it would hear what comes to the group on other networks, where another socket has joined it.
            socket.set_multicast_all_v4(false)?;
        }
        self.all = Some(socket.into());
        Ok(())
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
mod tests {
    use super::*;

    #[test]
    fn a_path_carries_datagrams_both_ways_and_a_dead_peer_stops_nothing() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let one = Path::open(any, Vec::new()).unwrap();
        let dead = Path::open(any, Vec::new()).unwrap().own_addr().unwrap();
        let other = Path::open(any, vec![dead, one.own_addr().unwrap()]).unwrap();
        for round in 0..5_u8 {
            other.send(&[round; 40]);
            wait(&mut one.sockets().map(readable).collect::<Vec<_>>(), Duration::from_secs(5)).unwrap();
            let mut buffer = [0; 64];
            let (length, from) = one.receive(&mut buffer).unwrap();
            assert_eq!((length, from), (40, any.ip()));
            assert_eq!(buffer[0], round);
        }
        assert!(one.receive(&mut [0; 8]).is_none());
    }
}

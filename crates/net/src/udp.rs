//! Datagrams in batches: many are received and answered by one pair of system calls.
//!
//! A [`Port`] is one socket of an address, of which each thread has its own; a [`Batch`] holds the buffers of one
//! thread. The invariants: an answer leaves from the address that its query arrived at; nothing here blocks but
//! [`wait`], and an exchange that is to be [`Patience::Short`]; an answer that the system does not take is lost, as
//! datagrams are.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::ListenAddr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::NetError;
use crate::bell::Bell;
use crate::listen::{self, Families, Presence};

mod message;

use message::Slots;

/// Bytes that the kernel is asked to keep for one socket while its thread is busy. It gives what it allows.
const KERNEL_BUFFER: usize = 4 * 1024 * 1024;

/// How long [`Patience::Short`] waits.
const SHORT: Duration = Duration::from_millis(20);

/// Whether an exchange waits for its first datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It takes what is there.
    None,
    /// It waits up to 20 ms. For a thread with one port, in the midst of traffic: it saves the call that would ask
    /// whether there is more, and the one that would wait for it.
    Short,
}

/// One socket of an address.
#[derive(Debug)]
pub struct Port {
    socket: Socket,
    addr: SocketAddr,
    /// Whether it is bound to every address, so that each datagram has to tell where it arrived.
    tells_arrival: bool,
}

/// A datagram that came in.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// The address that it arrived at, where that is known.
    pub arrived_at: Option<IpAddr>,
}

/// Binds `count` sockets to the same address (`SO_REUSEPORT`), one for each thread; the kernel spreads senders over
/// them. `Every` takes both families, or IPv4 alone where the machine has no IPv6.
///
/// # Errors
/// Where the address cannot be had, as in [`listen::bind`].
pub fn bind(addr: ListenAddr, count: usize, presence: Presence) -> Result<Vec<Port>, NetError> {
    let mut outcome = Ok(Vec::new());
    for (candidate, families) in listen::candidates(addr) {
        outcome = bind_all(candidate, (families, presence), count);
        if !outcome.as_ref().is_err_and(listen::lacks_family) {
            break;
        }
    }
    outcome.map_err(|error| listen::explain(addr, listen::Kind::Datagrams, error))
}

fn bind_all(mut addr: SocketAddr, kind: (Families, Presence), count: usize) -> io::Result<Vec<Port>> {
    if addr.port() != 0 {
        // A socket that shares nothing conflicts with everybody, so that no other process gets a part of the queries.
        // Our own, which a reload may leave on an overlapping address, are no conflict.
        listen::unless_ours(open(addr, kind)?.bind(&SockAddr::from(addr)), addr, listen::Kind::Datagrams)?;
    }
    let mut ports = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = open(addr, kind)?;
        socket.set_reuse_port(true)?;
        // Who may not pass the kernel's own bound, for which CAP_NET_ADMIN is needed, gets that: no reason to fail.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, KERNEL_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        }
        socket.set_read_timeout(Some(SHORT))?;
        let tells_arrival = addr.ip().is_unspecified();
        if tells_arrival {
            message::ask_for_arrival(&socket, addr.is_ipv6())?;
        }
        socket.bind(&SockAddr::from(addr))?;
        let bound = socket.local_addr()?.as_socket().unwrap_or(addr);
        addr.set_port(bound.port());
        ports.push(Port { socket, addr: bound, tells_arrival });
    }
    Ok(ports)
}

fn open(addr: SocketAddr, (families, presence): (Families, Presence)) -> io::Result<Socket> {
    // It blocks, for those who are patient; every other call says that it does not wait.
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(families == Families::Own)?;
    }
    presence.prepare(&socket, addr)?;
    Ok(socket)
}

impl Port {
    /// The address that is bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address that every datagram arrives at, where the socket is bound to one.
    fn fixed(&self) -> Option<IpAddr> {
        (!self.tells_arrival).then(|| self.addr.ip().to_canonical())
    }
}

/// The buffers of one thread. It stays on its thread.
pub struct Batch {
    slots: Slots,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Buffers for [`caps::DNS_BATCH`] datagrams in and as many out.
    pub fn new() -> Self {
        Self { slots: Slots::new(caps::DNS_BATCH) }
    }

    /// Receives what is there or, with [`Patience::Short`], comes within 20 ms, asks for an answer to each, and sends the answers. `ahead` sees all of them before the first
    /// is answered, where there is more than one. `answer` writes into the buffer that it is given and says how many
    /// bytes; 0 for no answer. Gives the number of datagrams that came in; 0 where there were none.
    ///
    /// # Errors
    /// Where the socket cannot be read; what concerns one datagram only is none.
    pub fn exchange(
        &mut self,
        port: &Port,
        patience: Patience,
        ahead: &mut dyn FnMut(&mut dyn Iterator<Item = &[u8]>),
        answer: &mut dyn FnMut(&Datagram<'_>, &mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let fd = port.socket.as_raw_fd();
        let received = self.slots.receive(fd, port.tells_arrival, patience)?;
        if received > 1 {
            ahead(&mut self.slots.inputs(received));
        }
        let fixed = port.fixed();
        let mut answers = 0;
        for at in 0..received {
            if self.slots.answer(at, answers, fixed, answer) {
                answers += 1;
            }
        }
        self.slots.send(fd, answers);
        Ok(received)
    }
}

/// Waits until one of the ports has a datagram, the bell was rung, or the time has passed. The bell is quiet afterwards.
///
/// # Errors
/// Where the system refuses to wait.
pub fn wait<'a>(ports: impl Iterator<Item = &'a Port>, bell: &Bell, most: Duration) -> io::Result<()> {
    let mut all: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
    all.extend(ports.map(|port| PollFd::from_borrowed_fd(port.socket.as_fd(), PollFlags::IN)));
    let most = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    match poll(&mut all, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if all.first().is_some_and(|rung| !rung.revents().is_empty()) {
        bell.hear();
    }
    Ok(())
}

/// A socket address as the kernel writes it; IPv4 in its own form where it came over a socket of both families.
fn address(storage: &libc::sockaddr_in6, length: libc::socklen_t) -> Option<SocketAddr> {
    let family = libc::c_int::from(storage.sin6_family);
    let length = usize::try_from(length).ok()?;
    let port = u16::from_be(storage.sin6_port);
    if family == libc::AF_INET && length >= size_of::<libc::sockaddr_in>() {
        // The address of sockaddr_in lies where sockaddr_in6 has its flow label.
        let ip = Ipv4Addr::from(storage.sin6_flowinfo.to_ne_bytes());
        return Some(SocketAddr::V4(SocketAddrV4::new(ip, port)));
    }
    if family != libc::AF_INET6 || length < size_of::<libc::sockaddr_in6>() {
        return None;
    }
    let ip = Ipv6Addr::from(storage.sin6_addr.s6_addr);
    Some(match ip.to_ipv4_mapped() {
        Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, port)),
        None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, storage.sin6_scope_id)),
    })
}

#[cfg(test)]
mod tests;

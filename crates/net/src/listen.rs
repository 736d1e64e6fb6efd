//! Listening sockets: one for each worker on the same address, and who holds an address that we cannot have.
//!
//! Invariant: a socket returned from here listens, does not block, and every connection accepted from it has
//! `TCP_NODELAY`, which Linux hands down from the listening socket; but for those that came to a given socket before its
//! first process did.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use evenkeel_model::config::ListenAddr;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::NetError;

mod given;
mod holder;

pub(crate) use given::lent;
pub use given::{take_given, unused_given};
pub(crate) use holder::Kind;

/// Connections that the kernel keeps waiting for one socket. It is the kernel's own ceiling (`net.core.somaxconn`)
/// since 5.4, so that a burst of clients during a pause of the worker is not refused.
const BACKLOG: i32 = 4096;

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its program's name, as in `ps`.
    pub program: String,
}

/// Binds and listens: `count` sockets on the same address (`SO_REUSEPORT`), one for each worker. `Every` takes both
/// families, or IPv4 alone where the machine has no IPv6; a single IPv6 address takes IPv6 alone. With port 0 the
/// system chooses one port for all of them. Where the service manager listens there for us, its socket is the one that
/// all share. Reads `/proc` where the port is taken.
///
/// # Errors
/// Where the address cannot be had; see [`NetError`] for the causes. Another process of the same user that also
/// shares its port is no reason to share ours with it: that is [`NetError::PortInUse`].
pub fn bind(addr: ListenAddr, count: usize, presence: Presence) -> Result<Vec<TcpListener>, NetError> {
    if let Some(lent) = lent(addr, Kind::Streams, count) {
        let lent = lent.map_err(|error| explain(addr, Kind::Streams, error))?;
        return Ok(lent.into_iter().map(TcpListener::from).collect());
    }
    let mut outcome = Ok(Vec::new());
    for (candidate, families) in candidates(addr) {
        outcome = bind_all(candidate, families, count, presence);
        if !outcome.as_ref().is_err_and(lacks_family) {
            break;
        }
    }
    outcome.map_err(|error| explain(addr, Kind::Streams, error))
}

/// Who listens on the port of `addr`, as far as `/proc` lets us see (other users' processes only as root).
pub fn holder(addr: ListenAddr) -> Option<Holder> {
    find(addr, Kind::Streams)
}

fn find(addr: ListenAddr, kind: Kind) -> Option<Holder> {
    holder::find(addr, kind, std::path::Path::new("/proc"))
}

/// The addresses to try in turn, and whether an IPv6 one takes IPv4 too.
pub(crate) fn candidates(addr: ListenAddr) -> Vec<(SocketAddr, Families)> {
    match addr {
        ListenAddr::Every(port) => vec![
            (SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), Families::Both),
            (SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), Families::Own),
        ],
        ListenAddr::One(addr) => vec![(addr, Families::Own)],
    }
}

/// Whether an address has to be there to be listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is one of the machine's: else it is a mistake.
    Here,
    /// It comes and goes (`IP_FREEBIND`): the socket waits for it, and serves it from its first packet.
    Moves,
}

impl Presence {
    /// Has a socket that is not bound yet take the address in this way.
    pub(crate) fn prepare(self, socket: &Socket, addr: SocketAddr) -> io::Result<()> {
        match self {
            Self::Here => Ok(()),
            Self::Moves if addr.is_ipv4() => socket.set_freebind_v4(true),
            Self::Moves => socket.set_freebind_v6(true),
        }
    }
}

/// Which families an IPv6 socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Families {
    Own,
    Both,
}

fn bind_all(
    mut addr: SocketAddr,
    families: Families,
    count: usize,
    presence: Presence,
) -> io::Result<Vec<TcpListener>> {
    claim(addr, families, presence)?;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = open(addr, families, presence)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        // With port 0 the first socket's port is everyone's.
        addr.set_port(listener.local_addr()?.port());
        sockets.push(listener);
    }
    Ok(sockets)
}

/// Makes sure that nobody else listens there. `SO_REUSEPORT` alone would let two processes of one user share the
/// port, each getting part of the traffic; a socket without it conflicts as it should. Our own sockets, which a
/// reload may leave on an overlapping address, are no conflict.
fn claim(addr: SocketAddr, families: Families, presence: Presence) -> io::Result<()> {
    if addr.port() == 0 {
        return Ok(());
    }
    unless_ours(open(addr, families, presence)?.bind(&SockAddr::from(addr)), addr, Kind::Streams)
}

/// Forgives that a port is taken, where it is taken by this very process.
pub(crate) fn unless_ours(bound: io::Result<()>, addr: SocketAddr, kind: Kind) -> io::Result<()> {
    let is_ours = || find(ListenAddr::One(addr), kind).is_some_and(|holder| holder.pid == std::process::id());
    if bound.as_ref().is_err_and(|error| is_in_use(error) && is_ours()) { Ok(()) } else { bound }
}

fn open(addr: SocketAddr, families: Families, presence: Presence) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // Connections of an earlier process in TIME_WAIT must not keep the next one from starting.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(families == Families::Own)?;
    }
    presence.prepare(&socket, addr)?;
    Ok(socket)
}

pub(crate) fn explain(addr: ListenAddr, kind: Kind, error: io::Error) -> NetError {
    match Errno::from_io_error(&error) {
        Some(Errno::ADDRINUSE) => NetError::PortInUse { addr, holder: find(addr, kind) },
        Some(Errno::ACCESS) => NetError::PortForbidden { addr },
        Some(Errno::ADDRNOTAVAIL) => NetError::AddressAbsent { addr },
        _ => NetError::Bind { addr, source: error },
    }
}

fn is_in_use(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ADDRINUSE)
}

pub(crate) fn lacks_family(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT))
}

#[cfg(test)]
mod tests;

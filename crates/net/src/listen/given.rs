//! Sockets that the service manager has opened for this process (sd_listen_fds(3)). They are there before the process and
//! stay when it ends: who connects in between waits, and is not refused.
//!
//! The invariant: they stay open for as long as the process lives, and what is lent of them are copies, so that an address
//! that a reload gives up and takes again is the same socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::OnceLock;

use evenkeel_model::config::ListenAddr;
use rustix::net::sockopt::socket_acceptconn;
use socket2::{Socket, Type};

use super::{Families, Kind};

static GIVEN: OnceLock<Vec<Given>> = OnceLock::new();

/// One of them.
#[derive(Debug)]
pub(super) struct Given {
    socket: Socket,
    addr: SocketAddr,
    families: Families,
    kind: Kind,
}

/// Takes what this process was given; at its start, before it opens anything else. Later calls do nothing. Gives what
/// cannot be used, a sentence each.
pub fn take_given() -> Vec<String> {
    let mut wrong = Vec::new();
    GIVEN.get_or_init(|| {
        let numbers = match sd_notify::listen_fds() {
            Ok(numbers) => numbers,
            Err(error) => {
                wrong.push(format!("the sockets of the service manager cannot be had: {error}"));
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for number in numbers {
            // SAFETY: whoever started this process opened these descriptors for it, as its environment says by the id of the
            // process. They were open a moment ago, when they were marked as not to be inherited, and nobody else here knows of
            // them: this runs once, before anything else is opened.
            #[allow(unsafe_code)]
            let socket = unsafe { OwnedFd::from_raw_fd(number) };
            match Given::of(Socket::from(socket)) {
                Ok(given) => all.push(given),
                Err(why) => wrong.push(format!("descriptor {number} of the service manager is not used: {why}")),
            }
        }
        all
    });
    wrong
}

/// The addresses of those that stand for none of these, of connections and of datagrams: who comes there waits for ever.
pub fn unused_given(streams: &[ListenAddr], datagrams: &[ListenAddr]) -> Vec<SocketAddr> {
    let is_unused = |given: &&Given| {
        let wanted = match given.kind {
            Kind::Streams => streams,
            Kind::Datagrams => datagrams,
        };
        !wanted.iter().any(|addr| given.is_for(*addr, given.kind))
    };
    GIVEN.get().into_iter().flatten().filter(is_unused).map(|given| given.addr).collect()
}

/// Copies of the one for that address, if there is one.
pub(crate) fn lent(addr: ListenAddr, kind: Kind, count: usize) -> Option<io::Result<Vec<Socket>>> {
    let given = GIVEN.get()?.iter().find(|given| given.is_for(addr, kind))?;
    Some((0..count).map(|_| given.socket.try_clone()).collect())
}

impl Given {
    pub(super) fn of(socket: Socket) -> Result<Self, String> {
        let in_words = |error: io::Error| error.to_string();
        let addr = socket.local_addr().map_err(in_words)?.as_socket().ok_or("it has no address of IP")?;
        let kind = match socket.r#type().map_err(in_words)? {
            Type::STREAM if socket_acceptconn(&socket).is_ok_and(|listens| listens) => Kind::Streams,
            Type::DGRAM => Kind::Datagrams,
            _ => return Err(format!("{addr} is neither a port that listens nor one of datagrams")),
        };
        let takes_both = addr.is_ipv6() && addr.ip().is_unspecified() && !socket.only_v6().map_err(in_words)?;
        let families = if takes_both { Families::Both } else { Families::Own };
        if kind == Kind::Streams {
            socket.set_nonblocking(true).map_err(in_words)?;
            socket.set_tcp_nodelay(true).map_err(in_words)?;
        }
        Ok(Self { socket, addr, families, kind })
    }

    /// Whether it takes just what a socket of ours for that address would.
    pub(super) fn is_for(&self, addr: ListenAddr, kind: Kind) -> bool {
        let is_same = match addr {
            ListenAddr::Every(port) => self.addr.port() == port && self.families == Families::Both,
            ListenAddr::One(one) => self.addr == one && self.families == Families::Own,
        };
        is_same && self.kind == kind
    }
}

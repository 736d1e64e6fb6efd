//! Lines for a syslog daemon: RFC 5424 messages in datagrams, over a unix socket or UDP (RFC 5426).
//!
//! A datagram is sent or lost; nothing is queued here and nothing waits: a daemon that is away or slow costs lines.
//! Invariant: a message is at most [`caps::SYSLOG_BYTES`] long and holds no line break.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_model::caps;

use crate::clock;

mod date;

/// Facility `local0` (16) and severity `informational` (6), RFC 5424 section 6.2.1: where balancers' access logs
/// customarily go.
const PRIORITY: u8 = 16 * 8 + 6;

/// A syslog daemon to send lines to.
#[derive(Debug)]
pub struct Syslog {
    to: Destination,
    /// `None` after a failure; the next line opens it anew, so that a restarted daemon is found again.
    socket: Option<Socket>,
    /// What follows the time in every message of this process.
    sender: String,
    message: Vec<u8>,
}

#[derive(Debug)]
enum Destination {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    /// A daemon on this machine (`/dev/log`). It need not run yet.
    pub fn unix(path: &Path) -> Self {
        Self::to(Destination::Unix(path.to_owned()))
    }

    /// A daemon at an address. Nobody tells whether it listens.
    pub fn udp(addr: SocketAddr) -> Self {
        Self::to(Destination::Udp(addr))
    }

    fn to(to: Destination) -> Self {
        Self { to, socket: None, sender: sender(&super::process::host_name()), message: Vec::new() }
    }

    /// Sends one line; a line break at its end, control characters, and what is beyond the bound are left out.
    ///
    /// # Errors
    /// Where the line is lost: no daemon, or one that does not keep up.
    pub fn send(&mut self, line: &[u8]) -> io::Result<()> {
        self.message.clear();
        format(&mut self.message, clock::unix_now(), &self.sender, line);
        let outcome = self.try_send();
        let failed = outcome.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
        if !failed {
            return outcome;
        }
        // The daemon was restarted: its socket is another one under the same name.
        self.socket = None;
        let outcome = self.try_send();
        if outcome.is_err() {
            self.socket = None;
        }
        outcome
    }

    fn try_send(&mut self) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(open(&self.to)?),
        };
        match socket {
            Socket::Unix(socket) => socket.send(&self.message)?,
            Socket::Udp(socket) => socket.send(&self.message)?,
        };
        Ok(())
    }
}

fn open(to: &Destination) -> io::Result<Socket> {
    match to {
        Destination::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect(path)?;
            Ok(Socket::Unix(socket))
        }
        Destination::Udp(addr) => {
            let any = match addr {
                SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            socket.connect(addr)?;
            Ok(Socket::Udp(socket))
        }
    }
}

/// The fields between the time and the text: host, program, process, kind of message, no structured data.
fn sender(host: &str) -> String {
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    format!("{host} evenkeel {} access -", std::process::id())
}

/// One message, RFC 5424 section 6: `<PRI>1 TIME HOST APP PROCID MSGID SD MSG`.
fn format(message: &mut Vec<u8>, time: Duration, sender: &str, line: &[u8]) {
    let mut head = String::with_capacity(96);
    // Writing into a string cannot fail.
    let _ = write!(head, "<{PRIORITY}>1 {} {sender} ", date::Rfc3339(time));
    message.extend_from_slice(head.as_bytes());
    let room = caps::SYSLOG_BYTES.saturating_sub(message.len());
    let text = line.iter().copied().filter(|byte| !byte.is_ascii_control());
    message.extend(text.take(room));
}

#[cfg(test)]
mod tests;

//! Reading from and writing to a TCP socket of the runtime by plain system calls.
//!
//! The runtime's own functions go through the C library, whose `recv` and `send` are points where a thread may be
//! cancelled (pthreads(7)): two locked instructions each time, in a process with several threads. Invariant: after a short
//! read or write the runtime forgets that the socket was ready, so that the next wait costs no call that only says
//! "nothing there".

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads what is there, if the runtime knows of something; `WouldBlock` otherwise.
pub(crate) fn try_read(tcp: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let wanted = room.len();
    emptied(tcp, Interest::READABLE, wanted, || Ok(rustix::net::recv(tcp, room, RecvFlags::empty())?.1))
}

/// Writes what the system takes, if the runtime knows of no reason against it; `WouldBlock` otherwise.
pub(crate) fn try_write(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    emptied(tcp, Interest::WRITABLE, bytes.len(), || Ok(rustix::net::send(tcp, bytes, SendFlags::NOSIGNAL)?))
}

/// The same of several pieces, in one call.
pub(crate) fn try_write_vectored(tcp: &TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let wanted = pieces.iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
    emptied(tcp, Interest::WRITABLE, wanted, || Ok(rustix::io::writev(tcp, pieces)?))
}

/// Reads what is there, or has the task woken once there is something. A part of the task's turn: whoever is never made to
/// wait gives way to others from time to time.
pub(crate) fn poll_read(tcp: &TcpStream, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        match try_read(tcp, room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Writes what the system takes, or has the task woken once it takes something. No part of the task's turn: what is written
/// was read before.
pub(crate) fn poll_write(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        match write(tcp) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(tcp.poll_write_ready(cx))?,
            done => return Poll::Ready(done),
        }
    }
}

/// Has a call made on a socket that is ready; one that moves less than was wanted has emptied, or filled, the socket.
fn emptied(
    tcp: &TcpStream,
    interest: Interest,
    wanted: usize,
    call: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    let mut moved = 0;
    let done = tcp.try_io(interest, || {
        moved = call()?;
        // What would block now is the next call: saying so is how the runtime is told.
        if 0 < moved && moved < wanted { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match done {
        Err(error) if moved == 0 => Err(error),
        _ => Ok(moved),
    }
}

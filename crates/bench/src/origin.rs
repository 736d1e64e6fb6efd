//! The server behind every proxy under test: it answers each request with a body made beforehand, and does no more.
//!
//! `/128k` gets 128 KiB, `/hold` no answer at all, every other path 1 KiB, `/5ms` after five milliseconds. It counts heads by their empty line, so it takes requests without
//! bodies only.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::reactor::{Reactor, listen, ready};

/// Token of the listening socket.
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// Bytes still to be sent of `answer`.
    rest: usize,
    answer: usize,
    /// When the answer may go.
    due: Option<Instant>,
    seen: Vec<u8>,
}

fn answer(size: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n")
            .into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}

/// Serves until `limit` has passed.
pub(crate) fn serve(addr: SocketAddr, limit: Duration) -> io::Result<()> {
    let answers = [answer(1024), answer(128 * 1024)];
    let listener = listen(addr)?;
    let mut reactor = Reactor::new()?;
    reactor.watch(&listener, LISTENER)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let end = Instant::now() + limit;
    let mut waiting_to_send = false;
    let mut tokens = Vec::new();
    while Instant::now() < end {
        tokens.clear();
        let pause = if waiting_to_send { Duration::from_micros(200) } else { Duration::from_millis(500) };
        tokens.extend(reactor.turn(pause)?);
        for &token in &tokens {
            if token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    ready(&stream)?;
                    reactor.watch(&stream, connections.len() as u64)?;
                    connections.push(Some(Connection { stream, rest: 0, answer: 0, due: None, seen: Vec::new() }));
                }
            } else if let Some(slot) = connections.get_mut(token as usize)
                && let Some(connection) = slot
                && !receive(connection, &answers)
            {
                *slot = None;
            }
        }
        waiting_to_send = false;
        let now = Instant::now();
        for connection in connections.iter_mut().flatten().filter(|connection| connection.rest > 0) {
            if connection.due.is_none_or(|due| due <= now) {
                send(connection, &answers);
            }
            waiting_to_send |= connection.rest > 0;
        }
    }
    Ok(())
}

/// Reads what there is and answers a whole head; false when the connection has ended.
fn receive(connection: &mut Connection, answers: &[Vec<u8>; 2]) -> bool {
    let mut buffer = [0u8; 4096];
    match connection.stream.read(&mut buffer) {
        Ok(0) => return false,
        Ok(n) => connection.seen.extend_from_slice(&buffer[..n]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
        Err(_) => return false,
    }
    if connection.seen.ends_with(b"\r\n\r\n") && !connection.seen.starts_with(b"GET /hold") {
        connection.answer = usize::from(connection.seen.starts_with(b"GET /128k"));
        connection.rest = answers[connection.answer].len();
        let is_slow = connection.seen.starts_with(b"GET /5ms");
        connection.due = is_slow.then(|| Instant::now() + Duration::from_millis(5));
        connection.seen.clear();
        if !is_slow {
            send(connection, answers);
        }
    }
    true
}

fn send(connection: &mut Connection, answers: &[Vec<u8>; 2]) {
    let bytes = &answers[connection.answer];
    while connection.rest > 0 {
        match connection.stream.write(&bytes[bytes.len() - connection.rest..]) {
            Ok(n) => connection.rest -= n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {
                connection.rest = 0;
                return;
            }
        }
    }
}

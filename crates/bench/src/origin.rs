//! The server behind every proxy under test: it answers each request with a body made beforehand, and does no more.
//!
//! `/128k` gets 128 KiB, `/page` a page of 16 KB, `/packed` the same compressed, `/hold` no answer at all, every other path 1 KiB,
//! `/5ms` after five milliseconds, `/session` with the cookies of a session where the request says none. It counts heads by their empty line, so it takes requests without
//! bodies only.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::learning;
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

/// The id of the session that the server knows.
pub(crate) const SESSION: &str = "session-0123456789abcdef";

/// Answers by the beginnings of their requests; the first is for all others.
const PATHS: [&[u8]; 5] = [b"GET ", b"GET /128k", b"GET /page", b"GET /packed", b"GET /session "];

fn answers() -> [Vec<u8>; PATHS.len()] {
    let page = learning::page();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory cannot fail.
    let _ = packed.write_all(&page);
    let packed = packed.finish().unwrap_or_default();
    let cookies = format!(
        "Content-Type: text/plain\r\nSet-Cookie: SID={SESSION}; Path=/\r\nSet-Cookie: sid={SESSION}; Path=/\r\n"
    );
    [
        answer("Content-Type: text/plain\r\n", &vec![b'x'; 1024]),
        answer("Content-Type: text/plain\r\n", &vec![b'x'; 128 * 1024]),
        answer("Content-Type: text/html; charset=utf-8\r\n", &page),
        answer("Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n", &packed),
        answer(&cookies, &vec![b'x'; 1024]),
    ]
}

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nServer: origin\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The answer to a request.
fn chosen(request: &[u8]) -> usize {
    let found = PATHS.iter().rposition(|path| request.starts_with(path)).unwrap_or(0);
    // Who has a session gets no cookie.
    let has_session = found == 4 && request.windows(SESSION.len()).any(|window| window == SESSION.as_bytes());
    if has_session { 0 } else { found }
}

/// Serves until `limit` has passed.
pub(crate) fn serve(addr: SocketAddr, limit: Duration) -> io::Result<()> {
    let answers = answers();
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
fn receive(connection: &mut Connection, answers: &[Vec<u8>]) -> bool {
    let mut buffer = [0u8; 4096];
    match connection.stream.read(&mut buffer) {
        Ok(0) => return false,
        Ok(n) => connection.seen.extend_from_slice(&buffer[..n]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
        Err(_) => return false,
    }
    if connection.seen.ends_with(b"\r\n\r\n") && !connection.seen.starts_with(b"GET /hold") {
        connection.answer = chosen(&connection.seen);
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

fn send(connection: &mut Connection, answers: &[Vec<u8>]) {
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

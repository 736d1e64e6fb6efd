//! What a connection costs in memory: while it is idle, and while it waits for its answer.
//!
//! Measured as the growth of the proxy's own resident memory over that of the same proxy with a few connections,
//! divided by the connections that came; the kernel's socket buffers are not in it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::peers::{self, Peer, Place};
use crate::reactor;

/// Connections that are held at once. Each takes two descriptors of most proxies while it is active.
const IDLE: usize = 4000;
const ACTIVE: usize = 1000;

/// How long memory is given to settle.
const SETTLE: Duration = Duration::from_millis(1500);

/// Bytes for each connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PerConnection {
    /// One that has had an answer and waits for its next request.
    pub(crate) idle: f64,
    /// One whose request is with the server.
    pub(crate) active: f64,
}

/// Measures one peer.
pub(crate) fn of(peer: Peer, place: &Place<'_>, core: usize) -> io::Result<PerConnection> {
    let running = peers::start(peer, place, core)?;
    let mut held = Vec::new();
    open(place, 64, "/", &mut held)?;
    answered(&mut held)?;
    std::thread::sleep(SETTLE);
    let before = cpu::usage(running.pid()).resident;
    while held.len() < IDLE {
        let from = held.len();
        open(place, 64, "/", &mut held)?;
        answered(&mut held[from..])?;
    }
    std::thread::sleep(SETTLE);
    let idle = grown(before, cpu::usage(running.pid()).resident, held.len() - 64);
    drop(held);
    drop(running);

    let running = peers::start(peer, place, core)?;
    let mut held = Vec::new();
    open(place, 64, "/hold", &mut held)?;
    std::thread::sleep(SETTLE);
    let before = cpu::usage(running.pid()).resident;
    open(place, ACTIVE, "/hold", &mut held)?;
    std::thread::sleep(SETTLE);
    let active = grown(before, cpu::usage(running.pid()).resident, ACTIVE);
    Ok(PerConnection { idle, active })
}

fn grown(before: u64, after: u64, connections: usize) -> f64 {
    after.saturating_sub(before) as f64 / connections.max(1) as f64
}

/// Opens connections and sends a request on each.
fn open(place: &Place<'_>, count: usize, path: &str, held: &mut Vec<TcpStream>) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n");
    for _ in 0..count {
        let mut stream = reactor::connect(place.addr)?;
        stream.set_nonblocking(false)?;
        stream.write_all(request.as_bytes())?;
        held.push(stream);
    }
    Ok(())
}

/// Reads the answer of each.
fn answered(held: &mut [TcpStream]) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let end = Instant::now() + Duration::from_secs(10);
    for stream in held {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut seen = 0;
        // The head has more than a hundred bytes, the body a thousand.
        while seen < 1100 && Instant::now() < end {
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => seen += count,
            }
        }
    }
    Ok(())
}

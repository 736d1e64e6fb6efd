//! The floor: a relay that reads bytes on one side and writes them on the other, and understands none of them.
//!
//! Each client's connection gets one of its own to the server, so the topology is that of a proxy with kept
//! connections on both sides.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::reactor::{Reactor, connect, listen, ready};

const LISTENER: u64 = u64::MAX;

/// Two ends; tokens are `2 * index` for the client's and `2 * index + 1` for the server's.
struct Pair {
    ends: [TcpStream; 2],
}

/// Relays until `limit` has passed.
pub(crate) fn serve(addr: SocketAddr, server: SocketAddr, limit: Duration) -> io::Result<()> {
    let listener = listen(addr)?;
    let mut reactor = Reactor::new()?;
    reactor.watch(&listener, LISTENER)?;
    let mut pairs: Vec<Option<Pair>> = Vec::new();
    let mut buffer = vec![0u8; 64 * 1024];
    let end = Instant::now() + limit;
    let mut tokens = Vec::new();
    while Instant::now() < end {
        tokens.clear();
        tokens.extend(reactor.turn(Duration::from_millis(500))?);
        for &token in &tokens {
            if token == LISTENER {
                while let Ok((client, _)) = listener.accept() {
                    ready(&client)?;
                    let server = connect(server)?;
                    let index = pairs.len() as u64;
                    reactor.watch(&client, 2 * index)?;
                    reactor.watch(&server, 2 * index + 1)?;
                    pairs.push(Some(Pair { ends: [client, server] }));
                }
            } else if let Some(slot) = pairs.get_mut((token / 2) as usize)
                && let Some(pair) = slot
                && pass(pair, (token % 2) as usize, &mut buffer).is_err()
            {
                *slot = None;
            }
        }
    }
    Ok(())
}

/// Moves what one end has to the other, waiting for room where there is none.
fn pass(pair: &mut Pair, from: usize, buffer: &mut [u8]) -> io::Result<()> {
    let read = match pair.ends[from].read(buffer) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => n,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut sent = 0;
    while sent < read {
        match pair.ends[1 - from].write(&buffer[sent..read]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

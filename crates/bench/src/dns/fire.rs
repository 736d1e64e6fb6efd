//! The load: queries from several sockets, each with a window of them under way.
//!
//! One thread on the other core. Each socket sends a window, and when all have, the answers are gathered; what has no
//! answer after a while is lost. The invariant: an answer is counted for the query whose number it carries.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Sockets that ask.
const SOCKETS: usize = 8;

/// Queries of one socket that are under way at once. All of them fit the server's receive buffer.
const WINDOW: u16 = 16;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names {
    /// How many names the zone has.
    pub(crate) count: u32,
    /// Of a hundred queries, so many are for a name that is not there.
    pub(crate) missing_percent: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    /// Answers with another response code than the name deserves.
    pub(crate) wrong: u64,
}

/// Asks for that long.
pub(crate) fn fire(server: SocketAddr, names: Names, time: Duration) -> io::Result<Outcome> {
    let sockets = (0..SOCKETS)
        .map(|_| {
            let socket = UdpSocket::bind((server.ip(), 0))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let (mut outcome, mut draw, mut query) = (Outcome::default(), Draw(0x1234_5678_9abc_def1), Vec::new());
    let (end, mut first) = (Instant::now() + time, 0_u16);
    while Instant::now() < end {
        first = first.wrapping_add(WINDOW);
        for socket in &sockets {
            for number in 0..WINDOW {
                write(&mut query, first.wrapping_add(number), names, &mut draw);
                // A full buffer is a query that got no answer.
                let _ = socket.send(&query);
            }
        }
        for socket in &sockets {
            gather(socket, first, &mut outcome)?;
        }
    }
    Ok(outcome)
}

fn gather(socket: &UdpSocket, first: u16, outcome: &mut Outcome) -> io::Result<()> {
    let mut answer = [0; 2048];
    let mut missing = WINDOW;
    while missing > 0 {
        match socket.recv(&mut answer) {
            Ok(_) => {
                let [high, low, _, flags, ..] = answer;
                // One of an earlier window, which was held for lost.
                if u16::from_be_bytes([high, low]).wrapping_sub(first) >= WINDOW {
                    continue;
                }
                missing -= 1;
                outcome.answered += 1;
                outcome.wrong += u64::from(!matches!(flags & 0x0f, 0 | 3));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            // A server that restarts: the port is closed for a moment.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    outcome.lost += u64::from(missing);
    Ok(())
}

/// Waits until a query of the zone is answered well.
pub(crate) fn wait_for(server: SocketAddr, limit: Duration) -> io::Result<()> {
    let socket = UdpSocket::bind((server.ip(), 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut query, mut draw, end) = (Vec::new(), Draw(7), Instant::now() + limit);
    while Instant::now() < end {
        write(&mut query, 0, Names { count: 1, missing_percent: 0 }, &mut draw);
        let mut answer = [0; 2048];
        let is_good = socket.send(&query).is_ok()
            && socket.recv(&mut answer).is_ok()
            && answer.get(3).is_some_and(|flags| flags & 0x0f == 0);
        if is_good {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("{server} does not answer for the zone")))
}

/// A query for A of a name, without EDNS.
fn write(query: &mut Vec<u8>, number: u16, names: Names, draw: &mut Draw) {
    query.clear();
    query.extend_from_slice(&number.to_be_bytes());
    query.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let letter = if draw.below(100) < names.missing_percent { 'x' } else { 'h' };
    let label = format!("{letter}{}", draw.below(names.count));
    for label in [label.as_str(), "bench", "test"] {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
}

/// Numbers that look drawn (xorshift; Marsaglia 2003), the same for every server.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 33) % u64::from(bound.max(1))).unwrap_or(0)
    }
}

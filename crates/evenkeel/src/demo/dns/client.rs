//! The client of `demo --dns`: a resolver with a cache, and a browser that tries the next address where one refuses.
//!
//! The invariant: an answer is used for as long as its TTL says, and no longer.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::demo::pair::Seen;

/// How long a resolver waits for one name server before it asks the next.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// Between two requests.
const PACE: Duration = Duration::from_millis(100);

/// How often the name servers are asked in turn before a look-up fails.
const TRIES: usize = 6;

/// How long one address may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Bytes of an answer that are looked at.
const HEAD_BYTES: usize = 1024;

/// What the client met.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    by_address: BTreeMap<IpAddr, u64>,
    failed: u64,
    lookups: u64,
    lookups_failed: u64,
    slowest_lookup: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered: u64 = self.by_address.values().sum();
        write!(f, "{answered} answered")?;
        for (address, count) in &self.by_address {
            write!(f, ", {count} by {address}")?;
        }
        let (failed, lookups, slowest) = (self.failed, self.lookups, self.slowest_lookup.as_millis());
        write!(f, "; {failed} failed; {lookups} look-ups, {} failed, slowest {slowest} ms", self.lookups_failed)
    }
}

/// Whoever asks.
pub(super) struct User {
    servers: Vec<SocketAddr>,
    name: &'static str,
    port: u16,
    /// Which server is asked first: another one each time, as resolvers do.
    turn: usize,
    cached: Option<(Vec<IpAddr>, Instant)>,
    seen: Seen<Tally>,
}

impl User {
    /// One that asks these name servers for that name.
    pub(super) fn new(servers: Vec<SocketAddr>, name: &'static str, port: u16, seen: Seen<Tally>) -> Self {
        Self { servers, name, port, turn: 0, cached: None, seen }
    }

    /// Asks for as long as it is let.
    pub(super) async fn run(mut self) {
        let mut beat = time::interval(PACE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let addresses = self.addresses().await;
            let mut answered = None;
            for address in addresses {
                let request = self.request(address);
                if matches!(time::timeout(ANSWER, request).await, Ok(Ok(()))) {
                    answered = Some(address);
                    break;
                }
            }
            self.seen.count(|tally| match answered {
                Some(address) => {
                    let count = tally.by_address.entry(address).or_default();
                    *count = count.saturating_add(1);
                }
                None => tally.failed = tally.failed.saturating_add(1),
            });
        }
    }

    /// The addresses of the name: those that are known, as long as they hold.
    async fn addresses(&mut self) -> Vec<IpAddr> {
        if let Some((addresses, until)) = &self.cached
            && *until > Instant::now()
        {
            return addresses.clone();
        }
        let begun = Instant::now();
        let mut found = None;
        for _ in 0..TRIES {
            self.turn = self.turn.wrapping_add(1);
            let Some(server) = self.turn.checked_rem(self.servers.len()).and_then(|at| self.servers.get(at)) else {
                break;
            };
            if let Ok(answer) = evenkeel_node::look_up(*server, self.name, PATIENCE).await {
                found = Some(answer);
                break;
            }
        }
        let (took, is_lost) = (begun.elapsed(), found.is_none());
        self.seen.count(|tally| {
            tally.lookups = tally.lookups.saturating_add(1);
            tally.lookups_failed = tally.lookups_failed.saturating_add(u64::from(is_lost));
            tally.slowest_lookup = tally.slowest_lookup.max(took);
        });
        let Some(answer) = found else { return Vec::new() };
        let until = Instant::now() + Duration::from_secs(u64::from(answer.ttl));
        self.cached = Some((answer.addresses.clone(), until));
        answer.addresses
    }

    async fn request(&self, address: IpAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect((address, self.port)).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.name);
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        while head.len() < b"HTTP/1.1 200".len() {
            if stream.read_buf(&mut head).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        if head.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("another status")) }
    }
}

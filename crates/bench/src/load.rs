//! A load generator with a fixed rate: open-loop arrivals spread evenly over kept connections.
//!
//! A request is due at its time whether or not the one before it on that connection is answered; its latency is
//! counted from when it was due, so a stalled proxy cannot hide its stalls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::reactor::{Reactor, connect};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// The proxy.
    pub(crate) addr: SocketAddr,
    /// Kept connections.
    pub(crate) connections: usize,
    /// Requests a second in all; 0 sends each as soon as the one before is answered.
    pub(crate) rate: u64,
    /// How long.
    pub(crate) time: Duration,
    /// The path.
    pub(crate) path: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Requests answered in full with status 200.
    pub(crate) answered: u64,
    /// Requests answered otherwise, or not.
    pub(crate) failed: u64,
    /// Latencies in microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
}

impl Outcome {
    /// The latency below which this share (0 to 1) of the requests lie, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> u32 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

struct Client {
    stream: TcpStream,
    /// When the request in flight was due.
    due: Option<Instant>,
    /// When the next one is due.
    next: Instant,
    head: Vec<u8>,
    /// Bytes of the body still to come, once the head is whole.
    body: Option<usize>,
}

/// Runs the load to its end.
pub(crate) fn run(load: Load<'_>) -> io::Result<Outcome> {
    let request = format!("GET {} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", load.path);
    let mut reactor = Reactor::new()?;
    let start = Instant::now() + Duration::from_millis(20);
    let step = match load.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(load.connections as f64 / rate as f64),
    };
    let mut clients = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let stream = connect(load.addr)?;
        reactor.watch(&stream, index as u64)?;
        let next = start + step.mul_f64(index as f64 / load.connections as f64);
        clients.push(Client { stream, due: None, next, head: Vec::with_capacity(512), body: None });
    }
    let mut outcome = Outcome::default();
    let mut buffer = vec![0u8; 64 * 1024];
    let mut tokens = Vec::new();
    let end = start + load.time;
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        let mut soonest = end;
        for client in clients.iter_mut().filter(|client| client.due.is_none()) {
            if client.next <= now {
                client.due = Some(if load.rate == 0 { now } else { client.next });
                client.next += step;
                if client.stream.write_all(request.as_bytes()).is_err() {
                    outcome.failed += 1;
                    return Ok(outcome);
                }
            } else {
                soonest = soonest.min(client.next);
            }
        }
        tokens.clear();
        tokens.extend(reactor.turn(soonest.saturating_duration_since(now).min(Duration::from_millis(50)))?);
        for &token in &tokens {
            if let Some(client) = clients.get_mut(token as usize) {
                receive(client, &mut buffer, &mut outcome);
            }
        }
    }
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

fn receive(client: &mut Client, buffer: &mut [u8], outcome: &mut Outcome) {
    let read = match client.stream.read(buffer) {
        Ok(0) => 0,
        Ok(n) => n,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(_) => 0,
    };
    if read == 0 {
        if client.due.take().is_some() {
            outcome.failed += 1;
        }
        return;
    }
    let mut rest = &buffer[..read];
    if client.body.is_none() {
        client.head.extend_from_slice(rest);
        let Some(end) = client.head.windows(4).position(|window| window == b"\r\n\r\n") else { return };
        let head = String::from_utf8_lossy(&client.head[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|text| text.split("\r\n").next()?.parse().ok());
        if !head.starts_with("http/1.1 200") {
            outcome.failed += 1;
        }
        let Some(length) = length else { return };
        let beyond = client.head.len() - end - 4;
        rest = &rest[read - beyond..];
        client.body = Some(length);
    }
    let left = client.body.unwrap_or(0).saturating_sub(rest.len());
    client.body = Some(left);
    if left == 0 {
        client.body = None;
        client.head.clear();
        if let Some(due) = client.due.take() {
            outcome.answered += 1;
            outcome.latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
}

//! A load generator with a fixed rate: open-loop arrivals spread evenly over kept connections.
//!
//! A request is due at its time whether or not the one before it on that connection is answered; its latency is
//! counted from when it was due, so a stalled proxy cannot hide its stalls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
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
    /// Whether cookies that answers set are sent back, as a browser does.
    pub(crate) cookies: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Requests answered in full with status 200.
    pub(crate) answered: u64,
    /// Requests answered in full with another status.
    pub(crate) refused: u64,
    /// Requests that were due and got no whole answer.
    pub(crate) failed: u64,
    /// Latencies of the answered in microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
}

impl Outcome {
    /// The latency below which this share (0 to 1) of the requests lie, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> u32 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    /// Requests that were not answered with 200.
    pub(crate) fn lost(&self) -> u64 {
        self.refused + self.failed
    }
}

struct Client {
    stream: TcpStream,
    token: u64,
    /// When the request in flight was due.
    due: Option<Instant>,
    /// When the next one is due.
    next: Instant,
    head: Vec<u8>,
    status: u16,
    /// Bytes of the body still to come, once the head is whole.
    body: Option<usize>,
    /// What is sent, with the cookie once there is one.
    request: Rc<[u8]>,
    has_cookie: bool,
}

/// Runs the load to its end.
pub(crate) fn run(load: Load<'_>) -> io::Result<Outcome> {
    let request: Rc<[u8]> = request(load.path, "").into();
    let mut reactor = Reactor::new()?;
    let start = Instant::now() + Duration::from_millis(20);
    let step = match load.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(load.connections as f64 / rate as f64),
    };
    let mut clients = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let next = start + step.mul_f64(index as f64 / load.connections as f64);
        clients.push(Client::new(&reactor, &load, index as u64, next, Rc::clone(&request))?);
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
            if client.next > now {
                soonest = soonest.min(client.next);
                continue;
            }
            client.due = Some(if load.rate == 0 { now } else { client.next });
            client.next += step;
            if client.stream.write_all(&client.request).is_err() {
                client.lose(&reactor, &load, &mut outcome)?;
            }
        }
        tokens.clear();
        tokens.extend(reactor.turn(soonest.saturating_duration_since(now).min(Duration::from_millis(50)))?);
        for &token in &tokens {
            if let Some(client) = clients.get_mut(token as usize)
                && !client.receive(&load, &mut buffer, &mut outcome)
            {
                client.lose(&reactor, &load, &mut outcome)?;
            }
        }
    }
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

fn request(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n{cookie}\r\n").into_bytes()
}

impl Client {
    fn new(reactor: &Reactor, load: &Load<'_>, token: u64, next: Instant, request: Rc<[u8]>) -> io::Result<Self> {
        let stream = connect(load.addr)?;
        reactor.watch(&stream, token)?;
        let head = Vec::with_capacity(512);
        Ok(Self { stream, token, due: None, next, head, status: 0, body: None, request, has_cookie: false })
    }

    /// Counts the request under way as failed, and begins anew on another connection.
    fn lose(&mut self, reactor: &Reactor, load: &Load<'_>, outcome: &mut Outcome) -> io::Result<()> {
        outcome.failed += u64::from(self.due.take().is_some());
        self.head.clear();
        self.body = None;
        self.stream = connect(load.addr)?;
        reactor.watch(&self.stream, self.token)
    }

    /// Takes what has come; `false` where the connection has ended.
    fn receive(&mut self, load: &Load<'_>, buffer: &mut [u8], outcome: &mut Outcome) -> bool {
        let read = match self.stream.read(buffer) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        };
        let mut rest = buffer.get(..read).unwrap_or_default();
        if self.body.is_none() {
            self.head.extend_from_slice(rest);
            let Some(end) = self.head.windows(4).position(|window| window == b"\r\n\r\n") else { return true };
            let beyond = self.head.len() - end - 4;
            rest = rest.get(read - beyond..).unwrap_or_default();
            self.read_head(load, end);
        }
        let left = self.body.unwrap_or(0).saturating_sub(rest.len());
        self.body = Some(left);
        if left == 0 {
            self.finish(outcome);
        }
        true
    }

    fn read_head(&mut self, load: &Load<'_>, end: usize) {
        let head = String::from_utf8_lossy(self.head.get(..end).unwrap_or_default());
        let field = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        self.status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        self.body = Some(field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0));
        if load.cookies
            && !self.has_cookie
            && let Some(cookie) = field("set-cookie").and_then(|value| value.split(';').next())
        {
            self.request = request(load.path, &format!("Cookie: {cookie}\r\n")).into();
            self.has_cookie = true;
        }
    }

    fn finish(&mut self, outcome: &mut Outcome) {
        self.body = None;
        self.head.clear();
        let Some(due) = self.due.take() else { return };
        match self.status {
            200 => {
                outcome.answered += 1;
                outcome.latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            _ => outcome.refused += 1,
        }
    }
}

//! A little load for the demo: a few clients with cookies that take turns, and a tally of who answered.
//!
//! It measures nothing but what a user would notice: which server answers, with which status, and whether an answer is
//! missing. Invariant: a client has one request under way at most, so that the rate never exceeds the one asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::toy::NAME_FIELD;

/// Most clients: each holds a connection.
pub(crate) const CLIENTS: usize = 64;

/// How long a client waits for its answer before it counts as lost: longer than a balancer needs to find a hung server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that a client reads at most.
const ANSWER_BYTES: usize = 256 * 1024;

/// What the clients saw since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Answers by the server that signed them.
    pub(crate) by_server: BTreeMap<String, u64>,
    /// Answers by status.
    pub(crate) by_status: BTreeMap<u16, u64>,
    /// Requests without an answer: connections refused or broken, and patience that ran out.
    pub(crate) lost: u64,
    /// How often a client was answered by another server than the time before.
    pub(crate) moved: u64,
    /// The longest wait for an answer.
    pub(crate) slowest: Duration,
}

impl Tally {
    /// Answers in all.
    pub(crate) fn answered(&self) -> u64 {
        self.by_status.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Requests that did not get what they wanted: lost ones, and answers of 500 and above.
    pub(crate) fn failed(&self) -> u64 {
        self.by_status.range(500..).fold(self.lost, |sum, (_, count)| sum.saturating_add(*count))
    }
}

impl fmt::Display for Tally {
    /// One line: `amber 12  blue 9 | 21 answered, 0 failed, 2 moved, slowest 31 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (server, count)) in self.by_server.iter().enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            write!(f, "{gap}{server} {count}")?;
        }
        let (answered, failed, moved) = (self.answered(), self.failed(), self.moved);
        let slowest = self.slowest.as_millis();
        write!(f, " | {answered} answered, {failed} failed, {moved} moved, slowest {slowest} ms")?;
        for (status, count) in self.by_status.range(400..) {
            write!(f, ", {count} × {status}")?;
        }
        Ok(())
    }
}

/// A running load. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    clients: watch::Sender<usize>,
    seen: Arc<Mutex<Seen>>,
}

/// What all clients write down.
#[derive(Debug, Default)]
struct Seen {
    /// Since the last [`Load::take`].
    recent: Tally,
    /// Since the start.
    total: Tally,
    /// The server that answered each client last.
    bonds: Vec<Option<String>>,
}

impl Load {
    /// Starts `clients` that together make `per_second` requests to `target`. Must be called within a tokio runtime.
    pub(crate) fn start(target: SocketAddr, clients: usize, per_second: u32) -> Self {
        let (wanted, clients) = watch::channel(clients.min(CLIENTS));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let pace = Duration::from_secs(1) / per_second.max(1);
        tokio::spawn(drive(target, pace, clients, Arc::clone(&seen)));
        Self { clients: wanted, seen }
    }

    /// Adds a client without cookies and returns how many there are.
    pub(crate) fn add_client(&self) -> usize {
        self.clients.send_modify(|count| *count = count.saturating_add(1).min(CLIENTS));
        *self.clients.borrow()
    }

    /// What was seen since this was asked last, to print as what happens now.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut lock(&self.seen).recent)
    }

    /// What was seen since the start.
    pub(crate) fn total(&self) -> Tally {
        lock(&self.seen).total.clone()
    }

    /// The server that answered each client last; `None` for one that has had no answer.
    pub(crate) fn bonds(&self) -> Vec<Option<String>> {
        lock(&self.seen).bonds.clone()
    }
}

/// Counters stay whole even where a task panicked between two of them.
fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the clients their turns, one at each beat, until nobody holds the load.
async fn drive(target: SocketAddr, pace: Duration, mut wanted: watch::Receiver<usize>, seen: Arc<Mutex<Seen>>) {
    let mut tasks = JoinSet::new();
    let mut turns: Vec<mpsc::Sender<()>> = Vec::new();
    let mut next = 0usize;
    let mut beat = time::interval(pace);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let count = *wanted.borrow_and_update();
        while turns.len() < count {
            // One turn may wait: a client that is slow does not lose its place and does not pile up more.
            let (turn, taken) = mpsc::channel(1);
            let client =
                Client { index: turns.len(), target, cookies: BTreeMap::new(), last: None, seen: Arc::clone(&seen) };
            lock(&seen).bonds.push(None);
            tasks.spawn(client.run(taken));
            turns.push(turn);
        }
        tokio::select! {
            _ = beat.tick() => {
                if let Some(turn) = turns.get(next) {
                    let _ = turn.try_send(());
                }
                next = next.wrapping_add(1).checked_rem(turns.len()).unwrap_or(0);
            }
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// One user with a browser.
struct Client {
    index: usize,
    target: SocketAddr,
    cookies: BTreeMap<String, String>,
    last: Option<String>,
    seen: Arc<Mutex<Seen>>,
}

impl Client {
    async fn run(mut self, mut turns: mpsc::Receiver<()>) {
        let mut kept = None;
        while turns.recv().await.is_some() {
            let begun = Instant::now();
            let outcome = time::timeout(PATIENCE, self.request(&mut kept)).await;
            match outcome {
                Ok(Ok(answer)) => self.note(&answer, begun.elapsed()),
                Ok(Err(_)) | Err(_) => {
                    kept = None;
                    self.count(|tally| tally.lost = tally.lost.saturating_add(1));
                }
            }
        }
    }

    /// One request, on the kept connection if there is one. A kept connection that the other side closed meanwhile is
    /// no failure: a browser tries once more on a new one, too.
    async fn request(&self, kept: &mut Option<TcpStream>) -> io::Result<Answer> {
        let mut attempt = match kept.take() {
            Some(mut stream) => self.exchange(&mut stream).await.map(|answer| (answer, stream)),
            None => Err(io::Error::from(io::ErrorKind::NotConnected)),
        };
        if attempt.is_err() {
            let mut stream = TcpStream::connect(self.target).await?;
            attempt = self.exchange(&mut stream).await.map(|answer| (answer, stream));
        }
        let (answer, stream) = attempt?;
        *kept = (!answer.closes).then_some(stream);
        Ok(answer)
    }

    async fn exchange(&self, stream: &mut TcpStream) -> io::Result<Answer> {
        let mut head = format!("GET / HTTP/1.1\r\nHost: {}\r\n", self.target);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = Answer::parse(&bytes) {
                return Ok(answer);
            }
            if bytes.len() > ANSWER_BYTES || stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
    }

    fn note(&mut self, answer: &Answer, wait: Duration) {
        for (name, value) in &answer.cookies {
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.clone(), value.clone());
            }
        }
        let has_moved = answer.server.is_some() && self.last.is_some() && answer.server != self.last;
        if answer.server.is_some() {
            self.last.clone_from(&answer.server);
        }
        self.count(|tally| {
            increase(tally.by_status.entry(answer.status).or_default());
            if let Some(server) = &answer.server {
                increase(tally.by_server.entry(server.clone()).or_default());
            }
            if has_moved {
                increase(&mut tally.moved);
            }
            tally.slowest = tally.slowest.max(wait);
        });
        if let Some(bond) = lock(&self.seen).bonds.get_mut(self.index) {
            bond.clone_from(&self.last);
        }
    }

    fn count(&self, change: impl Fn(&mut Tally)) {
        let mut seen = lock(&self.seen);
        change(&mut seen.recent);
        change(&mut seen.total);
    }
}

fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// What a client wants to know of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    server: Option<String>,
    cookies: Vec<(String, String)>,
    closes: bool,
}

impl Answer {
    /// The answer, once all of it is there. Toys and balancer state the length of what they answer to this client.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self { status, server: None, cookies: Vec::new(), closes: false };
        let mut length = 0usize;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "connection" => answer.closes = value.eq_ignore_ascii_case("close"),
                "set-cookie" => answer.cookies.extend(cookie(value)),
                name if name.eq_ignore_ascii_case(NAME_FIELD) => answer.server = Some(value.to_owned()),
                _ => {}
            }
        }
        let whole = end.checked_add(4)?.checked_add(length)?;
        (bytes.len() >= whole).then_some(answer)
    }
}

/// Name and value of a `Set-Cookie`; its attributes do not matter to a client of one site.
fn cookie(value: &str) -> Option<(String, String)> {
    let (name, value) = value.split(';').next()?.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests;

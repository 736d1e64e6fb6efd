//! A server inside the test that misbehaves on order and counts what it executed, by number, at the moment at which a
//! request is complete.
//!
//! It is what nginx cannot be: one that reads a request whole and then dies. The invariant: a request is counted
//! before anything is answered, so that a count is never too low.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::load::NUMBER;
use crate::place::free;

/// Heads that are remembered.
const RECENT: usize = 64;

/// What the server does with a request that it has read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers 200 with its name, and keeps the connection.
    Answer,
    /// Answers 200 as if the connection were kept, and ends it.
    AnswerAndClose,
    /// Answers 200 after so long.
    AnswerAfter(Duration),
    /// Ends the connection without an answer.
    Die,
    /// Sends the head of an answer and half of its body, and ends the connection.
    DieWithin,
    /// Answers with this status.
    Status(u16),
    /// Never answers.
    Hang,
    /// Answers with exactly these bytes, and keeps the connection.
    Bytes(&'static [u8]),
}

#[derive(Debug)]
struct Inside {
    name: String,
    manner: Mutex<Manner>,
    executed: Mutex<HashMap<u64, u32>>,
    last_head: Mutex<String>,
    recent: Mutex<VecDeque<String>>,
    heads: AtomicU32,
    now: AtomicU32,
    peak: AtomicU32,
    is_over: AtomicBool,
}

/// One such server.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub at: SocketAddr,
    inside: Arc<Inside>,
}

impl Origin {
    /// Starts it.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(name: &str, manner: Manner) -> Self {
        let at = free();
        let listener = TcpListener::bind(at).unwrap_or_else(|error| panic!("{at}: {error}"));
        let inside = Arc::new(Inside {
            name: name.to_owned(),
            manner: Mutex::new(manner),
            executed: Mutex::default(),
            last_head: Mutex::default(),
            recent: Mutex::default(),
            heads: AtomicU32::new(0),
            now: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inside);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { at, inside }
    }

    /// Changes its manner from the next request on.
    pub fn behave(&self, manner: Manner) {
        *self.inside.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// How often each number was executed.
    pub fn executed(&self) -> HashMap<u64, u32> {
        self.inside.executed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests it has executed.
    pub fn total(&self) -> u32 {
        self.executed().values().sum()
    }

    /// The head of the last request, as received.
    pub fn last_head(&self) -> String {
        self.inside.last_head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The head of the last request for that host and path, of those that came lately; empty where there was none. Browsers ask for
    /// more than what they are sent to.
    pub fn head_of(&self, host: &str, path: &str) -> String {
        let recent = self.inside.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (line, host) = (format!("GET {path} "), format!("\nhost: {host}"));
        let found =
            recent.iter().rev().find(|head| head.starts_with(&line) && head.to_ascii_lowercase().contains(&host));
        found.cloned().unwrap_or_default()
    }

    /// How many whole requests it has read, numbered or not.
    pub fn total_heads(&self) -> u32 {
        self.inside.heads.load(Ordering::Relaxed)
    }

    /// The most requests that it held at one time.
    pub fn peak(&self) -> u32 {
        self.inside.peak.load(Ordering::Relaxed)
    }

    /// How many requests it holds now.
    pub fn now(&self) -> u32 {
        self.inside.now.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.inside.is_over.store(true, Ordering::Relaxed);
        // The accepting thread sees the end at its next connection.
        let _ = TcpStream::connect(self.at);
    }
}

/// Serves one connection until either side ends it.
fn serve(mut stream: TcpStream, inside: &Inside) {
    let mut buffer = Vec::new();
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    while let Some((head, body)) = read_request(&mut stream, &mut buffer) {
        inside.heads.fetch_add(1, Ordering::Relaxed);
        remember(inside, &head);
        head.clone_into(&mut inside.last_head.lock().unwrap_or_else(PoisonError::into_inner));
        let held = inside.now.fetch_add(1, Ordering::SeqCst) + 1;
        inside.peak.fetch_max(held, Ordering::SeqCst);
        if let Some(number) = number_of(&head) {
            *inside.executed.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default() += 1;
        }
        if !respond(&mut stream, inside, &head, body.len()) {
            return;
        }
    }
}

fn remember(inside: &Inside, head: &str) {
    let mut recent = inside.recent.lock().unwrap_or_else(PoisonError::into_inner);
    if recent.len() >= RECENT {
        recent.pop_front();
    }
    recent.push_back(head.to_owned());
}

/// Acts on a request. False where the connection ends. A request is held until the moment before its answer is written:
/// whoever has the answer may have sent the next one already.
fn respond(stream: &mut TcpStream, inside: &Inside, head: &str, got: usize) -> bool {
    let manner = *inside.manner.lock().unwrap_or_else(PoisonError::into_inner);
    match manner {
        Manner::AnswerAfter(time) => std::thread::sleep(time),
        // Until the other side gives up: a read that ends is its end.
        Manner::Hang => drop(stream.read(&mut [0; 1])),
        _ => {}
    }
    inside.now.fetch_sub(1, Ordering::SeqCst);
    let status = match manner {
        Manner::Answer | Manner::AnswerAndClose | Manner::AnswerAfter(_) => 200,
        Manner::Status(status) => status,
        Manner::Die | Manner::Hang => return false,
        Manner::Bytes(bytes) => return stream.write_all(bytes).is_ok(),
        Manner::DieWithin => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it");
            return false;
        }
    };
    let body = format!("{} got {got}\n", inside.name);
    let body = if head.starts_with("HEAD ") { "" } else { &body };
    let answer = format!(
        "HTTP/1.1 {status} As Ordered\r\nX-Server: {}\r\nContent-Length: {}\r\n\r\n{body}",
        inside.name,
        body.len()
    );
    stream.write_all(answer.as_bytes()).is_ok() && manner != Manner::AnswerAndClose
}

/// One whole request: its head and its body.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        fill(stream, buffer)?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).ok()?;
    let value = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    if value("transfer-encoding").is_some() {
        // Requests of these tests are small: the end mark of the chunks is looked for as such.
        let end = loop {
            if let Some(end) = buffer.windows(5).position(|five| five == b"0\r\n\r\n") {
                break end + 5;
            }
            fill(stream, buffer)?;
        };
        return Some((head, buffer.drain(..end).collect()));
    }
    let length: usize = value("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        fill(stream, buffer)?;
    }
    Some((head, buffer.drain(..length).collect()))
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
    buffer.extend_from_slice(&piece[..count]);
    Some(())
}

fn number_of(head: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(NUMBER).then(|| u64::from_str_radix(value.trim(), 16).ok())?
    })
}

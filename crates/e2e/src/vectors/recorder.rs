//! A server that records every request it gets and judges each connection's bytes by the strict reader.
//!
//! A request belongs to the client whose address the balancer put into `X-Forwarded-For`: one that carries no such
//! field, or a forged one, was made by nobody, which is what a smuggled request looks like from here. The invariant:
//! a request is recorded before it is answered.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::strict::{Begin, Request, begin};
use crate::place::free;

/// The field by which an answer tells whose request it is for: client, method and target.
pub const ECHO: &str = "X-Echo";

/// One request that came.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The request.
    pub request: Request,
    /// Whether its body came whole.
    pub is_whole: bool,
}

/// What the server does instead of an ordinary answer.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it sends.
    pub bytes: Vec<u8>,
    /// Bytes in one piece, and the pause between two; all at once where there is none.
    pub drip: Option<(usize, Duration)>,
    /// What follows.
    pub then: Then,
}

/// What follows a scripted answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next request.
    Keep,
    /// The end of the connection.
    Close,
    /// A reset.
    Reset,
    /// Silence until the other side ends the connection.
    Hang,
}

#[derive(Debug, Default)]
struct Inside {
    entries: Mutex<HashMap<IpAddr, Vec<Entry>>>,
    faults: Mutex<Vec<(Option<IpAddr>, String)>>,
    scripts: Mutex<HashMap<String, Script>>,
    is_over: AtomicBool,
}

/// The server.
#[derive(Debug)]
pub struct Recorder {
    /// Where it listens.
    pub at: SocketAddr,
    inside: Arc<Inside>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts it.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start() -> Self {
        let at = free();
        let listener = TcpListener::bind(at).unwrap_or_else(|error| panic!("{at}: {error}"));
        let inside = Arc::new(Inside::default());
        let shared = Arc::clone(&inside);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || Talk { stream, inside: &shared, buffer: Vec::new() }.serve());
            }
        });
        Self { at, inside }
    }

    /// From now on a request whose target is this one is answered so.
    pub fn script(&self, target: &str, script: Script) {
        locked(&self.inside.scripts).insert(target.to_owned(), script);
    }

    /// Every request of a client, in the order in which they came.
    pub fn of(&self, client: IpAddr) -> Vec<Entry> {
        locked(&self.inside.entries).get(&client).cloned().unwrap_or_default()
    }

    /// What was wrong, and whose request it was as far as that is known.
    pub fn faults(&self) -> Vec<(Option<IpAddr>, String)> {
        locked(&self.inside.faults).clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.inside.is_over.store(true, Ordering::Relaxed);
        // The accepting thread sees the end at its next connection.
        let _ = TcpStream::connect(self.at);
    }
}

/// One connection.
struct Talk<'a> {
    stream: TcpStream,
    inside: &'a Inside,
    buffer: Vec<u8>,
}

impl Talk<'_> {
    fn serve(mut self) {
        let _ = self.stream.set_nodelay(true);
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(120)));
        let mut is_answered = false;
        loop {
            match begin(&self.buffer) {
                Ok(Begin::Whole(request, length)) => {
                    self.buffer.drain(..length);
                    let tag = self.record(&request, true);
                    if !is_answered && !self.answer(&request, tag) {
                        return;
                    }
                    is_answered = false;
                    continue;
                }
                Ok(Begin::Head(request)) if !is_answered && request.target.starts_with("/early") => {
                    is_answered = true;
                    if !self.answer(&request, whose(&request).ok()) {
                        return;
                    }
                }
                Ok(Begin::Head(_) | Begin::Part) => {}
                Err(fault) => return self.fault(None, fault),
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => self.buffer.extend_from_slice(&piece[..count]),
                _ => break,
            }
        }
        match begin(&self.buffer) {
            Ok(Begin::Head(request)) => drop(self.record(&request, false)),
            Ok(Begin::Part) if self.buffer.is_empty() => {}
            _ => self.fault(None, format!("a connection ended within {}", self.buffer.escape_ascii())),
        }
    }

    fn record(&self, request: &Request, is_whole: bool) -> Option<IpAddr> {
        match whose(request) {
            Ok(tag) => {
                let entry = Entry { request: request.clone(), is_whole };
                locked(&self.inside.entries).entry(tag).or_default().push(entry);
                Some(tag)
            }
            Err(fault) => {
                self.fault(None, fault);
                None
            }
        }
    }

    fn fault(&self, tag: Option<IpAddr>, fault: String) {
        locked(&self.inside.faults).push((tag, fault));
    }

    /// Answers. False where the connection ends.
    fn answer(&mut self, request: &Request, tag: Option<IpAddr>) -> bool {
        let script = locked(&self.inside.scripts).get(&request.target).cloned();
        if let Some(script) = script {
            return self.play(&script);
        }
        let status = match request.target.as_str() {
            "/426" => "426 Upgrade Required",
            "/204" => "204 No Content",
            _ => "200 OK",
        };
        let tag = tag.map_or_else(|| "nobody".to_owned(), |tag| tag.to_string());
        let echo = format!("{tag} {} {}", request.method, request.target.chars().take(200).collect::<String>());
        let body = if request.method == "HEAD" || status.starts_with("204") { "" } else { &echo };
        let length =
            if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let answer = format!("HTTP/1.1 {status}\r\n{ECHO}: {echo}\r\n{length}\r\n{body}");
        self.stream.write_all(answer.as_bytes()).is_ok()
    }

    fn play(&mut self, script: &Script) -> bool {
        let (size, pause) = script.drip.unwrap_or((usize::MAX, Duration::ZERO));
        for piece in script.bytes.chunks(size.max(1)) {
            if self.stream.write_all(piece).is_err() {
                return false;
            }
            if script.drip.is_some() {
                std::thread::sleep(pause);
            }
        }
        match script.then {
            Then::Keep => true,
            Then::Close => false,
            Then::Reset => {
                let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
                false
            }
            Then::Hang => {
                while self.stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
                false
            }
        }
    }
}

/// The client whose request it is: what the balancer says, once.
fn whose(request: &Request) -> Result<IpAddr, String> {
    let values: Vec<&[u8]> = request.values("x-forwarded-for").collect();
    let [one] = values.as_slice() else {
        return Err(format!("{} {} carries {} X-Forwarded-For", request.method, request.target, values.len()));
    };
    let text = String::from_utf8_lossy(one);
    text.parse().map_err(|_| format!("{} {} is for `{text}`", request.method, request.target))
}

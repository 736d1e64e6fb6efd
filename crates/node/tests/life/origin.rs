//! What the tests need around a node: servers, a client, a directory, patience.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that answers every request with its name, and sets a cookie with it.
pub(crate) struct Server {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Self {
        Self::run(name, TcpListener::bind("127.0.0.1:0").unwrap(), Duration::ZERO)
    }

    /// One that thinks for so long, but not about checks.
    pub(crate) fn slow(name: &'static str, pause: Duration) -> Self {
        Self::run(name, TcpListener::bind("127.0.0.1:0").unwrap(), pause)
    }

    pub(crate) fn start_at(name: &'static str, port: u16) -> Self {
        Self::run(name, TcpListener::bind(("127.0.0.1", port)).unwrap(), Duration::ZERO)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn run(name: &'static str, listener: TcpListener, pause: Duration) -> Self {
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                thread::spawn(move || answer(stream, name, pause));
            }
        });
        Self { port, ended, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, which sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, one answer, and the end: no connection is kept, so that a dead server is dead at once.
fn answer(mut stream: TcpStream, name: &str, pause: Duration) {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&piece[..count]),
        }
    }
    if !head.starts_with(b"GET /check") {
        thread::sleep(pause);
    }
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nSet-Cookie: SID={name}-session\r\nConnection: close\r\n\r\n{name}",
        name.len()
    );
}

/// Asks on a new connection: status and body.
pub(crate) fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    get_with(port, path, "")
}

/// The same with these fields, each with its line's end.
pub(crate) fn get_with(port: u16, path: &str, fields: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let wrong = || io::Error::other(format!("no answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
    Ok((status, body.to_owned()))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A directory that goes with its test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("evenkeel-life-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Threads that outlive their node, such as writers of logs, may still put a last file there.
        for _ in 0..50 {
            let _ = std::fs::remove_dir_all(&self.0);
            if !self.0.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

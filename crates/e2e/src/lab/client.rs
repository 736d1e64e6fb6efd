//! A client that opens a connection every 2 ms, whatever became of those before, and asks for one page on each.
//!
//! The invariant: an attempt ends before the kernel would send its first packet again, so that what is counted as
//! answered was answered at once.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with, sockopt,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Between two attempts.
const EVERY: Duration = Duration::from_millis(2);
/// An attempt that took so long has failed: Linux repeats the first packet after a second.
const PATIENCE: Duration = Duration::from_millis(900);
/// A gap of this length ends the calm.
const GAP: Duration = Duration::from_millis(250);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: service.example\r\nConnection: close\r\n\r\n";

/// What was seen since the last reset.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Requests that were answered.
    pub answered: u64,
    /// Attempts that were not.
    pub failed: u64,
    /// The longest time between two answers.
    pub outage: Duration,
}

#[derive(Debug)]
struct Book {
    seen: Seen,
    last_answer: Instant,
    calm_since: Instant,
}

/// A client at work.
#[derive(Debug)]
pub struct Client {
    book: Arc<Mutex<Book>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Begins to ask from that namespace.
    pub fn start(space: File, addr: SocketAddr) -> Self {
        let now = Instant::now();
        let book = Arc::new(Mutex::new(Book { seen: Seen::default(), last_answer: now, calm_since: now }));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&book), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            ask(addr, &shared, &stop);
        });
        Self { book, is_over, thread: Some(thread) }
    }

    /// For how long every attempt was answered, without a gap.
    ///
    /// # Panics
    /// Where the client has.
    pub fn calm_for(&self) -> Duration {
        let book = self.book.lock().expect("the client does not panic");
        let is_answering = book.last_answer.elapsed() < GAP;
        if is_answering { book.calm_since.elapsed() } else { Duration::ZERO }
    }

    /// Counts anew.
    ///
    /// # Panics
    /// Where the client has.
    pub fn reset(&self) {
        self.book.lock().expect("the client does not panic").seen = Seen::default();
    }

    /// Ends.
    ///
    /// # Panics
    /// Where the client has.
    pub fn end(mut self) -> Seen {
        self.stop();
        let mut book = self.book.lock().expect("the client does not panic");
        let silence = book.last_answer.elapsed();
        if silence > GAP {
            book.seen.outage = book.seen.outage.max(silence);
        }
        book.seen.clone()
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Book {
    fn answered(&mut self) {
        let now = Instant::now();
        let gap = now - self.last_answer;
        self.seen.outage = self.seen.outage.max(gap);
        if gap > GAP {
            self.calm_since = now;
        }
        self.last_answer = now;
        self.seen.answered += 1;
    }

    fn failed(&mut self) {
        self.seen.failed += 1;
        self.calm_since = Instant::now();
    }
}

struct Attempt {
    socket: OwnedFd,
    began: Instant,
    has_asked: bool,
    /// Whether the system says that it can go on. During an outage hundreds cannot.
    is_ready: bool,
}

enum Step {
    Waits,
    Answered,
    Failed,
}

fn ask(addr: SocketAddr, book: &Mutex<Book>, is_over: &AtomicBool) {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            next = (next + EVERY).max(Instant::now());
            match begin(addr) {
                Some(attempt) => attempts.push(attempt),
                None => book.lock().expect("nobody panics with it").failed(),
            }
        }
        wait(&mut attempts, next.saturating_duration_since(Instant::now()));
        attempts.retain_mut(|attempt| match attempt.advance() {
            Step::Waits => true,
            Step::Answered => {
                book.lock().expect("nobody panics with it").answered();
                false
            }
            Step::Failed => {
                book.lock().expect("nobody panics with it").failed();
                false
            }
        });
    }
}

fn begin(addr: SocketAddr) -> Option<Attempt> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).ok()?;
    // No port waits for a minute after each attempt: five hundred a second would use them up.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).ok()?;
    match connect(&socket, &addr) {
        Ok(()) | Err(Errno::INPROGRESS) => {
            Some(Attempt { socket, began: Instant::now(), has_asked: false, is_ready: false })
        }
        Err(_) => None,
    }
}

/// Waits until one of them can go on, and marks those that can.
fn wait(attempts: &mut [Attempt], within: Duration) {
    let mut these: Vec<PollFd<'_>> = attempts
        .iter()
        .map(|attempt| {
            let what = if attempt.has_asked { PollFlags::IN } else { PollFlags::OUT };
            PollFd::from_borrowed_fd(attempt.socket.as_fd(), what)
        })
        .collect();
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(within.min(EVERY).subsec_nanos()) };
    let _ = poll(&mut these, Some(&timeout));
    let ready: Vec<bool> = these.iter().map(|it| !it.revents().is_empty()).collect();
    for (attempt, is_ready) in attempts.iter_mut().zip(ready) {
        attempt.is_ready = is_ready;
    }
}

impl Attempt {
    fn advance(&mut self) -> Step {
        if self.began.elapsed() > PATIENCE {
            return Step::Failed;
        }
        if !self.is_ready {
            return Step::Waits;
        }
        if !self.has_asked {
            match send(&self.socket, REQUEST, SendFlags::NOSIGNAL) {
                Ok(_) => self.has_asked = true,
                Err(Errno::AGAIN | Errno::NOTCONN) => return Step::Waits,
                Err(_) => return Step::Failed,
            }
        }
        let mut answer = [0; 512];
        match recv(&self.socket, &mut answer, RecvFlags::empty()) {
            Ok((length, _)) if answer[..length].starts_with(b"HTTP/1.1 200") => Step::Answered,
            Err(Errno::AGAIN) => Step::Waits,
            _ => Step::Failed,
        }
    }
}

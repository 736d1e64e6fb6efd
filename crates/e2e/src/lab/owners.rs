//! Which machines have the service address, asked of their kernels every 2 ms.
//!
//! The invariant: what is counted is the address on a device of the network, not what any program says of itself.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const EVERY: Duration = Duration::from_millis(2);

/// What was seen since the last reset.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// For how long two machines had it.
    pub two: Duration,
    /// How often another machine than before had it alone.
    pub moves: u32,
    /// Who has it.
    pub now: Vec<u8>,
}

#[derive(Debug, Default)]
struct Book {
    owned: Owned,
    sole: Option<u8>,
}

/// Looks until it is told to end.
#[derive(Debug)]
pub struct Owners {
    book: Arc<Mutex<Book>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Owners {
    /// Begins to look at these machines, in order.
    pub fn watch(spaces: Vec<File>, addr: Ipv4Addr) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&book), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let sockets: Vec<OwnedFd> = spaces.iter().map(kernel_of).collect();
            let mut last = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let now: Vec<u8> =
                    (1..).zip(&sockets).filter(|(_, socket)| has(socket, addr)).map(|(host, _)| host).collect();
                shared.lock().expect("nobody panics with it").look(now, last.elapsed());
                last = Instant::now();
                std::thread::sleep(EVERY);
            }
        });
        Self { book, is_over, thread: Some(thread) }
    }

    /// Who has it now.
    ///
    /// # Panics
    /// Where the watcher has.
    pub fn now(&self) -> Vec<u8> {
        self.book.lock().expect("the watcher does not panic").owned.now.clone()
    }

    /// Counts anew.
    ///
    /// # Panics
    /// Where the watcher has.
    pub fn reset(&self) {
        let mut book = self.book.lock().expect("the watcher does not panic");
        book.owned = Owned { now: std::mem::take(&mut book.owned.now), ..Owned::default() };
    }

    /// Ends.
    ///
    /// # Panics
    /// Where the watcher has.
    pub fn end(mut self) -> Owned {
        self.stop();
        self.book.lock().expect("the watcher does not panic").owned.clone()
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Book {
    fn look(&mut self, now: Vec<u8>, passed: Duration) {
        if self.owned.now.len() > 1 && now.len() > 1 {
            self.owned.two += passed;
        }
        if let [sole] = now.as_slice() {
            self.owned.moves += u32::from(self.sole.is_some_and(|before| before != *sole));
            self.sole = Some(*sole);
        }
        self.owned.now = now;
    }
}

/// A way to ask the kernel's network of that namespace: it stays there, wherever its thread goes.
fn kernel_of(space: &File) -> OwnedFd {
    move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).expect("the kernel has netlink")
}

/// Whether a device has the address (rtnetlink(7): RTM_GETADDR for all of IPv4).
fn has(socket: &OwnedFd, addr: Ipv4Addr) -> bool {
    const GETADDR: u16 = 22;
    const REQUEST_DUMP: u16 = 0x301;
    let mut question = Vec::with_capacity(24);
    question.extend(24_u32.to_ne_bytes());
    question.extend(GETADDR.to_ne_bytes());
    question.extend(REQUEST_DUMP.to_ne_bytes());
    question.extend([0; 8]);
    question.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    if send(socket, &question, SendFlags::empty()).is_err() {
        return false;
    }
    let mut is_there = false;
    let mut answer = [0; 16 * 1024];
    loop {
        let Ok((length, _)) = recv(socket, &mut answer, RecvFlags::empty()) else { return is_there };
        match messages(&answer[..length], addr) {
            Found::End(found) => return is_there | found,
            Found::More(found) => is_there |= found,
        }
    }
}

enum Found {
    More(bool),
    End(bool),
}

fn messages(mut bytes: &[u8], addr: Ipv4Addr) -> Found {
    const DONE: u16 = 3;
    const ERROR: u16 = 2;
    const HEAD: usize = 24;
    let mut found = false;
    while let [a, b, c, d, kind, kind_high, ..] = bytes {
        let length = u32::from_ne_bytes([*a, *b, *c, *d]) as usize;
        let kind = u16::from_ne_bytes([*kind, *kind_high]);
        if kind == DONE || kind == ERROR || length < 16 || length > bytes.len() {
            return Found::End(found);
        }
        // On the loopback device an address that has left is kept for connections that are open, unseen by others.
        let is_outside = bytes.get(20..HEAD).is_some_and(|index| index != 1_u32.to_ne_bytes());
        found |= is_outside && attributes(bytes.get(HEAD..length).unwrap_or_default(), addr);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Found::More(found)
}

fn attributes(mut bytes: &[u8], addr: Ipv4Addr) -> bool {
    const LOCAL: u16 = 2;
    while let [low, high, kind, kind_high, ..] = bytes {
        let length = usize::from(u16::from_ne_bytes([*low, *high]));
        if length < 4 {
            return false;
        }
        if u16::from_ne_bytes([*kind, *kind_high]) == LOCAL && bytes.get(4..8) == Some(&addr.octets()[..]) {
            return true;
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

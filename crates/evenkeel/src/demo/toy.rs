//! Toy web servers inside this process, for the demo: they say who they are, and can be killed, hung and restored.
//!
//! They speak just enough HTTP/1.1 for a balancer and a browser, and trust both: nobody else is to reach them.
//! Invariant: a dead toy refuses connections as a dead process would, and comes back at the same address.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

mod page;

/// Bytes of a request's head that a toy reads at most: browsers send some kilobytes of cookies to `localhost`.
const HEAD_BYTES: usize = 64 * 1024;

/// Connections that a toy holds at once; the balancer keeps fewer.
const CONNECTIONS: usize = 1024;

/// How often, and after which pause, a restored toy tries to have its port back: someone's outgoing connection may have
/// been given it meanwhile.
const REBINDS: u32 = 50;
const REBIND_PAUSE: Duration = Duration::from_millis(100);

/// The path that answers checks; it is not counted as served.
pub(crate) const CHECK_PATH: &str = "/check";

/// The field in which a toy signs its answers.
pub(crate) const NAME_FIELD: &str = "X-Toy";

/// What sets a toy apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Character {
    /// Its name: a letter is enough to tell it by a key.
    pub(crate) name: &'static str,
    /// The colour of its page, as CSS names it.
    pub(crate) colour: &'static str,
    /// How long it thinks before it answers.
    pub(crate) delay: Duration,
}

/// The demo's three.
pub(crate) const TRIO: [Character; 3] = [
    Character { name: "amber", colour: "#f5b942", delay: Duration::from_millis(5) },
    Character { name: "blue", colour: "#5b9bd5", delay: Duration::from_millis(15) },
    Character { name: "coral", colour: "#f0776c", delay: Duration::from_millis(30) },
];

/// How a toy behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    Well,
    /// It takes connections and requests, and says nothing.
    Hung,
    /// Its port refuses; the connections it had were reset.
    Dead,
}

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Well => "well",
            Self::Hung => "hung",
            Self::Dead => "dead",
        })
    }
}

/// A toy server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Toy {
    character: Character,
    addr: SocketAddr,
    wanted: watch::Sender<Mood>,
    reached: watch::Receiver<Mood>,
    served: Arc<AtomicU64>,
}

impl Toy {
    /// Starts one on a free port of the loopback. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where no port is free.
    pub(crate) async fn start(character: Character) -> io::Result<Self> {
        Self::start_at(character, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at an address. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub(crate) async fn start_at(character: Character, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (wanted, wishes) = watch::channel(Mood::Well);
        let (reaching, reached) = watch::channel(Mood::Well);
        let served = Arc::new(AtomicU64::new(0));
        let life = Life { character, addr, wishes, reaching, served: Arc::clone(&served) };
        tokio::spawn(life.run(listener));
        Ok(Self { character, addr, wanted, reached, served })
    }

    /// Has it behave so, and waits until it does. A toy that cannot have its port back stays dead.
    pub(crate) async fn set(&self, mood: Mood) {
        self.wanted.send_replace(mood);
        let mut reached = self.reached.clone();
        let patience = REBIND_PAUSE * (REBINDS + 1);
        // The toy's task goes on trying; whoever asks learns the outcome from `mood`.
        let _ = time::timeout(patience, reached.wait_for(|now| *now == mood)).await;
    }

    /// How it behaves now.
    pub(crate) fn mood(&self) -> Mood {
        *self.reached.borrow()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.character.name
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Requests that it answered, checks aside.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

/// What a toy's task holds.
struct Life {
    character: Character,
    addr: SocketAddr,
    wishes: watch::Receiver<Mood>,
    reaching: watch::Sender<Mood>,
    served: Arc<AtomicU64>,
}

impl Life {
    /// Alive with a listener, dead without, until nobody holds the toy any more.
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            if let Some(listener) = listener.take() {
                self.live(&listener).await;
            }
            // Listener and connections are gone: the port refuses.
            if self.wishes.has_changed().is_err() {
                return;
            }
            let wish = *self.wishes.borrow_and_update();
            if wish == Mood::Dead {
                self.reaching.send_replace(Mood::Dead);
            } else {
                listener = self.rebind().await;
            }
            if listener.is_none() && self.wishes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes connections until it is to die. Returns with every connection reset.
    async fn live(&mut self, listener: &TcpListener) {
        let mut connections = JoinSet::new();
        self.reaching.send_replace(*self.wishes.borrow_and_update());
        loop {
            let has_room = connections.len() < CONNECTIONS;
            tokio::select! {
                changed = self.wishes.changed() => {
                    let mood = *self.wishes.borrow_and_update();
                    if changed.is_err() || mood == Mood::Dead {
                        break;
                    }
                    self.reaching.send_replace(mood);
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept(), if has_room => {
                    if let Ok((stream, _)) = accepted {
                        let connection = Connection {
                            character: self.character,
                            mood: self.wishes.clone(),
                            served: Arc::clone(&self.served),
                            stream,
                        };
                        connections.spawn(connection.run());
                    }
                }
            }
        }
        connections.shutdown().await;
    }

    async fn rebind(&self) -> Option<TcpListener> {
        for _ in 0..REBINDS {
            if let Ok(listener) = TcpListener::bind(self.addr).await {
                return Some(listener);
            }
            time::sleep(REBIND_PAUSE).await;
        }
        None
    }
}

/// One connection of a toy.
struct Connection {
    character: Character,
    mood: watch::Receiver<Mood>,
    served: Arc<AtomicU64>,
    stream: TcpStream,
}

impl Connection {
    /// Requests and answers in turn, until the other side has enough.
    async fn run(mut self) {
        let mut bytes = Vec::new();
        while let Ok(Some(end)) = read_head(&mut self.stream, &mut bytes).await {
            let head: Vec<u8> = bytes.drain(..end).collect();
            let request = Request::parse(&head);
            if skip_body(&mut self.stream, &mut bytes, request.length).await.is_err() {
                return;
            }
            time::sleep(self.character.delay).await;
            // A hung toy keeps the request until it is restored, or until its end.
            if self.mood.wait_for(|mood| *mood == Mood::Well).await.is_err() {
                return;
            }
            let answer = self.answer(&request);
            if self.stream.write_all(&answer).await.is_err() || request.closes {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Vec<u8> {
        let name = self.character.name;
        let (kind, body) = if request.path == CHECK_PATH {
            ("text/plain", "well\n".to_owned())
        } else {
            let number = self.served.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            match request.wants_page {
                true => ("text/html; charset=utf-8", page::page(self.character, number, &request.path)),
                false => ("text/plain", format!("{name} answers, for the {number}. time\n")),
            }
        };
        let connection = if request.closes { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{NAME_FIELD}: {name}\r\n\
             Cache-Control: no-store\r\nConnection: {connection}\r\n\r\n",
            body.len()
        );
        let body = if request.is_head { String::new() } else { body };
        [head, body].concat().into_bytes()
    }
}

impl Drop for Connection {
    /// The end of a toy that dies is a reset, as that of a killed process with data under way; every other is orderly.
    fn drop(&mut self) {
        if *self.mood.borrow() == Mood::Dead {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// What a toy wants to know of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    path: String,
    is_head: bool,
    wants_page: bool,
    closes: bool,
    length: usize,
}

impl Request {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let version = words.next().unwrap_or_default();
        let mut request = Self {
            path: target.split('?').next().unwrap_or_default().to_owned(),
            is_head: method == "HEAD",
            wants_page: false,
            closes: version != "HTTP/1.1",
            length: 0,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "accept" => request.wants_page = value.contains("text/html"),
                "connection" => request.closes |= value.eq_ignore_ascii_case("close"),
                "content-length" => request.length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        request
    }
}

/// Reads until a head is whole and returns where it ends; `None` at the end of the connection.
async fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(start) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(start.checked_add(4));
        }
        if bytes.len() >= HEAD_BYTES {
            return Ok(None);
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads a body away. A toy has no use for one, and none with chunks is sent to it.
async fn skip_body(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let mut left = length;
    loop {
        let here = left.min(bytes.len());
        bytes.drain(..here);
        left = left.saturating_sub(here);
        if left == 0 {
            return Ok(());
        }
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
}

#[cfg(test)]
mod tests;

//! A small HTTP/1 client that says exactly how an exchange went wrong.
//!
//! It reads what it is sent without leniency, and retries nothing: what it reports is what a client sees. It is not
//! built from the product's parser, so that both would have to be wrong in the same way. The invariant: a response is
//! complete, or it is a [`Failure`].

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use crate::over::{self, Over};

/// Most bytes of a head that are read.
const HEAD_BYTES: usize = 64 * 1024;

/// How an exchange failed, as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, or not established in time.
    Refused,
    /// The connection ended before the first byte of an answer.
    ResetBefore,
    /// The connection ended within the answer.
    ResetMid,
    /// No byte, or not the next one, in time.
    Timeout,
    /// The answer is not HTTP/1.
    Malformed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::ResetBefore => f.write_str("reset before the answer"),
            Self::ResetMid => f.write_str("cut within the answer"),
            Self::Timeout => f.write_str("timed out"),
            Self::Malformed(what) => write!(f, "malformed: {what}"),
        }
    }
}

/// A complete answer.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The status line and the fields, as received.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// The statuses of the interim answers before it.
    pub interim: Vec<u16>,
}

impl Response {
    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the connection ends after it.
    pub fn closes(&self) -> bool {
        let says_close = self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let is_delimited = self.field("content-length").is_some() || self.field("transfer-encoding").is_some();
        let has_body = !matches!(self.status, 100..=199 | 204 | 304);
        says_close || has_body && !is_delimited || self.head.starts_with("HTTP/1.0")
    }
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// TLS on it, where there is any.
    tls: Option<Box<ClientConnection>>,
    buffer: Vec<u8>,
    deadline: Instant,
    patience: Duration,
}

impl Connection {
    /// Connects; each exchange on it may take as long as `patience`.
    ///
    /// # Errors
    /// Where no connection comes about.
    pub fn open(to: SocketAddr, patience: Duration) -> Result<Self, Failure> {
        let stream = TcpStream::connect_timeout(&to, patience).map_err(|_| Failure::Refused)?;
        stream.set_nodelay(true).map_err(|_| Failure::Refused)?;
        Ok(Self { stream, tls: None, buffer: Vec::new(), deadline: Instant::now() + patience, patience })
    }

    /// Connects, with TLS where it is to travel over that.
    ///
    /// # Errors
    /// Where no connection comes about, or no TLS on it.
    pub fn open_over(to: SocketAddr, over: Over, patience: Duration) -> Result<Self, Failure> {
        let mut connection = Self::open(to, patience)?;
        if over == Over::Tls {
            let mut session = Box::new(over::session(to, over));
            let stream = &mut connection.stream;
            let timed = stream.set_read_timeout(Some(patience)).and(stream.set_write_timeout(Some(patience)));
            timed.map_err(|_| Failure::Refused)?;
            session.complete_io(stream).map_err(|_| Failure::Refused)?;
            connection.tls = Some(session);
        }
        Ok(connection)
    }

    /// Sends bytes and starts the clock of the exchange. An end of the connection is told by the next read, since an
    /// answer may have come before it.
    ///
    /// # Errors
    /// Where the other side takes nothing in time.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.deadline = Instant::now() + self.patience;
        self.stream.set_write_timeout(Some(self.patience)).map_err(|_| Failure::ResetBefore)?;
        let sent = match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes),
        };
        match sent {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Failure::Timeout),
            _ => Ok(()),
        }
    }

    /// Ends the connection with a reset: what an impatient client's machine does.
    ///
    /// # Panics
    /// Where the socket does not take the option, which no Linux does.
    pub fn abort(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("a TCP socket lingers");
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Reads the answer to a request of that method.
    ///
    /// # Errors
    /// Where it is not complete.
    pub fn answer(&mut self, method: &str) -> Result<Response, Failure> {
        let mut response = Response::default();
        loop {
            response.head = self.head()?;
            response.status = status_of(&response.head)?;
            match response.status {
                100..=199 if response.status != 101 => response.interim.push(response.status),
                _ => break,
            }
        }
        if method != "HEAD" && !matches!(response.status, 101 | 204 | 304) {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    /// Reads until the other side ends the connection.
    ///
    /// # Errors
    /// Where it does not in time.
    pub fn rest(&mut self) -> Result<Vec<u8>, Failure> {
        while self.fill().or_else(|failure| if failure == Failure::Timeout { Err(failure) } else { Ok(false) })? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    /// Where they do not come.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Err(Failure::ResetMid);
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Our address on this connection.
    pub fn local(&self) -> Option<SocketAddr> {
        self.stream.local_addr().ok()
    }

    fn head(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(|_| Failure::Malformed("a head that is not text".to_owned()));
            }
            if self.buffer.len() > HEAD_BYTES {
                return Err(Failure::Malformed("a head without an end".to_owned()));
            }
            let had = !self.buffer.is_empty();
            match self.fill() {
                Ok(true) => {}
                Ok(false) | Err(Failure::ResetMid) => {
                    return Err(if had { Failure::ResetMid } else { Failure::ResetBefore });
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>, Failure> {
        if response.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        match response.field("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| Failure::Malformed(format!("Content-Length: {length}")))?;
                self.exactly(length)
            }
            None => self.rest(),
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or("").trim();
            let size =
                usize::from_str_radix(digits, 16).map_err(|_| Failure::Malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(Failure::Malformed("a chunk without its end".to_owned()));
            }
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| Failure::Malformed("a line that is not text".to_owned()));
            }
            if !self.fill()? {
                return Err(Failure::ResetMid);
            }
        }
    }

    /// Reads what is there. False at the end of the connection; a reset is one within the answer.
    fn fill(&mut self) -> Result<bool, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Timeout);
        }
        self.stream.set_read_timeout(Some(left)).map_err(|_| Failure::ResetMid)?;
        let mut piece = [0; 16 * 1024];
        loop {
            let read = match &mut self.tls {
                None => self.stream.read(&mut piece),
                Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read(&mut piece),
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Failure::Timeout);
                }
                Err(_) => return Err(Failure::ResetMid),
            }
        }
    }
}

fn status_of(head: &str) -> Result<u16, Failure> {
    let line = head.lines().next().unwrap_or("");
    let digits = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    let status = digits.and_then(|digits| digits.parse().ok()).filter(|status| (100..600).contains(status));
    status.ok_or_else(|| Failure::Malformed(format!("status line {line:?}")))
}

/// Sends one request on a connection of its own: method, target, further field lines each with its end, body.
///
/// # Errors
/// Where no complete answer comes.
pub fn ask(to: SocketAddr, method: &str, target: &str, fields: &str, body: &[u8]) -> Result<Response, Failure> {
    let mut connection = Connection::open(to, crate::PATIENCE)?;
    connection.send(&request(to, method, target, fields, body))?;
    connection.answer(method)
}

/// A `GET` on a connection of its own.
///
/// # Errors
/// Where no complete answer comes.
pub fn get(to: SocketAddr, target: &str) -> Result<Response, Failure> {
    ask(to, "GET", target, "", b"")
}

/// The bytes of a request, with a length where there is a body or the method wants one.
pub fn request(to: SocketAddr, method: &str, target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = match (body.is_empty(), method) {
        (true, "GET" | "HEAD") => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\n{fields}{length}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

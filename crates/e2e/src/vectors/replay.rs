//! Sends the bytes of cases, in two pieces or in one, and reads strictly what comes back.
//!
//! Each case is a client of its own with an address of its own, so that what the server saw can be told apart; many
//! are under way at one time, so that the pause between two pieces is paid once. The invariant: a client reads until
//! the connection ends, or until what it waits for is there.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::read::{Case, End};
use super::recorder::ECHO;

/// Clients at one time: few enough for anybody's limits.
const CROWD: usize = 128;

/// What lies between two pieces.
const GAP: Duration = Duration::from_millis(3);

/// How long nothing must come before a client counts as one that is waited for.
const SILENCE: Duration = Duration::from_millis(60);

/// Sent where the connection is expected to go on.
const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";

/// The target of the probe.
pub const PROBE_TARGET: &str = "/probe";

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1);

/// An address that no other client of this process has: one of the upper half of 127.0.0.0/8.
pub(super) fn address() -> Ipv4Addr {
    let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed) % 0x7f_0000 + 1;
    let [_, high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 128 | high, middle, low)
}

/// One case, sent in one way.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// The case.
    pub case: &'a Case,
    /// Where it is cut; nowhere where the place is an end of it.
    pub cut: usize,
}

/// In how many ways each case is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cuts {
    /// Whole.
    None,
    /// Whole, and cut at a few places, others in each case.
    Few,
    /// Whole, and cut at every place; where it is longer than any line that means something, at places of every kind.
    Every,
}

/// Each case in each of so many ways.
pub fn sendings(cases: &[Case], cuts: Cuts) -> Vec<Sending<'_>> {
    let mut sendings = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let length = case.bytes.len();
        sendings.push(Sending { case, cut: length });
        let step = match cuts {
            Cuts::None => continue,
            Cuts::Few => 47 + at % 13,
            Cuts::Every if length > 2048 => 97,
            Cuts::Every => 1,
        };
        let places = (1..length).filter(|cut| (cut + at) % step == 0 || cuts == Cuts::Every && length - cut < 40);
        // The longest ones are all alike.
        sendings.extend(places.take(400).map(|cut| Sending { case, cut }));
    }
    sendings
}

/// What a client got.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its address.
    pub client: IpAddr,
    /// The statuses of the final answers, the probe's left out.
    pub statuses: Vec<u16>,
    /// What became of the connection.
    pub end: End,
    /// What was wrong with what it got.
    pub fault: Option<String>,
}

/// Sends every case to the balancer.
pub fn replay(to: SocketAddr, sendings: &[Sending<'_>], patience: Duration) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(sendings.len());
    for crowd in sendings.chunks(CROWD) {
        let mut clients: Vec<Client<'_>> = crowd.iter().map(|sending| Client::begin(to, *sending)).collect();
        if crowd.iter().any(|sending| sending.cut < sending.case.bytes.len()) {
            std::thread::sleep(GAP);
        }
        clients.iter_mut().for_each(Client::send_rest);
        if crowd.iter().any(|sending| sending.case.verdict.end == End::Wait) {
            std::thread::sleep(SILENCE);
        }
        outcomes.extend(clients.into_iter().map(|client| client.finish(patience)));
    }
    outcomes
}

struct Client<'a> {
    address: Ipv4Addr,
    stream: Option<TcpStream>,
    sending: Sending<'a>,
    got: Vec<u8>,
    is_over: bool,
}

impl<'a> Client<'a> {
    fn begin(to: SocketAddr, sending: Sending<'a>) -> Self {
        let address = address();
        let stream = open(address, to).ok();
        let mut client = Self { address, stream, sending, got: Vec::new(), is_over: false };
        client.send(&sending.case.bytes[..sending.cut]);
        client
    }

    fn send_rest(&mut self) {
        let sending = self.sending;
        self.send(&sending.case.bytes[sending.cut..]);
    }

    /// Sends; an end of the connection is told by reading.
    fn send(&mut self, bytes: &[u8]) {
        if let Some(stream) = self.stream.as_mut().filter(|_| !bytes.is_empty()) {
            let _ = stream.write_all(bytes);
        }
    }

    fn finish(mut self, patience: Duration) -> Outcome {
        let verdict = &self.sending.case.verdict;
        let wanted = verdict.answers.len();
        let mut end = None;
        if verdict.end != End::Close {
            self.read_until(patience, |client| client.answers(false).0.len() >= wanted);
        }
        match verdict.end {
            End::Close => self.read_until(patience, |_| false),
            End::Keep | End::Any => {
                self.send(PROBE.as_bytes());
                self.read_until(patience, |_| false);
            }
            End::Wait => self.read_until(SILENCE, |_| false),
        }
        if !self.is_over {
            // Nothing came for long: whoever is waited for says that it has no more.
            end = Some(End::Wait);
            if let Some(stream) = &self.stream {
                let _ = stream.shutdown(Shutdown::Write);
            }
            let before = self.answers(false).0.len();
            self.read_until(patience, |_| false);
            return self.outcome(before, end);
        }
        self.outcome(usize::MAX, end)
    }

    /// Puts together what is known, of at most so many answers.
    fn outcome(&self, most: usize, end: Option<End>) -> Outcome {
        let (mut answers, mut fault) = self.answers(true);
        answers.truncate(most);
        let mut end = end.unwrap_or(End::Close);
        let probe_echo = format!("{} GET {PROBE_TARGET}", self.address);
        if matches!(self.sending.case.verdict.end, End::Keep | End::Any)
            && answers.last().is_some_and(|answer| answer.echo.as_deref() == Some(probe_echo.as_str()))
        {
            answers.pop();
            end = End::Keep;
        }
        for answer in &answers {
            let echo = answer.echo.as_deref().unwrap_or("");
            if answer.echo.is_some() && !echo.starts_with(&format!("{} ", self.address)) {
                fault = Some(format!("an answer for `{echo}`"));
            }
        }
        if self.stream.is_none() {
            fault = Some("no connection".to_owned());
        }
        let statuses = answers.iter().map(|answer| answer.status).collect();
        Outcome { client: self.address.into(), statuses, end, fault }
    }

    /// Reads until that holds, the connection ends, or nothing came for so long.
    fn read_until(&mut self, patience: Duration, holds: impl Fn(&Self) -> bool) {
        let mut deadline = Instant::now() + patience;
        let mut piece = [0; 16 * 1024];
        while !self.is_over && !holds(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(stream) = self.stream.as_mut().filter(|_| !left.is_zero()) else { return };
            let _ = stream.set_read_timeout(Some(left));
            match stream.read(&mut piece) {
                Ok(0) => self.is_over = true,
                Ok(count) => {
                    self.got.extend_from_slice(&piece[..count]);
                    deadline = Instant::now() + patience;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
    }

    /// The final answers so far, and what is wrong with the bytes.
    fn answers(&self, is_all: bool) -> (Vec<Got>, Option<String>) {
        let mut answers = Vec::new();
        let mut at = 0;
        while at < self.got.len() {
            let wanted = self.sending.case.verdict.answers.get(answers.len());
            let is_bodiless = wanted.is_some_and(|answer| answer.is_bodiless);
            match answer(&self.got[at..], is_bodiless, self.is_over) {
                Ok(Some((got, length))) => {
                    at += length;
                    if !(100..200).contains(&got.status) {
                        answers.push(got);
                    }
                }
                Ok(None) if is_all && self.is_over => return (answers, Some("an answer that is cut".to_owned())),
                Ok(None) => break,
                Err(fault) => return (answers, Some(fault)),
            }
        }
        (answers, None)
    }
}

/// A connection from that address.
pub(super) fn open(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((from, 0)))?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// An answer, as far as a case is concerned.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) status: u16,
    /// Whose request it is for.
    pub(super) echo: Option<String>,
    /// The body as it came, chunks and all.
    pub(super) body: Vec<u8>,
    pub(super) is_chunked: bool,
}

/// The answer that the bytes begin with and its length; `None` where it is not all there.
pub(super) fn answer(bytes: &[u8], is_bodiless: bool, is_over: bool) -> Result<Option<(Got, usize)>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4) else {
        let fits = bytes.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted);
        return if fits { Ok(None) } else { Err(format!("not an answer: {}", shown(bytes))) };
    };
    let head = String::from_utf8_lossy(&bytes[..end - 4]).into_owned();
    let mut lines = head.split("\r\n");
    let digits = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).and_then(|rest| rest.get(2..5));
    let status = digits.and_then(|digits| digits.parse::<u16>().ok()).ok_or_else(|| shown(bytes))?;
    let fields: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(':').ok_or_else(|| shown(line.as_bytes()))).collect::<Result<_, _>>()?;
    let field =
        |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let is_chunked = field("transfer-encoding").is_some();
    let mut got = Got { status, echo: field(ECHO).map(str::to_owned), body: Vec::new(), is_chunked };
    if is_bodiless || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Some((got, end)));
    }
    let body = &bytes[end..];
    let length = match (field("transfer-encoding"), field("content-length")) {
        (Some(_), Some(_)) => return Err("an answer with two framings".to_owned()),
        (Some(_), None) => chunked_length(body)?,
        (None, Some(length)) => {
            let length: usize = length.parse().map_err(|_| format!("Content-Length: {length}"))?;
            Some(length).filter(|length| *length <= body.len())
        }
        (None, None) => Some(body.len()).filter(|_| is_over),
    };
    Ok(length.map(|length| {
        got.body = body[..length].to_vec();
        (got, end + length)
    }))
}

fn chunked_length(body: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let rest = body.get(at..).unwrap_or_default();
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = usize::from_str_radix(&text, 16).map_err(|_| format!("chunk line {text:?}"))?;
        if size == 0 {
            // The trailer section ends with an empty line, which may follow at once.
            let tail = &rest[end..];
            return Ok(tail.windows(4).position(|four| four == b"\r\n\r\n").map(|last| at + end + last + 4));
        }
        at += end + 2 + size + 2;
        if at > body.len() {
            return Ok(None);
        }
        if body.get(at - 2..at) != Some(b"\r\n") {
            return Err("a chunk of an answer without its end".to_owned());
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}

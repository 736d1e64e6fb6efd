//! Hostile and broken servers as data: what a server sends, and what its client may get of it.
//!
//! After each case the same client asks again if it can, and another one asks too: both must get their own answers.
//! The form of the file is told at its head. The invariant: a case harms its own exchange alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::read::{Raw, raw, unescape};
use super::recorder::{Recorder, Script, Then};
use super::replay::{self, Got};

/// What one server sends, and what is right to follow.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The name of its row of the table.
    pub group: String,
    /// Why it is there.
    pub why: String,
    /// The method of the request.
    pub method: String,
    /// What the server sends.
    pub bytes: Vec<u8>,
    /// What it does then.
    pub then: Then,
    /// What the client may get.
    pub wanted: Vec<Wanted>,
}

/// What a client may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// An answer with this status, and this body where one is named.
    Answer(u16, Option<Vec<u8>>),
    /// An answer that ends too early, and shows it.
    Cut,
}

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer: status and body, chunks joined.
    Answer(u16, Vec<u8>),
    /// The beginning of one.
    Cut,
    /// Nothing, and the end of the connection.
    Nothing,
    /// Nothing, in the time given.
    Silence,
    /// What is not an answer.
    Malformed(String),
}

impl Outcome {
    /// In a few words.
    pub fn shown(&self) -> String {
        match self {
            Self::Answer(status, _) => status.to_string(),
            Self::Cut => "cut".to_owned(),
            Self::Nothing => "closed".to_owned(),
            Self::Silence => "waiting".to_owned(),
            Self::Malformed(what) => format!("malformed: {what}"),
        }
    }
}

/// The cases of a file.
///
/// # Panics
/// Where it is not in its form.
pub fn cases(text: &str) -> Vec<Case> {
    let case = |raw: Raw| {
        let verdict = verdict_of(&raw.verdict);
        let (method, then, wanted) = verdict.unwrap_or_else(|| panic!("{}: `{}` is no verdict", raw.name, raw.verdict));
        Case { method, then, wanted, name: raw.name, group: raw.group, why: raw.why, bytes: raw.bytes }
    };
    raw(text).into_iter().map(case).collect()
}

/// `METHOD THEN WANTED...`, of which there is at least one.
fn verdict_of(text: &str) -> Option<(String, Then, Vec<Wanted>)> {
    let mut words = text.split_whitespace();
    let method = words.next()?.to_owned();
    let then = match words.next()? {
        "keep" => Then::Keep,
        "close" => Then::Close,
        "reset" => Then::Reset,
        "hang" => Then::Hang,
        _ => return None,
    };
    let wanted = words.map(wanted).collect::<Option<Vec<_>>>()?;
    Some((method, then, wanted)).filter(|(.., wanted)| !wanted.is_empty())
}

/// `502`, `200:BODY`, `cut`.
fn wanted(word: &str) -> Option<Wanted> {
    if word == "cut" {
        return Some(Wanted::Cut);
    }
    let (status, body) = word.split_once(':').map_or((word, None), |(status, body)| (status, Some(unescape(body))));
    Some(Wanted::Answer(status.parse().ok()?, body))
}

/// Plays one case: what the client got, and what else was wrong.
pub fn play(
    to: SocketAddr,
    recorder: &Recorder,
    case: &Case,
    drip: bool,
    patience: Duration,
) -> (Outcome, Vec<String>) {
    let client = replay::address();
    let target = format!("/r/{client}");
    let drip = drip.then_some((1, Duration::ZERO));
    recorder.script(&target, Script { bytes: case.bytes.clone(), drip, then: case.then });
    let mut faults = Vec::new();
    let Ok(mut talk) = Talk::open(client, to) else { return (Outcome::Nothing, vec!["no connection".to_owned()]) };
    let outcome = talk.ask(&case.method, &target, patience);
    if !talk.is_over && matches!(outcome, Outcome::Answer(..)) {
        faults.extend(talk.own(client, "/again", patience));
    }
    let other = replay::address();
    match Talk::open(other, to) {
        Ok(mut talk) => faults.extend(talk.own(other, "/other", patience)),
        Err(error) => faults.push(format!("another client: {error}")),
    }
    let fits = case.wanted.iter().any(|wanted| match (wanted, &outcome) {
        (Wanted::Cut, Outcome::Cut) => true,
        (Wanted::Answer(status, body), Outcome::Answer(got, bytes)) => {
            status == got && body.as_ref().is_none_or(|body| body == bytes)
        }
        _ => false,
    });
    if !fits {
        faults.push(format!("the client got {}, not {:?}", describe(&outcome), case.wanted));
    }
    (outcome, faults)
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(status, body) => format!("{status} {}", body[..body.len().min(60)].escape_ascii()),
        other => other.shown(),
    }
}

/// A client's connection.
struct Talk {
    stream: TcpStream,
    got: Vec<u8>,
    is_over: bool,
}

impl Talk {
    fn open(client: Ipv4Addr, to: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { stream: replay::open(client, to)?, got: Vec::new(), is_over: false })
    }

    fn ask(&mut self, method: &str, target: &str, patience: Duration) -> Outcome {
        match self.exchange(method, target, patience) {
            Ok(Some(got)) => Outcome::Answer(got.status, joined(&got)),
            Ok(None) if !self.is_over => Outcome::Silence,
            Ok(None) if self.got.is_empty() => Outcome::Nothing,
            Ok(None) => Outcome::Cut,
            Err(fault) => Outcome::Malformed(fault),
        }
    }

    /// Asks for something ordinary: what is wrong with the answer.
    fn own(&mut self, client: Ipv4Addr, target: &str, patience: Duration) -> Option<String> {
        let wanted = format!("{client} GET {target}");
        match self.exchange("GET", target, patience) {
            Ok(Some(got)) if got.status == 200 && got.echo.as_deref() == Some(&*wanted) => None,
            // An end between two requests is no answer of somebody else's.
            Ok(None) if self.is_over && self.got.is_empty() && target == "/again" => None,
            Ok(Some(got)) => Some(format!("{target} was answered {} for {:?}", got.status, got.echo)),
            Ok(None) => Some(format!("{target} was not answered")),
            Err(fault) => Some(format!("{target} was answered {fault}")),
        }
    }

    fn exchange(&mut self, method: &str, target: &str, patience: Duration) -> Result<Option<Got>, String> {
        let _ = self.stream.write_all(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let deadline = Instant::now() + patience;
        let mut piece = [0; 16 * 1024];
        loop {
            match replay::answer(&self.got, method == "HEAD", self.is_over) {
                Ok(Some((got, length))) => {
                    self.got.drain(..length);
                    if !(100..200).contains(&got.status) || got.status == 101 {
                        return Ok(Some(got));
                    }
                    continue;
                }
                Ok(None) if self.is_over => return Ok(None),
                Ok(None) => {}
                Err(_) if self.got.is_empty() => {}
                Err(fault) => return Err(fault),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let _ = self.stream.set_read_timeout(Some(left));
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => self.got.extend_from_slice(&piece[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => self.is_over = true,
            }
        }
    }
}

/// The body without its chunks.
fn joined(got: &Got) -> Vec<u8> {
    if !got.is_chunked {
        return got.body.clone();
    }
    let (mut body, mut rest) = (Vec::new(), got.body.as_slice());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        body.extend_from_slice(rest.get(end + 2..end + 2 + size).unwrap_or_default());
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

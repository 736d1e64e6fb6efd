//! What an HTTP probe sends, and what it makes of the answer: bytes in, outcome out, no sockets.
//!
//! The invariant: an outcome is given once, and as soon as it is certain; a probe never reads on for nothing.

use evenkeel_balance::{CheckOutcome, Failure};
use evenkeel_http::{BodyDecoder, Framing, Keep, Limits, Method, RequestFacts, ResponseHead, RunState, Version};
use evenkeel_model::caps;
use evenkeel_model::config::{HttpCheck, StatusRange};
use evenkeel_model::{Reason, defaults};

/// The longest first line of an answer that a verdict quotes: fits a line of a terminal.
const QUOTED_BYTES: usize = 120;

/// The request of a probe. `authority` is the server's own `host:port`, for the `Host` field where none is set.
pub(crate) fn request(check: &HttpCheck, authority: &str) -> Vec<u8> {
    let version = if check.http10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let mut out = format!("{} {} {version}\r\n", check.method, check.target).into_bytes();
    let mut field = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    match (&check.host, check.http10) {
        (Some(host), _) => field("Host", host),
        (None, false) => field("Host", authority),
        (None, true) => {}
    }
    let is_set = |name: &str| check.fields.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
    for (name, value) in [("User-Agent", "evenkeel-check"), ("Accept", "*/*")] {
        if !is_set(name) {
            field(name, value);
        }
    }
    for (name, value) in &check.fields {
        field(name, value);
    }
    if !is_set("Connection") {
        field("Connection", "close");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Reads an answer and judges it.
pub(crate) struct Judge<'a> {
    check: &'a HttpCheck,
    at: String,
    facts: RequestFacts,
    /// What has arrived and is not taken yet.
    buf: Vec<u8>,
    head: ResponseHead,
    /// Set once the head is read and the status passes.
    body: Option<BodyDecoder>,
    /// The body so far, in search of the expected text.
    seen: Vec<u8>,
    answer: Option<String>,
}

impl<'a> Judge<'a> {
    /// A judge of one answer from the server at `at`.
    pub(crate) fn new(check: &'a HttpCheck, at: String) -> Self {
        let method = match check.method.as_str() {
            "HEAD" => Method::Head,
            "GET" => Method::Get,
            "OPTIONS" => Method::Options,
            "POST" => Method::Post,
            _ => Method::Other,
        };
        let version = if check.http10 { Version::Http10 } else { Version::Http11 };
        Self {
            check,
            at,
            facts: RequestFacts { method, version, websocket: false },
            buf: Vec::new(),
            head: ResponseHead::new(),
            body: None,
            seen: Vec::new(),
            answer: None,
        }
    }

    /// Takes bytes of the answer; an outcome as soon as there is one.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<CheckOutcome> {
        self.buf.extend_from_slice(bytes);
        if self.body.is_none() {
            let outcome = self.read_head();
            if outcome.is_some() || self.body.is_none() {
                return outcome;
            }
        }
        self.read_body()
    }

    /// The server has closed its side.
    pub(crate) fn end(&mut self) -> CheckOutcome {
        match &mut self.body {
            None if self.buf.is_empty() => self.failed(Reason::ConnectionLost, "it closed without a word".to_owned()),
            None => self.failed(Reason::ConnectionLost, "it closed within the head".to_owned()),
            Some(body) => match body.at_eof() {
                Ok(()) => self.without_text(),
                Err(_) => self.failed(Reason::ConnectionLost, "it closed within the body".to_owned()),
            },
        }
    }

    /// The time is up. What matters is how far the answer had come.
    pub(crate) fn late(&self, timeout: std::time::Duration) -> CheckOutcome {
        let part = if self.body.is_some() { "body" } else { "head" };
        self.failed(Reason::AnswerTimeout, format!("its {part} was not complete after {} ms", timeout.as_millis()))
    }

    fn read_head(&mut self) -> Option<CheckOutcome> {
        let limits = Limits {
            head: usize::try_from(defaults::MAX_HEAD).unwrap_or(usize::MAX),
            fields: usize::from(defaults::MAX_FIELDS),
            target: usize::try_from(defaults::MAX_TARGET).unwrap_or(usize::MAX),
        };
        // Interim answers come before the real one, a few at most.
        for _ in 0..=caps::INTERIM_RESPONSES {
            self.head.clear();
            let length = match self.head.parse(&self.buf, &limits, &self.facts) {
                Ok(Some(length)) => length,
                Ok(None) => return None,
                Err(error) => {
                    self.answer = first_line(&self.buf);
                    return Some(self.failed(Reason::AnswerMalformed, error.to_string()));
                }
            };
            if !self.head.is_interim() {
                self.answer = first_line(&self.buf);
                return self.judge_head(length);
            }
            self.buf.drain(..length.min(self.buf.len()));
        }
        Some(self.failed(Reason::AnswerMalformed, "more interim answers than any server sends".to_owned()))
    }

    fn judge_head(&mut self, length: usize) -> Option<CheckOutcome> {
        let status = self.head.status();
        if !self.check.expect.iter().any(|range| range.contains(status)) {
            let wanted: Vec<String> = self.check.expect.iter().map(|range| range_text(*range)).collect();
            let detail = format!("{status}, expected {}", wanted.join(" or "));
            return Some(self.failed(Reason::StatusMismatch, detail));
        }
        if self.check.body.is_none() {
            return Some(self.passed());
        }
        let framing = self.head.framing();
        if framing == Framing::None {
            return Some(self.without_text());
        }
        self.buf.drain(..length.min(self.buf.len()));
        self.body = Some(BodyDecoder::new(framing));
        None
    }

    fn read_body(&mut self) -> Option<CheckOutcome> {
        let text = self.check.body.as_ref().map(|body| body.text.as_bytes()).unwrap_or_default();
        loop {
            let run = match self.body.as_mut()?.run(&self.buf, Keep::Data) {
                Ok(run) => run,
                Err(error) => return Some(self.failed(Reason::AnswerMalformed, error.to_string())),
            };
            // A text may begin in one piece and end in the next.
            let from = self.seen.len().saturating_sub(text.len());
            let room = caps::CHECK_BODY_BYTES.saturating_sub(self.seen.len());
            let data = self.buf.get(run.forward.clone()).unwrap_or_default();
            self.seen.extend_from_slice(data.get(..room).unwrap_or(data));
            if holds(self.seen.get(from..).unwrap_or_default(), text) {
                return Some(self.passed());
            }
            self.buf.drain(..run.consumed.min(self.buf.len()));
            if self.seen.len() >= caps::CHECK_BODY_BYTES || run.state == RunState::End {
                return Some(self.without_text());
            }
            if run.state == RunState::More {
                return None;
            }
        }
    }

    fn passed(&self) -> CheckOutcome {
        CheckOutcome::Passed { answer: self.answer.clone() }
    }

    fn without_text(&self) -> CheckOutcome {
        let text = self.check.body.as_ref().map(|body| body.text.as_str()).unwrap_or_default();
        self.failed(Reason::BodyMismatch, format!("no `{text}` in the first {} bytes", self.seen.len()))
    }

    fn failed(&self, reason: Reason, detail: String) -> CheckOutcome {
        CheckOutcome::Failed(Failure { reason, at: self.at.clone(), detail: Some(detail), answer: self.answer.clone() })
    }
}

fn range_text(range: StatusRange) -> String {
    if range.first == range.last { range.first.to_string() } else { format!("{} to {}", range.first, range.last) }
}

pub(super) fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

/// The answer's first line for people: printable, and not longer than a line of a terminal.
pub(super) fn first_line(buf: &[u8]) -> Option<String> {
    let line = buf.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = line.get(..QUOTED_BYTES).unwrap_or(line);
    let text: String = line.iter().map(|&b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '?' }).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;

//! What a probe of a protocol other than HTTP says, and what it makes of the answers: bytes in, steps out, no sockets.
//!
//! The invariant: an outcome is given once, and as soon as it is certain; no more is read than
//! `caps::CHECK_BODY_BYTES`.

mod mysql;
mod postgres;
mod redis;

use std::time::Duration;

use evenkeel_balance::{CheckOutcome, Failure};
use evenkeel_model::config::{CheckKind, TalkCheck};
use evenkeel_model::{Reason, caps};

use super::ask::{first_line, holds};

/// What follows from what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// More must come.
    More,
    /// This is to be said.
    Say(Vec<u8>),
    /// It is certain.
    Done(Finding),
}

/// What a probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The server serves; in its own words, where it has some.
    Serves(Option<String>),
    /// It does not, and said so.
    NotReady(String),
    /// It lacks what is expected of it.
    Lacks(String),
    /// It speaks another language.
    Malformed(String),
}

/// A conversation with one server.
pub(super) struct Talk<'a> {
    tongue: Tongue<'a>,
    at: String,
    heard: Vec<u8>,
}

/// How it is spoken with.
enum Tongue<'a> {
    Words(&'a TalkCheck),
    Redis(redis::Redis),
    Postgres(postgres::Postgres<'a>),
    Mysql(mysql::Mysql<'a>),
}

impl<'a> Talk<'a> {
    /// The conversation of such a check with the server at `at`; `None` where it has none.
    pub(super) fn new(kind: &'a CheckKind, at: String) -> Option<Self> {
        let tongue = match kind {
            CheckKind::Tcp | CheckKind::Http(_) => return None,
            CheckKind::Talk(words) => Tongue::Words(words),
            CheckKind::Redis { role } => Tongue::Redis(redis::Redis::new(*role)),
            CheckKind::Postgres { user } => Tongue::Postgres(postgres::Postgres::new(user)),
            CheckKind::Mysql { user } => Tongue::Mysql(mysql::Mysql::new(user)),
        };
        Some(Self { tongue, at, heard: Vec::new() })
    }

    /// What we say first; nothing where the server begins.
    pub(super) fn opening(&self) -> Vec<u8> {
        match &self.tongue {
            Tongue::Words(words) => words.send.clone(),
            Tongue::Redis(redis) => redis.opening(),
            Tongue::Postgres(postgres) => postgres.opening(),
            Tongue::Mysql(_) => Vec::new(),
        }
    }

    /// Hears more of the server.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Step {
        self.heard.extend_from_slice(bytes);
        let step = match &mut self.tongue {
            Tongue::Words(words) => expected(words, &self.heard),
            Tongue::Redis(redis) => redis.hear(&self.heard),
            Tongue::Postgres(_) => postgres::hear(&self.heard),
            Tongue::Mysql(mysql) => mysql.hear(&mut self.heard),
        };
        match step {
            Step::More if self.heard.len() >= caps::CHECK_BODY_BYTES => {
                Step::Done(Finding::Malformed(format!("nothing of that in {} bytes", self.heard.len())))
            }
            step => step,
        }
    }

    /// The outcome of what was found.
    pub(super) fn outcome(&self, finding: Finding) -> CheckOutcome {
        match finding {
            Finding::Serves(answer) => CheckOutcome::Passed { answer },
            Finding::NotReady(detail) => self.failed(Reason::NotReady, detail),
            Finding::Lacks(detail) => self.failed(Reason::BodyMismatch, detail),
            Finding::Malformed(detail) => self.failed(Reason::AnswerMalformed, detail),
        }
    }

    /// The server has closed its side.
    pub(super) fn end(&self) -> CheckOutcome {
        match (&self.tongue, self.heard.is_empty()) {
            (_, true) => self.failed(Reason::ConnectionLost, "it closed without a word".to_owned()),
            (Tongue::Words(words), false) => self.failed(Reason::BodyMismatch, missing(words, &self.heard)),
            (_, false) => self.failed(Reason::ConnectionLost, "it closed within its answer".to_owned()),
        }
    }

    /// The time is up.
    pub(super) fn late(&self, timeout: Duration) -> CheckOutcome {
        match (&self.tongue, self.heard.is_empty()) {
            (Tongue::Words(words), false) => self.failed(Reason::BodyMismatch, missing(words, &self.heard)),
            _ => self.failed(Reason::AnswerTimeout, format!("no answer after {} ms", timeout.as_millis())),
        }
    }

    fn failed(&self, reason: Reason, detail: String) -> CheckOutcome {
        let answer = match &self.tongue {
            Tongue::Words(_) | Tongue::Redis(_) => first_line(&self.heard),
            // The others are not for eyes; what they say is in the detail.
            Tongue::Postgres(_) | Tongue::Mysql(_) => None,
        };
        CheckOutcome::Failed(Failure { reason, at: self.at.clone(), detail: Some(detail), answer })
    }
}

fn expected(words: &TalkCheck, heard: &[u8]) -> Step {
    match holds(heard, &words.expect) {
        true => Step::Done(Finding::Serves(first_line(heard))),
        false if heard.len() >= caps::CHECK_BODY_BYTES => Step::Done(Finding::Lacks(missing(words, heard))),
        false => Step::More,
    }
}

fn missing(words: &TalkCheck, heard: &[u8]) -> String {
    let wanted = first_line(&words.expect).unwrap_or_default();
    format!("no `{wanted}` in the first {} bytes", heard.len())
}

/// Text that somebody else wrote, fit for a line.
fn shown(bytes: &[u8]) -> String {
    first_line(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! PostgreSQL: a startup message, and any answer but that it cannot serve now (protocol 3.0, as `pg_isready` asks).

use super::{Finding, Step, shown};

/// What is asked of a PostgreSQL server.
pub(super) struct Postgres<'a> {
    user: &'a str,
}

/// Version 3.0 of the protocol.
const VERSION: u32 = 3 << 16;
/// Longest answer that is no fault: an error with all of its fields.
const ANSWER_BYTES: usize = 16 * 1024;

impl<'a> Postgres<'a> {
    pub(super) fn new(user: &'a str) -> Self {
        Self { user }
    }

    /// A startup message for that user and the database of the same name, which need not exist.
    pub(super) fn opening(&self) -> Vec<u8> {
        let mut body = VERSION.to_be_bytes().to_vec();
        for word in ["user", self.user, "application_name", "evenkeel-check"] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], &body].concat()
    }
}

pub(super) fn hear(heard: &[u8]) -> Step {
    let Some(kind) = heard.first() else { return Step::More };
    match kind {
        // A question for a password, or none needed: it takes connections.
        b'R' => Step::Done(Finding::Serves(None)),
        // It would negotiate a newer protocol: it lives.
        b'v' => Step::Done(Finding::Serves(None)),
        b'E' => {
            let Some(length) = heard.get(1..5).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes) else {
                return Step::More;
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if !(4..=ANSWER_BYTES).contains(&length) {
                return Step::Done(Finding::Malformed("an error of impossible length".to_owned()));
            }
            heard.get(5..length.saturating_add(1)).map_or(Step::More, |fields| Step::Done(of_error(fields)))
        }
        // One byte tells, and what follows it shall not change the sentence.
        _ => Step::Done(Finding::Malformed(format!("it begins with `{}`", shown(&[*kind])))),
    }
}

/// An error is an answer, too, unless it says that the server is starting, stopping or recovering (class 57).
fn of_error(fields: &[u8]) -> Finding {
    let field = |kind: u8| {
        let mut all = fields.split(|byte| *byte == 0);
        all.find_map(|field| field.strip_prefix(&[kind]))
    };
    let (code, message) = (shown(field(b'C').unwrap_or_default()), shown(field(b'M').unwrap_or_default()));
    let said = format!("{code} {message}");
    if code.starts_with("57P") { Finding::NotReady(said) } else { Finding::Serves(Some(said)) }
}

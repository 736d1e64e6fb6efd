//! Redis: `PING`, or `ROLE` where it matters which one it is.

use evenkeel_model::config::RedisRole;

use super::{Finding, Step, shown};

/// What is asked of a Redis server.
pub(super) struct Redis {
    role: Option<RedisRole>,
}

impl Redis {
    pub(super) fn new(role: Option<RedisRole>) -> Self {
        Self { role }
    }

    pub(super) fn opening(&self) -> Vec<u8> {
        match self.role {
            None => b"*1\r\n$4\r\nPING\r\n".to_vec(),
            Some(_) => b"*1\r\n$4\r\nROLE\r\n".to_vec(),
        }
    }

    pub(super) fn hear(&self, heard: &[u8]) -> Step {
        let Some(end) = heard.windows(2).position(|two| two == b"\r\n") else { return Step::More };
        let line = heard.get(..end).unwrap_or_default();
        match (line.first(), self.role) {
            (Some(b'+'), None) if line == b"+PONG" => Step::Done(Finding::Serves(Some("+PONG".to_owned()))),
            // It lives, and wants a password that a check has no need of.
            (Some(b'-'), None) if line.starts_with(b"-NOAUTH") => Step::Done(Finding::Serves(Some(shown(line)))),
            // LOADING, MASTERDOWN, BUSY and their like.
            (Some(b'-'), _) => Step::Done(Finding::NotReady(shown(line))),
            (Some(b'*'), Some(role)) => role_of(heard.get(end.saturating_add(2)..).unwrap_or_default(), role),
            _ => Step::Done(Finding::Malformed(shown(line))),
        }
    }
}

/// The first element of the answer to `ROLE`, a string with its length before it.
fn role_of(rest: &[u8], wanted: RedisRole) -> Step {
    let mut lines = rest.split(|byte| *byte == b'\n');
    let (Some(_length), Some(word), Some(_behind)) = (lines.next(), lines.next(), lines.next()) else {
        return Step::More;
    };
    let word = word.strip_suffix(b"\r").unwrap_or(word);
    let role = match word {
        b"master" => RedisRole::Primary,
        b"slave" => RedisRole::Replica,
        other => return Step::Done(Finding::NotReady(format!("its role is {}", shown(other)))),
    };
    let said = format!("its role is {role}");
    Step::Done(if role == wanted { Finding::Serves(Some(said)) } else { Finding::NotReady(said) })
}

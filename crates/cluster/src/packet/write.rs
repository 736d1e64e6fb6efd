//! A heartbeat into bytes.
//!
//! The invariant: what is written reads back equal, and fits [`super::LARGEST`].

use std::time::Duration;

use super::{Beat, Echo, Kind, Line, MAGIC, PHASES, ROLES};
use crate::key::Keyring;

impl Beat {
    /// Writes and seals the heartbeat over what the buffer held.
    pub(crate) fn write(&self, cluster: u32, keys: &Keyring, out: &mut Vec<u8>) {
        out.clear();
        out.extend(MAGIC);
        out.push(match self.kind {
            Kind::Beat => 1,
            Kind::Resignation => 2,
        });
        out.push(keys.signing_id());
        // Both lists are capped far below 256.
        out.push(u8::try_from(self.echoes.len()).unwrap_or(u8::MAX));
        out.push(u8::try_from(self.lines.len()).unwrap_or(u8::MAX));
        out.extend(cluster.to_be_bytes());
        out.extend(self.sender.to_be_bytes());
        out.extend(self.boot.0);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.digest.to_be_bytes());
        out.push(number(&PHASES, &self.phase));
        out.push(self.score);
        out.push(u8::from(self.reaches) | u8::from(self.is_aside) << 1);
        out.push(0);
        self.echoes.iter().for_each(|echo| write_echo(echo, out));
        self.lines.iter().for_each(|line| write_line(line, out));
        let seal = keys.seal(out);
        out.extend(seal);
    }
}

fn write_echo(echo: &Echo, out: &mut Vec<u8>) {
    out.extend(echo.peer.to_be_bytes());
    out.extend(echo.boot.0);
    out.extend(echo.sequence.to_be_bytes());
    out.extend(milliseconds(echo.age).to_be_bytes());
    out.push(u8::from(echo.is_lossy));
}

fn write_line(line: &Line, out: &mut Vec<u8>) {
    out.extend(line.group.to_be_bytes());
    out.extend(line.digest.to_be_bytes());
    out.push(number(&ROLES, &line.role));
    out.push(u8::from(line.is_away) | u8::from(line.is_wanted) << 1);
    out.extend(line.epoch.to_be_bytes());
    out.extend(line.target.to_be_bytes());
    out.extend(line.vote_for.to_be_bytes());
    out.extend(line.vote_epoch.to_be_bytes());
}

/// Whole milliseconds, rounded down: an age that is told too short makes a packet look older, which is the safe side.
fn milliseconds(age: Duration) -> u32 {
    u32::try_from(age.as_millis()).unwrap_or(u32::MAX)
}

fn number<T: PartialEq>(list: &[T], value: &T) -> u8 {
    list.iter().position(|listed| listed == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

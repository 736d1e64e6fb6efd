//! Verdicts on paper: what a stopping process leaves to the next one.
//!
//! The invariant: a record is used for the server of the same name at the same address, once, and not when it is old.

use std::collections::HashMap;
use std::time::Duration;

use evenkeel_balance::{EjectedRecord, VerdictRecord};
use evenkeel_model::config::ServerAddr;
use evenkeel_model::{Reason, ServerId, State};
use serde::{Deserialize, Serialize};

/// The verdicts of one process, and their age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SavedVerdicts {
    /// When they were written, since 1970.
    at: Duration,
    /// How long ago that was when they were read; zero until then.
    age: Duration,
    servers: HashMap<String, SavedVerdict>,
}

/// One server's verdict as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedVerdict {
    address: String,
    state: String,
    reason: String,
    text: String,
    last_answer: Option<String>,
    standing_for_ms: u64,
    ejected_left_ms: Option<u64>,
    ejected_text: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Paper {
    saved_at_ms: u64,
    servers: HashMap<String, SavedVerdict>,
}

const STATES: [State; 5] = [State::Up, State::Down, State::Draining, State::Maintenance, State::Unknown];

impl SavedVerdicts {
    /// Writes records down, as of `unix`.
    pub(crate) fn of<'a>(
        records: impl Iterator<Item = (&'a ServerId, &'a ServerAddr, VerdictRecord)>,
        unix: Duration,
    ) -> Self {
        let servers = records.map(|(id, addr, record)| (id.to_string(), SavedVerdict::of(addr, record))).collect();
        Self { at: unix, age: Duration::ZERO, servers }
    }

    /// Says how old the records are, now that it is `unix`. Records of the future say that the clock was set, and are
    /// as good as none.
    pub(crate) fn aged(mut self, unix: Duration) -> Self {
        match unix.checked_sub(self.at) {
            Some(age) => self.age = age,
            None => self.servers.clear(),
        }
        self
    }

    /// Takes a server's record with its age.
    pub(crate) fn take(&mut self, id: &ServerId, addr: &ServerAddr) -> Option<(VerdictRecord, Duration)> {
        let saved = self.servers.remove(&id.to_string())?;
        (saved.address == addr.to_string()).then(|| saved.record()).flatten().map(|record| (record, self.age))
    }

    /// The file's bytes.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let paper = Paper { saved_at_ms: millis(self.at), servers: self.servers.clone() };
        serde_json::to_vec_pretty(&paper).expect("maps with text for keys are JSON")
    }

    /// What a file holds.
    pub(crate) fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        let paper: Paper = serde_json::from_slice(bytes)?;
        Ok(Self { at: Duration::from_millis(paper.saved_at_ms), age: Duration::ZERO, servers: paper.servers })
    }
}

impl SavedVerdict {
    fn of(addr: &ServerAddr, record: VerdictRecord) -> Self {
        let (left, text) = match record.ejected {
            Some(EjectedRecord { left, text }) => (Some(millis(left)), Some(text)),
            None => (None, None),
        };
        Self {
            address: addr.to_string(),
            state: record.state.as_str().to_owned(),
            reason: record.reason.code().to_owned(),
            text: record.text,
            last_answer: record.last_answer,
            standing_for_ms: millis(record.standing_for),
            ejected_left_ms: left,
            ejected_text: text,
        }
    }

    /// The record, unless the file speaks of states or reasons that this version does not know.
    fn record(self) -> Option<VerdictRecord> {
        let ejected = self.ejected_left_ms.map(|left| EjectedRecord {
            left: Duration::from_millis(left),
            text: self.ejected_text.unwrap_or_default(),
        });
        Some(VerdictRecord {
            state: STATES.into_iter().find(|state| state.as_str() == self.state)?,
            reason: Reason::ALL.into_iter().find(|reason| reason.code() == self.reason)?,
            text: self.text,
            last_answer: self.last_answer,
            standing_for: Duration::from_millis(self.standing_for_ms),
            ejected,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

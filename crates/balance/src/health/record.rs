//! What is written of a server's health when the process ends, and read when the next one starts.
//!
//! Orders are not part of it: the configuration and the operators' intents have their own memory.

use std::time::Duration;

use evenkeel_model::config::Standing;
use evenkeel_model::{Reason, State, Verdict, defaults};

use super::ejection::Ejection;
use super::probes::Probes;
use super::{Health, Policy};

/// A server's health, on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRecord {
    /// What checks found: up, down or unknown.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Why, as a sentence.
    pub text: String,
    /// The first line of the last answer.
    pub last_answer: Option<String>,
    /// How long the verdict had stood.
    pub standing_for: Duration,
    /// Whether live traffic held it out.
    pub ejected: Option<EjectedRecord>,
}

/// A hold that had not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectedRecord {
    /// How much of it was left.
    pub left: Duration,
    /// Why, as a sentence.
    pub text: String,
}

impl Health {
    /// What to write down at `now`.
    pub fn record(&self, now: Duration) -> VerdictRecord {
        let ejected = self
            .ejection
            .until()
            .map(|until| EjectedRecord { left: until.saturating_sub(now), text: self.ejection.text.clone() });
        VerdictRecord {
            state: self.probes.state(),
            reason: self.probes.reason,
            text: self.probes.text.clone(),
            last_answer: self.probes.last_answer.clone(),
            standing_for: now.saturating_sub(self.verdict.since),
            ejected,
        }
    }

    /// The health of a server of which a record of that age was found. One older than a minute says nothing any more,
    /// and neither do checks that the pool no longer makes.
    pub fn restore(policy: Policy, standing: Standing, record: VerdictRecord, age: Duration, now: Duration) -> Self {
        if age > defaults::VERDICT_MEMORY {
            return Self::new(policy, standing, now);
        }
        let probes = match policy.check {
            Some(_) => Probes::resumed(record.state, record.reason, record.text, record.last_answer),
            None => Probes::new(),
        };
        let ejection = match record.ejected {
            Some(EjectedRecord { left, text }) if policy.eject.is_some() && left > age => {
                Ejection::resumed(now.saturating_add(left.saturating_sub(age)), text)
            }
            _ => Ejection::default(),
        };
        let health = Self::with(policy, standing, probes, ejection, now);
        let since = now.saturating_sub(record.standing_for.saturating_add(age));
        Self { verdict: Verdict { since, ..health.verdict }, ..health }
    }
}

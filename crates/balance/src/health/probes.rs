//! What active checks say of one server: a small machine with hysteresis.

use evenkeel_model::{Reason, State, Verdict};

use super::Thresholds;
use super::outcome::{CheckOutcome, Failure, Number, deed};

/// What the checks found.
///
/// ```text
///              one pass                     `fall` failures in a row
///   Unknown ──────────────▶ Up ───────────────────────────────────────▶ Down
///      │                     ▲          `rise` passes in a row            │ ▲
///      │                     └────────────────────────────────────────────┘ │
///      └────────────────────── `fall` failures in a row ────────────────────┘
/// ```
///
/// From `Unknown` one pass is enough, since there is no failure to distrust it for; one failure is not, since a
/// server that is just starting would be logged as down at each start. `Unknown` gets traffic, and retries cover it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Unknown,
    Up,
    Down,
}

/// The checks of one server so far.
#[derive(Debug, Clone)]
pub(super) struct Probes {
    found: Found,
    /// Checks in a row that agree with each other, and whether they passed.
    row: u32,
    is_passing: bool,
    pub(super) reason: Reason,
    pub(super) text: String,
    pub(super) last_answer: Option<String>,
}

impl Probes {
    /// No check has ended yet.
    pub(super) fn new() -> Self {
        Self {
            found: Found::Unknown,
            row: 0,
            is_passing: false,
            reason: Reason::Initial,
            text: Verdict::NOT_CHECKED.to_owned(),
            last_answer: None,
        }
    }

    /// As it was before a restart.
    pub(super) fn resumed(state: State, reason: Reason, text: String, last_answer: Option<String>) -> Self {
        let found = match state {
            State::Up => Found::Up,
            State::Down => Found::Down,
            State::Draining | State::Maintenance | State::Unknown => return Self::new(),
        };
        Self { found, row: 0, is_passing: found == Found::Up, reason, text, last_answer }
    }

    /// The state that the checks alone would give.
    pub(super) fn state(&self) -> State {
        match self.found {
            Found::Unknown => State::Unknown,
            Found::Up => State::Up,
            Found::Down => State::Down,
        }
    }

    pub(super) fn take(&mut self, outcome: CheckOutcome, thresholds: Thresholds) {
        match outcome {
            CheckOutcome::Passed { answer } => self.pass(answer, thresholds),
            CheckOutcome::Failed(failure) => self.fail(failure, thresholds),
            CheckOutcome::Local { detail } => {
                self.reason = Reason::Local;
                self.text = format!("no check could be made ({detail}), and the state is the one before");
            }
        }
    }

    /// Whether no check has ended yet, and none before a restart.
    pub(super) fn is_awaited(&self) -> bool {
        self.found == Found::Unknown && self.row == 0 && self.reason == Reason::Initial
    }

    /// How many more checks like the last would change the state; `None` where the last agreed with it.
    pub(super) fn to_change(&self, thresholds: Thresholds) -> Option<u32> {
        let needed = match self.found {
            Found::Up | Found::Unknown if !self.is_passing && self.row > 0 => thresholds.fall,
            Found::Down if self.is_passing && self.row > 0 => thresholds.rise,
            _ => return None,
        };
        Some(u32::from(needed).saturating_sub(self.row).max(1))
    }

    fn pass(&mut self, answer: Option<String>, thresholds: Thresholds) {
        self.count(true);
        self.last_answer = answer;
        let needed = u32::from(thresholds.rise);
        if self.found == Found::Down && self.row < needed {
            self.text = format!("{} of the {needed} passed checks that it takes after a failure", self.row);
            return;
        }
        self.found = Found::Up;
        self.reason = Reason::CheckPassed;
        self.text = Verdict::CHECKS_PASS.to_owned();
    }

    fn fail(&mut self, failure: Failure, thresholds: Thresholds) {
        self.count(false);
        let needed = u32::from(thresholds.fall);
        let (checks, number) = match self.row {
            1 => ("1 check".to_owned(), Number::One),
            many => (format!("{many} checks in a row"), Number::Many),
        };
        let said = format!("{checks} {}", deed(failure.reason, &failure.at, failure.detail.as_deref(), number));
        if self.row >= needed || self.found == Found::Down {
            self.found = Found::Down;
            self.reason = failure.reason;
            self.text = said;
        } else {
            self.reason = if self.found == Found::Up { Reason::CheckPassed } else { Reason::Initial };
            self.text = format!("{said}, and {needed} in a row would take it out");
        }
        self.last_answer = failure.answer;
    }

    fn count(&mut self, is_passing: bool) {
        self.row = if self.is_passing == is_passing { self.row.saturating_add(1) } else { 1 };
        self.is_passing = is_passing;
    }
}

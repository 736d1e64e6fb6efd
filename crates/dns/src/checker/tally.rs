//! Probes to verdicts: so many in a row, and what says nothing about the target counts for nothing.
//!
//! The invariant: one lost probe moves nothing unless `fall` is 1.

use evenkeel_model::State;

use super::options::SetOptions;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It answered as it should.
    Passed,
    /// It refused, timed out, or answered wrongly.
    Failed,
    /// We could not ask: no route, no descriptors, no local port. It says nothing about the target.
    CannotTell,
}

/// The count for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    state: State,
    streak: u32,
}

impl Tally {
    /// A count that begins with what the file says: a live record counts as up until it fails, a parked one as
    /// down until it passes.
    pub fn new(is_parked: bool) -> Self {
        Self { state: if is_parked { State::Down } else { State::Up }, streak: 0 }
    }

    /// Takes a probe; gives the verdict.
    pub fn take(&mut self, probe: Probe, options: &SetOptions) -> State {
        let (against, needed, turned) = match self.state {
            State::Up => (Probe::Failed, options.fall, State::Down),
            _ => (Probe::Passed, options.rise, State::Up),
        };
        if probe == against {
            self.streak = self.streak.saturating_add(1);
        } else if probe != Probe::CannotTell {
            self.streak = 0;
        }
        if self.streak >= needed {
            *self = Self { state: turned, streak: 0 };
        }
        // What cannot be told keeps a record as it is, which is what unknown means to a plan.
        if probe == Probe::CannotTell { State::Unknown } else { self.state }
    }

    /// Whether no further probe is awaited to decide between the verdict and its opposite.
    pub fn is_settled(&self) -> bool {
        self.streak == 0
    }

    /// The verdict so far.
    pub fn state(&self) -> State {
        self.state
    }
}

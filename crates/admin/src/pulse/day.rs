//! What one server was held for in the last day: the gravest state of each five minutes.

use std::time::Duration;

use evenkeel_model::caps;

/// How long a step is.
pub(super) const STEP: Duration = Duration::from_secs(300);

/// The states by gravity, each with the letter that stands for it.
const STATES: [(&str, u8); 5] =
    [("up", b'u'), ("unknown", b'?'), ("draining", b'r'), ("maintenance", b'm'), ("down", b'd')];

/// Nothing is known of a step: the node did not run, or the server was not there.
const NOTHING: u8 = b'-';

/// A ring of steps.
#[derive(Debug)]
pub(super) struct Day {
    steps: [u8; caps::DAY_STEPS],
    /// The number of the step that was written last, counted from 1970.
    last: u64,
}

impl Default for Day {
    fn default() -> Self {
        Self { steps: [NOTHING; caps::DAY_STEPS], last: 0 }
    }
}

impl Day {
    /// The server was held for this at that time of day. A clock that goes back changes the last step only.
    pub(super) fn see(&mut self, unix: Duration, state: &str) {
        let step = number(unix).max(self.last);
        let missed = step.saturating_sub(self.last).min(length());
        for back in 0..missed {
            self.put(step.saturating_sub(back), NOTHING);
        }
        self.last = step;
        let Some(gravity) = STATES.iter().position(|(word, _)| *word == state) else { return };
        let known = STATES.iter().position(|(_, letter)| *letter == self.at(step));
        if let Some((_, letter)) = STATES.get(known.map_or(gravity, |known| known.max(gravity))) {
            self.put(step, *letter);
        }
    }

    /// The steps of the day that ends at that time, the latest last: `u`p, `d`own, d`r`aining, `m`aintenance, `?` for unknown,
    /// and `-` where nothing was seen.
    pub(super) fn steps(&self, unix: Duration) -> String {
        let end = number(unix).max(self.last);
        let steps = (0..length()).rev().map(|back| {
            let step = end.saturating_sub(back);
            let is_kept = step <= self.last && self.last.saturating_sub(step) < length();
            char::from(if is_kept { self.at(step) } else { NOTHING })
        });
        steps.collect()
    }

    fn at(&self, step: u64) -> u8 {
        place(step).and_then(|place| self.steps.get(place)).copied().unwrap_or(NOTHING)
    }

    fn put(&mut self, step: u64, letter: u8) {
        if let Some(known) = place(step).and_then(|place| self.steps.get_mut(place)) {
            *known = letter;
        }
    }
}

fn number(unix: Duration) -> u64 {
    unix.as_secs() / STEP.as_secs()
}

fn length() -> u64 {
    u64::try_from(caps::DAY_STEPS).unwrap_or(u64::MAX)
}

fn place(step: u64) -> Option<usize> {
    usize::try_from(step % length()).ok()
}

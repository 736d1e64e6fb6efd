//! Slow start: a server that comes back gets its share in steps, so that cold caches are not run over.
//!
//! It applies to a server that was down or in maintenance, never to one that we merely meet for the first time: at
//! our own start, every server is as warm as it was before.

use std::time::Duration;

use crate::FULL_RAMP;

/// Steps from nothing to everything: each costs a new plan on every worker, and 5 percent is no jolt.
const STEPS: u16 = 20;

/// Where a server's slow start stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Ramp {
    /// When it began, and how many steps are done, while it lasts.
    running: Option<(Duration, u16)>,
}

impl Ramp {
    pub(super) fn begin(&mut self, now: Duration) {
        self.running = Some((now, 0));
    }

    /// Takes the steps that are due, in a slow start of that length.
    pub(super) fn advance(&mut self, now: Duration, length: Duration) {
        self.running = self.running.and_then(|(began, _)| Some((began, steps(began, now, length)?)));
    }

    /// The share in per mille at `now`, in a slow start of that length.
    pub(super) fn share(&self, now: Duration, length: Duration) -> u16 {
        let done = self.running.and_then(|(began, _)| steps(began, now, length));
        done.map_or(FULL_RAMP, |done| (done + 1) * (FULL_RAMP / STEPS))
    }

    /// When the next step is due, in a slow start of that length.
    pub(super) fn next_step(&self, length: Duration) -> Option<Duration> {
        let (began, done) = self.running?;
        // Rounded up, so that the step is done when its time has come.
        let nanos = (length.as_nanos() * u128::from(done + 1)).div_ceil(u128::from(STEPS));
        Some(began.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))))
    }
}

/// Steps done by `now`, unless it is all of them.
fn steps(began: Duration, now: Duration, length: Duration) -> Option<u16> {
    let passed = now.saturating_sub(began).as_nanos().saturating_mul(u128::from(STEPS));
    let done = u16::try_from(passed.checked_div(length.as_nanos())?).ok()?;
    (done < STEPS).then_some(done)
}

//! How many streams of one connection to a server are given up in which time.
//!
//! Servers take many resets for abuse and end the connection that they come on, with all that others have on it; but most
//! of ours only pass on that some client left. The invariant: no more than `caps::HTTP2_GIVEN_UP` at once, and one in each
//! `caps::HTTP2_GIVEN_UP_STEP` in the long run.

use std::time::Duration;

use evenkeel_model::caps;
use tokio::time::Instant;

/// What may still be given up of one connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    /// When all of it is there again.
    whole: Option<Instant>,
    /// Streams that were given up, less those that were answered.
    unanswered: u32,
}

impl Allowance {
    /// Takes one out of it; an error says when there will be one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        match self.due(now) {
            Some(due) => Err(due),
            None => {
                self.whole = Some(self.whole.unwrap_or(now).max(now) + caps::HTTP2_GIVEN_UP_STEP);
                self.unanswered = self.unanswered.saturating_add(1);
                Ok(())
            }
        }
    }

    /// A stream was answered: servers count that in our favour.
    pub(super) fn earn(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Whether so many were given up that the connection had better carry no more than it does.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.due(now).is_some() || self.unanswered >= caps::HTTP2_GIVEN_UP_UNANSWERED
    }

    /// When the next one may be taken, where that is not now.
    fn due(&self, now: Instant) -> Option<Instant> {
        let rest: Duration = caps::HTTP2_GIVEN_UP_STEP * caps::HTTP2_GIVEN_UP.saturating_sub(1);
        self.whole.filter(|whole| *whole > now + rest).map(|whole| whole - rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_and_then_one_by_one() {
        let (begin, mut allowance) = (Instant::now(), Allowance::default());
        let mut taken = 0;
        let mut now = begin;
        while now < begin + Duration::from_secs(30) {
            assert_eq!(allowance.take(now), Ok(()));
            allowance.earn();
            taken += 1;
            while let Some(due) = allowance.due(now) {
                assert!(allowance.is_spent(now) && allowance.take(now) == Err(due) && due > now);
                now = due;
            }
            assert!(taken < 100 * caps::HTTP2_GIVEN_UP, "it comes to an end");
            if taken == caps::HTTP2_GIVEN_UP - 1 {
                assert_eq!(now, begin, "the first ones wait for nothing");
            }
        }
        let steps = 30_000 / caps::HTTP2_GIVEN_UP_STEP.as_millis() as u32;
        assert!((steps..=steps + caps::HTTP2_GIVEN_UP + 1).contains(&taken), "{taken} in 30 s");
        // What was not used for a while is there again, and no more than that.
        now += Duration::from_secs(60);
        let again = (0..2 * caps::HTTP2_GIVEN_UP).filter(|_| allowance.take(now).is_ok()).count();
        assert_eq!(again, caps::HTTP2_GIVEN_UP as usize);
    }

    #[test]
    fn what_is_given_up_slowly_is_spent_too_where_nothing_is_answered() {
        let (mut now, mut poor, mut rich) = (Instant::now(), Allowance::default(), Allowance::default());
        for number in 1..=2 * caps::HTTP2_GIVEN_UP_UNANSWERED {
            now += Duration::from_secs(1);
            assert_eq!((poor.take(now), rich.take(now)), (Ok(()), Ok(())));
            rich.earn();
            assert_eq!(poor.is_spent(now), number >= caps::HTTP2_GIVEN_UP_UNANSWERED);
            assert!(!rich.is_spent(now));
        }
    }
}

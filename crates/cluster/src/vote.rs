//! Votes: how a safe group never has two owners.
//!
//! A voter gives its word to one claim and keeps it for the vote's hold after each heartbeat of the claimer. The owner
//! counts the other way: a vote lasts from the moment at which it *sent* the heartbeat that the voter had heard when it
//! voted, for one dead time. Sending comes before hearing and the dead time is shorter than the hold, so that the owner's
//! lease ends before any voter is free, whatever is delayed, paused or lost.
//!
//! The invariant: two members never hold leases for one group at the same moment.

use std::time::Duration;

use evenkeel_model::caps;

/// A voter's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) member: usize,
    pub(crate) epoch: u64,
    /// Until then it holds.
    pub(crate) until: Duration,
}

/// The votes for our own claim: for each member, when we sent what its latest vote answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Heartbeats before this one did not ask.
    asked: u64,
    proofs: [Option<Duration>; caps::CLUSTER_NODES],
}

impl Tally {
    /// Begins anew: votes count from that heartbeat on.
    pub(crate) fn ask(&mut self, next_sequence: u64) {
        *self = Self { asked: next_sequence, proofs: [None; caps::CLUSTER_NODES] };
    }

    /// Notes a member's vote, given when it had heard our heartbeat of that number, sent at that time.
    pub(crate) fn note(&mut self, member: usize, sequence: u64, sent: Duration) {
        if sequence < self.asked {
            return;
        }
        if let Some(proof) = self.proofs.get_mut(member) {
            *proof = (*proof).max(Some(sent));
        }
    }

    /// Until when most members stand by us: with our own vote, `quorum - 1` others are needed.
    pub(crate) fn lease_end(&self, quorum: usize, lease: Duration) -> Option<Duration> {
        let mut proofs = self.proofs;
        proofs.sort_unstable_by(|first, second| second.cmp(first));
        let weakest = proofs.get(quorum.saturating_sub(2)).copied().flatten()?;
        Some(weakest + lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_lease_lasts_as_long_as_the_weakest_vote_that_is_needed() {
        let mut tally = Tally::default();
        tally.ask(10);
        assert_eq!(tally.lease_end(3, ms(1000)), None);
        tally.note(1, 10, ms(100));
        assert_eq!(tally.lease_end(3, ms(1000)), None, "two of five are no majority");
        tally.note(2, 12, ms(300));
        assert_eq!(tally.lease_end(3, ms(1000)), Some(ms(1100)));
        tally.note(3, 13, ms(400));
        assert_eq!(tally.lease_end(3, ms(1000)), Some(ms(1300)));
    }

    #[test]
    fn an_answer_to_what_was_sent_before_the_question_is_no_vote() {
        let mut tally = Tally::default();
        tally.ask(10);
        tally.note(1, 9, ms(90));
        assert_eq!(tally.lease_end(2, ms(1000)), None);
    }
}

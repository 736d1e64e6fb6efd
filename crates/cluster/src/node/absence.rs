//! A node whose own addresses are on no device of its machine: it hears nobody, and nobody hears it.
//!
//! It is a silence with its cause here. The network of the service addresses may be as sound as ever, so that a node that
//! went on by itself would be a second owner for as long as the cause lasts: it claims nothing. What it owns already goes as
//! soon as another station is seen with it, which others announce when they take it; what may do harm in two places goes by
//! the time at which they may take it. The rest stays: they may have lost their addresses together, as to a server of
//! leases that died, and then nobody would serve.
//!
//! The invariant: what is claimed after an absence is claimed by a node that has listened first.

use std::time::Duration;

use super::Node;
use crate::event::Cause;
use crate::packet::Phase;

/// No own address is on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    since: Duration,
    /// Whether there was somebody who may take what this node has.
    had_company: bool,
    /// Whether somebody was seen to have taken it.
    has_rival: bool,
}

impl Node {
    /// Takes whether any own address is on this machine.
    pub(super) fn be_present(&mut self, now: Duration, is_present: bool) {
        match (is_present, self.absence) {
            (false, None) => {
                let had_company = self.has_company(now);
                self.absence = Some(Absence { since: now, had_company, has_rival: false });
            }
            (true, Some(absence)) => {
                self.absence = None;
                self.come_back(now, absence);
            }
            _ => {}
        }
    }

    /// Whether another node that could own something lives, or lived when this one was paused.
    fn has_company(&self, now: Duration) -> bool {
        let is_asked = |member: usize| self.phase == Phase::Doubting && self.doubt.1 & (1 << member) != 0;
        let could_own = |member: usize| self.settings.members.get(member).is_some_and(|member| !member.is_witness);
        (0..self.peers.len()).any(|member| could_own(member) && (self.is_heard(now, member) || is_asked(member)))
    }

    /// Another station has an address of ours. Whether it is left to it: who cannot be told whose it is does not contend.
    pub(super) fn leaves_to_rival(&mut self) -> bool {
        let Some(absence) = &mut self.absence else { return false };
        absence.has_rival = true;
        true
    }

    /// When others take this node for dead at the latest.
    pub(super) fn absence_ends(&self) -> Option<Duration> {
        self.absence.map(|absence| absence.since + self.settings.timing.dead)
    }

    /// Gives up what others own by now.
    pub(super) fn settle_absence(&mut self, now: Duration) {
        let Some(absence) = self.absence.filter(|_| self.absence_ends().is_some_and(|end| end <= now)) else { return };
        if !matches!(self.phase, Phase::Active | Phase::Doubting) {
            return;
        }
        let mut is_owner = false;
        for group in 0..self.duties.len() {
            if !self.duties.get(group).is_some_and(|duty| duty.role.holds()) {
                continue;
            }
            let does_harm = self.settings.groups.get(group).is_none_or(|group| !group.overlaps());
            if absence.has_rival || absence.had_company && does_harm {
                self.withdraw(group);
                self.stop(now, group, Cause::Absent);
            } else {
                is_owner = true;
            }
        }
        if !is_owner {
            self.phase = Phase::Listening;
        } else if self.phase == Phase::Doubting {
            // Nobody could be asked.
            self.phase = Phase::Active;
            (0..self.duties.len()).for_each(|group| self.restore(now, group));
        }
    }

    fn come_back(&mut self, now: Duration, absence: Absence) {
        let timing = self.settings.timing;
        let was_long = now.saturating_sub(absence.since) > timing.dead;
        self.beat_due = now;
        match self.phase {
            Phase::Listening => self.started = now,
            Phase::Doubting => self.doubt.0 = now + timing.dead,
            // What is owned goes on. What seems vacant may be so only because nobody could be heard: who lives is heard
            // within the dead time, and after an absence in which all seemed dead this node listens as it does at a start.
            Phase::Active => self.grown = now + if was_long { timing.init } else { timing.dead },
            Phase::Leaving => {}
        }
    }
}

//! Heartbeats out.
//!
//! The invariant: a heartbeat is composed from the state at the moment at which it is sent, and both go together.

use std::time::Duration;

use super::{Node, QUICK};
use crate::action::Action;
use crate::duty::Duty;
use crate::packet::{Echo, Kind, Line, Phase, Role};

/// The shortest time between two heartbeats, as a part of the ordinary one: news are not held up for longer.
const NEWS: u32 = 16;

impl Node {
    /// Composes and sends a heartbeat.
    pub(super) fn beat(&mut self, now: Duration) {
        self.own.sequence = self.sent.record(now);
        self.sent_at = now;
        self.own.kind = Kind::Beat;
        self.own.digest = self.settings.digest;
        self.own.phase = self.phase;
        (self.own.score, self.own.reaches) = (self.score, self.reaches);
        self.compose_echoes(now);
        self.compose_lines(now);
        self.own.write(self.settings.cluster, &self.keys, &mut self.outbox);
        self.compose_last_words();
        self.actions.push_back(Action::Beat);
        self.beat_due = now + self.interval(now);
    }

    /// What is said for this process if it dies now: first what is given up at once, and then that nothing is left.
    fn compose_last_words(&mut self) {
        let Self { own, settings, keys, duties, notice, resignation, .. } = self;
        // Above the next heartbeat, which may still have gone out.
        own.sequence = own.sequence.saturating_add(2);
        own.phase = Phase::Leaving;
        let mut is_stopping = false;
        for ((line, group), duty) in own.lines.iter_mut().zip(&settings.groups).zip(duties) {
            let takes_time = group.resources.iter().any(|resource| !resource.is_address) && !duty.steps.is_down();
            line.role = if takes_time { Role::Stopping } else { Role::Idle };
            is_stopping |= takes_time;
        }
        notice.clear();
        if is_stopping {
            own.write(settings.cluster, keys, notice);
        }
        own.kind = Kind::Resignation;
        own.lines.iter_mut().for_each(|line| line.role = Role::Idle);
        own.write(settings.cluster, keys, resignation);
    }

    /// News go out soon: at once, or right after the least pause.
    pub(super) fn hurry(&mut self, now: Duration) {
        let soonest = self.sent_at + self.settings.timing.every / NEWS;
        self.beat_due = self.beat_due.min(soonest.max(now));
    }

    fn interval(&self, now: Duration) -> Duration {
        let timing = self.settings.timing;
        let is_quick = self.phase != Phase::Active
            || self.peers.iter().flatten().any(|peer| {
                let silent = now.saturating_sub(peer.heard_at.unwrap_or_default());
                let is_late = peer.heard_at.is_some() && silent > timing.every * 3 / 2 && silent < timing.dead * 3;
                let is_deaf = peer.is_alive(now, timing.dead) && !peer.hears_us(now, timing.every * 2);
                is_late || is_deaf || peer.is_alive(now, timing.dead) && peer.is_troubled()
            });
        let is_moving = self.duties.iter().any(|duty| !matches!(duty.role, Role::Idle | Role::Owner | Role::Failed));
        if is_quick || is_moving { timing.every / QUICK } else { timing.every }
    }

    fn compose_echoes(&mut self, now: Duration) {
        let dead = self.settings.timing.dead;
        self.own.echoes.clear();
        for peer in self.peers.iter_mut().flatten() {
            let id = peer.id;
            if let Some((boot, sequence, age, is_lossy)) = peer.echo(now, dead) {
                self.own.echoes.push(Echo { peer: id, boot, sequence, age, is_lossy });
            }
        }
    }

    fn compose_lines(&mut self, now: Duration) {
        self.own.lines.clear();
        for (group, duty) in self.duties.iter().enumerate() {
            let (vote_for, vote_epoch) = self.told_vote(now, duty);
            self.own.lines.push(Line {
                group: self.settings.group_ids.get(group).copied().unwrap_or(0),
                digest: self.settings.group_digests.get(group).copied().unwrap_or(0),
                role: if self.phase == Phase::Doubting && duty.role.holds() { Role::Doubting } else { duty.role },
                is_away: duty.is_away,
                is_wanted: duty.wanted_until.is_some_and(|until| now < until),
                epoch: duty.known_epoch(),
                target: duty.target.and_then(|target| self.settings.ids.get(target).copied()).unwrap_or(0),
                vote_for,
                vote_epoch,
            });
        }
    }

    /// The vote that may be told. Beside an echo of anything but what the vote answered it would promise too much.
    fn told_vote(&self, now: Duration, duty: &Duty) -> (u32, u64) {
        let Some(vote) = duty.vote.filter(|vote| now < vote.until) else { return (0, 0) };
        let is_honest = match self.peers.get(vote.member).and_then(Option::as_ref) {
            Some(peer) => peer.is_taken(),
            None => vote.member == self.settings.me,
        };
        let id = self.settings.ids.get(vote.member).copied().unwrap_or(0);
        if is_honest { (id, vote.epoch) } else { (0, 0) }
    }
}

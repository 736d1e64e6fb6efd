//! What operators, resources and the node's own health say.
//!
//! The invariant: an order that cannot be followed is refused with its reason, and changes nothing.

use std::time::Duration;

use super::Node;
use crate::action::{Action, Change, Outcome};
use crate::duty::Progress;
use crate::event::{Cause, Event};
use crate::packet::{Phase, Role};

/// Before a group whose network is gone is tried again, should nobody say that it is back: its addresses may have got
/// another way meanwhile.
const CUT_OFF: Duration = Duration::from_secs(60);

impl Node {
    /// Takes a change.
    pub fn apply(&mut self, now: Duration, change: Change) {
        self.wake(now);
        match change {
            Change::Done { number, outcome } => self.done(now, number, outcome),
            Change::Broken { group, resource } => self.broken(now, group, resource),
            Change::Score(score) => self.grade(now, score.min(100), self.reaches),
            Change::Reaches(reaches) => self.grade(now, self.score, reaches),
            Change::Present(is_present) => self.be_present(now, is_present),
            Change::CarrierLost { group } => self.carrier_lost(now, group),
            Change::CarrierBack { group } => self.carrier_back(now, group),
            Change::ForeignOwner { group } => self.foreign_owner(group),
            Change::Takeover { group } => self.takeover(now, group),
            Change::Standby { group } => self.standby(now, group),
            Change::Ready { group } => self.ready(now, group),
            Change::Aside(is_aside) => {
                self.is_aside = is_aside;
                self.hurry(now);
            }
            Change::Leave => {
                self.is_leaving = true;
                self.hurry(now);
            }
        }
        self.turn(now);
    }

    fn done(&mut self, now: Duration, number: u32, outcome: Outcome) {
        let Some(group) = self.duties.iter().position(|duty| duty.steps.awaits(number)) else { return };
        let Some(duty) = self.duties.get_mut(group) else { return };
        let progress = duty.steps.report(number, outcome);
        let is_starting = duty.role.holds();
        match progress {
            Progress::StartFailed(resource) if is_starting => self.fail(now, group, resource),
            Progress::Stuck(resource) => self.get_stuck(now, group, resource),
            Progress::StartFailed(_) | Progress::None => {}
        }
    }

    fn broken(&mut self, now: Duration, group: usize, resource: usize) {
        let is_running = |role| matches!(role, Role::Owner | Role::Yielding);
        if self.duties.get(group).is_some_and(|duty| is_running(duty.role)) {
            self.fail(now, group, resource);
        }
    }

    fn grade(&mut self, now: Duration, score: u8, reaches: bool) {
        let before = self.own_quality();
        (self.score, self.reaches) = (score, reaches);
        if self.own_quality() != before {
            self.hurry(now);
        }
    }

    /// Leaves the group to others, who may be heard over another network and have to know that it is of no use here.
    fn carrier_lost(&mut self, now: Duration, group: usize) {
        let Some(duty) = self.duties.get_mut(group) else { return };
        duty.pause_before.get_or_insert(duty.paused_until);
        duty.paused_until = duty.paused_until.max(now + CUT_OFF);
        duty.has_failed = true;
        match duty.role {
            Role::Idle | Role::Asking => {
                duty.cause = Cause::CarrierLost;
                duty.vote = duty.vote.filter(|vote| vote.member != self.settings.me);
                self.enter(now, group, Role::Failed);
            }
            role if role.holds() => {
                self.withdraw(group);
                self.stop(now, group, Cause::CarrierLost);
            }
            _ => {}
        }
    }

    /// Nobody could be heard over that network: who owns the group now has to be, before it is claimed.
    fn carrier_back(&mut self, now: Duration, group: usize) {
        let listens = now + self.settings.timing.dead;
        let Some(duty) = self.duties.get_mut(group) else { return };
        let pause = duty.pause_before.take().unwrap_or(duty.paused_until);
        if !duty.role.holds() {
            duty.paused_until = pause.max(listens);
        }
    }

    fn foreign_owner(&mut self, group: usize) {
        if self.is_ours(group) && !self.leaves_to_rival() {
            self.actions.push_back(Action::Announce { group });
        }
    }

    /// Whether the group's addresses are this node's alone to announce. While it hands them over they are the next owner's
    /// too.
    pub fn is_ours(&self, group: usize) -> bool {
        self.duties.get(group).is_some_and(|duty| duty.role == Role::Owner && !duty.is_withdrawn)
    }

    fn takeover(&mut self, now: Duration, group: usize) {
        if let Some(why) = self.takeover_refusal(group) {
            return self.note(Event::Refused(self.group_name(group), why));
        }
        let wait = self.settings.timing.dead * 3;
        let Some(duty) = self.duties.get_mut(group) else { return };
        duty.is_away = false;
        duty.forgive(now);
        if !duty.role.holds() {
            duty.wanted_until = Some(now + wait);
        }
        if duty.role == Role::Failed {
            duty.enter(now, Role::Idle);
        }
        self.hurry(now);
    }

    /// Why an operator's order cannot be followed at this moment, if it cannot.
    pub fn refusal(&self, now: Duration, order: Change) -> Option<&'static str> {
        match order {
            Change::Takeover { group } => self.takeover_refusal(group),
            Change::Standby { group } => self.standby_refusal(now, group),
            _ => None,
        }
    }

    /// Why a takeover is refused, if it is.
    pub(super) fn takeover_refusal(&self, group: usize) -> Option<&'static str> {
        let is_witness = self.settings.members.get(self.settings.me).is_some_and(|member| member.is_witness);
        match self.duties.get(group)?.role {
            _ if is_witness => Some("a witness owns nothing"),
            _ if self.is_leaving => Some("this node is leaving"),
            _ if self.absence.is_some() => {
                Some("no own address of this node is on this machine: `evenkeel cluster status` says which")
            }
            _ if self.is_aside => Some("this node is drained: order it ready first, by `evenkeel ready --node`"),
            Role::Stuck => Some("a resource of it does not stop here: mend it, then `evenkeel cluster ready`"),
            _ => None,
        }
    }

    fn standby_refusal(&self, now: Duration, group: usize) -> Option<&'static str> {
        let all = self.candidates(now, group);
        let is_possible = (0..self.peers.len())
            .any(|member| member != self.settings.me && all.get(member).is_some_and(|candidate| !candidate.is_away));
        let is_here = self.duties.get(group).is_some_and(|duty| duty.role.holds());
        (is_here && !is_possible)
            .then_some("no other node can take it at the moment; `evenkeel cluster status` says why")
    }

    fn standby(&mut self, now: Duration, group: usize) {
        if let Some(why) = self.standby_refusal(now, group) {
            return self.note(Event::Refused(self.group_name(group), why));
        }
        let Some(duty) = self.duties.get_mut(group) else { return };
        (duty.is_away, duty.wanted_until) = (true, None);
        self.hurry(now);
    }

    fn ready(&mut self, now: Duration, group: usize) {
        let Some(duty) = self.duties.get_mut(group) else { return };
        (duty.is_away, duty.has_failed, duty.declined) = (false, false, None);
        duty.forgive(now);
        match duty.role {
            Role::Stuck => self.stop(now, group, Cause::Order),
            Role::Failed => self.enter(now, group, Role::Idle),
            _ => self.hurry(now),
        }
    }

    /// Ends the node's part when nothing is left on it.
    pub(super) fn finish_leaving(&mut self, now: Duration) {
        let is_empty = self.duties.iter().all(|duty| !duty.role.needs_votes() && duty.role != Role::Stopping);
        if self.is_leaving && is_empty && self.phase != Phase::Leaving {
            self.phase = Phase::Leaving;
            self.beat_due = now;
        }
    }
}

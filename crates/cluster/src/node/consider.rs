//! A group that is not owned here: whether to claim it.
//!
//! The invariant: nobody claims what a living node holds, unless that node has offered it.

use std::time::Duration;

use super::{DECLINED, Node};
use crate::action::Action;
use crate::duty::{Progress, Step};
use crate::event::{Cause, Event};
use crate::packet::{Line, Phase, Role};
use crate::rank::{Candidate, Candidates, Quality};
use crate::vote::Tally;

impl Node {
    /// Considers one group, whatever the role in it.
    pub(super) fn consider(&mut self, now: Duration, group: usize) {
        let Some(duty) = self.duties.get(group) else { return };
        match duty.role {
            Role::Idle => self.consider_claim(now, group),
            Role::Asking => self.consider_votes(now, group),
            Role::Starting | Role::Owner | Role::Yielding | Role::Doubting => self.consider_holding(now, group),
            Role::Stopping => self.consider_stop(now, group),
            Role::Failed if now >= duty.paused_until => self.enter(now, group, Role::Idle),
            Role::Failed | Role::Stuck => self.forget_target(now, group),
        }
    }

    /// Whom the group was meant for counts until somebody has it.
    fn forget_target(&mut self, now: Duration, group: usize) {
        if self.others(now, group).any(|(_, role, _)| role.holds())
            && let Some(duty) = self.duties.get_mut(group)
        {
            duty.target = None;
        }
    }

    fn consider_claim(&mut self, now: Duration, group: usize) {
        let holder = self.holder(now, group);
        if let Some(duty) = self.duties.get_mut(group) {
            duty.vacant_since = if holder.is_some() { None } else { duty.vacant_since.or(Some(now)) };
            if let Some((member, line)) = holder {
                duty.cause = Cause::Vacant;
                (duty.highest, duty.target) = (duty.highest.max(line.epoch), None);
                duty.last_holder = Some(member);
            }
        }
        if let Some((member, line)) = holder {
            let is_offered = line.role == Role::Yielding && line.target == self.own.sender;
            if is_offered && self.takes_part() {
                self.claim(now, group, Cause::OwnerLeft(self.name(member)), Some(member));
            }
        } else if self.claim_time(now, group).is_some_and(|time| time <= now) {
            let last = self.duties.get(group).and_then(|duty| duty.last_holder);
            let cause = match last {
                Some(member) if self.is_heard(now, member) || self.has_left_us(member) => {
                    Cause::OwnerLeft(self.name(member))
                }
                Some(member) if member != self.settings.me => Cause::OwnerDead(self.name(member)),
                _ => Cause::Vacant,
            };
            self.claim(now, group, cause, None);
        }
    }

    /// When we may claim a group that nobody holds: at once where we are the best, and after the better ones had their
    /// chance where we are not.
    pub(super) fn claim_time(&self, now: Duration, group: usize) -> Option<Duration> {
        let duty = self.duties.get(group).filter(|duty| duty.role == Role::Idle)?;
        let vacant = duty.vacant_since.filter(|_| self.takes_part())?;
        let rank = self.candidates(now, group).rank(self.settings.me)?;
        let stagger = self.settings.timing.every * 2;
        let free = if self.is_safe(group) { self.free_from(group) } else { vacant };
        // The better ones may still listen when this one does no more.
        let first = vacant.max(self.grown).max(free).max(duty.paused_until);
        Some(first + stagger * u32::try_from(rank).unwrap_or(u32::MAX))
    }

    /// When our word for a safe group is our own.
    fn free_from(&self, group: usize) -> Duration {
        let remembers_from = self.started + self.settings.vote_hold();
        let vote = self.duties.get(group).and_then(|duty| duty.vote);
        let bound = vote.filter(|vote| vote.member != self.settings.me && !self.has_released(group, vote.member));
        bound.map_or(remembers_from, |vote| remembers_from.max(vote.until))
    }

    fn takes_part(&self) -> bool {
        let is_witness = self.settings.members.get(self.settings.me).is_none_or(|member| member.is_witness);
        self.phase == Phase::Active && !self.is_leaving && !is_witness && self.absence.is_none()
    }

    /// Claims it, unless it has to wait; `from` is the member that offers it, if one does.
    fn claim(&mut self, now: Duration, group: usize, cause: Cause, from: Option<usize>) {
        let is_safe = self.is_safe(group);
        let ownerless_since = self.ownerless_since(now, group, &cause);
        let Some(duty) = self.duties.get_mut(group).filter(|duty| now >= duty.paused_until) else { return };
        duty.ownerless_since = ownerless_since;
        let epoch = duty.highest.saturating_add(1);
        (duty.epoch, duty.highest) = (epoch, epoch);
        if let Some(target) = duty.target.take() {
            duty.declined = Some((target, now + DECLINED));
        }
        (duty.cause, duty.vacant_since) = (cause.clone(), None);
        (duty.has_failed, duty.is_withdrawn) = (false, false);
        duty.tally = Tally::default();
        if is_safe {
            duty.tally.ask(self.sent.latest() + 1);
            if !self.vote(now, group, self.settings.me, epoch) {
                return;
            }
        }
        // With each claim: what came of an offer before must not outlive it.
        self.actions.push_back(Action::Inherit { group, from });
        let name = self.group_name(group);
        self.note(Event::Claimed(name, cause, epoch));
        self.enter(now, group, if is_safe { Role::Asking } else { Role::Starting });
        self.consider(now, group);
    }

    /// Since when the group has had no owner: since a dead owner was heard last, or since it was given up. An owner that
    /// offers it keeps it until we have it.
    fn ownerless_since(&self, now: Duration, group: usize, cause: &Cause) -> Duration {
        let Some(duty) = self.duties.get(group) else { return now };
        // Never, where its owner keeps it until then.
        let vacant = duty.vacant_since.unwrap_or(Duration::MAX);
        match (cause, duty.last_holder.and_then(|member| self.peers.get(member)?.as_ref())) {
            (Cause::OwnerDead(_), Some(peer)) => peer.heard_at.unwrap_or(vacant),
            _ => vacant,
        }
    }

    fn consider_votes(&mut self, now: Duration, group: usize) {
        if self.lease_end(group).is_some_and(|end| end > now) {
            self.enter(now, group, Role::Starting);
            return self.consider(now, group);
        }
        let patience = self.settings.timing.dead;
        let place = u32::try_from(self.settings.place(group, self.settings.me)).unwrap_or(0);
        let Some(duty) = self.duties.get_mut(group) else { return };
        if now.saturating_sub(duty.since) >= patience {
            // Others asked as well, or too few listen: the less preferred wait longer before they ask again.
            duty.paused_until = now + patience / 4 * (1 + place.min(16));
            duty.vote = None;
            self.enter(now, group, Role::Idle);
        }
    }

    /// Goes on with stopping.
    pub(super) fn consider_stop(&mut self, now: Duration, group: usize) {
        // Stopping may take long; where another owns the group already, or may by now, the addresses do not wait for their
        // turn.
        let may_be_elsewhere = self.is_safe(group) && self.lease_end(group).is_none_or(|end| end <= now);
        let is_elsewhere = |(_, role, _)| matches!(role, Role::Owner | Role::Starting);
        if may_be_elsewhere || self.others(now, group).any(is_elsewhere) {
            self.withdraw(group);
        }
        let Some(duty) = self.duties.get_mut(group) else { return };
        if let Progress::Stuck(resource) = duty.steps.expire(now) {
            return self.get_stuck(now, group, resource);
        }
        if duty.steps.is_down() {
            let role = if duty.has_failed { Role::Failed } else { Role::Idle };
            duty.vote = duty.vote.filter(|vote| vote.member != self.settings.me);
            duty.last_holder = Some(self.settings.me);
            let name = self.group_name(group);
            self.note(Event::Stopped(name));
            return self.enter(now, group, role);
        }
        self.number = self.number.wrapping_add(1);
        let resources = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
        if let Some(Step::Stop(resource)) = duty.steps.stop(now, resources, self.number) {
            self.actions.push_back(Action::Stop { group, resource, number: self.number });
        }
    }

    pub(super) fn get_stuck(&mut self, now: Duration, group: usize, resource: usize) {
        self.withdraw(group);
        let resource = self.resource_name(group, resource);
        if let Some(duty) = self.duties.get_mut(group) {
            duty.cause = Cause::Stuck(resource.clone());
        }
        self.note(Event::Stuck(self.group_name(group), resource));
        self.enter(now, group, Role::Stuck);
    }

    /// The living node on which resources of the group run, as far as we hear; or the dead one where they still do.
    pub(super) fn holder(&self, now: Duration, group: usize) -> Option<(usize, Line)> {
        let id = self.settings.group_ids.get(group).copied()?;
        let overlaps = self.settings.groups.get(group).is_some_and(crate::Group::overlaps);
        (0..self.peers.len()).find_map(|member| {
            let line = self.line(member, id).copied()?;
            let is_held = match line.role {
                Role::Stopping => !overlaps && (self.is_heard(now, member) || self.is_being_stopped(now, member)),
                role => role.holds() && self.is_heard(now, member),
            };
            is_held.then_some((member, line))
        })
    }

    /// Whether a dead node's units and scripts are still being stopped: until it says that they are, or has had the time.
    fn is_being_stopped(&self, now: Duration, member: usize) -> bool {
        let within = self.settings.timing.dead + self.settings.stop_time();
        self.peers.get(member).and_then(Option::as_ref).is_some_and(|peer| peer.is_being_stopped(now, within))
    }

    /// Every node that could own the group, this one included.
    pub(super) fn candidates(&self, now: Duration, group: usize) -> Candidates {
        let mut candidates = Candidates::default();
        let group_id = self.settings.group_ids.get(group).copied().unwrap_or(0);
        let digest = self.settings.group_digests.get(group).copied().unwrap_or(0);
        let Some(duty) = self.duties.get(group) else { return candidates };
        // As the others see it, or both would leave the first chance to the other one. Who owns it goes by merit: whoever
        // meant it for somebody may be stuck since.
        let is_meant = |member: usize, id: u32| {
            duty.target == Some(member) || !duty.role.holds() && self.is_pointed_at(now, group_id, id)
        };
        for (member, peer) in self.peers.iter().enumerate() {
            let place = self.settings.place(group, member);
            let Some(peer) = peer else {
                let quality = Quality::of(self.score, self.reaches);
                let is_target = is_meant(member, self.own.sender);
                candidates.add(Candidate { member, is_target, is_away: duty.is_away || self.is_aside, quality, place });
                continue;
            };
            // One that still listens counts: it takes part in a moment, and may be the one that should own the group.
            let is_able = self.is_heard(now, member)
                && matches!(peer.beat.phase, Phase::Active | Phase::Listening)
                && self.settings.members.get(member).is_some_and(|member| !member.is_witness);
            let line = peer.beat.line(group_id).filter(|line| {
                line.digest == digest && !matches!(line.role, Role::Failed | Role::Stuck | Role::Stopping)
            });
            if let Some(line) = line.filter(|_| is_able) {
                let quality = Quality::of(peer.beat.score, peer.beat.reaches);
                let is_target = is_meant(member, peer.id);
                candidates.add(Candidate { member, is_target, is_away: line.is_away, quality, place });
            }
        }
        candidates
    }

    /// Whether the last owner meant the group for the node of that id.
    fn is_pointed_at(&self, now: Duration, group: u32, id: u32) -> bool {
        (0..self.peers.len())
            .filter(|member| self.is_heard(now, *member))
            .any(|member| self.line(member, group).is_some_and(|line| line.target == id))
    }

    pub(super) fn is_heard(&self, now: Duration, member: usize) -> bool {
        let peer = self.peers.get(member).and_then(Option::as_ref);
        peer.is_some_and(|peer| peer.is_alive(now, self.settings.timing.dead))
    }

    pub(super) fn line(&self, member: usize, group: u32) -> Option<&Line> {
        self.peers.get(member).and_then(Option::as_ref).and_then(|peer| peer.beat.line(group))
    }

    /// Takes a role, and lets others know.
    pub(super) fn enter(&mut self, now: Duration, group: usize, role: Role) {
        if let Some(duty) = self.duties.get_mut(group) {
            duty.enter(now, role);
        }
        self.hurry(now);
    }

    pub(super) fn resource_name(&self, group: usize, resource: usize) -> std::sync::Arc<str> {
        let group = self.settings.groups.get(group);
        group.and_then(|group| group.resources.get(resource)).map(|found| found.name.clone()).unwrap_or_default()
    }
}

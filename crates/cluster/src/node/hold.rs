//! A group that is owned here: to start it, to keep it, to hand it over.
//!
//! The invariant: of two owners that hear each other the one with the lower claim goes, and the other stays.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::{DECLINED, Node};
use crate::action::Action;
use crate::duty::{Progress, Step};
use crate::event::{Cause, Event};
use crate::packet::{Phase, Role};
use crate::rank::{Candidate, Quality};

impl Node {
    pub(super) fn consider_holding(&mut self, now: Duration, group: usize) {
        if self.is_safe(group) && self.lease_end(group).is_none_or(|end| end <= now) {
            self.withdraw(group);
            return self.stop(now, group, Cause::NoMajority);
        }
        if let Some(member) = self.winner(now, group) {
            let was_offered = self.duties.get(group).is_some_and(|duty| duty.role == Role::Yielding);
            if was_offered {
                self.actions.push_back(Action::Linger { group });
            } else {
                self.withdraw(group);
            }
            let cause = if was_offered { self.cause(group) } else { Cause::HigherClaim(self.name(member)) };
            return self.stop(now, group, cause);
        }
        if let Some(member) = self.deaf_rival(now, group) {
            self.withdraw(group);
            return self.stop(now, group, Cause::Deaf(self.name(member)));
        }
        self.watch_rivals(now, group);
        match self.duties.get(group).map(|duty| duty.role) {
            Some(Role::Starting) => self.go_on_starting(now, group),
            Some(Role::Owner | Role::Yielding) if !self.is_up(group) => self.start_next(now, group),
            Some(Role::Owner) if self.phase == Phase::Active => self.consider_yield(now, group),
            Some(Role::Yielding) => self.consider_offer(now, group),
            _ => {}
        }
    }

    /// The living node whose claim is higher than ours, if there is one and it is time to make room for it.
    fn winner(&self, now: Duration, group: usize) -> Option<usize> {
        let overlaps = self.settings.groups.get(group).is_some_and(crate::Group::overlaps);
        let ours = self.claim_of(group, self.settings.me, self.duties.get(group)?.epoch);
        let is_ready = |role: Role| match role {
            // Its addresses are coming up: ours stay until then.
            Role::Starting => !overlaps,
            Role::Owner | Role::Yielding => true,
            _ => false,
        };
        self.others(now, group)
            .filter(|(_, role, _)| is_ready(*role))
            .find(|(member, _, epoch)| self.claim_of(group, *member, *epoch) > ours)
            .map(|(member, ..)| member)
    }

    /// An owner with a lower claim that has not heard us for so long that it cannot know: then we make room instead.
    fn deaf_rival(&self, now: Duration, group: usize) -> Option<usize> {
        let dead = self.settings.timing.dead;
        let owned_since = self.duties.get(group).filter(|duty| duty.role == Role::Owner)?.since;
        let is_deaf = |member: usize| {
            let peer = self.peers.get(member).and_then(Option::as_ref);
            peer.is_some_and(|peer| now.saturating_sub(peer.since.max(owned_since)) > dead && !peer.hears_us(now, dead))
        };
        let mut others = self.others(now, group);
        others.find(|(member, role, _)| *role == Role::Owner && is_deaf(*member)).map(|(member, ..)| member)
    }

    /// Claims in their order: the newer one, then the preferred node's.
    fn claim_of(&self, group: usize, member: usize, epoch: u64) -> (u64, Reverse<usize>) {
        (epoch, Reverse(self.settings.place(group, member)))
    }

    /// What living peers say of the group: member, role, claim.
    pub(super) fn others(&self, now: Duration, group: usize) -> impl Iterator<Item = (usize, Role, u64)> {
        let id = self.settings.group_ids.get(group).copied().unwrap_or(0);
        (0..self.peers.len()).filter(move |member| self.is_heard(now, *member)).filter_map(move |member| {
            let line = self.line(member, id)?;
            Some((member, line.role, line.epoch))
        })
    }

    /// Announces our addresses when another owner appears, and again when it is gone: clients may have heard either.
    fn watch_rivals(&mut self, now: Duration, group: usize) {
        let owners = self.others(now, group).filter(|(_, role, _)| role.holds() || *role == Role::Stopping);
        let rivals = owners.fold(0_u16, |bits, (member, ..)| bits | 1 << member);
        let Some(duty) = self.duties.get_mut(group) else { return };
        let before = std::mem::replace(&mut duty.rivals, rivals);
        if before != rivals && duty.role == Role::Owner && !duty.is_withdrawn {
            self.actions.push_back(Action::Announce { group });
        }
    }

    /// Announces what this node owns: a peer was away, and clients may have heard it meanwhile.
    pub(super) fn announce_all(&mut self) {
        for (group, duty) in self.duties.iter().enumerate() {
            if duty.role == Role::Owner && !duty.is_withdrawn {
                self.actions.push_back(Action::Announce { group });
            }
        }
    }

    fn go_on_starting(&mut self, now: Duration, group: usize) {
        if !self.is_up(group) {
            return self.start_next(now, group);
        }
        let Some(duty) = self.duties.get_mut(group) else { return };
        duty.wanted_until = None;
        duty.renewed_at = now;
        let (epoch, ownerless) = (duty.epoch, duty.arrive(now));
        let name = self.group_name(group);
        self.note(Event::Owned(name, epoch, ownerless));
        self.enter(now, group, Role::Owner);
    }

    /// Whether all of the group's resources run. They do where it is owned, but for those that a reload has just added.
    fn is_up(&self, group: usize) -> bool {
        let resources = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
        self.duties.get(group).is_some_and(|duty| duty.steps.is_up(resources))
    }

    /// Starts the next resource, if none is being started.
    fn start_next(&mut self, now: Duration, group: usize) {
        let resources = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
        let Some(duty) = self.duties.get_mut(group) else { return };
        if let Progress::StartFailed(resource) = duty.steps.expire(now) {
            return self.fail(now, group, resource);
        }
        if self.phase != Phase::Active {
            return;
        }
        self.number = self.number.wrapping_add(1);
        if let Some(Step::Start(resource)) = duty.steps.start(now, resources, self.number) {
            self.actions.push_back(Action::Start { group, resource, number: self.number });
        }
    }

    /// A resource did not start, or broke.
    pub(super) fn fail(&mut self, now: Duration, group: usize, resource: usize) {
        let Some(duty) = self.duties.get_mut(group) else { return };
        let pause = duty.fail(now);
        let resource = self.resource_name(group, resource);
        self.note(Event::Failed(self.group_name(group), resource.clone(), pause));
        self.stop(now, group, Cause::Resource(resource));
    }

    /// Gives the group up here.
    pub(super) fn stop(&mut self, now: Duration, group: usize, cause: Cause) {
        if let Some(duty) = self.duties.get_mut(group) {
            duty.cause = cause.clone();
        }
        let name = self.group_name(group);
        self.note(Event::Stops(name, cause));
        self.enter(now, group, Role::Stopping);
        self.consider_stop(now, group);
    }

    fn consider_yield(&mut self, now: Duration, group: usize) {
        let Some((candidate, cause)) = self.heir(now, group) else {
            if self.is_leaving {
                self.stop(now, group, Cause::Leaving);
            }
            return;
        };
        let overlaps = self.settings.groups.get(group).is_some_and(crate::Group::overlaps);
        let has_failback = self.settings.groups.get(group).is_some_and(|group| group.failback.is_some());
        let name = self.group_name(group);
        let Some(duty) = self.duties.get_mut(group) else { return };
        duty.target = Some(candidate.member);
        // Or the preference that failback follows would undo the order.
        duty.is_away |= cause == Cause::Order && has_failback && !self.is_aside;
        duty.cause = cause.clone();
        let heir = self.name(candidate.member);
        self.note(Event::Yields(name, heir, cause.clone()));
        if overlaps {
            self.enter(now, group, Role::Yielding);
        } else {
            self.stop(now, group, cause);
        }
    }

    /// Who should take the group from here, and why.
    fn heir(&mut self, now: Duration, group: usize) -> Option<(Candidate, Cause)> {
        let id = self.settings.group_ids.get(group).copied()?;
        let wants = |member: usize| self.line(member, id).is_some_and(|line| line.is_wanted);
        let all = self.candidates(now, group);
        let wanted = (0..self.peers.len()).find(|member| wants(*member) && all.get(*member).is_some());
        let ordered = wanted.and_then(|member| all.get(member).copied());
        if let Some(candidate) = ordered.filter(|candidate| self.can_take(now, candidate.member)) {
            return Some((candidate, Cause::Order));
        }
        let own = *all.get(self.settings.me)?;
        let mut all = all;
        if own.is_away || self.is_leaving {
            all.remove(own.member);
        }
        let Some(best) = all.best().copied().filter(|best| best.member != own.member) else {
            // Whoever was better is so no more, and has to be for the whole time again.
            self.duties.get_mut(group)?.better = None;
            return None;
        };
        let is_declined =
            self.duties.get(group)?.declined.is_some_and(|(who, until)| who == best.member && now < until);
        if is_declined || !self.can_take(now, best.member) {
            return None;
        }
        if self.is_leaving {
            return Some((best, Cause::Leaving));
        }
        if own.is_away && !best.is_away {
            return Some((best, Cause::Order));
        }
        self.heir_by_merit(now, group, own, best)
    }

    fn heir_by_merit(
        &mut self,
        now: Duration,
        group: usize,
        own: Candidate,
        best: Candidate,
    ) -> Option<(Candidate, Cause)> {
        let timing = self.settings.timing;
        let failback = self.settings.groups.get(group)?.failback;
        let is_better = best.quality > own.quality;
        let is_preferred = failback.is_some() && best.quality == own.quality && best.place < own.place;
        let peer = self.peers.get(best.member)?.as_ref()?;
        // To its last word, not to now: it may be dead already.
        let well_for = peer.heard_at?.saturating_sub(peer.since);
        let duty = self.duties.get_mut(group)?;
        if !is_better && !is_preferred {
            duty.better = None;
            return None;
        }
        if duty.better.is_none_or(|(member, _)| member != best.member) {
            duty.better = Some((best.member, now));
        }
        let since = duty.better.map_or(now, |(_, since)| since);
        let owned_for = now.saturating_sub(duty.since);
        if is_better {
            // Not right after it came, or two nodes that both flap would pass the group to and fro. And not before the other
            // has had the time to see what this one sees: what died may be a router or a server that both of them need, and
            // each node sees that at its own moment.
            let patience = match own.quality {
                quality if quality.is_usable => self.lag.max(timing.dead * 2),
                quality if quality.class > 0 => timing.dead,
                _ => self.lag,
            };
            let is_due = now.saturating_sub(since) >= patience && owned_for >= timing.dead * 3;
            return is_due.then(|| (best, Cause::Better(self.name(best.member))));
        }
        let hold = failback?;
        let is_due = now.saturating_sub(since) >= hold && well_for >= hold && owned_for >= hold;
        is_due.then(|| (best, Cause::Failback(self.name(best.member))))
    }

    /// Whether that node would hear of an offer, and act on it.
    pub(super) fn can_take(&self, now: Duration, member: usize) -> bool {
        let peer = self.peers.get(member).and_then(Option::as_ref);
        peer.is_some_and(|peer| {
            let is_in_time = now.saturating_sub(peer.heard_at.unwrap_or_default()) <= self.settings.timing.warn;
            is_in_time && peer.beat.phase == Phase::Active && peer.hears_us(now, self.settings.timing.dead)
        })
    }

    fn consider_offer(&mut self, now: Duration, group: usize) {
        let Some(duty) = self.duties.get(group) else { return };
        let (Some(target), since) = (duty.target, duty.since) else { return };
        let resources = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
        let patience =
            self.settings.timing.dead * 3 + resources.iter().map(|resource| resource.timeout).sum::<Duration>();
        let has_failed = self
            .others(now, group)
            .any(|(member, role, _)| member == target && matches!(role, Role::Failed | Role::Stuck));
        if self.is_heard(now, target) && !has_failed && now.saturating_sub(since) < patience {
            return;
        }
        let Some(duty) = self.duties.get_mut(group) else { return };
        duty.target = None;
        duty.declined = Some((target, now + DECLINED));
        let (name, heir) = (self.group_name(group), self.name(target));
        self.note(Event::Keeps(name, heir));
        self.enter(now, group, Role::Owner);
    }

    /// Drops the addresses at once; the role is kept.
    pub(super) fn withdraw(&mut self, group: usize) {
        let Some(duty) = self.duties.get_mut(group) else { return };
        if !duty.is_withdrawn && !duty.steps.is_down() {
            duty.is_withdrawn = true;
            self.actions.push_back(Action::Withdraw { group });
        }
    }

    /// Puts withdrawn addresses back where the group is still ours.
    pub(super) fn restore(&mut self, now: Duration, group: usize) {
        let has_lease = !self.is_safe(group) || self.lease_end(group).is_some_and(|end| end > now);
        let Some(duty) = self.duties.get_mut(group) else { return };
        let is_ours = matches!(duty.role, Role::Starting | Role::Owner | Role::Yielding);
        if duty.is_withdrawn && is_ours && has_lease && self.winner(now, group).is_none() {
            if let Some(duty) = self.duties.get_mut(group) {
                (duty.is_withdrawn, duty.renewed_at) = (false, now);
            }
            self.actions.push_back(Action::Restore { group });
        }
    }

    /// Lets the addresses live on, four times in their lifetime.
    pub(super) fn renew(&mut self, now: Duration) {
        let pause = self.settings.timing.lifetime / 4;
        for group in 0..self.duties.len() {
            let has_lease = !self.is_safe(group) || self.lease_end(group).is_some_and(|end| end > now);
            let Some(duty) = self.duties.get_mut(group) else { continue };
            // What is being stopped is here until its turn comes, which may be long after a lifetime.
            let is_here = (duty.role.holds() || duty.role == Role::Stopping) && !duty.is_withdrawn;
            let is_due = is_here && now.saturating_sub(duty.renewed_at) >= pause;
            if is_due && has_lease && self.phase == Phase::Active {
                duty.renewed_at = now;
                self.actions.push_back(Action::Renew { group });
            }
        }
    }

    /// Every member that owns the group, as far as is heard here.
    pub(super) fn owners(&self, now: Duration, group: usize) -> Vec<usize> {
        let others = self.others(now, group).filter(|(_, role, _)| matches!(role, Role::Owner | Role::Yielding));
        let own = self.duties.get(group).filter(|duty| matches!(duty.role, Role::Owner | Role::Yielding));
        others.map(|(member, ..)| member).chain(own.map(|_| self.settings.me)).collect()
    }

    /// Who would own the group if its owners died at this moment.
    pub(super) fn next_owner(&self, now: Duration, group: usize, owners: &[usize]) -> Option<Arc<str>> {
        let mut all = self.candidates(now, group);
        owners.iter().for_each(|owner| all.remove(*owner));
        all.best().map(|best| self.name(best.member))
    }

    fn cause(&self, group: usize) -> Cause {
        self.duties.get(group).map_or(Cause::Vacant, |duty| duty.cause.clone())
    }

    /// How well this node can serve.
    pub(super) fn own_quality(&self) -> Quality {
        Quality::of(self.score, self.reaches)
    }
}

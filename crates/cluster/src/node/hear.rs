//! Packets in, and what is noticed of peers as time passes.
//!
//! The invariant: a packet that is not proved new changes nothing but counters, echoes and what is said of its path.

use std::time::Duration;

use super::{MoodState, Node};
use crate::event::Event;
use crate::packet::{Beat, Kind, PacketError, Phase, Prelude, Role};
use crate::peer::{Heard, Us};
use crate::vote::Vote;

impl Node {
    /// Takes what came over a path (by its place among the paths, below the cap).
    ///
    /// # Errors
    /// Where it is no heartbeat of this cluster, or its seal is wrong. Nothing has changed then.
    pub fn handle_packet(&mut self, now: Duration, path: usize, bytes: &[u8]) -> Result<(), PacketError> {
        self.wake(now);
        let result = self.take_packet(now, path, bytes);
        self.turn(now);
        result
    }

    fn take_packet(&mut self, now: Duration, path: usize, bytes: &[u8]) -> Result<(), PacketError> {
        let prelude = Prelude::read(bytes)?;
        if prelude.cluster != self.settings.cluster {
            return Err(PacketError::OtherCluster);
        }
        let member = self.settings.ids.iter().position(|id| *id == prelude.sender).ok_or(PacketError::Stranger)?;
        let Some(peer) = self.peers.get_mut(member).and_then(Option::as_mut) else {
            // Our own, come back; or of who has the key, and our name.
            let is_namesake = prelude.boot != self.boot && self.inbox.read(bytes, &prelude, &self.keys).is_ok();
            return if is_namesake { Err(PacketError::Namesake) } else { Ok(()) };
        };
        // Before the seal is checked, so that a flood of old packets costs little.
        if !prelude.is_resignation && peer.is_old(path, prelude.boot, prelude.sequence) {
            return Ok(());
        }
        if let Err(error) = self.inbox.read(bytes, &prelude, &self.keys) {
            self.complain(now, member, path, error);
            return Err(error);
        }
        let own = self.own.sender;
        let us = Us { id: own, boot: self.boot, sent: &self.sent, dead: self.settings.timing.dead };
        let heard = peer.hear(now, path, &mut self.inbox, &us);
        if matches!(heard, Heard::News | Heard::NewLife) {
            self.learn(now, member);
        }
        Ok(())
    }

    /// Notes what was wrong with a packet from that member's address, where it does not say itself that it is of a peer.
    pub fn blame(&mut self, now: Duration, member: usize, path: usize, error: PacketError) {
        if !error.is_of_peer() {
            self.complain(now, member, path, error);
        }
    }

    /// Notes what is wrong with a peer's packets, and says so now and then: anybody can send such packets, and as many
    /// kinds of them between the sound ones as he likes.
    fn complain(&mut self, now: Duration, member: usize, path: usize, error: PacketError) {
        let dead = self.settings.timing.dead;
        let peer = self.peers.get_mut(member).and_then(Option::as_mut);
        let Some(place) = peer.and_then(|peer| peer.paths.get_mut(path)) else { return };
        place.trouble = Some(error);
        if place.told_at.is_none_or(|at| now.saturating_sub(at) >= dead * 60) {
            place.told_at = Some(now);
            let name = self.name(member);
            self.note(Event::Trouble(name, path, error));
        }
    }

    /// What a heartbeat that counts says of groups.
    pub(super) fn learn(&mut self, now: Duration, member: usize) {
        let Some(peer) = self.peers.get(member).and_then(Option::as_ref) else { return };
        if peer.beat.kind == Kind::Resignation {
            return;
        }
        let (own, boot) = (self.own.sender, self.boot);
        let proof = peer.beat.echo(own, boot).map(|echo| (echo.sequence, peer.hears_us_at.unwrap_or_default()));
        for group in 0..self.duties.len() {
            let id = self.settings.group_ids.get(group).copied().unwrap_or(0);
            let Some(line) = self.line(member, id).copied() else { continue };
            let is_safe = self.is_safe(group);
            let Some(duty) = self.duties.get_mut(group) else { continue };
            duty.highest = duty.highest.max(line.epoch);
            let is_ours = line.vote_for == own && line.vote_epoch == duty.epoch && duty.role.needs_votes();
            if let Some((sequence, sent)) = proof.filter(|_| is_safe && is_ours) {
                duty.tally.note(member, sequence, sent);
            }
            if is_safe && line.role.needs_votes() {
                self.vote(now, group, member, line.epoch);
            }
        }
    }

    /// Gives our word to a member's claim, if it is free.
    pub(super) fn vote(&mut self, now: Duration, group: usize, member: usize, epoch: u64) -> bool {
        let is_free = self.is_free(now, group, member, epoch);
        let until = now + self.settings.vote_hold();
        if let Some(duty) = self.duties.get_mut(group).filter(|_| is_free) {
            duty.vote = Some(Vote { member, epoch, until });
        }
        is_free
    }

    /// Whether we may give our word to a member's claim.
    fn is_free(&self, now: Duration, group: usize, member: usize, epoch: u64) -> bool {
        // Whoever starts has forgotten to whom it gave its word before.
        let has_forgotten = now < self.started + self.settings.vote_hold();
        let given = self.duties.get(group).and_then(|duty| duty.vote);
        // Whoever asks or owns stands by itself.
        let is_engaged = member != self.settings.me && !self.has_released(group, self.settings.me);
        !has_forgotten
            && !is_engaged
            && given.is_none_or(|vote| match vote.member == member {
                true => epoch >= vote.epoch,
                false => now >= vote.until || self.has_released(group, vote.member),
            })
    }

    /// Whether the member itself says that nothing of the group is left on it.
    pub(super) fn has_released(&self, group: usize, member: usize) -> bool {
        if member == self.settings.me {
            return self.duties.get(group).is_some_and(|duty| matches!(duty.role, Role::Idle | Role::Failed));
        }
        let id = self.settings.group_ids.get(group).copied().unwrap_or(0);
        self.line(member, id).is_some_and(|line| matches!(line.role, Role::Idle | Role::Failed))
    }

    /// Tells what became of peers since the last turn.
    pub(super) fn watch_peers(&mut self, now: Duration) {
        let timing = self.settings.timing;
        for member in 0..self.peers.len() {
            let Some(peer) = self.peers.get(member).and_then(Option::as_ref) else { continue };
            let Some(mood) = self.moods.get(member).copied() else { continue };
            let silent = now.saturating_sub(peer.heard_at.unwrap_or(self.woke));
            let state = match mood.state {
                _ if has_resigned(&peer.beat) && peer.heard_at.is_some() => MoodState::Left,
                _ if peer.is_alive(now, timing.dead) && silent <= timing.warn => MoodState::Up,
                _ if peer.is_alive(now, timing.dead) => MoodState::Late,
                MoodState::Unknown | MoodState::Left => mood.state,
                _ => MoodState::Dead,
            };
            let is_heard = matches!(state, MoodState::Up | MoodState::Late);
            let is_deaf = is_heard && now.saturating_sub(peer.since) > timing.dead && !peer.hears_us(now, timing.dead);
            self.tell(member, (state, is_deaf), silent);
        }
    }

    /// Whether the member has resigned, and was not heard since.
    pub(super) fn has_left_us(&self, member: usize) -> bool {
        self.moods.get(member).is_some_and(|mood| mood.state == MoodState::Left)
    }

    fn tell(&mut self, member: usize, (state, is_deaf): (MoodState, bool), silent: Duration) {
        let Some(mood) = self.moods.get_mut(member) else { return };
        let before = std::mem::replace(mood, super::Mood { state, is_deaf });
        let name = self.name(member);
        if before.state == MoodState::Dead && matches!(state, MoodState::Up | MoodState::Late) {
            self.announce_all();
        }
        if before.state != state {
            let event = match state {
                MoodState::Up if before.state == MoodState::Late => None,
                MoodState::Up => Some(Event::PeerUp(name.clone())),
                MoodState::Late => Some(Event::PeerLate(name.clone(), silent)),
                MoodState::Dead => Some(Event::PeerDead(name.clone(), silent)),
                MoodState::Left => Some(Event::PeerLeft(name.clone())),
                MoodState::Unknown => None,
            };
            event.into_iter().for_each(|event| self.note(event));
        }
        if is_deaf && !before.is_deaf {
            self.note(Event::HearsUsNot(name));
        }
    }
}

/// Whether it was the last word: said for a process that died, or by one that has handed over all that it owned.
fn has_resigned(beat: &Beat) -> bool {
    beat.kind == Kind::Resignation || beat.phase == Phase::Leaving
}

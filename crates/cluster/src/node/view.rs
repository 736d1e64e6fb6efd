//! How a node sees its cluster: what `cluster status` shows.
//!
//! The invariant: a view is taken from the state that decides, at one moment.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::{State, caps};

use super::{MoodState, Node};
use crate::duty::{Duty, Move};
use crate::event::Cause;
use crate::packet::{PacketError, Phase, Role};
use crate::peer::Path;
use crate::rank::Quality;

/// How well a peer is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// Not since this node started.
    Never,
    /// In time.
    Up,
    /// Late.
    Late,
    /// Not for the dead time.
    Dead,
    /// It resigned.
    Left,
}

/// One path from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathView {
    /// How long ago a heartbeat came.
    pub age: Option<Duration>,
    /// Percent of the latest heartbeats that did not come.
    pub loss: u32,
    /// Whether nothing has come for the dead time.
    pub is_silent: bool,
    /// What is wrong with what comes.
    pub trouble: Option<PacketError>,
}

/// A peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Its name.
    pub name: Arc<str>,
    /// How well it is heard.
    pub hearing: Hearing,
    /// How long ago it surely lived.
    pub age: Option<Duration>,
    /// Whether it hears this node.
    pub hears_us: bool,
    /// How far it is, by its own word.
    pub phase: Phase,
    /// Percent of its capacity.
    pub score: u8,
    /// Whether it reaches its ping nodes.
    pub reaches: bool,
    /// Whether an operator drained it.
    pub is_aside: bool,
    /// Whether its settings differ from ours.
    pub is_other_config: bool,
    /// Heartbeats of it that were too old to count.
    pub refused: u64,
    /// The other nodes that it hears, by its own word; none from one that is not heard itself.
    pub hears: Vec<Arc<str>>,
    /// Those that it does not.
    pub deaf_to: Vec<Arc<str>>,
    /// Its paths in written order, as many as there may be.
    pub paths: Vec<PathView>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its name.
    pub name: Arc<str>,
    /// This node's part.
    pub role: Role,
    /// For how long it has had it.
    pub since: Duration,
    /// Who owns it, as far as is heard here. Two names: both think so.
    pub owners: Vec<Arc<str>>,
    /// The highest claim.
    pub epoch: u64,
    /// Why this node's part is what it is.
    pub cause: Cause,
    /// Whether the operator sent it away from here.
    pub is_away: bool,
    /// Whether it is on its way from one node to another, or from rest, as far as is heard here.
    pub is_moving: bool,
    /// Who would own it if the owner died at this moment.
    pub next: Option<Arc<str>>,
    /// What `takeover` would do here at this moment, in a sentence.
    pub takeover: String,
    /// How long ago it came to this node, why, and how long it had no owner before; the latest first.
    pub moves: Vec<Move>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// How far this node is.
    pub phase: Phase,
    /// Whether an operator drained it.
    pub is_aside: bool,
    /// The other nodes, in the order of the settings.
    pub peers: Vec<PeerView>,
    /// The groups, in the order of the settings.
    pub groups: Vec<GroupView>,
}

impl Node {
    /// How things are now.
    pub fn view(&self, now: Duration) -> View {
        let peers = (0..self.peers.len()).filter_map(|member| self.peer_view(now, member)).collect();
        let groups = (0..self.duties.len()).filter_map(|group| self.group_view(now, group)).collect();
        View { phase: self.phase, is_aside: self.is_aside, peers, groups }
    }

    /// What each other node is to be held for by those who send clients to nodes, by its place in the settings: by its
    /// own word while it lives. `None`: this node itself.
    pub fn held_for(&self, now: Duration) -> [Option<State>; caps::CLUSTER_NODES] {
        std::array::from_fn(|member| {
            let peer = self.peers.get(member)?.as_ref()?;
            let is_alive = peer.is_alive(now, self.settings.timing.dead);
            let is_cut_off = self.reaches && !peer.beat.reaches;
            Some(match self.phase {
                // It was not heard long enough, or not since a pause.
                Phase::Listening | Phase::Doubting if !is_alive => State::Unknown,
                _ if !is_alive => State::Down,
                _ if peer.beat.is_aside || peer.beat.phase == Phase::Leaving => State::Draining,
                _ if peer.beat.score == 0 || is_cut_off => State::Down,
                _ => State::Up,
            })
        })
    }

    /// In which class of capacity each living peer is, by its place in the settings.
    pub fn worths(&self, now: Duration) -> [Option<u8>; caps::CLUSTER_NODES] {
        std::array::from_fn(|member| {
            let peer = self.peers.get(member)?.as_ref()?;
            let is_alive = peer.is_alive(now, self.settings.timing.dead);
            is_alive.then(|| Quality::of(peer.beat.score, peer.beat.reaches).class)
        })
    }

    fn peer_view(&self, now: Duration, member: usize) -> Option<PeerView> {
        let peer = self.peers.get(member)?.as_ref()?;
        let hearing = match self.moods.get(member)?.state {
            MoodState::Unknown => Hearing::Never,
            MoodState::Up => Hearing::Up,
            MoodState::Late => Hearing::Late,
            MoodState::Dead => Hearing::Dead,
            MoodState::Left => Hearing::Left,
        };
        let dead = self.settings.timing.dead;
        let age = |at: Option<Duration>| at.map(|at| now.saturating_sub(at));
        let path_view = |path: &Path| PathView {
            age: age(path.heard_at),
            loss: path.window.loss(),
            is_silent: path.heard_at.is_none_or(|at| now.saturating_sub(at) > dead),
            trouble: path.trouble,
        };
        let (hears, deaf_to) = self.hearing_of(now, member);
        Some(PeerView {
            name: self.name(member),
            hearing,
            age: age(peer.heard_at),
            hears_us: peer.hears_us(now, dead),
            phase: peer.beat.phase,
            score: peer.beat.score,
            reaches: peer.beat.reaches,
            is_aside: peer.beat.is_aside,
            is_other_config: peer.heard_at.is_some() && peer.beat.digest != self.settings.digest,
            refused: peer.refused,
            hears,
            deaf_to,
            paths: peer.paths.iter().map(path_view).collect(),
        })
    }

    /// Which other nodes a peer hears and which it does not, by its last heartbeat.
    fn hearing_of(&self, now: Duration, member: usize) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let peer = self.peers.get(member).and_then(Option::as_ref).filter(|_| self.is_heard(now, member));
        let Some(peer) = peer else { return (Vec::new(), Vec::new()) };
        let since = now.saturating_sub(peer.heard_at.unwrap_or(now));
        let dead = self.settings.timing.dead;
        let is_heard = |id: u32| {
            let mut echoes = peer.beat.echoes.iter().filter(|echo| echo.peer == id);
            echoes.any(|echo| echo.age + since <= dead)
        };
        let mut hearing = (Vec::new(), Vec::new());
        for (other, id) in self.settings.ids.iter().enumerate().filter(|(other, _)| *other != member) {
            let hears = if other == self.settings.me { peer.hears_us(now, dead) } else { is_heard(*id) };
            if hears { &mut hearing.0 } else { &mut hearing.1 }.push(self.name(other));
        }
        hearing
    }

    /// What a takeover would do.
    fn preview(&self, now: Duration, group: usize, owners: &[usize]) -> String {
        let resources = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
        let names: Vec<&str> = resources.iter().map(|resource| &*resource.name).collect();
        let (up, down) = (names.join(", "), names.iter().rev().copied().collect::<Vec<_>>().join(", "));
        if let Some(why) = self.takeover_refusal(group) {
            return format!("it would be refused: {why}");
        }
        let Some(owner) = owners.first().copied() else {
            return format!("nobody owns it: this node would start {up}");
        };
        if owner == self.settings.me {
            return "this node owns it already".to_owned();
        }
        let name = self.name(owner);
        if !self.can_take(now, owner) {
            return format!("{name} owns it and would not hear of it: nothing would move until it does");
        }
        if self.settings.groups.get(group).is_some_and(crate::Group::overlaps) {
            return format!(
                "{up} would come up here and then go from {name}; requests under way and open connections would still be served there"
            );
        }
        format!("{name} would stop {down}, and then this node would start {up}: nobody would serve it in between")
    }

    /// Why this node's part is what it is: of what is elsewhere not why it was not here before.
    fn shown_cause(&self, now: Duration, group: usize, duty: &Duty) -> Cause {
        let declined = duty.declined.filter(|(_, until)| duty.is_away && now < *until);
        match (duty.role, self.holder(now, group), declined) {
            (Role::Idle, Some((member, _)), _) => Cause::Elsewhere(self.name(member)),
            (Role::Owner, _, Some((member, _))) => Cause::Declined(self.name(member)),
            _ => duty.cause.clone(),
        }
    }

    fn is_moving(&self, now: Duration, group: usize, duty: &Duty) -> bool {
        let is_under_way = |role| matches!(role, Role::Asking | Role::Starting | Role::Yielding | Role::Stopping);
        let is_wanted = duty.wanted_until.is_some_and(|until| now < until) && !duty.role.holds();
        is_wanted || is_under_way(duty.role) || self.others(now, group).any(|(_, role, _)| is_under_way(role))
    }

    fn group_view(&self, now: Duration, group: usize) -> Option<GroupView> {
        let duty = self.duties.get(group)?;
        let owners = self.owners(now, group);
        Some(GroupView {
            name: self.group_name(group),
            role: duty.role,
            since: now.saturating_sub(duty.since),
            owners: owners.iter().map(|member| self.name(*member)).collect(),
            epoch: duty.known_epoch(),
            cause: self.shown_cause(now, group, duty),
            is_away: duty.is_away,
            is_moving: self.is_moving(now, group, duty),
            next: self.next_owner(now, group, &owners),
            takeover: self.preview(now, group, &owners),
            moves: duty.moves.iter().rev().map(|it| Move { at: now.saturating_sub(it.at), ..it.clone() }).collect(),
        })
    }
}

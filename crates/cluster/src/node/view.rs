//! How a node sees its cluster: what `cluster status` shows.
//!
//! The invariant: a view is taken from the state that decides, at one moment.

use std::sync::Arc;
use std::time::Duration;

use super::{MoodState, Node};
use crate::duty::Move;
use crate::event::Cause;
use crate::packet::{PacketError, Phase, Role};
use crate::peer::Path;

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
    /// Whether its settings differ from ours.
    pub is_other_config: bool,
    /// Heartbeats of it that were too old to count.
    pub refused: u64,
    /// Its paths, those first that were ever heard or troubled.
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
    /// Who would own it if the owner died at this moment.
    pub next: Option<Arc<str>>,
    /// How long ago it came to this node, why, and how long it had no owner before; the latest first.
    pub moves: Vec<Move>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// How far this node is.
    pub phase: Phase,
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
        View { phase: self.phase, peers, groups }
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
        let age = |at: Option<Duration>| at.map(|at| now.saturating_sub(at));
        let paths = peer.paths.iter().filter(|path| path.heard_at.is_some() || path.trouble.is_some());
        let path_view =
            |path: &Path| PathView { age: age(path.heard_at), loss: path.window.loss(), trouble: path.trouble };
        Some(PeerView {
            name: self.name(member),
            hearing,
            age: age(peer.heard_at),
            hears_us: peer.hears_us(now, self.settings.timing.dead),
            phase: peer.beat.phase,
            score: peer.beat.score,
            reaches: peer.beat.reaches,
            is_other_config: peer.heard_at.is_some() && peer.beat.digest != self.settings.digest,
            refused: peer.refused,
            paths: paths.map(path_view).collect(),
        })
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
            cause: duty.cause.clone(),
            is_away: duty.is_away,
            next: self.next_owner(now, group, &owners),
            moves: duty.moves.iter().rev().map(|it| Move { at: now.saturating_sub(it.at), ..it.clone() }).collect(),
        })
    }
}

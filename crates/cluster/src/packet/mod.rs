//! What a heartbeat says, and how it stands on the wire.
//!
//! One datagram, big-endian, sealed as a whole (cluster, sender, boot and sequence included):
//!
//! ```text
//!   0 magic "EKB1"   4 kind   5 key id   6 echoes   7 lines   8 cluster   12 sender   16 boot (16)   32 sequence (8)
//!   40 digest (8)   48 phase   49 score   50 flags   51 zero   52 echoes (33 each), lines (34 each)   seal (32)
//! ```
//!
//! An echo tells a peer which of its heartbeats came last and how long ago: from that the peer knows, by its own clock,
//! that this very packet is new. The invariant: bytes that are not exactly one heartbeat of this cluster, sealed under
//! a known key, are an error and change nothing.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::key::SEAL;

pub use read::{PacketError, Prelude};

const MAGIC: [u8; 4] = *b"EKB1";
const HEAD: usize = 52;
const ECHO: usize = 33;
const LINE: usize = 34;

/// The most bytes of a heartbeat: fits a frame of 1500 under IPv6 and UDP, with room for a tunnel's header.
pub const LARGEST: usize =
    HEAD + ECHO * (evenkeel_model::caps::CLUSTER_NODES - 1) + LINE * evenkeel_model::caps::CLUSTER_GROUPS + SEAL;

const _: () = assert!(LARGEST <= 1420);

/// One life of a node's process: 128 bits of chance, drawn anew at each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An ordinary heartbeat.
    Beat,
    /// The last word of a boot: written ahead by the worker, sent by its supervisor when the worker has died.
    Resignation,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has started, and listens.
    Listening,
    /// It takes part.
    Active,
    /// It was paused, and asks before it goes on.
    Doubting,
    /// It goes.
    Leaving,
}

/// A node's part in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// None.
    Idle,
    /// It collects votes.
    Asking,
    /// It owns the group, and its resources are being started.
    Starting,
    /// It owns the group.
    Owner,
    /// It owns the group, and waits for another to take it over.
    Yielding,
    /// It owned the group, was paused, and asks whether it still does.
    Doubting,
    /// Its resources are being stopped.
    Stopping,
    /// It failed at starting, and waits.
    Failed,
    /// A resource does not stop; the addresses are gone.
    Stuck,
}

impl Role {
    /// Whether others have to count with resources of the group on that node.
    pub(crate) fn holds(self) -> bool {
        matches!(self, Self::Starting | Self::Owner | Self::Yielding | Self::Doubting)
    }

    /// Whether that node asks for votes, or needs them to go on.
    pub(crate) fn needs_votes(self) -> bool {
        self == Self::Asking || self.holds()
    }
}

/// Which heartbeat of a peer came last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echo {
    /// The peer's id.
    pub(crate) peer: u32,
    /// Its boot.
    pub(crate) boot: BootId,
    /// The number of that heartbeat.
    pub(crate) sequence: u64,
    /// How long ago it came, by the sender's clock.
    pub(crate) age: Duration,
    /// Whether others before it were lost.
    pub(crate) is_lossy: bool,
}

/// A sender's part in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// The group's id.
    pub(crate) group: u32,
    /// What the sender's settings say of the group, as a digest.
    pub(crate) digest: u32,
    pub(crate) role: Role,
    /// The operator sent the group away from here.
    pub(crate) is_away: bool,
    /// The operator wants the group here.
    pub(crate) is_wanted: bool,
    /// The highest claim known.
    pub(crate) epoch: u64,
    /// Who should take it over; 0: nobody in particular.
    pub(crate) target: u32,
    /// Whom the sender votes for; 0: nobody.
    pub(crate) vote_for: u32,
    pub(crate) vote_epoch: u64,
}

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) kind: Kind,
    pub(crate) sender: u32,
    pub(crate) boot: BootId,
    pub(crate) sequence: u64,
    pub(crate) digest: u64,
    pub(crate) phase: Phase,
    /// Percent of the capacity that the sender can serve with.
    pub(crate) score: u8,
    /// Whether it reaches as many ping nodes as it needs.
    pub(crate) reaches: bool,
    /// Whether an operator drained it: it owns nothing as long as another node can.
    pub(crate) is_aside: bool,
    pub(crate) echoes: Vec<Echo>,
    pub(crate) lines: Vec<Line>,
}

impl Beat {
    /// One that says nothing yet.
    pub(crate) fn blank(sender: u32, boot: BootId) -> Self {
        Self {
            kind: Kind::Beat,
            sender,
            boot,
            sequence: 0,
            digest: 0,
            phase: Phase::Listening,
            score: 0,
            reaches: true,
            is_aside: false,
            echoes: Vec::with_capacity(evenkeel_model::caps::CLUSTER_NODES),
            lines: Vec::with_capacity(evenkeel_model::caps::CLUSTER_GROUPS),
        }
    }

    /// What it says of a group.
    pub(crate) fn line(&self, group: u32) -> Option<&Line> {
        self.lines.iter().find(|line| line.group == group)
    }

    /// What it says of having heard that peer's boot.
    pub(crate) fn echo(&self, peer: u32, boot: BootId) -> Option<&Echo> {
        self.echoes.iter().find(|echo| echo.peer == peer && echo.boot == boot)
    }
}

/// The numbers of enums on the wire; the place in the list is the number.
const PHASES: [Phase; 4] = [Phase::Listening, Phase::Active, Phase::Doubting, Phase::Leaving];
const ROLES: [Role; 9] = [
    Role::Idle,
    Role::Asking,
    Role::Starting,
    Role::Owner,
    Role::Yielding,
    Role::Doubting,
    Role::Stopping,
    Role::Failed,
    Role::Stuck,
];

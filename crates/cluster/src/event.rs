//! What happened, with its cause, in words.
//!
//! The invariant: each event is one sentence that an operator understands without another line.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::packet::PacketError;

/// Why a group moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nobody owned it.
    Vacant,
    /// The owner is silent.
    OwnerDead(Arc<str>),
    /// The owner gave it up.
    OwnerLeft(Arc<str>),
    /// An operator wants it.
    Order,
    /// The other node can serve better.
    Better(Arc<str>),
    /// The preferred node is back.
    Failback(Arc<str>),
    /// Another node has the higher claim.
    HigherClaim(Arc<str>),
    /// Another owner cannot hear that this one has the newer claim.
    Deaf(Arc<str>),
    /// Most members do not confirm the ownership any more.
    NoMajority,
    /// A resource did not start, or broke.
    Resource(Arc<str>),
    /// The network of the addresses is gone here.
    CarrierLost,
    /// No address of the node itself is on its machine, so that no other node hears of it.
    Absent,
    /// This node goes.
    Leaving,
    /// The configuration has no such group any more.
    Unlisted,
    /// A resource does not stop: an operator is needed.
    Stuck(Arc<str>),
    /// Another node has it.
    Elsewhere(Arc<str>),
    /// The node that it was meant for did not take it.
    Declined(Arc<str>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vacant => write!(f, "no node owned it"),
            Self::OwnerDead(node) => write!(f, "its owner {node} is silent"),
            Self::OwnerLeft(node) => write!(f, "its owner {node} gave it up"),
            Self::Order => write!(f, "an operator ordered it"),
            Self::Better(node) => write!(f, "{node} can serve better"),
            Self::Failback(node) => write!(f, "{node} is preferred, and has been well long enough"),
            Self::HigherClaim(node) => write!(f, "{node} has the newer claim"),
            Self::Deaf(node) => write!(f, "{node} owns it too, and cannot hear this node"),
            Self::NoMajority => write!(f, "most members of the cluster do not confirm it any more"),
            Self::Resource(name) => write!(f, "resource {name} failed"),
            Self::CarrierLost => write!(f, "the network of its addresses is gone here"),
            Self::Absent => write!(f, "no own address of this node is on this machine, and other nodes may have it"),
            Self::Leaving => write!(f, "this node goes"),
            Self::Stuck(name) => write!(f, "resource {name} does not stop: mend it, then `evenkeel cluster ready`"),
            Self::Elsewhere(node) => write!(f, "{node} has it"),
            Self::Declined(node) => write!(f, "{node} was to take it, and did not"),
            Self::Unlisted => write!(f, "the configuration has it no more"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer is heard.
    PeerUp(Arc<str>),
    /// A peer is late.
    PeerLate(Arc<str>, Duration),
    /// A peer is dead.
    PeerDead(Arc<str>, Duration),
    /// A peer has resigned.
    PeerLeft(Arc<str>),
    /// A peer is heard, and does not hear us.
    HearsUsNot(Arc<str>),
    /// A peer's packets cannot be taken, on that path.
    Trouble(Arc<str>, usize, PacketError),
    /// This node woke late.
    Paused(Duration),
    /// A group is claimed.
    Claimed(Arc<str>, Cause, u64),
    /// A group is owned: all its resources run; for how long it had no owner.
    Owned(Arc<str>, u64, Duration),
    /// A group is being handed over.
    Yields(Arc<str>, Arc<str>, Cause),
    /// The other node did not take it; it stays.
    Keeps(Arc<str>, Arc<str>),
    /// A group is being stopped here.
    Stops(Arc<str>, Cause),
    /// A group is stopped here.
    Stopped(Arc<str>),
    /// A resource did not start or stop, or broke; the pause before the next attempt.
    Failed(Arc<str>, Arc<str>, Duration),
    /// A resource does not stop; an operator is needed.
    Stuck(Arc<str>, Arc<str>),
    /// An order could not be followed.
    Refused(Arc<str>, &'static str),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUp(node) => write!(f, "node {node} is up"),
            Self::PeerLate(node, age) => write!(f, "node {node} is late: silent for {age:?}"),
            Self::PeerDead(node, age) => write!(f, "node {node} is dead: silent for {age:?}"),
            Self::PeerLeft(node) => write!(f, "node {node} has resigned"),
            Self::HearsUsNot(node) => write!(f, "node {node} is heard and does not hear this node"),
            Self::Trouble(node, path, error) => {
                write!(f, "a packet of node {node} on path {} was refused: {error}", path + 1)
            }
            Self::Paused(late) => write!(f, "this node was paused for {late:?}: it asks before it goes on"),
            Self::Claimed(group, cause, epoch) => write!(f, "group {group} is claimed (claim {epoch}): {cause}"),
            Self::Owned(group, epoch, ownerless) if ownerless.is_zero() => {
                write!(f, "group {group} is owned here (claim {epoch})")
            }
            Self::Owned(group, epoch, ownerless) => {
                let gap = Duration::from_millis(u64::try_from(ownerless.as_millis()).unwrap_or(u64::MAX));
                write!(f, "group {group} is owned here (claim {epoch}), after {gap:?} without an owner")
            }
            Self::Yields(group, node, cause) => write!(f, "group {group} goes to {node}: {cause}"),
            Self::Keeps(group, node) => write!(f, "group {group} stays here: {node} did not take it"),
            Self::Stops(group, cause) => write!(f, "group {group} is being stopped here: {cause}"),
            Self::Stopped(group) => write!(f, "group {group} is stopped here"),
            Self::Failed(group, resource, pause) => {
                write!(
                    f,
                    "resource {resource} of group {group} failed: the next attempt here in {pause:?} at the earliest"
                )
            }
            Self::Stuck(group, resource) => write!(
                f,
                "resource {resource} of group {group} does not stop: its addresses are withdrawn; mend it, then `evenkeel cluster ready`"
            ),
            Self::Refused(group, why) => write!(f, "the order for group {group} is refused: {why}"),
        }
    }
}

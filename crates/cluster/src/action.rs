//! What goes in and out of a node beside packets and time.
//!
//! The invariant: an action names its group and resource by their places in the settings as of the last
//! [`Action::Arrange`] before it, and whoever carries it out reports with the action's own number.

use crate::event::Event;

/// What the node wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send [`crate::Node::heartbeat`] over every path, now.
    Beat,
    /// Start a resource; report by [`Change::Done`] with the number.
    Start {
        /// Which group.
        group: usize,
        /// Which of its resources.
        resource: usize,
        /// What to report with.
        number: u32,
    },
    /// Stop a resource; report by [`Change::Done`] with the number.
    Stop {
        /// Which group.
        group: usize,
        /// Which of its resources.
        resource: usize,
        /// What to report with.
        number: u32,
    },
    /// The group was claimed here. Where its living owner has offered it, clients' open connections to its addresses are
    /// still served there for a while. Nothing is reported.
    Inherit {
        /// Which group.
        group: usize,
        /// The member that has offered it.
        from: Option<usize>,
    },
    /// The group is about to stop here, and the next owner has its addresses already: connections that are open here may
    /// go on for a while. Nothing is reported.
    Linger {
        /// Which group.
        group: usize,
    },
    /// Drop every address of the group at once, out of order. Nothing is reported.
    Withdraw {
        /// Which group.
        group: usize,
    },
    /// Put withdrawn addresses back, and announce them. Nothing is reported.
    Restore {
        /// Which group.
        group: usize,
    },
    /// Announce the group's addresses anew: somebody may have heard otherwise.
    Announce {
        /// Which group.
        group: usize,
    },
    /// The group's addresses may live on for their lifetime from now.
    Renew {
        /// Which group.
        group: usize,
    },
    /// Groups and resources are named by their places in other settings from the next action on. Nothing is reported.
    Arrange {
        /// For each group its place before, if it had one.
        origins: Vec<Option<usize>>,
    },
    /// Tell what happened.
    Note(Event),
}

/// How a start or stop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// It did not.
    Failed,
}

/// What the node is told beside packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A start or stop has ended.
    Done {
        /// The action's number.
        number: u32,
        /// How.
        outcome: Outcome,
    },
    /// A running resource was found broken.
    Broken {
        /// Which group.
        group: usize,
        /// Which of its resources.
        resource: usize,
    },
    /// Percent of the capacity that this node can serve with: its pools, its listeners. 0: it cannot serve.
    Score(u8),
    /// Whether as many ping nodes answer as are needed.
    Reaches(bool),
    /// Whether any of this node's own addresses is on this machine. Without one nothing is heard or said.
    Present(bool),
    /// The network of the group's addresses was lost on this node, or is not there.
    CarrierLost {
        /// Which group.
        group: usize,
    },
    /// That network is back.
    CarrierBack {
        /// Which group.
        group: usize,
    },
    /// Another station was seen to answer for an address of the group.
    ForeignOwner {
        /// Which group.
        group: usize,
    },
    /// The operator wants the group here.
    Takeover {
        /// Which group.
        group: usize,
    },
    /// The operator wants the group elsewhere.
    Standby {
        /// Which group.
        group: usize,
    },
    /// The operator lifts [`Self::Standby`], and what failed may be tried again.
    Ready {
        /// Which group.
        group: usize,
    },
    /// The operator wants every group elsewhere as long as another node can own it, or lifts that.
    Aside(bool),
    /// This node goes: groups move to others first where that is possible.
    Leave,
}

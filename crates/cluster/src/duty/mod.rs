//! This node's part in one group.
//!
//! ```text
//!            claim                     all started             hand over
//!   Idle ───────────▶ (Asking ─▶) Starting ───────────▶ Owner ───────────▶ Yielding
//!    ▲                   │ no votes  │ a start failed     │ a higher claim     │ the other owns it
//!    │◀──────────────────┘           ▼                    ▼                    ▼
//!    ├◀──────────────────────────  Stopping  ◀─────────────────────────────────┘
//!    │◀── the pause is over ── Failed ◀─┘ └─▶ Stuck: a stop failed; only an operator ends it
//! ```
//!
//! `Asking` is for safe groups alone, which need votes. The invariant: resources are started one after the other in
//! their order, and stopped one after the other in the reverse order.

mod steps;

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_model::caps;

use crate::event::Cause;
use crate::packet::Role;
use crate::vote::{Tally, Vote};

pub(crate) use steps::{Progress, Step, Steps};

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A group's coming to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// When it was owned here.
    pub at: Duration,
    /// For how long it had no owner before, as far as this node can know.
    pub ownerless: Duration,
    /// Why it came.
    pub cause: Cause,
}

/// This node's part in one group.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) role: Role,
    /// Since when it has that role.
    pub(crate) since: Duration,
    /// Since when the group had no owner, as far as is known, when it was claimed here.
    pub(crate) ownerless_since: Duration,
    /// When the group came to this node, the latest last.
    pub(crate) moves: VecDeque<Move>,
    /// Our own claim while we have one; else the highest that we know of.
    pub(crate) epoch: u64,
    /// The highest claim that was ever heard.
    pub(crate) highest: u64,
    pub(crate) steps: Steps,
    /// The operator sent the group away from here.
    pub(crate) is_away: bool,
    /// The operator wants the group here; others hear of it until then.
    pub(crate) wanted_until: Option<Duration>,
    /// Who should take it over.
    pub(crate) target: Option<usize>,
    /// Why the role is what it is.
    pub(crate) cause: Cause,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// No start before.
    pub(crate) paused_until: Duration,
    /// The same but for the network that is gone, while it is.
    pub(crate) pause_before: Option<Duration>,
    /// Whether what is being stopped has failed.
    pub(crate) has_failed: bool,
    /// Since when nobody holds the group.
    pub(crate) vacant_since: Option<Duration>,
    /// Who held it last, as far as we know.
    pub(crate) last_holder: Option<usize>,
    /// Who would be better, and since when.
    pub(crate) better: Option<(usize, Duration)>,
    /// Who did not take it when offered, and until when it is not offered again.
    pub(crate) declined: Option<(usize, Duration)>,
    /// Whether the addresses are withdrawn although the role is kept.
    pub(crate) is_withdrawn: bool,
    /// Our word as a voter.
    pub(crate) vote: Option<Vote>,
    /// Others' words for our claim.
    pub(crate) tally: Tally,
    /// Members that own it beside us, as bits: what was announced over already.
    pub(crate) rivals: u16,
    pub(crate) renewed_at: Duration,
}

impl Duty {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            role: Role::Idle,
            since: now,
            ownerless_since: now,
            moves: VecDeque::with_capacity(caps::GROUP_MOVES),
            epoch: 0,
            highest: 0,
            steps: Steps::default(),
            is_away: false,
            wanted_until: None,
            target: None,
            cause: Cause::Vacant,
            failures: 0,
            paused_until: Duration::ZERO,
            pause_before: None,
            has_failed: false,
            vacant_since: None,
            last_holder: None,
            better: None,
            declined: None,
            is_withdrawn: false,
            vote: None,
            tally: Tally::default(),
            rivals: 0,
            renewed_at: Duration::ZERO,
        }
    }

    /// Takes a role.
    pub(crate) fn enter(&mut self, now: Duration, role: Role) {
        (self.role, self.since) = (role, now);
        self.better = None;
        if !role.holds() {
            self.rivals = 0;
        }
    }

    /// It is owned here, all of it; for how long nobody owned it before.
    pub(crate) fn arrive(&mut self, now: Duration) -> Duration {
        let ownerless = now.saturating_sub(self.ownerless_since);
        self.pause_before = None;
        if self.moves.len() >= caps::GROUP_MOVES {
            self.moves.pop_front();
        }
        self.moves.push_back(Move { at: now, ownerless, cause: self.cause.clone() });
        ownerless
    }

    /// Notes a failure, and until when to leave the group to others.
    pub(crate) fn fail(&mut self, now: Duration) -> Duration {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(16));
        let pause = pause.min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        (self.paused_until, self.pause_before) = (now + pause, None);
        self.has_failed = true;
        pause
    }

    /// An operator wants it tried again: what failed before counts no more.
    pub(crate) fn forgive(&mut self, now: Duration) {
        (self.failures, self.paused_until, self.pause_before) = (0, now, None);
    }

    /// The highest claim that others should hear of.
    pub(crate) fn known_epoch(&self) -> u64 {
        if self.role.needs_votes() { self.epoch } else { self.highest }
    }
}

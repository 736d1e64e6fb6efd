//! What is known of another node, and when its word counts.
//!
//! No clock is compared with another. A heartbeat carries an echo: "your heartbeat number s came `age` ago". Ours says
//! when s was sent, so the packet was made no earlier than `sent(s) + age`: its age is at most the time since then. What
//! is older than the dead time proves nothing, whoever kept it and whatever restarted in between. The boot id in the
//! echo is ours and new at each start, so that nothing recorded before can hold it.
//!
//! The invariant: [`Peer::heard_at`] is never later than a moment at which the peer lived.

use std::time::Duration;

use evenkeel_model::caps;

use crate::packet::{Beat, BootId, Kind, PacketError, Phase};
use crate::sent::SendTimes;

/// What came of a heartbeat whose seal was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// New, and proved so.
    News,
    /// The first proved one of a new life of the peer.
    NewLife,
    /// One that came before, over this path or another, or was overtaken.
    Repeat,
    /// Too old, or of a life that cannot prove itself yet.
    Unproved,
}

/// One life of the peer that has not proved itself.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    boot: BootId,
    sequence: u64,
    at: Duration,
}

/// Sequence numbers that came, seen from the highest: what was lost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    highest: u64,
    /// Bit n: `highest - n` came.
    came: u64,
    /// How many numbers the window speaks of, at most 64.
    span: u32,
}

impl Window {
    /// Notes that a number came. Whether it is higher than all before.
    pub(crate) fn note(&mut self, sequence: u64) -> bool {
        if self.span == 0 {
            *self = Self { highest: sequence, came: 1, span: 1 };
            return true;
        }
        if sequence <= self.highest {
            let back = u32::try_from(self.highest - sequence).unwrap_or(u32::MAX);
            self.came |= 1_u64.checked_shl(back).unwrap_or(0);
            return false;
        }
        let ahead = u32::try_from(sequence - self.highest).unwrap_or(u32::MAX);
        self.came = self.came.checked_shl(ahead).unwrap_or(0) | 1;
        self.span = self.span.saturating_add(ahead).min(u64::BITS);
        self.highest = sequence;
        true
    }

    /// Percent of the latest heartbeats that did not come.
    pub(crate) fn loss(&self) -> u32 {
        let missing = self.span.saturating_sub(self.came.count_ones());
        missing * 100 / self.span.max(1)
    }

    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }
}

/// One path from the peer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Path {
    pub(crate) window: Window,
    pub(crate) heard_at: Option<Duration>,
    /// What was wrong with the last packet that could not be taken, if none could be taken since.
    pub(crate) trouble: Option<PacketError>,
    /// When trouble was last told of.
    pub(crate) told_at: Option<Duration>,
}

/// Another node.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) id: u32,
    /// The last heartbeat that counted.
    pub(crate) beat: Beat,
    boot: Option<BootId>,
    window: Window,
    is_over: bool,
    candidates: Vec<Candidate>,
    turn: usize,
    /// The latest moment at which it surely lived.
    pub(crate) heard_at: Option<Duration>,
    /// When the heartbeat with the highest number of this life came, proved or not.
    arrived_at: Duration,
    /// Since when it is heard without a break.
    pub(crate) since: Duration,
    /// When we sent the latest heartbeat that it says it has heard.
    pub(crate) hears_us_at: Option<Duration>,
    /// The echo's sequence number, and when that one was sent.
    echoed: (u64, Duration),
    loses_ours: bool,
    pub(crate) paths: [Path; caps::CLUSTER_PATHS],
    /// Heartbeats that were refused as too old.
    pub(crate) refused: u64,
}

impl Peer {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            beat: Beat::blank(id, BootId([0; 16])),
            boot: None,
            window: Window::default(),
            is_over: false,
            candidates: Vec::with_capacity(caps::CLUSTER_CANDIDATES),
            turn: 0,
            heard_at: None,
            arrived_at: Duration::ZERO,
            since: Duration::ZERO,
            hears_us_at: None,
            echoed: (0, Duration::ZERO),
            loses_ours: false,
            paths: [Path::default(); caps::CLUSTER_PATHS],
            refused: 0,
        }
    }

    /// Takes a heartbeat whose seal was right; `beat` holds the one before afterwards, where it counted.
    pub(crate) fn hear(&mut self, now: Duration, path: usize, beat: &mut Beat, us: &Us<'_>) -> Heard {
        let is_same_life = self.boot == Some(beat.boot);
        if is_same_life {
            self.note_path(now, path, beat.sequence);
            if self.is_over || self.is_repeat(beat) {
                return Heard::Repeat;
            }
            if beat.kind == Kind::Resignation {
                self.resign(beat);
                return Heard::News;
            }
            // It is echoed even if it proves nothing: after a long silence neither side has proof until one echoes.
            self.arrived_at = now;
        }
        let Some(lived_at) = self.lived_at(now, beat, us) else {
            self.refused = self.refused.saturating_add(1);
            if !is_same_life {
                self.remember(now, beat);
            }
            return Heard::Unproved;
        };
        if !is_same_life {
            self.begin_life(beat.boot);
            self.note_path(now, path, beat.sequence);
        }
        self.take(now, lived_at, beat, us);
        if is_same_life { Heard::News } else { Heard::NewLife }
    }

    /// Only for heartbeats of the life that has proved itself: numbers of another would hide its own.
    fn note_path(&mut self, now: Duration, path: usize, sequence: u64) {
        if let Some(path) = self.paths.get_mut(path) {
            path.window.note(sequence);
            (path.heard_at, path.trouble) = (Some(now), None);
        }
    }

    fn is_repeat(&mut self, beat: &Beat) -> bool {
        if beat.kind == Kind::Resignation {
            return beat.sequence < self.window.highest();
        }
        !self.window.note(beat.sequence)
    }

    /// The latest moment at which the sender surely lived, if that is not too long ago.
    fn lived_at(&self, now: Duration, beat: &Beat, us: &Us<'_>) -> Option<Duration> {
        let echo = beat.echo(us.id, us.boot)?;
        let remembered = (self.echoed.0 == echo.sequence).then_some(self.echoed.1);
        let sent = us.sent.at(echo.sequence).or(remembered)?;
        // Clocks run apart by a thousandth at the very most; without this a long cut in one direction would look like
        // old packets after some hours.
        let travelled = now.saturating_sub(sent).saturating_sub(echo.age).saturating_sub(echo.age / 1000);
        (travelled <= us.dead).then(|| now.saturating_sub(travelled))
    }

    /// This life is over: that stays true however old the word is, and nobody says it before.
    fn resign(&mut self, beat: &mut Beat) {
        self.is_over = true;
        std::mem::swap(&mut self.beat, beat);
    }

    fn remember(&mut self, now: Duration, beat: &Beat) {
        let seen = Candidate { boot: beat.boot, sequence: beat.sequence, at: now };
        if let Some(known) = self.candidates.iter_mut().find(|known| known.boot == beat.boot) {
            *known = seen;
        } else if self.candidates.len() < caps::CLUSTER_CANDIDATES {
            self.candidates.push(seen);
        } else if let Some(oldest) = self.candidates.iter_mut().min_by_key(|known| known.at) {
            *oldest = seen;
        }
    }

    fn begin_life(&mut self, boot: BootId) {
        self.boot = Some(boot);
        self.window = Window::default();
        self.paths.iter_mut().for_each(|path| path.window = Window::default());
        (self.is_over, self.loses_ours) = (false, false);
        self.candidates.clear();
    }

    fn take(&mut self, now: Duration, lived_at: Duration, beat: &mut Beat, us: &Us<'_>) {
        if !self.is_alive(now, us.dead) {
            self.since = now;
        }
        self.heard_at = self.heard_at.max(Some(lived_at));
        self.arrived_at = now;
        self.window.note(beat.sequence);
        if let Some(echo) = beat.echo(us.id, us.boot).copied() {
            let sent = us.sent.at(echo.sequence).unwrap_or(self.echoed.1);
            self.echoed = (echo.sequence, sent);
            self.hears_us_at = Some(sent);
            self.loses_ours = echo.is_lossy;
        }
        self.is_over = beat.kind == Kind::Resignation;
        std::mem::swap(&mut self.beat, beat);
    }

    /// Forgets what was heard before a pause of ours: it must be said again.
    pub(crate) fn doubt(&mut self) {
        self.heard_at = None;
    }

    /// What to say to the peer of its own heartbeats.
    pub(crate) fn echo(&mut self, now: Duration, dead: Duration) -> Option<(BootId, u64, Duration, bool)> {
        let proved = self.boot.filter(|_| !self.is_over && now.saturating_sub(self.arrived_at) <= dead);
        if let Some(boot) = proved {
            return Some((boot, self.window.highest(), now.saturating_sub(self.arrived_at), self.is_lossy()));
        }
        // Nobody has proved a life: each that speaks gets its turn.
        self.candidates.retain(|known| now.saturating_sub(known.at) <= dead);
        self.turn = self.turn.wrapping_add(1);
        let candidate = self.turn.checked_rem(self.candidates.len()).and_then(|at| self.candidates.get(at).copied());
        let candidate = candidate.map(|known| (known.boot, known.sequence, now.saturating_sub(known.at), true));
        // A cut in one direction may last: what was heard last keeps its growing age.
        let last = self.boot.filter(|_| !self.is_over);
        candidate.or_else(|| last.map(|boot| (boot, self.window.highest(), now.saturating_sub(self.arrived_at), true)))
    }

    /// Whether it surely lived within the dead time.
    pub(crate) fn is_alive(&self, now: Duration, dead: Duration) -> bool {
        !self.is_over && self.heard_at.is_some_and(|at| now.saturating_sub(at) <= dead)
    }

    /// Whether its process is dead and what it ran is being stopped, as it was said within that time.
    pub(crate) fn is_being_stopped(&self, now: Duration, within: Duration) -> bool {
        // A node that leaves in good order says so when nothing runs there any more.
        self.beat.phase == Phase::Leaving && self.is_alive(now, within)
    }

    /// Whether it heard what we sent within the dead time.
    pub(crate) fn hears_us(&self, now: Duration, dead: Duration) -> bool {
        self.hears_us_at.is_some_and(|at| now.saturating_sub(at) <= dead)
    }

    /// Whether heartbeats are lost in either direction.
    pub(crate) fn is_troubled(&self) -> bool {
        self.is_lossy() || self.loses_ours
    }

    fn is_lossy(&self) -> bool {
        self.window.loss() > 0
    }

    /// Whether it is worth its time to check the seal of a packet.
    pub(crate) fn is_old(&self, path: usize, boot: BootId, sequence: u64) -> bool {
        let is_known = |path: &Path| self.boot == Some(boot) && path.window.highest() >= sequence;
        self.paths.get(path).is_some_and(is_known)
    }

    /// Whether what we echo is what we last took: a vote beside any other echo would promise too much.
    pub(crate) fn is_taken(&self) -> bool {
        self.beat.sequence == self.window.highest()
    }
}

/// What a peer's heartbeat is held against.
pub(crate) struct Us<'a> {
    pub(crate) id: u32,
    pub(crate) boot: BootId,
    pub(crate) sent: &'a SendTimes,
    pub(crate) dead: Duration,
}

//! The address guard: a small process that keeps root's rights over addresses, units and scripts, so that the one that
//! serves need not, and that outlives it by a moment.
//!
//! ```text
//!   the tie breaks ─────────────────▶ addresses are withdrawn, which is said at once; units and scripts are stopped, the
//!                                     last word goes out, the guard ends
//!   no sign of life for dead time ──▶ addresses are withdrawn; the next sign of life decides over them
//!   none for three of them ─────────▶ units and scripts are stopped as well
//!   somebody else takes an address ─▶ it is put back and announced
//!   a planned move ─────────────────▶ open connections go on where they are, their segments passed on to them
//!   all of this process stops ──────▶ the kernel drops the addresses when their lifetime ends
//! ```
//!
//! The invariant: an address is here, and a unit or script runs, only while the node that owns it lives and says so.

mod announcing;
mod connections;
mod heirs;
mod holding;
pub(super) mod presence;
mod services;
mod silence;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use evenkeel_net::addresses::{News, Watch};
use evenkeel_net::beat::{Membership, Path, readable, wait};
use evenkeel_net::clock;
use evenkeel_net::process::{Tie, be_urgent, outlive_end_signals};

use super::hand::{Arrangement, LARGEST, Order, Report, Setup};
use crate::resource::Deed;
use holding::Holding;
use presence::Presence;
use services::Services;

/// How often the last word goes out over each path.
const LAST_WORDS: usize = 3;
/// After so many times the patience of silence units and scripts are stopped.
const HANGING: u32 = 3;
/// The longest wait while nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Runs the guard until the process that started it has ended, or told it to.
///
/// # Errors
/// Where it was not started by evenkeel, or the system refuses what every process may have.
pub fn run_address_guard() -> io::Result<()> {
    outlive_end_signals();
    // Refused to who is not root, and then it takes its turn like others.
    be_urgent();
    let tie = Tie::of_companion()?;
    let mut buffer = vec![0; LARGEST];
    let mut setup = first_order(&tie, &mut buffer)?;
    let services = Services::start(std::mem::take(&mut setup.services))?;
    let paths: Vec<Path> =
        setup.paths.iter().map(|(own, peers)| open_path(*own, peers.clone())).collect::<io::Result<_>>()?;
    let presence = Presence::new(setup.paths.iter().map(|(own, _)| own.ip()).collect())?;
    let mut guard = Guard {
        memberships: paths.iter().filter_map(|path| path.membership().transpose()).collect::<io::Result<_>>()?,
        paths,
        presence,
        holding: Holding::new(setup)?,
        services,
        has_given_up: false,
        is_leaving: false,
        watch: Watch::open()?,
        tie,
        heard_at: clock::now(),
        notice: Vec::new(),
        last_word: Vec::new(),
    };
    // What becomes of them from here on is told by the watch.
    let missing = guard.presence.look(clock::now());
    guard.report(missing);
    let outcome = loop {
        match guard.turn(&mut buffer) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    guard.holding.forget_connections();
    outcome
}

/// The port of heartbeats is the other process's: the last word leaves from any.
fn open_path(own: SocketAddr, peers: Vec<SocketAddr>) -> io::Result<Path> {
    Path::open(SocketAddr::new(own.ip(), 0), peers)
}

fn first_order(tie: &Tie, buffer: &mut [u8]) -> io::Result<Setup> {
    wait(&mut [readable(tie.as_fd())], Duration::from_secs(10))?;
    let length = tie.receive(buffer)?.unwrap_or(0);
    match buffer.get(..length).and_then(Order::read) {
        Some(Order::Setup(setup)) => Ok(setup),
        _ => Err(io::Error::other("the address guard was not told what to do")),
    }
}

struct Guard {
    tie: Tie,
    watch: Watch,
    paths: Vec<Path>,
    /// Of the paths whose last word goes to a multicast group.
    memberships: Vec<Membership>,
    presence: Presence,
    holding: Holding,
    services: Services,
    has_given_up: bool,
    is_leaving: bool,
    /// The last sign of life.
    heard_at: Duration,
    /// What is said before units and scripts are stopped,
    notice: Vec<u8>,
    /// and afterwards.
    last_word: Vec<u8>,
}

impl Guard {
    /// One turn. Whether there is to be another.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let now = clock::now();
        let patience = self.holding.patience();
        let silence_ends = (!self.holding.is_silenced()).then(|| self.heard_at + patience);
        let hanging = (!self.has_given_up && self.services.are_running()).then(|| self.heard_at + patience * HANGING);
        let due = [silence_ends, hanging, self.holding.next_due(), self.presence.due()].into_iter().flatten().min();
        let within = due.map_or(IDLE, |due| due.saturating_sub(now));
        {
            let mut these = vec![readable(self.tie.as_fd()), readable(self.watch.as_fd())];
            these.extend(self.services.bell().map(readable));
            these.extend(self.holding.sockets().map(readable));
            wait(&mut these, within)?;
        }
        while let Some(length) = self.tie.receive(buffer)? {
            if !self.obey(buffer.get(..length).unwrap_or_default()) {
                return Ok(false);
            }
        }
        let now = clock::now();
        if now.saturating_sub(self.heard_at) > patience {
            self.holding.silence();
        }
        if now.saturating_sub(self.heard_at) > patience * HANGING && !self.has_given_up {
            self.has_given_up = true;
            let broken = self.services.give_up();
            self.report(broken);
        }
        let told = self.services.told();
        self.report(told);
        self.follow_news(now)?;
        let sightings = self.holding.sightings(now);
        self.report(sightings);
        self.holding.announce_due(now);
        self.holding.serve_connections(now);
        let aside = self.holding.aside();
        self.report(aside);
        Ok(!self.is_leaving || self.holding.is_lingering())
    }

    /// Follows what the kernel tells of addresses and devices.
    fn follow_news(&mut self, now: Duration) -> io::Result<()> {
        let mut is_touched = self.presence.due().is_some_and(|due| due <= now);
        while let Some(news) = self.watch.poll()? {
            is_touched |= self.presence.is_touched(&news);
            for membership in &mut self.memberships {
                // Where its address is gone, it comes with the news of that.
                let _ = !membership.follow(&news) || membership.renew().is_ok();
            }
            let reports = match news {
                News::Added(_) => continue,
                News::Removed(place) | News::Duplicate(place) => self.holding.removed(now, place),
                News::Device(device) => self.holding.device(now, device),
                News::DeviceGone(index) => self.holding.device_gone(index),
                News::Missed => self.holding.refresh(now),
            };
            self.report(reports);
        }
        if is_touched {
            let missing = self.presence.look(now);
            self.report(missing);
        }
        Ok(())
    }

    /// Follows one order. Whether to go on.
    fn obey(&mut self, bytes: &[u8]) -> bool {
        let now = clock::now();
        self.heard_at = now;
        self.has_given_up = false;
        if bytes.is_empty() {
            if !self.is_leaving {
                self.resign();
            }
            return false;
        }
        match Order::read(bytes) {
            Some(Order::Start { group, resource, number }) => {
                self.take_step(now, (group.into(), resource.into()), number, Deed::Start);
            }
            Some(Order::Stop { group, resource, number }) => {
                self.take_step(now, (group.into(), resource.into()), number, Deed::Stop);
            }
            Some(Order::Inherit { group, from }) => self.holding.inherit(group.into(), from.map(usize::from)),
            Some(Order::Linger { group }) => self.holding.linger(group.into()),
            Some(Order::Withdraw { group }) => self.holding.withdraw(group.into()),
            Some(Order::Restore { group }) => {
                let reports = self.holding.restore(now, group.into());
                self.report(reports);
            }
            Some(Order::Announce { group }) => self.holding.announce(now, group.into()),
            Some(Order::Renew { group }) => {
                let reports = self.holding.renew(group.into());
                self.report(reports);
            }
            Some(Order::LastWords { notice, resignation }) => {
                for (kept, word) in [(&mut self.notice, notice), (&mut self.last_word, resignation)] {
                    kept.clear();
                    kept.extend_from_slice(word);
                }
                self.report(vec![Report::Alive]);
            }
            Some(Order::Times { lifetime, patience }) => self.holding.set_times(lifetime, patience),
            Some(Order::Arrange(arrangement)) => return self.arrange(now, arrangement),
            Some(Order::Leave) => {
                self.holding.withdraw_all();
                self.services.stop_all();
                self.is_leaving = true;
                return self.holding.is_lingering();
            }
            // A setup comes once, and what is none of ours came from nobody: both ends are one program.
            Some(Order::Setup(_)) | None => {}
        }
        true
    }

    /// Starts or stops a resource. What becomes of a unit or script is reported when it is done.
    fn take_step(&mut self, now: Duration, (group, resource): (usize, usize), number: u32, deed: Deed) {
        if let Some(taken) = self.services.order(group, resource, number, deed) {
            return self.report(taken);
        }
        let outcome = match deed {
            Deed::Start => self.holding.start(now, group, resource),
            Deed::Stop => self.holding.stop(now, group, resource),
        };
        let failed = outcome.err().map(|cause| self.holding.sentence(group, resource, &cause));
        // Told first: a network that is gone is no failure of the address.
        let aside = self.holding.aside();
        self.report(aside);
        self.report(vec![Report::Done { number, failed }]);
    }

    /// Names groups by other places from now on. Whether to go on.
    fn arrange(&mut self, now: Duration, arrangement: Arrangement) -> bool {
        // It names groups by their places before.
        let aside = self.holding.aside();
        self.report(aside);
        self.holding.arrange(now, arrangement);
        let is_told = self.send(&Report::Arranged);
        if !is_told {
            // The other side would name groups by their places before: it has to begin anew.
            self.resign();
        }
        is_told
    }

    /// The process that served is dead: its addresses go, then what else moves is stopped. Its peers hear of both, so that
    /// no address waits for a unit, and no unit runs twice.
    fn resign(&mut self) {
        self.holding.withdraw_all();
        if self.services.are_running() {
            self.say(&self.notice);
            self.services.stop_all();
        }
        self.say(&self.last_word);
    }

    fn say(&self, word: &[u8]) {
        for _ in 0..LAST_WORDS {
            for path in self.paths.iter().filter(|_| !word.is_empty()) {
                path.send(word);
            }
        }
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        for report in reports {
            // A process that does not read is dying or hangs; its silence is seen elsewhere.
            let _ = self.send(&report);
        }
    }

    fn send(&self, report: &Report) -> bool {
        serde_json::to_vec(report).is_ok_and(|bytes| self.tie.send(&bytes).is_ok())
    }
}

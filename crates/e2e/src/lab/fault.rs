//! What happens to the two machines. The first one owns the address when it happens.
//!
//! The invariant: what a fault does, it does to every system in the same way, as long as its own times say.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::owners::Owners;
use super::stand::{Service, Stand};
use super::system::{SERVICE, System};

/// For how long the owner is listened to before its packets come again: some of those of each system.
const RECORDED: Duration = Duration::from_secs(3);
/// Between two starts of the standby.
const RESTARTS: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An operator moves the address.
    Order,
    /// The owner's system is asked to end.
    Stop,
    /// The owner's worker is killed; a process that watches over it lives.
    KillWorker,
    /// All of the owner's processes are killed at once; the machine goes on.
    KillAll,
    /// The owner's machine is cut off for good: for the others it is dead.
    PowerOff,
    /// The owner's carrier is lost.
    Carrier,
    /// The owner's processes are stopped for three dead times, and go on.
    Pause,
    /// The owner's processes are stopped for half of a dead time.
    ShortPause,
    /// A network that was split is whole again.
    Heal,
    /// The standby does not hear the owner.
    DeafStandby,
    /// The owner does not hear the standby.
    DeafOwner,
    /// Both lose 30 % of what they hear, for 20 s.
    Loss,
    /// Another program takes the address away.
    Deleted,
    /// The server behind the address dies on the owner; all else lives.
    ServiceDies,
    /// The owner's configuration is read again.
    Reload,
    /// Four busy processes of low priority for each core, for 5 s.
    Starved,
    /// The owner's machine dies, and what it had sent before is sent again and again for 10 s.
    Replay,
    /// The standby's processes are killed and started again, three times.
    Restarts,
    /// Both machines are switched off and on at the same moment.
    BothStart,
}

impl Fault {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 19] = [
        Self::Order,
        Self::Stop,
        Self::Reload,
        Self::KillWorker,
        Self::KillAll,
        Self::PowerOff,
        Self::Carrier,
        Self::ServiceDies,
        Self::Deleted,
        Self::Pause,
        Self::ShortPause,
        Self::Starved,
        Self::Heal,
        Self::DeafStandby,
        Self::DeafOwner,
        Self::Loss,
        Self::Replay,
        Self::Restarts,
        Self::BothStart,
    ];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "planned move",
            Self::Stop => "the owner is stopped in order",
            Self::KillWorker => "the owner's worker is killed",
            Self::KillAll => "all of the owner's processes are killed",
            Self::PowerOff => "the owner's machine dies",
            Self::Carrier => "the owner's cable is pulled",
            Self::Pause => "the owner stands still for three dead times",
            Self::ShortPause => "the owner stands still for half a dead time",
            Self::Heal => "a split heals",
            Self::DeafStandby => "the standby does not hear the owner",
            Self::DeafOwner => "the owner does not hear the standby",
            Self::Loss => "30 % loss for 20 s",
            Self::Deleted => "another program deletes the address",
            Self::ServiceDies => "the server behind the owner dies",
            Self::Reload => "the owner reloads",
            Self::Starved => "busy processes for 5 s",
            Self::Replay => "the owner's machine dies, its packets come again for 10 s",
            Self::Restarts => "the standby is killed and started three times",
            Self::BothStart => "both machines are switched off and on",
        }
    }

    /// What has to stand behind the address.
    pub(super) fn service(self) -> Service {
        if self == Self::ServiceDies { Service::Server } else { Service::Simple }
    }

    /// How long it goes on.
    pub(super) fn lasts(self, system: System) -> Duration {
        match self {
            Self::Pause => system.dead() * 3,
            Self::ShortPause => system.dead() / 2,
            Self::DeafStandby | Self::DeafOwner => (system.dead() * 4).max(Duration::from_secs(3)),
            Self::Loss => Duration::from_secs(20),
            Self::Starved => Duration::from_secs(5),
            Self::Replay => Duration::from_secs(10),
            Self::Restarts => RESTARTS * 3,
            _ => Duration::ZERO,
        }
    }

    /// What has to be before it: only a split that is there can heal, and only what was heard can come again.
    pub(super) fn prepare(self, stand: &mut Stand, owners: &Owners) -> Result<(), String> {
        if self == Self::Replay {
            return stand.record(RECORDED);
        }
        if self != Self::Heal {
            return Ok(());
        }
        stand.network.cut(1, true);
        let by = Instant::now() + stand.system.dead() * 4 + Duration::from_secs(10);
        while owners.now() != [1, 2] {
            if Instant::now() > by {
                return Err("the second machine does not take the address of one that is cut off".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // The client asks its side of the split meanwhile, and is served there.
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    }

    /// Does it, and undoes what passes.
    pub(super) fn strike(self, stand: &mut Stand) {
        let lasts = self.lasts(stand.system);
        match self {
            Self::Order => stand.order_move(),
            Self::Stop => stand.stop(1),
            Self::Reload => stand.reload(1),
            Self::KillWorker => stand.worker(1).into_iter().for_each(|id| {
                let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
                let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::KILL));
            }),
            Self::KillAll => {
                // First all stand still, so that none sees another one die.
                stand.signal_all(1, Signal::STOP);
                stand.signal_all(1, Signal::KILL);
            }
            Self::PowerOff => power_off(stand),
            Self::Replay => {
                power_off(stand);
                stand.replay(lasts);
            }
            Self::Restarts => (0..3).for_each(|_| {
                stand.switch_off(2);
                stand.switch_on(2);
                std::thread::sleep(RESTARTS);
            }),
            Self::BothStart => {
                // Or the second one would take the address of the first one between.
                (1..=2).for_each(|host| stand.signal_all(host, Signal::STOP));
                (1..=2).for_each(|host| stand.switch_off(host));
                (1..=2).for_each(|host| stand.switch_on(host));
            }
            Self::Carrier => stand.network.set_carrier(1, false),
            Self::Pause | Self::ShortPause => {
                stand.signal_all(1, Signal::STOP);
                std::thread::sleep(lasts);
                stand.signal_all(1, Signal::CONT);
            }
            Self::Heal => stand.network.cut(1, false),
            Self::DeafStandby | Self::DeafOwner => {
                let host = if self == Self::DeafStandby { 2 } else { 1 };
                stand.lose(host, 100);
                std::thread::sleep(lasts);
                stand.lose_nothing(host);
            }
            Self::Loss => {
                (1..=2).for_each(|host| stand.lose(host, 30));
                std::thread::sleep(lasts);
                (1..=2).for_each(|host| stand.lose_nothing(host));
            }
            Self::Deleted => stand.network.take_address(1, &format!("{SERVICE}/24")),
            Self::ServiceDies => stand.stop_server(1),
            Self::Starved => starve(lasts),
        }
    }
}

fn power_off(stand: &Stand) {
    stand.signal_all(1, Signal::STOP);
    stand.network.cut(1, true);
    stand.network.forget_addresses(1);
}

fn starve(lasts: Duration) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let limit = format!("{}", lasts.as_secs());
    let start = |_| {
        let words = ["-n", "19", "timeout", &limit, "sh", "-c", "while :; do :; done"];
        std::process::Command::new("nice").args(words).spawn().ok()
    };
    let busy: Vec<_> = (0..cores * 4).filter_map(start).collect();
    for mut process in busy {
        let _ = process.wait();
    }
}

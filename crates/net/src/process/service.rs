//! What the service manager is told (sd_notify(3)). Without one, every call does nothing.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// A turn in the process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Start or reload is done; the text is shown by `systemctl status`.
    Ready(&'a str),
    /// A reload begins. [`Notice::Ready`] must follow, also when it failed.
    Reloading,
    /// The stop begins.
    Stopping,
    /// Still well; to be said every [`watchdog_interval`].
    Alive,
    /// One line on what is going on, for `systemctl status`.
    Status(&'a str),
}

/// Tells the service manager, if there is one.
///
/// # Errors
/// Where there is one and it cannot be reached. Nothing depends on it but its own view of us.
pub fn notify(notice: Notice<'_>) -> io::Result<()> {
    sd_notify::notify(&states(notice)?)
}

pub(super) fn states(notice: Notice<'_>) -> io::Result<Vec<NotifyState<'_>>> {
    Ok(match notice {
        Notice::Ready(status) => vec![NotifyState::Ready, NotifyState::Status(status)],
        // Without the time, `systemctl reload` of a `notify-reload` unit waits until it times out.
        Notice::Reloading => vec![NotifyState::Reloading, NotifyState::monotonic_usec_now()?],
        Notice::Stopping => vec![NotifyState::Stopping],
        Notice::Alive => vec![NotifyState::Watchdog],
        Notice::Status(text) => vec![NotifyState::Status(text)],
    })
}

/// How often the service manager wants to hear [`Notice::Alive`]: half of the time after which it restarts us.
/// `None` where it does not watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

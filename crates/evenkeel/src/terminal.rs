//! The terminal, giving keys as they are pressed and not showing them.
//!
//! The invariant: the terminal is as it was when this is dropped.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// What Ctrl-C does while a [`Terminal`] is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// It stays a signal.
    Signal,
    /// It is a key, [`INTERRUPT_KEY`].
    Key,
}

/// The byte of Ctrl-C.
pub(crate) const INTERRUPT_KEY: u8 = 3;

/// The terminal of the standard input.
pub(crate) struct Terminal {
    stdin: File,
    before: Termios,
}

/// What came of waiting for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// This one.
    Key(u8),
    /// None in that time.
    Nothing,
    /// There will be no more keys.
    End,
}

impl Terminal {
    /// Takes the terminal of the standard input.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn open(interrupt: Interrupt) -> io::Result<Self> {
        // A handle of our own: the standard library's would take keys into a buffer that nobody wakes us for.
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if interrupt == Interrupt::Key {
            raw.local_modes.remove(LocalModes::ISIG);
        }
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self { stdin, before })
    }

    /// Waits for a key, but no longer than that.
    pub(crate) fn key(&mut self, patience: Duration) -> Pressed {
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        let wait = Timespec { tv_sec: seconds, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut asked = [PollFd::new(&self.stdin, PollFlags::IN)];
        match poll(&mut asked, Some(&wait)) {
            Ok(0) => return Pressed::Nothing,
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => return Pressed::Nothing,
            Err(_) => return Pressed::End,
        }
        let mut key = [0];
        // There is something to read, so that this does not wait.
        match self.stdin.read(&mut key) {
            Ok(1..) => Pressed::Key(key[0]),
            Ok(0) | Err(_) => Pressed::End,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}

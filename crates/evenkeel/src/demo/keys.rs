//! Keys of the terminal, one at a time.
//!
//! The invariant: the terminal is as it was when this is dropped.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::stage::Act;

/// What the keys do.
pub(super) const HELP: &str = "keys: 1 2 3 choose a server (now the first) · k kill · h hang · u restore\n\
                               \u{20}     d drain, or not any more · m maintenance, or not any more · c new client · q quit\n";

/// How often is looked for a key: no finger feels the difference.
const LOOK: Duration = Duration::from_millis(30);

/// The terminal, giving keys as they are pressed and not showing them.
pub(super) struct Keys {
    stdin: File,
    before: Termios,
}

impl Keys {
    /// Takes the terminal of the standard input.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn open() -> io::Result<Self> {
        // A handle of our own: the standard library's would take keys into a buffer that nobody wakes us for.
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        // Ctrl-C stays a signal.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self { stdin, before })
    }

    /// The next act that a key means; `None` when the keys are over.
    pub(super) async fn next(&mut self) -> Option<Act> {
        loop {
            tokio::time::sleep(LOOK).await;
            if !self.is_pressed().ok()? {
                continue;
            }
            let mut key = [0];
            // There is something to read, so that this does not wait.
            match (self.stdin.read(&mut key).ok()?, key) {
                (0, _) | (_, [b'q']) => return None,
                (_, [key]) => {
                    if let Some(act) = act(key) {
                        return Some(act);
                    }
                }
            }
        }
    }

    fn is_pressed(&self) -> io::Result<bool> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(&self.stdin, PollFlags::IN)];
        Ok(poll(&mut asked, Some(&at_once))? > 0)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}

fn act(key: u8) -> Option<Act> {
    Some(match key {
        b'1'..=b'3' => Act::Choose(usize::from(key - b'1')),
        b'k' => Act::Kill,
        b'h' => Act::Hang,
        b'u' => Act::Restore,
        b'd' => Act::Drain,
        b'm' => Act::Maintain,
        b'c' => Act::NewClient,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_something() {
        for key in *b"123khudmc" {
            assert!(act(key).is_some(), "{}", char::from(key));
            assert!(HELP.contains(char::from(key)));
        }
        assert_eq!(act(b'x'), None);
    }
}

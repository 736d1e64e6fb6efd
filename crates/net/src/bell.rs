//! A bell: it wakes a thread that waits for sockets.
//!
//! Invariant: rung before or during a wait, it is heard by it; nothing here blocks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// Wakes a thread that waits.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that was not rung.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings. Rung several times before it was heard, it is heard once.
    pub fn ring(&self) {
        // It fails only when its count is full, and then it has been rung.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Hears the bell: afterwards it is quiet again.
    pub fn hear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::beat::{readable, wait};

    #[test]
    fn a_bell_rung_twice_is_heard_once() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        wait(&mut [readable(bell.as_fd())], Duration::from_secs(5)).unwrap();
        bell.hear();
        let mut quiet = [readable(bell.as_fd())];
        wait(&mut quiet, Duration::from_millis(1)).unwrap();
        assert!(quiet[0].revents().is_empty());
    }
}

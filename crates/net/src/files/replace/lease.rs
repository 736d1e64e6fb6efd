//! Leases: whether anybody has a file open for writing, and who wants to waits (`fcntl(2)`, "Leases").
//!
//! The invariant: a lease is given back; whoever waits for it waits no longer than the holder's few steps.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A read lease on a file.
#[derive(Debug)]
pub(super) struct Lease {
    file: OwnedFd,
}

/// What the system said.
#[derive(Debug)]
pub(super) enum Leased {
    /// Nobody has the file open for writing, and who wants to waits.
    Held(Lease),
    /// Somebody has it open for writing.
    Refused,
    /// Leases cannot be had here: not our file, or a file system without them.
    Unknown,
}

impl Lease {
    /// Asks for a lease on a file that is open for reading.
    pub(super) fn take(file: &File) -> Leased {
        let Ok(file) = file.try_clone() else { return Leased::Unknown };
        let lease = Self { file: file.into() };
        // The signal of somebody who waits is one that is ignored unless a program asks for it; the usual one would
        // end the process.
        if lease.ask(SET_SIGNAL, SIGURG) < 0 {
            return Leased::Unknown;
        }
        if lease.ask(SET_LEASE, READ) == 0 {
            return Leased::Held(lease);
        }
        let refused = io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock;
        if refused { Leased::Refused } else { Leased::Unknown }
    }

    /// Whether somebody waits to open the file for writing.
    pub(super) fn is_wanted(&self) -> bool {
        self.ask(GET_LEASE, 0) != READ
    }

    #[allow(unsafe_code)]
    fn ask(&self, command: c_int, value: c_int) -> c_int {
        // SAFETY: as the C library's header declares it: `int fcntl(int fd, int cmd, ...)`.
        unsafe extern "C" {
            fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
        }
        // SAFETY: the descriptor is open as long as `self`, and these commands take one integer or none.
        unsafe { fcntl(self.file.as_raw_fd(), command, value) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Where none was taken there is nothing to give back, and the system says so.
        self.ask(SET_LEASE, NONE);
    }
}

// Linux's numbers, the same on every processor that we build for.
const SET_SIGNAL: c_int = 10;
const SET_LEASE: c_int = 1024;
const GET_LEASE: c_int = 1025;
const READ: c_int = 0;
const NONE: c_int = 2;
const SIGURG: c_int = 23;

//! Children that do not outlive the process that starts them.
//!
//! The invariant: the kernel sees to it, so that it holds after `kill -9` as well.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Has the kernel kill what `command` starts once the thread is gone that starts it. Start it on one that lasts as long as
/// the process, such as its first.
pub fn end_with_us(command: &mut Command) {
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes two system calls and nothing else: no memory is asked for and no
    // lock taken, and what it captured is a plain number.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || tie(parent));
    }
}

/// In the child. Where the parent went away before, the kernel says nothing any more.
fn tie(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

//! A small program of the system that is run and waited for, for a moment at the most.
//!
//! The invariant: whatever it does, the caller goes on when its time is over.

use std::io;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::beat::{readable, wait};

/// Where such programs are: our own path may be shorter.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program without input or output. Whether it ended well within the time; else it is killed.
///
/// # Errors
/// Where it cannot be started.
pub fn run_briefly(program: &str, arguments: &[&str], within: Duration) -> io::Result<bool> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    wait(&mut [readable(ended.as_fd())], within)?;
    if let Some(status) = child.try_wait()? {
        return Ok(status.success());
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_whether_it_ended_well_and_has_its_time() {
        let long = Duration::from_secs(20);
        assert!(run_briefly("true", &[], long).unwrap());
        assert!(!run_briefly("false", &[], long).unwrap());
        assert!(!run_briefly("sleep", &["600"], Duration::from_millis(20)).unwrap());
        assert!(run_briefly("no-such-program", &[], long).is_err());
    }
}

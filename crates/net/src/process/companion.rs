//! A companion: a process of the same program, tied to this one by a socket of whole messages.
//!
//! Invariant: each side hears of the other's end at once, however it came about: the kernel closes the socket.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

/// The tie to the other process.
#[derive(Debug)]
pub struct Tie(OwnedFd);

impl Tie {
    /// In the companion: the tie to the process that started it, which is its standard input.
    ///
    /// # Errors
    /// Where standard input is no such socket: somebody else started us.
    pub fn of_companion() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        rustix::net::sockopt::socket_type(stdin)
            .ok()
            .filter(|kind| *kind == SocketType::SEQPACKET)
            .ok_or_else(|| io::Error::other("this is started by evenkeel itself, and by nobody else"))?;
        let own = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        rustix::io::ioctl_fionbio(&own, true)?;
        Ok(Self(own))
    }

    /// Sends a message whole, or not at all.
    ///
    /// # Errors
    /// Where the other side is gone, or does not read.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        send(&self.0, message, SendFlags::NOSIGNAL).map(|_| ()).map_err(io::Error::from)
    }

    /// The next message, without waiting for any. `Ok(Some(0))` says that the other side is gone.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => return Ok(Some(length)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(Some(0)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Tie {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A companion that runs.
#[derive(Debug)]
pub struct Companion {
    /// The tie to it.
    pub tie: Tie,
    child: Child,
}

impl Companion {
    /// Starts `program` with these arguments, in a process group of its own so that a terminal's signals do not reach it.
    /// Its errors go where ours go.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (own, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { tie: Tie(own), child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, also where it is stopped: the tie's end tells when.
    pub fn kill(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.child.kill();
    }

    /// Lets go of the tie and waits for its end.
    pub fn finish(self) {
        let Self { tie, mut child } = self;
        drop(tie);
        // It ends by itself once the tie is cut.
        let _ = child.wait();
    }
}

/// Has this process go on whatever a whole service is sent, be it to end or to rotate logs: it ends with the process that
/// it accompanies. Programs that it starts end as usual: a signal that is ignored stays so in them, one that has a handler
/// does not.
pub fn outlive_end_signals() {
    let of_main =
        [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];
    for signal in of_main {
        // SAFETY: the handler does nothing at all, so that it may run at any moment and concerns no memory.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(signal, go_on as extern "C" fn(libc::c_int) as libc::sighandler_t);
        }
    }
}

extern "C" fn go_on(_signal: libc::c_int) {}

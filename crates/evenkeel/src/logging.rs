//! The program's own log: one line for each event, on the standard error.
//!
//! Requests are not logged here; access logs have their own writers. The invariant: a panic is one line, too, and a
//! reader of the standard error that goes away, or stops to read, takes nothing with it but lines, which are counted.

use std::fs::File;
use std::io::{self, StderrLock, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::EnvFilter;

use crate::args::LogLevel;
use crate::output;

/// Libraries below us say only what went wrong.
const QUIET: &str = "hickory_resolver=error,hickory_proto=error,hickory_net=error,hyper=error,mio=error";

/// Begins to log.
pub(crate) fn start(level: LogLevel) {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::new(format!("{level},{QUIET}"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines)
        // It would tell of a line that could not be written by writing another one, and panic where that fails.
        .log_internal_errors(false)
        .with_ansi(output::stderr_has_colour())
        .with_target(false);
    // The journal has its own clock.
    if is_journal() {
        log.without_time().init()
    } else {
        log.init()
    }
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("panic in {} at {place}: {message}", thread.name().unwrap_or("a thread"));
    }));
}

/// Whether the standard error is the journal. The variable alone does not say so: who is started by hand in a service or a
/// desktop's session has it, too (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let about = io::stderr().as_fd().try_clone_to_owned().and_then(|own| File::from(own).metadata());
    about.is_ok_and(|about| named == format!("{}:{}", about.dev(), about.ino()))
}

/// What a pipe that can be written to takes at once, without a wait (pipe(7)).
const PIECE: usize = 4096;

/// Lines that the standard error did not take, and of which it was not told yet.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes whole lines to the standard error, as long as that takes them at once. A pipe that is full, or a terminal that
/// is stopped, would else stop each thread that has something to say, and with them probes, reloads and traffic.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut error = io::stderr().lock();
        let lost = LOST.load(Ordering::Relaxed);
        let told = lost == 0 || put(&mut error, format!("{lost} lines of this log were lost\n").as_bytes());
        if told {
            LOST.fetch_sub(lost, Ordering::Relaxed);
        }
        if !told || !put(&mut error, line) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says something that is no event, as long as the standard error takes it at once: who waits here holds up whoever logs.
pub(crate) fn tell(text: &str) {
    let _is_taken = put(&mut io::stderr().lock(), format!("{}\n", text.trim_end()).as_bytes());
}

/// Writes a line; says whether all of it was taken.
fn put(error: &mut StderrLock<'_>, line: &[u8]) -> bool {
    line.chunks(PIECE).all(|piece| takes(error) && error.write_all(piece).is_ok())
}

/// Whether a piece is taken without a wait. A reader that is gone takes none either, and says so at once.
fn takes(error: &StderrLock<'_>) -> bool {
    let mut asked = [PollFd::new(error, PollFlags::OUT)];
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(count) if count > 0)
}

//! The program's own log: one line for each event, on the standard error.
//!
//! Requests are not logged here; access logs have their own writers. The invariant: a panic is one line, too, and a
//! reader of the standard error that goes away takes nothing with it.

use std::panic;
use std::thread;

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
        .with_writer(std::io::stderr)
        // It would tell of a line that could not be written by writing another one, and panic where that fails.
        .log_internal_errors(false)
        .with_ansi(output::stderr_has_colour())
        .with_target(false);
    // The journal has its own clock.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
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

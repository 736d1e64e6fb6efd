//! What a small program beside a node needs of the system, such as the demo's toys: a runtime, and chance. Runtimes are built in this
//! crate alone.

use std::future::Future;
use std::io;
use std::process::Command;

use tokio::runtime::{Builder, LocalOptions};

/// 32 bytes that nobody can guess.
pub fn chance() -> [u8; 32] {
    evenkeel_net::rng::seed()
}

/// Has what `command` starts killed when this process ends, however it does. Start it on the first thread.
pub fn end_with_us(command: &mut Command) {
    evenkeel_net::process::end_with_us(command);
}

/// Runs a program to its end, on the calling thread. Tasks that it started end with it.
///
/// # Errors
/// Where the system has no descriptor to give.
pub fn run_beside<T>(program: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    Ok(runtime.block_on(program))
}

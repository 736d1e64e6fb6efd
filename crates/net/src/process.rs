//! The process itself: what it may open, whom it runs as, whom it tells about its life, and what machine it is on.

mod briefly;
mod companion;
mod identity;
mod service;
mod tied;
mod tree;
mod urgent;
mod usage;

use std::io;
use std::num::NonZeroUsize;

use evenkeel_model::caps;
use evenkeel_model::config::Ceiling;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use briefly::run_briefly;
pub use companion::{Companion, Tie, outlive_end_signals};
pub use identity::{User, become_user, is_root, lookup_user, uid};
pub use service::{Notice, notify, watchdog_interval};
pub use tied::end_with_us;
pub use tree::kill_tree;
pub use urgent::be_urgent;
pub use usage::{Usage, memory, usage};

/// Raises the descriptor limit and returns what it is afterwards. `FromSystem` takes what the hard limit allows, at
/// most [`caps::DESCRIPTORS`]; a fixed number above the hard limit is had by root alone, others get the hard limit. The
/// limit is never lowered.
///
/// # Errors
/// Where the system refuses what it should allow.
pub fn raise_descriptor_limit(wanted: Ceiling) -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let wanted = match wanted {
        Ceiling::FromSystem => hard.min(caps::DESCRIPTORS),
        Ceiling::Fixed(count) => u64::from(count),
    };
    if wanted <= soft {
        return Ok(soft);
    }
    if wanted > hard && set_descriptor_limit(wanted, wanted).is_ok() {
        return Ok(wanted);
    }
    let granted = wanted.min(hard);
    set_descriptor_limit(granted, hard)?;
    Ok(granted)
}

/// The machine's name, as `uname -n` gives it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The cores that this process may keep busy: those that its affinity allows, no more than its control group's quota
/// pays for.
pub fn core_count() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn set_descriptor_limit(soft: u64, hard: u64) -> io::Result<()> {
    let maximum = (hard != u64::MAX).then_some(hard);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum })?)
}

#[cfg(test)]
mod tests;

//! Keeps the paths of heartbeats in their multicast groups: a device that is made anew has forgotten who had joined.
//!
//! A thread of its own, since joining waits where the kernel is busy with devices, which heartbeats must not. The invariant:
//! it does nothing but at the kernel's word, and once a second while a place is lost.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::addresses::Watch;
use evenkeel_net::beat::{Membership, Path, readable, wait};
use evenkeel_net::bell::Bell;
use tokio::sync::mpsc;

use crate::supervisor::Event;
use crate::tasks;

/// While nothing is lost nobody has to look.
const IDLE: Duration = Duration::from_secs(3600);
/// While something is.
const AGAIN: Duration = Duration::from_secs(1);

/// Ends the thread when it is let go.
pub(super) struct Keeping(Arc<Bell>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// Begins to keep them, if any path has a group.
///
/// # Errors
/// Where the system has no thread or descriptor to give.
pub(super) fn keep(paths: &[Path], events: &mpsc::Sender<Event>) -> io::Result<Option<Keeping>> {
    let memberships = paths.iter().filter_map(|path| path.membership().transpose()).collect::<io::Result<Vec<_>>>()?;
    if memberships.is_empty() {
        return Ok(None);
    }
    // What has happened since the paths were opened is in none of its news: they are joined once more.
    let watch = Watch::open()?;
    let end = Arc::new(Bell::new()?);
    let ended = Arc::clone(&end);
    tasks::start_thread(tasks::MULTICAST, None, events, move || {
        if let Err(error) = follow(memberships, watch, &ended) {
            tracing::error!("multicast groups are not joined again from now on, when a device is made anew: {error}");
        }
    })?;
    Ok(Some(Keeping(end)))
}

struct Kept {
    membership: Membership,
    /// Whether it was said that it is lost.
    is_told: bool,
}

fn follow(memberships: Vec<Membership>, mut watch: Watch, end: &Bell) -> io::Result<()> {
    let keep = |mut membership: Membership| {
        // Where it cannot be had now, it is lost.
        let _ = membership.renew();
        Kept { membership, is_told: false }
    };
    let mut all: Vec<Kept> = memberships.into_iter().map(keep).collect();
    loop {
        all.iter_mut().filter(|kept| kept.membership.is_lost()).for_each(renew);
        let is_lost = all.iter().any(|kept| kept.membership.is_lost());
        let mut these = [readable(end.as_fd()), readable(watch.as_fd())];
        wait(&mut these, if is_lost { AGAIN } else { IDLE })?;
        if these.first().is_some_and(|end| !end.revents().is_empty()) {
            return Ok(());
        }
        while let Some(news) = watch.poll()? {
            for kept in &mut all {
                kept.membership.follow(&news);
            }
        }
    }
}

fn renew(kept: &mut Kept) {
    let (own, group) = kept.membership.ends();
    match kept.membership.renew() {
        Ok(()) => {
            kept.is_told = false;
            tracing::info!("heartbeats by {group} go on from the device that has {own} now");
        }
        Err(error) if !kept.is_told => {
            kept.is_told = true;
            tracing::warn!("no heartbeats by {group} until {own} is back on a device: {error}");
        }
        Err(_) => {}
    }
}

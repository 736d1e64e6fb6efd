//! Whether this node's own addresses are on this machine: without one it hears nobody, and nobody hears it.
//!
//! The invariant: what is reported is what the kernel said last, once for each change.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_net::addresses::{Addresses, News};

use super::super::hand::Report;

/// How often is looked while one is missing: of a route that makes an address local nothing is told.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Presence {
    kernel: Addresses,
    own: Vec<IpAddr>,
    missing: Vec<IpAddr>,
    looked_at: Duration,
}

impl Presence {
    pub(super) fn new(own: Vec<IpAddr>) -> io::Result<Self> {
        Ok(Self { kernel: Addresses::open()?, own, missing: Vec::new(), looked_at: Duration::ZERO })
    }

    /// When to look again although nothing is told.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.missing.is_empty()).then(|| self.looked_at + AGAIN)
    }

    /// Whether the news may be of an own address.
    pub(super) fn is_touched(&self, news: &News) -> bool {
        match news {
            News::Added(place) | News::Removed(place) | News::Duplicate(place) => self.own.contains(&place.addr),
            News::DeviceGone(_) | News::Missed => true,
            News::Device(_) => false,
        }
    }

    /// Asks the kernel: which are missing, where these are others than before.
    pub(super) fn look(&mut self, now: Duration) -> Option<Report> {
        self.looked_at = now;
        // Where it does not answer nothing is known to have changed.
        let missing = missing(&mut self.kernel, &self.own).ok()?;
        (missing != self.missing).then(|| {
            self.missing.clone_from(&missing);
            Report::Missing { addrs: missing }
        })
    }
}

/// Those of these addresses that are not this machine's.
///
/// # Errors
/// Where the kernel does not answer.
pub(in super::super) fn missing(kernel: &mut Addresses, own: &[IpAddr]) -> io::Result<Vec<IpAddr>> {
    let mut missing = Vec::new();
    for addr in own {
        if !kernel.is_local(*addr)? {
            missing.push(*addr);
        }
    }
    Ok(missing)
}

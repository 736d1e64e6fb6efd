//! Whether this node's own addresses are on this machine: without one it hears nobody, and nobody hears it.
//!
//! The invariant: what is reported is what the kernel said last: at first, and once for each change.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_net::addresses::{Addresses, News};

use super::super::hand::Report;

/// How often is looked while one is missing, or nothing is known yet: of a route that makes an address local nothing is told.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Presence {
    kernel: Addresses,
    own: Vec<IpAddr>,
    /// Those that are missing, as far as was reported.
    missing: Option<Vec<IpAddr>>,
    looked_at: Duration,
}

impl Presence {
    pub(super) fn new(own: Vec<IpAddr>) -> io::Result<Self> {
        Ok(Self { kernel: Addresses::open()?, own, missing: None, looked_at: Duration::ZERO })
    }

    /// When to look again although nothing is told.
    pub(super) fn due(&self) -> Option<Duration> {
        self.missing.as_ref().is_none_or(|missing| !missing.is_empty()).then(|| self.looked_at + AGAIN)
    }

    /// Whether the news may be of an own address.
    pub(super) fn is_touched(&self, news: &News) -> bool {
        match news {
            News::Added(place) | News::Removed(place) | News::Duplicate(place) => self.own.contains(&place.addr),
            News::DeviceGone(_) | News::Missed => true,
            News::Device(_) => false,
        }
    }

    /// Asks the kernel: which are missing, where these are others than before. The first answer is always told: whoever
    /// started this looked at another moment.
    pub(super) fn look(&mut self, now: Duration) -> Option<Report> {
        self.looked_at = now;
        // Where it does not answer nothing is known to have changed.
        let missing = missing(&mut self.kernel, &self.own).ok()?;
        let before = self.missing.replace(missing.clone());
        (before.as_ref() != Some(&missing)).then_some(Report::Missing { addrs: missing })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_is_told_also_where_nothing_is_missing_and_taken_until_it_succeeds() {
        let there = IpAddr::from([127, 0, 0, 1]);
        let mut presence = Presence::new(vec![there]).unwrap();
        assert_eq!(presence.due(), Some(AGAIN));
        assert_eq!(presence.look(AGAIN), Some(Report::Missing { addrs: Vec::new() }));
        assert_eq!((presence.due(), presence.look(AGAIN)), (None, None));
        // TEST-NET-1, which no machine has (RFC 5737).
        presence.own.push([192, 0, 2, 77].into());
        assert_eq!(presence.look(AGAIN), Some(Report::Missing { addrs: vec![[192, 0, 2, 77].into()] }));
        assert_eq!((presence.due(), presence.look(AGAIN)), (Some(AGAIN * 2), None));
    }
}

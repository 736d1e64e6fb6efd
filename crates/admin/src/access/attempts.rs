//! How often a wrong password may be tried: a bucket for each source, so that who guesses holds up nobody else.
//!
//! The invariant: at most [`caps::ADMIN_SOURCES`] sources are remembered, whoever calls.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use evenkeel_model::caps;

/// Attempts that a source has at once: a person's few mistakes.
const BURST: u32 = 10;

/// What an attempt costs in time, once the burst is used up.
const PACE: Duration = Duration::from_secs(6);

/// The sources that have failed of late.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// For each source, when it will have its whole burst again.
    whole_at: HashMap<IpAddr, Duration>,
}

impl Attempts {
    /// Takes an attempt.
    ///
    /// # Errors
    /// How long until the next one, where there is none.
    pub(crate) fn take(&mut self, from: IpAddr, now: Duration) -> Result<(), Duration> {
        let source = source(from);
        let whole_at = self.whole_at.get(&source).copied().unwrap_or(now).max(now) + PACE;
        if let Some(wait) = whole_at.checked_sub(now + PACE * BURST).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        self.whole_at.insert(source, whole_at);
        self.forget(now);
        Ok(())
    }

    /// Gives an attempt back: it was right.
    pub(crate) fn give_back(&mut self, from: IpAddr) {
        if let Some(whole_at) = self.whole_at.get_mut(&source(from)) {
            *whole_at = whole_at.saturating_sub(PACE);
        }
    }

    /// Drops those that have waited long enough; of too many, the one that is due first.
    fn forget(&mut self, now: Duration) {
        if self.whole_at.len() <= caps::ADMIN_SOURCES {
            return;
        }
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        if self.whole_at.len() > caps::ADMIN_SOURCES {
            let first = self.whole_at.iter().min_by_key(|(_, whole_at)| **whole_at).map(|(source, _)| *source);
            first.and_then(|source| self.whole_at.remove(&source));
        }
    }
}

/// A client has one IPv4 address, or all of an IPv6 /64.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "192.0.2.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_free_and_then_each_attempt_waits() {
        let mut attempts = Attempts::default();
        let now = Duration::from_secs(1000);
        for _ in 0..BURST {
            assert_eq!(attempts.take(ip(A), now), Ok(()));
        }
        assert_eq!(attempts.take(ip(A), now), Err(PACE));
        assert_eq!(attempts.take(ip(A), now + PACE), Ok(()));
        assert!(attempts.take(ip(A), now + PACE).is_err());
    }

    #[test]
    fn who_guesses_holds_up_nobody_else() {
        let mut attempts = Attempts::default();
        while attempts.take(ip("2001:db8::1"), Duration::ZERO).is_ok() {}
        assert!(attempts.take(ip("2001:db8::2"), Duration::ZERO).is_err(), "the same /64");
        assert!(attempts.take(ip("2001:db8:0:1::1"), Duration::ZERO).is_ok());
    }

    #[test]
    fn a_right_password_costs_nothing() {
        let mut attempts = Attempts::default();
        for _ in 0..1000 {
            assert_eq!(attempts.take(ip(A), Duration::ZERO), Ok(()));
            attempts.give_back(ip(A));
        }
    }

    #[test]
    fn sources_are_bounded_however_many_call() {
        let mut attempts = Attempts::default();
        for number in 0..u32::try_from(caps::ADMIN_SOURCES + 100).unwrap() {
            let _ = attempts.take(IpAddr::V4(number.into()), Duration::from_secs(1));
        }
        assert!(attempts.whole_at.len() <= caps::ADMIN_SOURCES);
    }
}

//! Addresses that leave this machine: connections to them carry no further request after the one under way.
//!
//! The invariant: who asks waits for nobody; between two changes at once an address may be missed for one request.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use evenkeel_model::caps;

/// The addresses; zero is none.
#[derive(Debug)]
pub(crate) struct Leaving {
    some: [AtomicU32; caps::LEAVING_ADDRESSES],
    /// Whether the whole machine is being left.
    all: AtomicBool,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { some: [const { AtomicU32::new(0) }; caps::LEAVING_ADDRESSES], all: AtomicBool::new(false) }
    }
}

impl Leaving {
    /// These leave, and no others. What is beyond the cap is served like what stays.
    pub(crate) fn set(&self, addrs: &[Ipv4Addr]) {
        let addrs = addrs.iter().map(|addr| u32::from(*addr)).chain(std::iter::repeat(0));
        for (place, addr) in self.some.iter().zip(addrs) {
            place.store(addr, Ordering::Relaxed);
        }
    }

    /// All of them leave, or only those that were set.
    pub(crate) fn set_all(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Whether this one does.
    pub(crate) fn holds(&self, addr: IpAddr) -> bool {
        if self.all.load(Ordering::Relaxed) {
            return true;
        }
        let IpAddr::V4(addr) = addr.to_canonical() else { return false };
        let addr = u32::from(addr);
        self.some
            .iter()
            .map(|place| place.load(Ordering::Relaxed))
            .take_while(|held| *held != 0)
            .any(|held| held == addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_leave_until_they_are_back() {
        let leaving = Leaving::default();
        let [one, other] = [Ipv4Addr::new(10, 8, 0, 1), Ipv4Addr::new(10, 8, 0, 2)];
        assert!(!leaving.holds(one.into()));
        leaving.set(&[other, one]);
        assert!(leaving.holds(one.into()) && leaving.holds(one.to_ipv6_mapped().into()));
        leaving.set(&[other]);
        assert!(leaving.holds(other.into()) && !leaving.holds(one.into()));
        leaving.set_all(true);
        assert!(leaving.holds(one.into()) && leaving.holds("::1".parse().unwrap()));
        leaving.set_all(false);
        assert!(leaving.holds(other.into()) && !leaving.holds(one.into()));
    }
}

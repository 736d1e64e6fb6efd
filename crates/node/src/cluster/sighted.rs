//! Who else was seen with a service address of ours, and when that is to be told.
//!
//! The invariant: a neighbour at war with us fills neither the log nor the list of events, however long it goes on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What goes on is told again after this time.
const AGAIN: Duration = Duration::from_secs(60);

/// By address: whom it was last told of, and when.
#[derive(Debug, Default)]
pub(crate) struct Sighted(BTreeMap<IpAddr, ([u8; 6], Duration)>);

impl Sighted {
    /// Whether it is to be told that the one with that Ethernet address has this address of ours, too.
    pub(crate) fn is_news(&mut self, now: Duration, addr: IpAddr, mac: [u8; 6]) -> bool {
        let is_told = |(told, at): &([u8; 6], Duration)| *told == mac && now.saturating_sub(*at) < AGAIN;
        let is_news = !self.0.get(&addr).is_some_and(is_told);
        if is_news {
            self.0.insert(addr, (mac, now));
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_else_has_an_address_is_told_once_and_again_after_a_minute_and_another_one_at_once() {
        let (mut sighted, second) = (Sighted::default(), Duration::from_secs(1));
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|addr| addr.parse().unwrap());
        assert!(sighted.is_news(second, one, [1; 6]));
        assert!((2..=60).all(|at| !sighted.is_news(second * at, one, [1; 6])));
        assert!(sighted.is_news(second * 61, one, [1; 6]));
        assert!(sighted.is_news(second * 62, one, [2; 6]));
        assert!(sighted.is_news(second * 62, other, [2; 6]));
    }
}

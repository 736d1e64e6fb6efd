//! Who else was seen with a service address of ours, and when that is to be told.
//!
//! The invariant: a neighbour at war with us fills neither the log nor the list of events, however long it goes on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_model::caps;

/// What goes on is told again after this time.
const AGAIN: Duration = Duration::from_secs(60);

/// By address: of whom was told, and since when they are remembered.
#[derive(Debug, Default)]
pub(crate) struct Sighted(BTreeMap<IpAddr, (Duration, Vec<[u8; 6]>)>);

impl Sighted {
    /// Whether it is to be told that the one with that Ethernet address has this address of ours, too.
    pub(crate) fn is_news(&mut self, now: Duration, addr: IpAddr, mac: [u8; 6]) -> bool {
        let (since, told) = self.0.entry(addr).or_insert((now, Vec::new()));
        if now.saturating_sub(*since) >= AGAIN {
            (*since, *told) = (now, Vec::new());
        }
        let is_news = told.len() < caps::OTHER_OWNERS && !told.contains(&mac);
        if is_news {
            told.push(mac);
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
        // Two in turn, and one that makes up an Ethernet address each time.
        assert!((63..=120).all(|at| !sighted.is_news(second * at, one, [u8::from(at % 2 == 0) + 1; 6])));
        let made_up = (0..100).filter(|made_up| sighted.is_news(second * 120, one, [100 + made_up; 6])).count();
        assert_eq!(made_up, caps::OTHER_OWNERS - 2);
        assert!(sighted.is_news(second * 121, one, [1; 6]));
    }
}

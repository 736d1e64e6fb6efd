//! When an address is announced: at once, some more times, and then now and again.
//!
//! The invariant: an address that was announced once is announced for as long as it is here.

use std::time::Duration;

/// After the first announcement, the next ones: equipment that was busy or restarting has missed the first.
const BURST: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// Between two later ones: switches forget where a station is after 300 s as a rule, sooner than hosts do.
const REFRESH: Duration = Duration::from_secs(60);

/// The announcements of one address.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Announcing {
    began: Option<Duration>,
    done: usize,
    due: Option<Duration>,
}

impl Announcing {
    /// Begins anew: one is due now.
    pub(super) fn begin(&mut self, now: Duration) {
        *self = Self { began: Some(now), done: 0, due: Some(now) };
    }

    /// Ends: the address is not here any more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether one is due now; then it counts as made.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let (Some(due), Some(began)) = (self.due, self.began) else { return false };
        if now < due {
            return false;
        }
        let next = BURST.get(self.done).map_or(now + REFRESH, |after| (began + *after).max(now));
        self.done += 1;
        self.due = Some(next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_a_refresh_each_minute() {
        let start = Duration::from_secs(100);
        let mut announcing = Announcing::default();
        assert!(!announcing.take(start));
        announcing.begin(start);
        let mut times = Vec::new();
        while times.len() < 9 {
            let due = announcing.due().unwrap();
            assert!(announcing.take(due));
            assert!(!announcing.take(due));
            times.push((due - start).as_millis());
        }
        assert_eq!(times, [0, 50, 150, 500, 1000, 2000, 5000, 65_000, 125_000]);
        announcing.end();
        assert!(announcing.due().is_none());
    }
}

//! When a certificate is renewed, and when a failed order is tried again. Pure.
//!
//! The invariant: what is planned comes before a certificate's end, and two orders are never closer than an authority's
//! limits bear.

use std::time::Duration;

/// Before the second try where an authority refused, and what each further one waits longer. Authorities count failures by
/// the hour, and allow five.
const REFUSED: Waits = Waits { first: Duration::from_secs(60), growth: 5, longest: Duration::from_secs(6 * 3600) };

/// The same where no authority was reached, which counts nowhere.
const UNREACHED: Waits = Waits { first: Duration::from_secs(5), growth: 2, longest: Duration::from_secs(1800) };

/// The longest that an authority's word to come back later is obeyed: what it means for longer it says again.
const LONGEST_TOLD: Duration = Duration::from_secs(2 * 24 * 3600);

/// Between two certificates, where they live for longer than a few times that.
const LEAST_SPACING: Duration = Duration::from_secs(3600);

/// How a wait grows.
struct Waits {
    first: Duration,
    growth: u32,
    longest: Duration,
}

/// How long a node at least waits for the one whose turn it is: an order takes some minutes where an authority is slow.
const LEAST_PATIENCE: Duration = Duration::from_secs(300);

/// How long it waits for a first certificate.
const FIRST_PATIENCE: Duration = Duration::from_secs(3600);

/// Who stood in the way of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The authority, or what it found.
    Refused,
    /// The way to the authority.
    Unreached,
}

/// When an authority wants a certificate renewed (RFC 9773 section 4.2), in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// When to renew, in seconds since 1970: where the authority says when, some time within; else after two thirds of the
/// life, and up to a twelfth of it later, so that certificates of one day do not all come back on one day. In no case
/// later than after nine tenths.
pub(super) fn renew_at((not_before, not_after): (u64, u64), window: Option<Window>, luck: u64) -> u64 {
    let life = not_after.saturating_sub(not_before);
    let within = |start: u64, spread: u64| start.saturating_add(luck % spread.max(1));
    let wanted = match window {
        Some(Window { start, end }) => within(start, end.saturating_sub(start)),
        None => within(not_before.saturating_add(life / 3 * 2), life / 12),
    };
    wanted.min(not_before.saturating_add(life / 10 * 9))
}

/// Until when a node that begins to wait now, because its certificate is due, waits for the one whose turn it is to order:
/// for half of what is left of the life.
pub(super) fn patience(life: Option<(u64, u64)>, now: u64) -> u64 {
    let Some((_, not_after)) = life else { return now.saturating_add(FIRST_PATIENCE.as_secs()) };
    let half = not_after.saturating_sub(now) / 2;
    now.saturating_add(half.max(LEAST_PATIENCE.as_secs()))
}

/// The least number of seconds between two certificates, however soon the authority wants the next: one that always wants
/// it at once would have us order for ever.
pub(super) fn spacing((not_before, not_after): (u64, u64)) -> u64 {
    (not_after.saturating_sub(not_before) / 3).min(LEAST_SPACING.as_secs())
}

/// How long to wait after so many failures in a row; longer where the authority says so.
pub(super) fn wait(failures: u32, failure: Failure, told: Option<Duration>, luck: u64) -> Duration {
    let Waits { first, growth, longest } = match failure {
        Failure::Refused => REFUSED,
        Failure::Unreached => UNREACHED,
    };
    let grown = first.saturating_mul(growth.saturating_pow(failures.saturating_sub(1)));
    let own = grown.min(longest);
    let jitter = Duration::from_secs(luck % (own.as_secs() / 10).max(1));
    own.saturating_add(jitter).max(told.unwrap_or_default().min(LONGEST_TOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn without_a_word_of_the_authority_a_certificate_is_renewed_in_its_last_third() {
        for (life, luck) in [(90 * DAY, 0), (90 * DAY, u64::MAX), (6 * DAY, 12_345), (30, 7), (2, 1)] {
            let at = renew_at((1000, 1000 + life), None, luck);
            assert!(at >= 1000 + life / 3 * 2 && at <= 1000 + life / 4 * 3 + 1, "{life} {luck}: {at}");
        }
        assert_eq!(renew_at((5, 5), None, 9), 5);
        assert_eq!(renew_at((9, 5), None, 9), 9, "a certificate from nowhere");
    }

    #[test]
    fn the_authority_says_when_but_not_beyond_the_end() {
        let life = (1000, 1000 + 100 * DAY);
        let window = |start, end| Some(Window { start: 1000 + start * DAY, end: 1000 + end * DAY });
        for luck in [0, 1, DAY, u64::MAX] {
            let at = renew_at(life, window(50, 52), luck);
            assert!((1000 + 50 * DAY..1000 + 52 * DAY).contains(&at), "{luck}: {at}");
        }
        // It wants one back at once, or later than there is time.
        assert!(renew_at(life, Some(Window { start: 0, end: 1 }), 7) < 1000);
        assert_eq!(renew_at(life, window(300, 400), 7), 1000 + 90 * DAY);
        // An end before its start is read as a moment.
        assert_eq!(renew_at(life, window(60, 50), 7), 1000 + 60 * DAY);
    }

    #[test]
    fn however_soon_the_authority_wants_the_next_there_is_time_between() {
        assert_eq!(spacing((0, 90 * DAY)), 3600);
        assert_eq!(spacing((1000, 1030)), 10);
        assert_eq!(spacing((5, 3)), 0);
    }

    #[test]
    fn another_node_is_waited_for_until_half_of_what_is_left_is_over() {
        assert_eq!(patience(Some((0, 90 * DAY)), 60 * DAY), 75 * DAY);
        assert_eq!(patience(None, 1000), 1000 + 3600);
        // One that ends, or has ended, leaves time for an order.
        for end in [0, 1000, 1010] {
            assert_eq!(patience(Some((0, end)), 1000), 1300, "{end}");
        }
    }

    #[test]
    fn failures_wait_longer_and_longer_and_an_authority_is_obeyed() {
        let seconds = |failure| (1..7).map(move |failures| wait(failures, failure, None, 0).as_secs());
        assert_eq!(seconds(Failure::Refused).collect::<Vec<_>>(), [60, 300, 1500, 7500, 21_600, 21_600]);
        assert_eq!(seconds(Failure::Unreached).collect::<Vec<_>>(), [5, 10, 20, 40, 80, 160]);
        assert_eq!(wait(u32::MAX, Failure::Refused, None, 0), REFUSED.longest);
        let told = Some(Duration::from_secs(7200));
        assert_eq!(wait(1, Failure::Refused, told, 0).as_secs(), 7200);
        assert_eq!(wait(9, Failure::Refused, told, 0), REFUSED.longest, "its own is longer");
        assert_eq!(wait(1, Failure::Refused, Some(Duration::MAX), 0), LONGEST_TOLD);
        assert!(wait(3, Failure::Refused, None, u64::MAX) < Duration::from_secs(1500 + 150));
    }

    #[test]
    fn five_failures_in_an_hour_are_not_reached() {
        let mut at = Duration::ZERO;
        let tries: Vec<Duration> = (1..10)
            .map(|failures| {
                let now = at;
                at += wait(failures, Failure::Refused, None, 0);
                now
            })
            .collect();
        for (index, began) in tries.iter().enumerate() {
            let within = tries.iter().skip(index).filter(|it| **it < *began + Duration::from_secs(3600)).count();
            assert!(within < 5, "{within} from {began:?}");
        }
    }
}

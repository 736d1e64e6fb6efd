//! How much of a certificate's life is left.

/// How long before its end, in seconds, one should look at a certificate: what most renew by themselves is renewed by
/// then.
const SOON_S: u64 = 21 * 24 * 3600;

/// Whether a certificate that lives for `life_s` seconds and has `left_s` left has expired, or soon will. Those that live
/// for days are renewed within their last third.
pub fn is_ending(left_s: i64, life_s: u64) -> bool {
    u64::try_from(left_s).map_or(true, |left| left < SOON_S.min(life_s / 3))
}

/// How many seconds it takes until [`is_ending`] says so of it: none where it does.
pub fn until_ending(left_s: i64, life_s: u64) -> u64 {
    let left = u64::try_from(left_s).unwrap_or(0);
    if is_ending(left_s, life_s) { 0 } else { left - SOON_S.min(life_s / 3) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_end_within_their_last_third() {
        const DAY: i64 = 24 * 3600;
        let year = 365 * 24 * 3600;
        assert!(is_ending(-1, year) && is_ending(0, year) && is_ending(20 * DAY, year));
        assert!(
            !is_ending(21 * DAY, year) && !is_ending(2 * DAY, 6 * 24 * 3600) && is_ending(2 * DAY - 1, 6 * 24 * 3600)
        );
    }

    #[test]
    fn the_time_until_then_is_over_just_when_it_ends() {
        for (left, life) in [(100, 90), (30, 90), (29, 90), (0, 2), (-5, 90), (i64::MAX, u64::MAX)] {
            let until = i64::try_from(until_ending(left, life)).unwrap_or(i64::MAX);
            assert!(is_ending(left - until, life), "{left} of {life}: {until}");
            assert!(until == 0 || !is_ending(left - until + 1, life), "{left} of {life}: {until}");
        }
    }
}

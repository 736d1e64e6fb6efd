//! How much of a certificate's life is left.

/// How long before its end, in seconds, one should look at a certificate: what most renew by themselves is renewed by
/// then.
const SOON_S: u64 = 21 * 24 * 3600;

/// Whether a certificate that lives for `life_s` seconds and has `left_s` left has expired, or soon will. Those that live
/// for days are renewed within their last third.
pub fn is_ending(left_s: i64, life_s: u64) -> bool {
    u64::try_from(left_s).map_or(true, |left| left < SOON_S.min(life_s / 3))
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
}

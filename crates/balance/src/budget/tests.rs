//! The retry budget in virtual time.

use std::time::Duration;

use proptest::prelude::prop;
use proptest::{prop_assert, proptest};

use super::RetryBudget;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn spent(budget: &mut RetryBudget, now: Duration, wanted: usize) -> usize {
    (0..wanted).filter(|_| budget.try_spend(now)).count()
}

#[test]
fn retries_are_a_share_of_the_requests_of_ten_seconds() {
    let mut budget = RetryBudget::new(20);
    for request in 0..1000 {
        budget.on_request(Duration::from_millis(10 * request));
    }
    assert_eq!(spent(&mut budget, seconds(9), 1000), 200);
    assert_eq!(spent(&mut budget, seconds(10), 1000), 3, "the next second has its floor, and no more");
}

#[test]
fn a_quiet_service_has_three_retries_in_each_second() {
    let mut budget = RetryBudget::new(20);
    for second in 0..30 {
        assert_eq!(spent(&mut budget, seconds(second), 10), 3, "second {second}");
    }
}

#[test]
fn what_happened_long_ago_is_forgotten() {
    let mut budget = RetryBudget::new(50);
    (0..1000).for_each(|_| budget.on_request(seconds(1)));
    assert_eq!(spent(&mut budget, seconds(20), 1000), 3);
    (0..100).for_each(|_| budget.on_request(seconds(40)));
    assert_eq!(spent(&mut budget, seconds(40), 1000), 50);
    budget.set_percent(100);
    assert_eq!(spent(&mut budget, seconds(41), 1000), 50);
}

#[test]
fn a_moment_earlier_than_the_last_counts_as_the_last() {
    let mut budget = RetryBudget::new(100);
    (0..10).for_each(|_| budget.on_request(seconds(100)));
    (0..10).for_each(|_| budget.on_request(seconds(99)));
    assert_eq!(spent(&mut budget, seconds(98), 100), 20);
}

proptest! {
    #[test]
    fn retries_never_exceed_the_share_and_the_floor(
        percent in 1..=100_u8,
        steps in prop::collection::vec((0..400_u64, 0..20_usize, 0..20_usize), 1..60),
    ) {
        let mut budget = RetryBudget::new(percent);
        let mut now = Duration::ZERO;
        let (mut requests, mut retries) = (0, 0);
        for (pause, asked, wanted) in steps {
            now += Duration::from_millis(pause);
            (0..asked).for_each(|_| budget.on_request(now));
            requests += asked;
            retries += spent(&mut budget, now, wanted);
            let begun_seconds = now.as_secs() as usize + 1;
            prop_assert!(retries <= requests * usize::from(percent) / 100 + 3 * begun_seconds);
        }
    }
}

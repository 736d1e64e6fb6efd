//! The tour: what the demo shows when nobody presses keys.

use std::time::Duration;

use super::play::Tour;
use super::stage::Act;

/// Kill, restore, drain, hang, each of a toy, and with the time to see what it does.
pub(super) fn tour() -> Tour<(Option<usize>, Act)> {
    let steps = [
        (3000, 0, Act::Kill),
        (6500, 0, Act::Restore),
        (8500, 1, Act::Drain),
        (9200, 1, Act::NewClient),
        (9300, 1, Act::NewClient),
        (11_500, 1, Act::Drain),
        (12_500, 2, Act::Hang),
        (16_500, 2, Act::Restore),
    ];
    let step = |(at, toy, act)| (Duration::from_millis(at), (Some(toy), act));
    Tour { steps: steps.into_iter().map(step).collect(), end: Duration::from_secs(19) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_goes_forward_and_heals_what_it_hurts() {
        let Tour { steps, end } = tour();
        assert!(steps.iter().is_sorted_by_key(|(at, _)| at));
        assert!(steps.back().is_some_and(|(at, _)| *at < end));
        let count = |act: Act| steps.iter().filter(|(_, (_, its))| *its == act).count();
        assert_eq!(count(Act::Kill) + count(Act::Hang), count(Act::Restore));
        assert_eq!(count(Act::Drain) % 2, 0);
    }
}

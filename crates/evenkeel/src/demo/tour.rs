//! The tour: what the demo shows when nobody presses keys.

use std::time::Duration;

use super::stage::Act;

/// One step: when it comes, which toy it is about, and what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) toy: usize,
    pub(super) act: Act,
}

/// When the tour ends: a moment after the last step, to see what came of it.
pub(super) const END: Duration = Duration::from_secs(19);

/// Kill, restore, drain, hang: each with the time to see what it does.
pub(super) fn script() -> Vec<Step> {
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
    steps.into_iter().map(|(at, toy, act)| Step { at: Duration::from_millis(at), toy, act }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_goes_forward_and_heals_what_it_hurts() {
        let script = script();
        assert!(script.is_sorted_by_key(|step| step.at));
        assert!(script.last().is_some_and(|last| last.at < END));
        let count = |act: Act| script.iter().filter(|step| step.act == act).count();
        assert_eq!(count(Act::Kill) + count(Act::Hang), count(Act::Restore));
        assert_eq!(count(Act::Drain) % 2, 0);
    }
}

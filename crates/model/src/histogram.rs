//! How long things took: counts in fixed steps, so that the sums of many workers, servers and hours stay comparable.
//!
//! The steps are decimal, nine to each power of ten, from 50 µs to 100 s. The bounds that dashboards ask for (5 ms,
//! 10 ms, 25 ms and so on) are among them, hence answered exactly; a quantile is off by half a step at most.

use std::time::Duration;

/// Counts of durations by step. A value is in the first step whose bound it does not exceed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; Self::STEPS],
    sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; Self::STEPS], sum: Duration::ZERO }
    }
}

impl Histogram {
    /// The upper bounds of the steps in microseconds, each within its step; what is longer is in one more step.
    #[rustfmt::skip]
    pub const BOUNDS: [u32; 58] = [
        50, 60, 75,
        100, 150, 200, 250, 300, 400, 500, 600, 750,
        1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 7_500,
        10_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000, 75_000,
        100_000, 150_000, 200_000, 250_000, 300_000, 400_000, 500_000, 600_000, 750_000,
        1_000_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000, 7_500_000,
        10_000_000, 15_000_000, 20_000_000, 25_000_000, 30_000_000, 40_000_000, 50_000_000, 60_000_000, 75_000_000,
        100_000_000,
    ];

    /// How many steps there are.
    pub const STEPS: usize = Self::BOUNDS.len() + 1;

    /// A histogram of counts that were kept elsewhere, by step, and the sum of all durations.
    pub fn new(counts: [u64; Self::STEPS], sum: Duration) -> Self {
        Self { counts, sum }
    }

    /// The step of a duration.
    pub fn step(took: Duration) -> usize {
        // What is longer than a `u32` of microseconds is beyond the last bound all the same.
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        Self::BOUNDS.partition_point(|bound| *bound < micros)
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// What came since an earlier look at the same counts.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts, sum: self.sum.saturating_sub(earlier.sum) }
    }

    /// The counts by step.
    pub fn counts(&self) -> &[u64; Self::STEPS] {
        &self.counts
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took no longer than the bound: exactly, where it is one of [`Self::BOUNDS`], else those of the steps
    /// that lie below it whole.
    pub fn at_most(&self, bound: Duration) -> u64 {
        let micros = bound.as_micros();
        let steps = Self::BOUNDS.partition_point(|step| u128::from(*step) <= micros);
        self.counts.iter().take(steps).sum()
    }

    /// The duration that `per_mille` of the durations do not exceed, straight between the bounds of its step; `None`
    /// where nothing was counted. What is beyond the last bound is given as that bound.
    pub fn quantile(&self, per_mille: u32) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = total.saturating_mul(u64::from(per_mille.min(1000))).div_ceil(1000).max(1);
        let mut before = 0_u64;
        let mut low = 0_u64;
        for (count, bound) in self.counts.iter().zip(Self::BOUNDS) {
            let bound = u64::from(bound);
            if before + count >= rank {
                let within = u128::from(bound - low) * u128::from(rank - before) / u128::from((*count).max(1));
                return Some(Duration::from_micros(low + u64::try_from(within).unwrap_or(0)));
            }
            before += count;
            low = bound;
        }
        Some(Duration::from_micros(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Histogram {
        let mut counts = [0; Histogram::STEPS];
        let mut sum = Duration::ZERO;
        for micros in micros {
            let took = Duration::from_micros(micros);
            counts[Histogram::step(took)] += 1;
            sum += took;
        }
        Histogram::new(counts, sum)
    }

    #[test]
    fn bounds_ascend_and_hold_those_that_dashboards_ask_for() {
        assert!(Histogram::BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
        for millis in [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000] {
            assert!(Histogram::BOUNDS.contains(&(millis * 1_000)), "{millis} ms");
        }
    }

    #[test]
    fn a_value_on_a_bound_is_within_it() {
        let two = of([5_000, 5_001]);
        assert_eq!(two.at_most(Duration::from_millis(5)), 1);
        assert_eq!(two.at_most(Duration::from_millis(6)), 2);
        assert_eq!((two.total(), two.sum()), (2, Duration::from_micros(10_001)));
    }

    #[test]
    fn quantiles_are_within_their_step() {
        let spread = of((1..=10_000).map(|n| n * 10));
        for (per_mille, exact) in [(500, 50_000.0), (950, 95_000.0), (990, 99_000.0)] {
            let found = spread.quantile(per_mille).map_or(0.0, |found| found.as_secs_f64() * 1e6);
            assert!((found / exact - 1.0).abs() < 0.02, "{per_mille}: {found} µs for {exact}");
        }
        assert_eq!(of([]).quantile(500), None);
        assert_eq!(of([1 << 40]).quantile(990), Some(Duration::from_secs(100)));
        assert!(of([40]).quantile(0) <= Some(Duration::from_micros(50)));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let earlier = of([10, 700]);
        let mut later = earlier.clone();
        later.merge(&of([700, 9_000]));
        assert_eq!(later.since(&earlier), of([700, 9_000]));
    }
}

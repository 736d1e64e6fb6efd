//! The system's clocks. Nothing else in the house reads them.
//!
//! Invariant: [`now`] never goes back, and goes on while the machine sleeps.

use std::time::Duration;

use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime, clock_gettime_dynamic};

/// The time since the machine started, time asleep included (`CLOCK_BOOTTIME`). It never goes back, whatever is done
/// to the wall clock, and is the same for every process of the machine.
pub fn now() -> Duration {
    // Kernels before 2.6.39 lack the clock; the monotonic one only misses the time asleep.
    let time = clock_gettime_dynamic(DynamicClockId::Boottime).unwrap_or_else(|_| clock_gettime(ClockId::Monotonic));
    duration(time)
}

/// The wall clock: the time since 1970-01-01 00:00 UTC. It may jump; use it for what people and other machines read.
pub fn unix_now() -> Duration {
    duration(clock_gettime(ClockId::Realtime))
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_does_not_go_back() {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next >= last, "{next:?} came after {last:?}");
            last = next;
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it is what ours is compared with")]
    fn the_wall_clock_agrees_with_the_standard_library() {
        let ours = unix_now();
        let theirs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(theirs.abs_diff(ours) < Duration::from_secs(5), "{ours:?} and {theirs:?}");
    }
}

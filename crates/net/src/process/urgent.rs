//! A thread that must not wait for its turn among busy ones.
//!
//! The invariant: only the calling thread is lifted, and nothing that it starts.

/// Lifts the calling thread above all ordinary ones (`SCHED_RR`, the lowest of its priorities). Whether the system
/// allows it: `CAP_SYS_NICE`, or a limit on priorities that is not zero. The kernel still keeps a part of each second for
/// others.
pub fn be_urgent() -> bool {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live over the call and are whole; 0 names the calling thread.
    #[allow(unsafe_code)]
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const lowest) };
    done == 0
}

//! What a process used, by the kernel's own account: run time from the scheduler (not sampled by ticks), page
//! faults and resident size from `/proc`.

use std::fs;
use std::time::Duration;

/// What a process and its children have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time on a processor, over all threads.
    pub(crate) run: Duration,
    /// Resident bytes.
    pub(crate) resident: u64,
    /// Page faults that needed no disk.
    pub(crate) faults: u64,
}

/// The usage of the process and of its direct children (nginx's workers).
pub(crate) fn usage(pid: u32) -> Usage {
    let mut total = Usage::default();
    for pid in family(pid) {
        total.run += Duration::from_nanos(run_nanos(pid));
        total.resident += resident(pid);
        total.faults += faults(pid);
    }
    total
}

/// Time on a processor of the process and of all that descend from it, those that have ended included: a server may
/// answer by processes or threads that come and go.
pub(crate) fn tree_run(pid: u32) -> Duration {
    let mut pids = vec![pid];
    let mut at = 0;
    while let Some(next) = pids.get(at).copied() {
        let children: Vec<u32> = family(next).into_iter().filter(|child| !pids.contains(child)).collect();
        pids.extend(children);
        at += 1;
    }
    pids.into_iter().map(whole_run).sum()
}

/// `utime`, `stime`, `cutime` and `cstime` of `/proc/PID/stat`, the fields 14 to 17. The kernel makes them fit the
/// scheduler's account, and tells them in hundredths of a second (`USER_HZ`).
fn whole_run(pid: u32) -> Duration {
    let ticks: u64 = (11..15).map(|field| stat_field(pid, field)).sum();
    Duration::from_millis(ticks * 10)
}

/// The process and its direct children.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    for thread in threads(pid) {
        if let Ok(children) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            pids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    pids
}

fn threads(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn run_nanos(pid: u32) -> u64 {
    threads(pid)
        .iter()
        .filter_map(|thread| fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn resident(pid: u32) -> u64 {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// `minflt`, the tenth field.
fn faults(pid: u32) -> u64 {
    stat_field(pid, 7)
}

/// A field of `/proc/PID/stat`, counted from the one behind the name, which is the third. The name may hold blanks,
/// and ends with the last parenthesis.
fn stat_field(pid: u32, field: usize) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(field).and_then(|word| word.parse().ok()).unwrap_or(0)
}

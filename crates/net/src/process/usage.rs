//! What the process takes from the machine, as the kernel counts it.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What the process takes from the machine. What the kernel does not tell is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The time that its threads computed.
    pub cpu: Duration,
    /// Memory that is resident, in bytes.
    pub resident: u64,
    /// Descriptors that are open.
    pub open_files: u64,
    /// Descriptors that may be.
    pub max_files: u64,
}

/// What this process takes now.
pub fn usage() -> Usage {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    Usage {
        cpu: Duration::new(u64::try_from(cpu.tv_sec).unwrap_or(0), u32::try_from(cpu.tv_nsec).unwrap_or(0)),
        resident: resident().unwrap_or(0),
        open_files: open_files(),
        max_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// Bytes of memory that this process may take: the machine's, or its control group's where that has less.
pub fn memory() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = machine.totalram.saturating_mul(u64::from(machine.mem_unit));
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    // Within a container the group's own folder is the root of what is to be seen.
    let places = [
        format!("/sys/fs/cgroup{own}/memory.max"),
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    let limits = places.iter().filter_map(|place| fs::read_to_string(place).ok()?.trim().parse::<u64>().ok());
    limits.fold(machine, u64::min)
}

/// The second number of `/proc/self/statm`, in pages.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// Since Linux 6.2 the folder's size is the count; before, its entries are counted, of which one is the count's own.
fn open_files() -> u64 {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(0) | Err(_) => {
            let entries = fs::read_dir(FOLDER).map_or(0, Iterator::count);
            u64::try_from(entries.saturating_sub(1)).unwrap_or(u64::MAX)
        }
        Ok(count) => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_shows() {
        let before = usage();
        assert!(before.resident > 100_000 && before.max_files >= before.open_files, "{before:?}");
        let held: Vec<fs::File> = (0..20).map(|_| fs::File::open("/proc/self/statm").unwrap()).collect();
        let taken = usage().open_files;
        // Other tests of this process open and close files meanwhile.
        assert!(taken >= 20 && taken >= before.open_files.saturating_sub(10), "{taken} after {before:?}");
        drop(held);
        assert!(usage().cpu >= before.cpu);
    }
}

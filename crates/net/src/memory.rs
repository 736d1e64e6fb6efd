//! Memory as the system keeps it: what nobody uses is given back, what is looked up all over is kept in large pages.
//!
//! Not here: who uses memory. The invariant: no byte of what is in use changes.

use std::ops::Range;

/// `MADV_COLLAPSE` of Linux 6.1, which not every C library's header has: do it now, not some minutes later.
const COLLAPSE: libc::c_int = 25;

/// Bytes of a large page.
const LARGE_PAGE: usize = 2 * 1024 * 1024;

/// Asks for memory between two addresses to be kept in large pages, where it has room for any: a table of many megabytes
/// that is looked up at random costs a walk through the system's own tables for nearly each look-up otherwise. Takes about
/// a millisecond for each two megabytes. What the system does not do is left as it is.
#[allow(unsafe_code)]
pub fn keep_in_large_pages(memory: Range<usize>) {
    let Some(start) = memory.start.checked_next_multiple_of(LARGE_PAGE) else { return };
    let end = memory.end / LARGE_PAGE * LARGE_PAGE;
    let Some(length) = end.checked_sub(start).filter(|length| *length > 0) else { return };
    for advice in [libc::MADV_HUGEPAGE, COLLAPSE] {
        // SAFETY: neither advice changes what the memory holds or who may reach it, whatever lies there; addresses that
        // are not mapped are an error, which is left.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, advice);
        }
    }
}

/// Gives whole free pages of the heap back to the system. The C library's allocator does so by itself only at the end
/// of its heap, where there is nearly always something in use: without this the process stays as large as it ever was.
/// Takes milliseconds for each 100 MB free, during which other threads may wait for memory.
#[allow(unsafe_code)]
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: as the C library's header declares it: `int malloc_trim(size_t pad)`.
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> core::ffi::c_int;
        }
        // SAFETY: `malloc_trim(3)` takes any number, may be called from any thread, and touches free memory only.
        unsafe {
            malloc_trim(0);
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// Bytes of this process in memory.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[test]
    fn large_pages_hold_what_was_there_and_any_addresses_may_be_asked_for() {
        let table: Vec<u8> = (0..9_000_000_u32).map(|at| at as u8).collect();
        let range = table.as_ptr_range();
        super::keep_in_large_pages(range.start.expose_provenance()..range.end.expose_provenance());
        assert!((0..).zip(&table).all(|(at, byte): (u32, &u8)| *byte == at as u8));
        for nothing in [0..0, 0..1 << 22, 100..101, usize::MAX - 10..usize::MAX] {
            super::keep_in_large_pages(nothing);
        }
    }

    #[test]
    fn what_was_freed_in_the_middle_of_the_heap_is_given_back() {
        let mut blocks: Vec<Box<[u8]>> = (0..4000).map(|_| vec![1; 16 * 1024].into_boxed_slice()).collect();
        let last = blocks.pop();
        drop(blocks);
        let before = resident();
        super::give_back();
        let after = resident();
        assert!(after + 30_000_000 < before, "{before} before, {after} after");
        drop(last);
    }
}

//! Memory that the allocator holds and nobody uses.
//!
//! Not here: who uses memory. The invariant: nothing that is in use is touched.

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

//! Where a test lives: a folder of its own, an address of its own, ports that are free.
//!
//! All of 127.0.0.0/8 is local on Linux, so each test process takes an address made from its process id, and ports
//! below the range from which the kernel takes those of outgoing connections. The invariant: a port is given once.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Below the kernel's range for outgoing connections, which begins at 32768.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

static NEXT_PORT: AtomicU16 = AtomicU16::new(PORTS.start);
static NEXT_FOLDER: AtomicU32 = AtomicU32::new(0);

/// The loopback address of this process.
pub fn address() -> IpAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // The last part is never 0 or 255, the second never that of the machine's own 127.0.x.y.
    Ipv4Addr::new(127, 100 | (high & 3), high, low.clamp(1, 254)).into()
}

/// A free port on that address, with it. Never the same one twice.
///
/// # Panics
/// Where a whole range of ports is taken.
pub fn free() -> SocketAddr {
    free_on(address(), 0)
}

/// A free port on 127.0.0.1, with it: for programs that only know addresses which an interface shows, as BIND does.
/// Other test processes take theirs there too, so that each begins somewhere else.
///
/// # Panics
/// Where a whole range of ports is taken.
pub fn free_at_home() -> SocketAddr {
    let begin = std::process::id().wrapping_mul(97) % u32::from(PORTS.end - PORTS.start);
    free_on(Ipv4Addr::LOCALHOST.into(), u16::try_from(begin).unwrap_or(0))
}

fn free_on(address: IpAddr, begin: u16) -> SocketAddr {
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in PORTS {
        let at = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let step = (u32::from(at - PORTS.start) + u32::from(begin)) % count;
        let place = SocketAddr::new(address, PORTS.start + u16::try_from(step).unwrap_or(0));
        if TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok() {
            return place;
        }
    }
    panic!("no free port on {address} in {PORTS:?}");
}

/// A folder that goes away with its owner. Kept where `EVENKEEL_E2E_KEEP` is set, for a look after a failure.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty folder.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn new(purpose: &str) -> Self {
        let count = NEXT_FOLDER.fetch_add(1, Ordering::Relaxed);
        let name = format!("evenkeel-e2e-{}-{count}-{purpose}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{} cannot be made: {error}", path.display()));
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file in it, and says where.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("EVENKEEL_E2E_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
            return;
        }
        // What was killed may have left somebody who still writes a last line there.
        for _ in 0..40 {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    thread::sleep(Duration::from_millis(50))
                }
                Ok(()) => return,
                Err(error) => return eprintln!("{} stays behind: {error}", self.path.display()),
            }
        }
        eprintln!("{} stays behind: somebody goes on to write there", self.path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::{PORTS, Scratch, free};

    #[test]
    fn ports_are_given_once_and_outside_of_the_kernels_range() {
        let given: Vec<_> = (0..20).map(|_| free().port()).collect();
        let mut unique = given.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), given.len());
        assert!(given.iter().all(|port| PORTS.contains(port)));
    }

    #[test]
    fn a_folder_goes_away_with_its_owner() {
        let scratch = Scratch::new("gone");
        let path = scratch.write("a", "b").parent().unwrap().to_owned();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}

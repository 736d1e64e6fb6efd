//! Addresses of the machine itself that would go with a service address.
//!
//! The first address of a network on a device is its primary one, and with that the kernel takes all others of the network
//! away, unless it is told to have the next one take its place (`promote_secondaries`, ip-sysctl). A service address
//! becomes the primary one where the machine's own was taken away for a moment, as by a restart of its network. The
//! invariant: with a service address goes nothing else.

use std::fs;
use std::io;
use std::path::Path;

use super::silence::SETTINGS;

/// Has the kernel keep the other addresses of a device whose primary one goes.
///
/// # Errors
/// Where the setting cannot be read or changed.
pub(super) fn keep(device: &str) -> io::Result<()> {
    keep_at(Path::new(SETTINGS), device)
}

fn keep_at(settings: &Path, device: &str) -> io::Result<()> {
    let path = settings.join(device).join("promote_secondaries");
    // Where it is on already nothing has to be writable.
    if fs::read_to_string(&path)?.trim() == "0" {
        fs::write(&path, "1")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn it_is_switched_on_where_it_is_off_and_left_alone_where_it_is_on() {
        let scratch = Scratch::new();
        let path = scratch.path().join("eth0.7/promote_secondaries");
        assert!(keep_at(scratch.path(), "eth0.7").is_err(), "there is no such device");
        fs::create_dir(path.parent().unwrap()).unwrap();
        for (before, after) in [("0\n", "1"), ("1\n", "1\n")] {
            fs::write(&path, before).unwrap();
            keep_at(scratch.path(), "eth0.7").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }
}

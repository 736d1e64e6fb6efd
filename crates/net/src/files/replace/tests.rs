use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::*;
use crate::scratch::Scratch;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn mode_owner_and_links_stay_and_nothing_is_left_beside() {
    let dir = Scratch::new();
    let (real, link) = (dir.path("real"), dir.path("link"));
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    symlink("real", &link).unwrap();
    // What a killed process left.
    fs::write(dir.path(".real.evenkeel"), "rubbish").unwrap();
    assert_eq!(replace(&link, b"old", b"new").unwrap(), Replaced::Done(None));
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(&dir.path("")), ["link", "real"]);
}

#[test]
fn a_file_of_another_user_stays_that_users() {
    let dir = Scratch::new();
    let path = dir.path("zone");
    fs::write(&path, "old").unwrap();
    if std::os::unix::fs::chown(&path, Some(1), Some(1)).is_err() {
        eprintln!("NOT TESTED: giving files away needs root");
        return;
    }
    assert_eq!(replace(&path, b"old", b"new").unwrap(), Replaced::Done(None));
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1, 1));
}

#[test]
fn what_was_not_read_is_not_overwritten() {
    let dir = Scratch::new();
    let path = dir.path("zone");
    fs::write(&path, "edited").unwrap();
    assert_eq!(replace(&path, b"old", b"new").unwrap(), Replaced::Changed);
    assert_eq!(replace(&path, b"edite", b"new").unwrap(), Replaced::Changed);
    assert_eq!((fs::read(&path).unwrap().as_slice(), names(&dir.path("")).len()), (b"edited".as_slice(), 1));
}

#[test]
fn a_lock_and_an_open_editor_are_waited_for() {
    let dir = Scratch::new();
    let path = dir.path("zone");
    fs::write(&path, "old").unwrap();
    let held = File::open(&path).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    assert_eq!(replace(&path, b"old", b"new").unwrap(), Replaced::Busy);
    drop(held);
    let editor = OpenOptions::new().append(true).open(&path).unwrap();
    assert_eq!(replace(&path, b"old", b"new").unwrap(), Replaced::Busy);
    assert_eq!((fs::read(&path).unwrap().as_slice(), names(&dir.path("")).len()), (b"old".as_slice(), 1));
    drop(editor);
    assert_eq!(replace(&path, b"old", b"new").unwrap(), Replaced::Done(None));
}

#[test]
fn what_fails_after_the_file_is_in_place_does_not_undo_it() {
    let dir = Scratch::new();
    let path = dir.path("zone");
    fs::write(&path, "old").unwrap();
    // A directory that may be written and not be read cannot be made durable.
    fs::set_permissions(dir.path(""), Permissions::from_mode(0o300)).unwrap();
    let replaced = std::thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            // Root reads every directory; of a thread that can be taken away.
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            replace(&path, b"old", b"new")
        });
        unprivileged.join().unwrap()
    });
    assert_eq!(replaced.unwrap(), Replaced::Done(Some(io::ErrorKind::PermissionDenied)));
    assert_eq!(fs::read(&path).unwrap(), b"new");
    fs::set_permissions(dir.path(""), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(names(&dir.path("")), ["zone"]);
}

#[test]
fn a_missing_file_is_an_error_and_not_made() {
    let dir = Scratch::new();
    assert_eq!(replace(&dir.path("zone"), b"", b"new").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(names(&dir.path("")).is_empty());
}

/// Two kinds of editors, one that writes anew and renames and one that appends in place, each add a line again and
/// again; we add lines too. No line of anybody is lost.
#[test]
fn no_line_is_lost_among_editors() {
    const EACH: usize = 150;
    let dir = Scratch::new();
    let path = dir.path("zone");
    fs::write(&path, "").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..EACH {
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                writeln!(file, "append {number}").unwrap();
                drop(file);
                std::thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut number = 0;
        while !done.load(Ordering::Relaxed) || number < EACH {
            let old = fs::read(&path).unwrap();
            let new = [old.as_slice(), format!("ours {number}\n").as_bytes()].concat();
            if replace(&path, &old, &new).unwrap() == Replaced::Done(None) {
                number += 1;
            }
        }
        let text = fs::read_to_string(&path).unwrap();
        for at in 0..EACH {
            assert!(text.contains(&format!("append {at}\n")), "append {at} is lost");
        }
        assert_eq!(text.matches("ours ").count(), number);
    });
}

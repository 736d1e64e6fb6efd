//! Whether others than root can change what a path leads to.
//!
//! Every directory on the way counts, and every link: who can put another one in its place has changed the program. The
//! invariant: what stands then is root's, and so is the way to it.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::origin::words;

/// Links on the way to a file before it counts as endless (as `path_resolution(7)` has it).
const LINKS: usize = 40;
/// The bit of a directory in which only its owner can rename and remove a file (`inode(7)`).
const STICKY: u32 = 0o1000;

/// Looks at a file and the whole way to it.
///
/// # Errors
/// What is not root's alone, or cannot be looked at, and why; in a sentence.
pub(super) fn check(path: &Path) -> Result<(), String> {
    check_from(path, 0)
}

/// The same where all belongs to that user.
fn check_from(path: &Path, owner: u32) -> Result<(), String> {
    let (mut here, mut links) = (PathBuf::new(), 0);
    let mut rest: Vec<OsString> = steps(path);
    while let Some(step) = rest.pop() {
        if step == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&step);
        let about = fs::symlink_metadata(&next).map_err(|error| format!("`{}`: {}", next.display(), words(&error)))?;
        if !is_kept(&about, owner) {
            return Err(format!(
                "`{}` can be changed by others than root, and what it leads to would run as root; `chown root` and \
                 `chmod go-w` it",
                next.display()
            ));
        }
        if !about.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(format!("`{}` leads through more than {LINKS} links", path.display()));
        }
        let target = fs::read_link(&next).map_err(|error| format!("`{}`: {}", next.display(), words(&error)))?;
        rest.extend(steps(&target));
        if target.is_absolute() {
            here = PathBuf::new();
        }
    }
    Ok(())
}

/// The steps of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().rev().filter(|step| !matches!(step, Component::CurDir));
    steps.map(|step| step.as_os_str().to_owned()).collect()
}

/// Whether nobody but the owner can change it. A link has no rights of its own; in a sticky directory others can make files,
/// and leave alone those that are not theirs.
fn is_kept(about: &Metadata, owner: u32) -> bool {
    let is_open = about.mode() & 0o022 != 0 && !about.is_symlink();
    about.uid() == owner && (!is_open || about.is_dir() && about.mode() & STICKY != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use evenkeel_net::process;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_others_can_change_anywhere_on_the_way_is_found() {
        if !process::is_root() {
            return;
        }
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        let mode = |name: &str, mode: u32| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        fs::create_dir_all(at("own/deep")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        fs::write(at("own/deep/script"), "").unwrap();
        symlink("../own/deep/script", at("other/link")).unwrap();
        symlink(at("other/link"), at("own/twice")).unwrap();
        symlink("round", at("own/round")).unwrap();
        for name in ["own/deep/script", "other/link", "own/twice", "own/./deep/../deep/script"] {
            assert_eq!(check(&at(name)), Ok(()), "{name}");
        }
        for (name, before, after, culprit) in [
            ("own/deep/script", 0o644, 0o646, "own/deep/script"),
            ("own/deep", 0o755, 0o775, "own/deep"),
            ("own", 0o755, 0o757, "own"),
            ("other", 0o755, 0o777, "other"),
        ] {
            mode(name, after);
            let why = check(&at("own/twice")).unwrap_err();
            assert!(why.starts_with(&format!("`{}` can be changed", at(culprit).display())), "{why}");
            mode(name, before);
            assert_eq!(check(&at("own/twice")), Ok(()));
        }
        mode("other", 0o1777);
        assert_eq!(check(&at("own/twice")), Ok(()), "as in /tmp");
        assert!(check_from(&at("own/twice"), 4711).is_err(), "it is another one's");
        assert!(check(&at("own/round")).unwrap_err().contains("links"));
        assert!(check(&at("own/nothing")).unwrap_err().contains("own/nothing"));
    }
}

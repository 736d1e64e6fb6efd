//! A file that others edit too, replaced without losing their edits.
//!
//! The new content changes places with the old in one step, and what was in the place is looked at afterwards: an edit
//! that came meanwhile is put back, and the caller is told to read again. An editor that writes in place is kept out
//! for that moment by a lease. The invariant: whoever opens the path finds the old content or the new one, whole; no
//! content that the caller has not read is thrown away.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FlockOperation, RenameFlags, XattrFlags, fgetxattr, flistxattr, flock, fsetxattr, renameat_with,
};
use rustix::io::Errno;

mod lease;

use super::sync_directory;
use lease::{Lease, Leased};

/// Most bytes of one extended attribute, and of their names together: what Linux allows.
const ATTRIBUTE_BYTES: usize = 64 * 1024;

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new content is in place: durable, or else what failed after it got there. Then it may be gone after a loss of
    /// power, or the old content stand beside it until the next replacement.
    Done(Option<io::ErrorKind>),
    /// The file is another one than `expected`: read it again.
    Changed,
    /// Somebody holds its lock, or has it open for writing: try again later.
    Busy,
}

/// Replaces the content of a file, if it still is `expected`. Owner, group, mode and extended attributes stay. A
/// symbolic link stays, and what it points to is replaced.
///
/// # Errors
/// Where a step fails before the new content is in place: a full disk, a directory that may not be written, an owner that
/// only root can keep. The file is as it was then.
pub fn replace(path: &Path, expected: &[u8], content: &[u8]) -> io::Result<Replaced> {
    let path = fs::canonicalize(path)?;
    let mut file = File::open(&path)?;
    // A file system without locks has none to be kept.
    if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Ok(Replaced::Busy);
    }
    let meta = file.metadata()?;
    if !is_at(&path, &meta) {
        return Ok(Replaced::Changed);
    }
    let fresh = beside(&path)?;
    let outcome = write_like(&fresh, &file, content).and_then(|()| put(&path, &fresh, &mut file, expected));
    // The old content after a success, what never got into place after a failure.
    let removed = fs::remove_file(&fresh).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    if !matches!(outcome, Ok(Replaced::Done(_))) {
        return outcome;
    }
    // It cannot be taken back any more, and whoever reads the file has it.
    let failed = removed.and(sync_directory(&path)).err();
    Ok(Replaced::Done(failed.map(|error| error.kind())))
}

/// Puts `fresh` at `path` in place of `file`, if that holds what the caller read and nobody is about to write to it.
fn put(path: &Path, fresh: &Path, file: &mut File, expected: &[u8]) -> io::Result<Replaced> {
    let lease = match Lease::take(file) {
        Leased::Held(lease) => Some(lease),
        Leased::Refused => return Ok(Replaced::Busy),
        Leased::Unknown => None,
    };
    if !holds(file, expected)? {
        return Ok(Replaced::Changed);
    }
    let (old, ours) = (file.metadata()?, fs::metadata(fresh)?);
    match exchange(path, fresh) {
        // Some network file systems cannot: the moment between the look and the rename stays.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::rename(fresh, path)?;
            return Ok(Replaced::Done(None));
        }
        other => other?,
    }
    let is_wanted = lease.as_ref().is_some_and(Lease::is_wanted);
    let outcome = match (is_at(fresh, &old), is_wanted) {
        (true, false) => {
            drop(lease);
            // Who was on the way while the lease was given back has the old file open by now.
            match Lease::take(file) {
                Leased::Refused => Replaced::Busy,
                // What cannot be looked at any more is put back.
                Leased::Held(_) | Leased::Unknown if holds(file, expected).unwrap_or(false) => {
                    return Ok(Replaced::Done(None));
                }
                Leased::Held(_) | Leased::Unknown => Replaced::Changed,
            }
        }
        (true, true) => Replaced::Busy,
        (false, _) => Replaced::Changed,
    };
    // Whoever replaced the file once more meanwhile has the last word.
    if is_at(path, &ours) {
        exchange(path, fresh)?;
    }
    Ok(outcome)
}

fn exchange(path: &Path, fresh: &Path) -> Result<(), Errno> {
    renameat_with(CWD, fresh, CWD, path, RenameFlags::EXCHANGE)
}

/// A new file with the content, and with everything else like the old one.
fn write_like(fresh: &Path, old: &File, content: &[u8]) -> io::Result<()> {
    // A left-over of a process that was killed; its content is nobody's.
    let _ = fs::remove_file(fresh);
    let meta = old.metadata()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (meta.uid(), meta.gid()) {
        fchown(&file, Some(meta.uid()), Some(meta.gid())).map_err(|error| {
            let (uid, gid) = (meta.uid(), meta.gid());
            io::Error::new(
                error.kind(),
                format!("it belongs to user {uid} and group {gid}, and only that user or root can keep it so"),
            )
        })?;
    }
    file.write_all(content)?;
    copy_attributes(old, &file)?;
    // After the owner: a change of owner takes set-id bits away.
    file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
    file.sync_all()
}

/// Access lists and labels go with the file, as far as this process may set them.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0_u8; ATTRIBUTE_BYTES];
    let Ok(length) = flistxattr(from, &mut names) else { return Ok(()) };
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; ATTRIBUTE_BYTES];
        let Ok(length) = fgetxattr(from, name, &mut value) else { continue };
        let value = value.get(..length).unwrap_or_default();
        let set = fsetxattr(to, name, value, XattrFlags::empty());
        // Without its access list the file would be open to others than before; labels are the system's own affair.
        if let (Err(error), true) = (set, name.starts_with(b"system.posix_acl")) {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Whether the path still leads to that file.
fn is_at(path: &Path, meta: &fs::Metadata) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (meta.dev(), meta.ino()))
}

/// Whether the file's content is exactly that.
fn holds(file: &mut File, expected: &[u8]) -> io::Result<bool> {
    file.rewind()?;
    let most = u64::try_from(expected.len()).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::with_capacity(expected.len());
    file.take(most).read_to_end(&mut content)?;
    Ok(content == expected)
}

/// A name of our own in the same directory. It is the same for every process: they are kept apart by the lock, and what
/// a killed one leaves is taken away by the next.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut fresh = OsString::from(".");
    fresh.push(name);
    fresh.push(".evenkeel");
    Ok(path.with_file_name(fresh))
}

#[cfg(test)]
mod tests;

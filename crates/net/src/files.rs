//! Files: a log that is appended to, files replaced whole or not at all, and reading with a bound.
//!
//! Everything here may block; it is for start, reload and threads of their own.
//! Invariant: no failure of a disk is worse than the loss of what was to be written, and the loss is told.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock, getxattr};
use rustix::io::Errno;

mod replace;

pub use replace::{Replaced, replace};

/// Takes a directory for this process, as long as the file that is returned stays open; `None` where another one has it.
/// A process that dies lets it go.
///
/// # Errors
/// Where the directory cannot be opened.
pub fn lock_dir(dir: &Path) -> io::Result<Option<File>> {
    let file = File::open(dir)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        // Some network file systems know no locks; then nobody can be kept out.
        Err(Errno::NOLCK | Errno::OPNOTSUPP) => Ok(Some(file)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a directory or file has an access list (acl(5)), which says more than its mode who may use it.
pub fn has_access_list(path: &Path) -> bool {
    match getxattr(path, "system.posix_acl_access", &mut [0_u8; 64]) {
        Ok(length) => length > 0,
        // It is longer than that.
        Err(error) => error == Errno::RANGE,
    }
}

/// A log: lines are appended, several processes may append at once, and it can be moved away and opened anew.
#[derive(Debug)]
pub struct LogFile {
    to: Destination,
    /// `None` after a failure to open; the next append tries again.
    file: Option<File>,
    /// The last append ended within a line: the next one ends that line first.
    torn: bool,
}

#[derive(Debug)]
enum Destination {
    Path(PathBuf),
    Stdout,
}

impl LogFile {
    /// Opens the file for appending, makes it with mode 0640 where there is none. A pipe without a reader is no
    /// failure: its lines are lost until one comes.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_log(path)?;
        Ok(Self { to: Destination::Path(path.to_owned()), file, torn: false })
    }

    /// The process's standard output.
    pub fn stdout() -> Self {
        Self { to: Destination::Stdout, file: None, torn: false }
    }

    /// Appends a batch of whole lines, all of it or as much as goes.
    ///
    /// # Errors
    /// How many lines are not in the log, and why (a full disk, a pipe whose reader is slow). The log stays usable.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let (written, outcome) = match &self.to {
            Destination::Stdout => write_fully(&mut io::stdout().lock(), lines, &mut self.torn),
            Destination::Path(path) => {
                if self.file.is_none() {
                    self.file = open_log(path).map_err(|source| Lost::all(lines, source))?;
                }
                match &mut self.file {
                    Some(file) => write_fully(file, lines, &mut self.torn),
                    None => (0, Err(io::Error::from(Errno::NXIO))),
                }
            }
        };
        outcome.map_err(|source| Lost::all(lines.get(written..).unwrap_or_default(), source))
    }

    /// Opens the path anew, after the file was moved away. Until the new one stands, the old one stays in use.
    ///
    /// # Errors
    /// Where the path cannot be opened; lines go on into the file that was open.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Destination::Path(path) = &self.to {
            self.file = open_log(path)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Log lines that could not be written.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub lines: u64,
    /// Why.
    pub source: io::Error,
}

impl Lost {
    fn all(bytes: &[u8], source: io::Error) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        Self { lines: u64::try_from(lines).unwrap_or(u64::MAX), source }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} log lines are lost: {}", self.lines, self.source)
    }
}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Replaces a file's content whole: a new file beside it, made durable, takes its name. Whoever reads meanwhile, or
/// after a crash, finds the old content or the new one. The file gets `mode` whatever the umask says.
///
/// # Errors
/// Where a step fails (a full disk, no directory); the old file is as it was then.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    write_atomic_with(path, mode, |file| file.write_all(content))
}

/// [`write_atomic`] for content that is made while it is written.
///
/// # Errors
/// As for [`write_atomic`], and what `write` fails with.
pub fn write_atomic_with(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = beside(path)?;
    let outcome = write_new(&temporary, mode, write).and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        // What is left over would only take space; the failure that counts is the one we return.
        let _ = fs::remove_file(&temporary);
        return outcome;
    }
    sync_directory(path)
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// Where it cannot be read, or is larger (`FileTooLarge`).
pub fn read_bounded(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?, most)
}

/// The same for a file in a place where somebody with fewer rights may put something else: links are not followed, and a
/// pipe is not waited for.
///
/// # Errors
/// As of [`read_bounded`], and where it is no regular file (`InvalidInput`).
pub fn read_regular(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    read_if_regular(OpenOptions::new().read(true).custom_flags(flags).open(path)?, most)
}

/// The same where links are followed: for files that an operator names, among which a pipe or a device would be a slip.
///
/// # Errors
/// As of [`read_bounded`], and where it is no regular file (`InvalidInput`).
pub fn read_plain(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_all(open_plain(path)?, most)
}

/// Opens such a file for reading, without waiting.
///
/// # Errors
/// Where it cannot be opened, and where it is no regular file (`InvalidInput`, with what it is instead).
pub fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => {
            regular(&file.metadata()?)?;
            Ok(file)
        }
        // What a socket is says more than why it cannot be opened.
        Err(error) => Err(fs::metadata(path).ok().and_then(|meta| regular(&meta).err()).unwrap_or(error)),
    }
}

fn read_if_regular(file: File, most: usize) -> io::Result<Vec<u8>> {
    regular(&file.metadata()?)?;
    read_all(file, most)
}

fn regular(meta: &fs::Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

fn read_all(file: File, most: usize) -> io::Result<Vec<u8>> {
    let bound = u64::try_from(most).unwrap_or(u64::MAX);
    let mut content = Vec::new();
    // One that says its length is not read in vain; one that grows meanwhile, or says nothing, is read to the bound.
    if file.metadata()?.len() <= bound {
        file.take(bound.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() <= most {
            return Ok(content);
        }
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {most} bytes")))
}

/// The regular files right in a directory, by name. Symbolic links count as what they point to.
///
/// # Errors
/// Where the directory cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Opens for appending without waiting. `None` is a pipe that nobody reads.
fn open_log(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    options.append(true).create(true).mode(0o640).custom_flags(nonblocking);
    match options.open(path) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => Ok(None),
        other => other.map(Some),
    }
}

/// Writes until all is written or it fails; returns how much is. Keeps in `torn` whether the output ends in a line.
fn write_fully(to: &mut impl Write, bytes: &[u8], torn: &mut bool) -> (usize, io::Result<()>) {
    if *torn {
        match to.write_all(b"\n") {
            Ok(()) => *torn = false,
            Err(error) => return (0, Err(error)),
        }
    }
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (written, Err(io::Error::from(io::ErrorKind::WriteZero))),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
        *torn = bytes.get(written.saturating_sub(1)) != Some(&b'\n');
    }
    (written, to.flush())
}

/// A name in the same directory, so that the rename stays within one file system; of this process alone.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, mode: u32, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // A left-over of a crashed process with our number; it may have other permissions.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(path)?;
    write(&mut file)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Makes the new name durable. Some file systems cannot sync a directory; the content is whole all the same.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;

//! The control socket: where it is, binding it so that a dead daemon's is replaced and a live one's is not, and
//! finding it as a client.
//!
//! Invariant: the socket's name appears only once the socket has mode 0660 and listens.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::NetError;
use crate::process::User;

/// The socket's name in its directory.
const NAME: &str = "control.sock";

/// Connections that wait to be accepted: a few operators and scripts at once.
const BACKLOG: i32 = 16;

/// A bound control socket. Dropping it removes its name.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Binds at `configured`, or at the first usable of the customary places: `$RUNTIME_DIRECTORY` (systemd),
    /// `/run/evenkeel`, `$XDG_RUNTIME_DIR/evenkeel`, `/tmp/evenkeel-UID`. With an `owner`, to be given when the process
    /// becomes that user later, socket and a directory made for it belong to that user.
    ///
    /// # Errors
    /// [`NetError::AlreadyRunning`] where a live daemon answers there; [`NetError::ControlSocket`] where no place is
    /// usable.
    pub fn bind(configured: Option<&Path>, owner: Option<&User>) -> Result<Self, NetError> {
        if let Some(path) = configured {
            return bind_at(path, owner).map_err(|source| explain(path, source));
        }
        let mut last = None;
        for place in places() {
            let path = place.directory.join(NAME);
            match place.prepare(owner).and_then(|()| bind_at(&path, owner)) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(explain(&path, error)),
                Err(error) => last = Some(explain(&path, error)),
            }
        }
        Err(last.expect("there is always the place below /tmp"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The listening socket, non-blocking, for the runtime that serves it.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if still_ours {
            // In a directory that is no longer ours to change, the next start finds it stale and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to the running daemon: at `configured`, or at the first of the customary places where one answers.
///
/// # Errors
/// Where none answers: the path that was tried last, and what the system said.
pub fn connect(configured: Option<&Path>) -> Result<(UnixStream, PathBuf), (PathBuf, io::Error)> {
    let tried = match configured {
        Some(path) => vec![path.to_owned()],
        None => places().into_iter().map(|place| place.directory.join(NAME)).collect(),
    };
    let mut failure = None;
    for path in tried {
        match dial(&path) {
            Ok(stream) => return Ok((stream, path)),
            // A socket that is there but refuses says more than one that is not there.
            Err(error) if failure.is_none() || error.kind() != io::ErrorKind::NotFound => failure = Some((path, error)),
            Err(_) => {}
        }
    }
    Err(failure.expect("at least one path was tried"))
}

/// A directory that the socket may be in.
struct Place {
    directory: PathBuf,
    /// Others may write where it is made: it must be ours, and no link.
    shared_parent: bool,
}

fn places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |directory: PathBuf, shared_parent| places.push(Place { directory, shared_parent });
    if let Some(list) = env::var_os("RUNTIME_DIRECTORY") {
        // With several directories, systemd separates them by colons; the first is ours.
        if let Some(first) = env::split_paths(&list).next().filter(|path| path.is_absolute()) {
            add(first, false);
        }
    }
    add(PathBuf::from("/run/evenkeel"), false);
    if let Some(runtime) = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        add(runtime.join("evenkeel"), false);
    }
    add(PathBuf::from(format!("/tmp/evenkeel-{}", rustix::process::geteuid().as_raw())), true);
    places
}

impl Place {
    /// Makes the directory where it is missing, and refuses one that others could have laid out for us.
    fn prepare(&self, owner: Option<&User>) -> io::Result<()> {
        let mode = if self.shared_parent { 0o700 } else { 0o755 };
        match DirBuilder::new().mode(mode).create(&self.directory) {
            Ok(()) => give(&self.directory, owner)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        if self.shared_parent {
            let found = fs::symlink_metadata(&self.directory)?;
            let uid = owner.map_or(rustix::process::geteuid().as_raw(), |owner| owner.uid);
            if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
                let cause = "the directory is not ours alone; it must belong to us with mode 0700";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, cause));
            }
        }
        Ok(())
    }
}

fn explain(path: &Path, source: io::Error) -> NetError {
    if source.kind() == io::ErrorKind::AddrInUse {
        return NetError::AlreadyRunning { path: path.to_owned() };
    }
    NetError::ControlSocket { path: path.to_owned(), source }
}

fn bind_at(path: &Path, owner: Option<&User>) -> io::Result<ControlSocket> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Two that start at once would both find a stale socket; the directory's lock lets one look and bind at a time.
    let lock = File::open(directory)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    refuse_live(path)?;
    let temporary = temporary(path);
    let _ = fs::remove_file(&temporary);
    let outcome = bind_hidden(&temporary, owner).and_then(|listener| {
        fs::rename(&temporary, path)?;
        Ok(ControlSocket { listener, path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino() })
    });
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// A name that nobody connects to. It is no longer than the real one, whose length the system bounds.
fn temporary(path: &Path) -> PathBuf {
    path.with_file_name(OsString::from(format!(".{}", std::process::id())))
}

/// A socket at whose other end someone listens is a live daemon's. Anything but a socket is none of ours to replace.
fn refuse_live(path: &Path) -> io::Result<()> {
    match dial(path) {
        Ok(_) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A queue that is full is a daemon that is busy.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::from(io::ErrorKind::AddrInUse)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::CONNREFUSED) && is_socket(path) => Ok(()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::CONNREFUSED) => {
            let cause = "there is a file of that name that is no socket; remove it or set another path";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, cause))
        }
        Err(error) => Err(error),
    }
}

/// Connects without waiting: where the daemon's queue is full, that is `WouldBlock`. The stream itself blocks.
fn dial(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Permissions are set between bind and listen, when nobody can connect yet.
fn bind_hidden(path: &Path, owner: Option<&User>) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    give(path, owner)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

fn give(path: &Path, owner: Option<&User>) -> io::Result<()> {
    match owner {
        Some(owner) => std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

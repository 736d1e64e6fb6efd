//! `cluster init`: a key on this machine, and what to do on the others.
//!
//! The invariant: a key that is there already is never written over.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::args::ClusterInitArgs;
use crate::exit::Exit;
use crate::output;

pub(super) fn init(args: &ClusterInitArgs, secret: &str) -> Exit {
    let path = args.key.display();
    let (secret, is_new) = match keep(&args.key, secret) {
        Ok(kept) => kept,
        Err(error) => {
            return output::fail(format!("{path}: {error}; start as root, or name another place with `--key`"));
        }
    };
    let said = if is_new { "a new key is in" } else { "the key that was there stays in" };
    let folder = args.key.parent().unwrap_or(Path::new("/")).display();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "lb1",
        host => host,
    };
    output::print(format!(
        "{said} {path}. On each other node, as root, it is this line that lets it in:\n\n  \
         mkdir -p -m 755 {folder} && (umask 077 && echo {secret} > {path})\n\n\
         Where evenkeel runs as a user of its own (`user` in the configuration, or the systemd unit), on all of them:\n\n  \
         chown evenkeel {path}\n\n\
         And in the configuration of all of them, with their own addresses and the one that is to move:\n\n  \
         cluster edge key=file:{path} {{\n      node  {host}  192.168.1.1\n      node  lb2  192.168.1.2\n      \
         group web prefer={host} {{\n          ip  192.168.1.10/24\n      }}\n  }}\n\n\
         `evenkeel check FILE` says what is wrong with it; `evenkeel cluster status` who hears whom."
    ))
}

/// Writes the key, or reads the one that is there; whether it is new.
fn keep(path: &Path, secret: &str) -> io::Result<(String, bool)> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            writeln!(file, "{secret}")?;
            file.sync_all()?;
            Ok((secret.to_owned(), true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let known = fs::read_to_string(path)?.trim().to_owned();
            let is_plain = !known.is_empty() && known.chars().all(|c| c.is_ascii_alphanumeric());
            let refused = || io::Error::other("a key is there that no command line can carry; copy the file itself");
            is_plain.then_some((known, false)).ok_or_else(refused)
        }
        Err(error) => Err(error),
    }
}

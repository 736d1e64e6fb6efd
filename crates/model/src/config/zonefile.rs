//! Zone files whose balanced sets are kept in step with the servers that answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{CheckKind, SecretRef};
use crate::{PoolName, defaults};

/// A `zonefile` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zonefile {
    /// The files: paths, patterns, and directories whose files are looked through.
    pub files: Vec<PathBuf>,
    /// From one round's start to the next one's.
    pub every: Duration,
    /// One probe, connection included.
    pub timeout: Duration,
    /// What is asked of a target; `None` asks what the header of its block says.
    pub check: Option<CheckKind>,
    /// Probes passed in a row before a parked record comes back, where the file does not say.
    pub rise: u16,
    /// Probes failed in a row before a record is parked, where the file does not say.
    pub fall: u16,
    /// The pool whose verdicts hold for records with the address of one of its servers.
    pub pool: Option<PoolName>,
    /// The command after a change.
    pub then: Option<Then>,
    /// Where changes go instead of into the files.
    pub update: Option<Update>,
}

impl Zonefile {
    /// A block for these files, with every default.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            every: defaults::ZONEFILE_EVERY,
            timeout: defaults::ZONEFILE_TIMEOUT,
            check: None,
            rise: defaults::ZONEFILE_RISE,
            fall: defaults::ZONEFILE_FALL,
            pool: None,
            then: None,
            update: None,
        }
    }
}

/// A command that follows a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Then {
    /// The program and its arguments; `{zone}` and `{file}` stand for those of the file that was changed.
    pub words: Vec<String>,
    /// How long it may run before it and everything that it started is killed.
    pub timeout: Duration,
}

/// A live server that takes dynamic updates (RFC 2136).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The primary server.
    pub server: SocketAddr,
    /// The zone, where the file's name does not tell it.
    pub zone: Option<String>,
    /// The key that signs updates (RFC 8945).
    pub key: SecretRef,
}

//! What concerns the process as a whole.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use crate::defaults;

/// The words outside of every block, and `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// `state DIR`: what outlives the process. `None` keeps nothing (a run without a file).
    pub state: Option<PathBuf>,
    /// `user NAME`: what the process becomes after binding, if it was started by root.
    pub user: Option<String>,
    /// `group NAME`: the user's own where it is not given.
    pub group: Option<String>,
    /// `control PATH`: the control socket. `None` takes the first usable of the customary places.
    pub control: Option<PathBuf>,
    /// `resolver ADDRESS …`: name servers to ask. Empty takes the system's.
    pub resolvers: Vec<SocketAddr>,
    /// `limits.workers`
    pub workers: Workers,
    /// `limits.conns`: client connections in all.
    pub max_conns: Ceiling,
    /// `limits.buffers`: bytes that connections may hold in buffers. `None`: a part of the machine's memory.
    pub buffers: Option<u64>,
    /// `limits.files`: the descriptor limit to ask for.
    pub files: Ceiling,
    /// `limits.drain`: how long a stop waits for connections.
    pub drain: Duration,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            state: None,
            user: None,
            group: None,
            control: None,
            resolvers: Vec::new(),
            workers: Workers::PerCore,
            max_conns: Ceiling::FromSystem,
            buffers: None,
            files: Ceiling::FromSystem,
            drain: defaults::DRAIN,
        }
    }
}

/// How many worker threads carry traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    PerCore,
    /// This many, 1 to 256.
    Fixed(NonZeroU16),
}

/// A ceiling that is either taken from what the system allows or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    /// As much as the descriptor limit leaves room for.
    FromSystem,
    /// This much.
    Fixed(u32),
}

/// Where a secret is kept. A secret is never written in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// `file:PATH`: the file's content, a trailing newline removed.
    File(PathBuf),
    /// `env:NAME`: the environment variable.
    Env(String),
    /// `cred:NAME`: a systemd credential, a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

//! The admin listener: where people and their programs look at a node and steer it over TCP.

use std::fmt;

use super::{HostPattern, ListenAddr, SecretRef};

/// `admin ADDR { … }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub addr: ListenAddr,
    /// Who may come in. Empty on loopback alone: everybody there may look, and nobody may change anything.
    pub users: Vec<AdminUser>,
    /// `host NAME …`: names by which browsers may call it, besides addresses and `localhost`.
    pub hosts: Vec<HostPattern>,
    /// `readonly`: nothing can be changed here, whatever a user's role.
    pub read_only: bool,
}

impl Admin {
    /// Whether this machine alone can reach it.
    pub fn is_local(&self) -> bool {
        matches!(self.addr, ListenAddr::One(addr) if addr.ip().to_canonical().is_loopback())
    }
}

/// `user NAME role=ROLE pass=SECRET`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminUser {
    /// The name, unique among the users.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Where the hash of the password or token is kept, as `evenkeel passwd` prints it.
    pub pass: SecretRef,
}

/// What a user may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Order servers about: drain, maintenance, ready, weight; move sessions.
    Operate,
    /// Everything: reload, stop, rollback.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    /// The role's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! TCP listeners: which connection goes to which pool, and how long it may be silent.

use std::time::Duration;

use super::{AccessLog, HostPattern};
use crate::{PoolName, defaults};

/// What a `tcp` block says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tcp {
    /// The routes in written order; the first that fits takes the connection. One that none fits is closed.
    pub routes: Vec<TcpRoute>,
    /// How long things may take.
    pub timeouts: TcpTimeouts,
    /// The logs: a line for each connection.
    pub logs: Vec<AccessLog>,
}

impl Tcp {
    /// Whether the name that a client asks for decides, so that its first words must be read.
    pub fn goes_by_name(&self) -> bool {
        self.routes.iter().any(|route| !route.names.is_empty())
    }
}

/// One route of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpRoute {
    /// What the route is called in logs: its names as written, `*` for one that takes every connection.
    pub name: String,
    /// Names of the TLS hello (SNI), any of them. Empty takes every connection, with a name and without.
    pub names: Vec<HostPattern>,
    /// The pool that it leads to.
    pub to: PoolName,
}

/// How long a connection may take or be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpTimeouts {
    /// For what tells where the connection goes: a PROXY header, a TLS hello.
    pub head: Duration,
    /// Without a byte either way.
    pub idle: Duration,
    /// Once one side has ended its sending, without a byte from the other.
    pub fin: Duration,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self { head: defaults::CLIENT_HEAD_TIMEOUT, idle: defaults::TCP_IDLE_TIMEOUT, fin: defaults::TCP_FIN_TIMEOUT }
    }
}

//! What can go wrong at the edge to the system, by cause, with the next step to take.

use std::fmt;
use std::io;
use std::path::PathBuf;

use evenkeel_model::config::ListenAddr;

use crate::listen::Holder;

/// A failure at start or reload. [`hint`](Self::hint) says what to do about it.
#[derive(Debug)]
pub enum NetError {
    /// Another process holds the address.
    PortInUse {
        /// The address that was to be bound.
        addr: ListenAddr,
        /// Who holds it, where `/proc` tells.
        holder: Option<Holder>,
    },
    /// The port is below the first unprivileged one, and the process may not bind it.
    PortForbidden {
        /// The address that was to be bound.
        addr: ListenAddr,
    },
    /// The address belongs to no interface of this machine.
    AddressAbsent {
        /// The address that was to be bound.
        addr: ListenAddr,
    },
    /// Binding failed for another reason.
    Bind {
        /// The address that was to be bound.
        addr: ListenAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The user is not in `/etc/passwd`.
    UnknownUser {
        /// The name as configured.
        name: String,
    },
    /// The group is not in `/etc/group`.
    UnknownGroup {
        /// The name as configured.
        name: String,
    },
    /// Giving privileges up failed, or did not take hold. The process must not serve.
    Privileges {
        /// What was tried.
        step: &'static str,
        /// What the system said, or what was found instead.
        cause: String,
    },
    /// Another running evenkeel answers at the control socket.
    AlreadyRunning {
        /// The control socket's path.
        path: PathBuf,
    },
    /// No place for the control socket is usable.
    ControlSocket {
        /// The path that was tried last.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NetError {
    /// The next step to take, as one or two lines for a terminal.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PortInUse { addr, holder: Some(holder) } => Some(format!(
                "stop that program (`kill {}`), or listen on another port than {}",
                holder.pid,
                addr.port()
            )),
            Self::PortInUse { addr, holder: None } => Some(format!(
                "run as root, `ss -ltnp 'sport = :{}'` names the program that holds the port",
                addr.port()
            )),
            Self::PortForbidden { .. } => Some(
                "allow the binary once with `setcap cap_net_bind_service=+ep /path/to/evenkeel`,\n\
                 or put `AmbientCapabilities=CAP_NET_BIND_SERVICE` into the systemd unit"
                    .to_owned(),
            ),
            Self::AddressAbsent { .. } => Some(
                "`ip address` lists this machine's addresses; `sysctl net.ipv4.ip_nonlocal_bind=1` allows binding \
                 an address that comes later"
                    .to_owned(),
            ),
            Self::UnknownUser { name } => Some(format!(
                "`useradd --system {name}` makes it; users of LDAP and the like are not seen, give their numeric id"
            )),
            Self::UnknownGroup { name } => Some(format!(
                "`groupadd --system {name}` makes it; groups of LDAP and the like are not seen, give their numeric id"
            )),
            Self::AlreadyRunning { .. } => {
                Some("`evenkeel reload` applies a changed file to the running one, `evenkeel stop` ends it".to_owned())
            }
            Self::ControlSocket { .. } => Some("`control PATH` in the configuration sets another place".to_owned()),
            Self::Bind { .. } | Self::Privileges { .. } => None,
        }
    }
}

impl NetError {
    /// What is in the way, without what it is in the way of: for messages that name the address themselves.
    pub fn cause(&self) -> String {
        match self {
            Self::PortInUse { holder: Some(holder), .. } => {
                format!("the port is held by {} (process {})", holder.program, holder.pid)
            }
            Self::PortInUse { holder: None, .. } => "the port is held by another program".to_owned(),
            Self::PortForbidden { addr } => format!("port {} is for privileged processes only", addr.port()),
            Self::AddressAbsent { .. } => "no interface of this machine has that address".to_owned(),
            Self::Bind { source, .. } | Self::ControlSocket { source, .. } => source.to_string(),
            Self::UnknownUser { name } => format!("no user `{name}` in /etc/passwd"),
            Self::UnknownGroup { name } => format!("no group `{name}` in /etc/group"),
            Self::Privileges { step, cause } => format!("{step}: {cause}"),
            Self::AlreadyRunning { path } => format!("it answers at {}", path.display()),
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        match self {
            Self::PortInUse { addr, .. }
            | Self::PortForbidden { addr }
            | Self::AddressAbsent { addr }
            | Self::Bind { addr, .. } => write!(f, "cannot listen on {}: {cause}", Shown(*addr)),
            Self::UnknownUser { .. } | Self::UnknownGroup { .. } => f.write_str(&cause),
            Self::Privileges { .. } => write!(f, "cannot give up privileges: {cause}"),
            Self::AlreadyRunning { .. } => write!(f, "another evenkeel is running: {cause}"),
            Self::ControlSocket { path, .. } => write!(f, "cannot open the control socket {}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for NetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::ControlSocket { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<NetError> for io::Error {
    fn from(error: NetError) -> Self {
        Self::other(error)
    }
}

/// An address as an operator writes it.
struct Shown(ListenAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ListenAddr::Every(port) => write!(f, ":{port}"),
            ListenAddr::One(addr) => write!(f, "{addr}"),
        }
    }
}

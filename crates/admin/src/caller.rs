//! Who asks.

use std::fmt;

use evenkeel_model::config::Role;

/// Who asks something of the node, as far as the API has to know: for what may be done, and for the audit line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; on the control socket the system's.
    pub name: String,
    /// What may be done.
    pub role: Role,
    /// The way in.
    pub via: Via,
}

/// The way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The control socket, whose file's mode says who may.
    Socket,
    /// The admin listener, from this address.
    Listener(std::net::IpAddr),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Via::Socket => write!(f, "{} at the control socket", self.name),
            Via::Listener(from) => write!(f, "{} from {from}", self.name),
        }
    }
}

//! The doors by which the node is spoken to: the control socket and the admin listener, and who may come in there.
//!
//! Who is let in is decided behind the door, by whoever serves it. The invariant: an admin listener that a reload does not move is the same
//! socket before and after.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use evenkeel_config::{Diagnostic, Loaded};
use evenkeel_model::config::{Admin, AdminUser, ListenAddr};
use evenkeel_net::listen::{self, Presence};
use tokio::sync::watch;

use crate::secrets;
use crate::tail::LogTail;

/// What a service answers on.
pub struct Doors {
    /// The control socket, bound and not blocking.
    pub control: Option<UnixListener>,
    /// The admin listener as it is now, and each time a reload changes it.
    pub admin: watch::Receiver<AdminDoor>,
    /// What the access logs say.
    pub log: LogTail,
}

/// The admin listener.
#[derive(Debug, Clone, Default)]
pub struct AdminDoor {
    /// The socket, bound and not blocking. `None`: there is no admin listener.
    pub socket: Option<Arc<TcpListener>>,
    /// What the configuration says of it.
    pub config: Option<Admin>,
    /// The users' hashes, in the order of the configuration.
    pub hashes: Vec<String>,
}

impl AdminDoor {
    /// The door with its socket alone, as long as nothing that it names was read.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub(crate) fn bound(wanted: Option<&Admin>, loaded: &Loaded) -> Result<Self, Vec<Diagnostic>> {
        let Some(wanted) = wanted else { return Ok(Self::default()) };
        let socket = bind(wanted.addr, loaded).map_err(|found| vec![*found])?;
        Ok(Self { socket: Some(Arc::new(socket)), config: Some(wanted.clone()), hashes: Vec::new() })
    }

    /// The door that a configuration wants; the socket of the one before where the address is the same.
    ///
    /// # Errors
    /// Where the address cannot be had, or a user's hash.
    pub(crate) fn next(&self, wanted: Option<&Admin>, loaded: &Loaded) -> Result<Self, Vec<Diagnostic>> {
        let Some(wanted) = wanted else { return Ok(Self::default()) };
        let mut hashes = Vec::new();
        let mut wrong = Vec::new();
        for user in &wanted.users {
            match hash(user) {
                Ok(hash) => hashes.push(hash),
                Err(cause) => wrong.push(loaded.pass_unreadable(&user.name, &cause)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let same = self.config.as_ref().is_some_and(|config| config.addr == wanted.addr);
        let socket = match self.socket.as_ref().filter(|_| same) {
            Some(socket) => Arc::clone(socket),
            None => Arc::new(bind(wanted.addr, loaded).map_err(|found| vec![*found])?),
        };
        Ok(Self { socket: Some(socket), config: Some(wanted.clone()), hashes })
    }
}

fn bind(addr: ListenAddr, loaded: &Loaded) -> Result<TcpListener, Box<Diagnostic>> {
    let bound = listen::bind(addr, 1, Presence::Here).map(|sockets| sockets.into_iter().next());
    let (cause, hint) = match bound {
        Ok(Some(socket)) => return Ok(socket),
        Ok(None) => ("the system gave no socket".to_owned(), None),
        Err(error) => (error.cause(), error.hint()),
    };
    let mut found = loaded.admin_unbindable(&written(addr), &cause);
    if let Some(hint) = hint {
        found.help(hint);
    }
    Err(Box::new(found))
}

fn written(addr: ListenAddr) -> String {
    match addr {
        ListenAddr::Every(port) => format!(":{port}"),
        ListenAddr::One(addr) => addr.to_string(),
    }
}

/// A user's hash. Its form is looked at here, so that a password put there by mistake is told at once.
pub(crate) fn hash(user: &AdminUser) -> Result<String, String> {
    let text = String::from_utf8(secrets::read(&user.pass)?).map_err(|_| "it is no text".to_owned())?;
    let text = text.trim();
    let parts = text.split('$').count();
    match (text.starts_with("$argon2") && parts == 6) || (text.starts_with("$blake3$") && parts == 3) {
        true => Ok(text.to_owned()),
        false => Err("what is there is no hash".to_owned()),
    }
}

//! Keeping a client on the server that has its session, and the words for how that went.
//!
//! A token or another value says where the client was bound; the [`Plan`] says whether that server may still have it. A
//! bond outranks balancing, but not the server's limits: a full server makes its clients wait or move like any other.

use crate::{Plan, ServerIndex, ServerUid, Token};

mod bond;
mod census;
mod dated;
mod digest;
mod load;
mod rate;
mod values;

#[cfg(test)]
mod tests;

pub use bond::{Answered, app_session};
pub use census::{Census, Counted};
pub use dated::Dated;
pub(crate) use load::QUIET;
pub use load::is_over;
pub use rate::Rate;
pub use values::{Known, Values};

/// What a request's value comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// There is no valid value: the client is new, or was away for too long.
    Unbound,
    /// The client belongs to this server, which may serve it.
    Bound(ServerIndex),
    /// The client belongs to a server that is down or in maintenance, or to one that is gone (`None`).
    Lost(Option<ServerIndex>),
}

/// How a session was found, in the words of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StickyOutcome {
    /// The server that the request named answered.
    Hit,
    /// The request named none; the client is bound now.
    New,
    /// Another server answered than the one named, which was busy or failed this request.
    Moved,
    /// The server named could not be asked; the client is bound anew.
    Lost,
    /// The pool is not sticky, or nobody answered.
    None,
}

/// What told where a client belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Nothing did.
    Nothing,
    /// A sealed token.
    Token,
    /// A cookie with what the server is known as.
    Name,
    /// The same with dates.
    Dated,
    /// A cookie with the server's position.
    Index,
    /// A cookie with the server's address.
    Address,
    /// A cookie with a digest of the server's address.
    Digest,
    /// A cookie that the server set.
    Server,
    /// A query parameter.
    Query,
    /// A header field.
    Header,
    /// A path parameter.
    Path,
    /// The client's address.
    Client,
}

/// Why a client was not served by the server that its request named, or why it named none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing needs a reason.
    Plain,
    /// What came is none of ours: forged, cut, sealed by another key or for another pool, or of a server unknown here.
    Foreign,
    /// What came is too old.
    Expired,
    /// The application's session that the token was bound to is over.
    Ended,
    /// The server is down.
    Down,
    /// The server is in maintenance.
    Maintenance,
    /// The pool has that server no more.
    Gone,
    /// The server failed this request.
    Failed,
    /// The server carries too much for one more request by session.
    Busy,
    /// The token was used more often than the pool allows.
    Rate,
}

impl StickyOutcome {
    /// The outcome's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::New => "new",
            Self::Moved => "moved",
            Self::Lost => "lost",
            Self::None => "none",
        }
    }
}

impl By {
    /// Its word in logs; empty where nothing told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Token => "token",
            Self::Name => "name",
            Self::Dated => "dated",
            Self::Index => "index",
            Self::Address => "address",
            Self::Digest => "digest",
            Self::Server => "server",
            Self::Query => "query",
            Self::Header => "header",
            Self::Path => "path",
            Self::Client => "client",
        }
    }
}

impl Why {
    /// Its word in logs; empty where nothing needs a reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Foreign => "foreign",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Down => "down",
            Self::Maintenance => "maintenance",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Rate => "rate",
        }
    }
}

/// Where a request belongs by the token it brought, which [`Sealer::open`](crate::Sealer::open) found valid.
pub fn resolve(token: Option<&Token>, plan: &Plan) -> Bond {
    token.map_or(Bond::Unbound, |token| keep_server(token.server, plan))
}

/// Where a request belongs whose session lives on that server.
pub fn keep_server(server: ServerUid, plan: &Plan) -> Bond {
    match plan.server(server) {
        Some(index) => keep(index, plan),
        None => Bond::Lost(None),
    }
}

/// Where a request belongs whose value names that server.
pub fn keep(index: ServerIndex, plan: &Plan) -> Bond {
    if plan.may_keep(index) { Bond::Bound(index) } else { Bond::Lost(Some(index)) }
}

/// Where a request belongs whose value names these servers: several may be known as one, of which the first that may
/// serve has the session.
pub fn keep_first(servers: &[ServerIndex], plan: &Plan) -> Bond {
    let Some(first) = servers.first() else { return Bond::Unbound };
    let able = servers.iter().find(|index| plan.may_keep(**index));
    able.map_or(Bond::Lost(Some(*first)), |index| Bond::Bound(*index))
}

impl Bond {
    /// How it went, once a server has answered.
    pub fn outcome(self, answered: ServerIndex) -> StickyOutcome {
        match self {
            Self::Unbound => StickyOutcome::New,
            Self::Bound(index) if index == answered => StickyOutcome::Hit,
            Self::Bound(_) => StickyOutcome::Moved,
            Self::Lost(_) => StickyOutcome::Lost,
        }
    }

    /// The server that the request named, as far as the pool has it.
    pub fn server(self) -> Option<ServerIndex> {
        match self {
            Self::Unbound => None,
            Self::Bound(index) => Some(index),
            Self::Lost(index) => index,
        }
    }
}

//! Keeping a client on the server that has its session, and the word for how that went.
//!
//! A token says where the client was bound; the [`Plan`] says whether that server may still have it. A bond outranks
//! balancing, but not the server's limits: a full server makes its clients wait or move like any other.

use crate::{Plan, ServerIndex, Token};

#[cfg(test)]
mod tests;

/// What a request's token comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// There is no valid token: the client is new, or was away for too long.
    Unbound,
    /// The client belongs to this server, which may serve it.
    Bound(ServerIndex),
    /// The client belongs to a server that is gone, down or in maintenance: it gets another.
    Lost,
}

/// How a session was found, in the words of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StickyOutcome {
    /// The server of the token answered.
    Hit,
    /// There was no token; the client is bound now.
    New,
    /// Another server answered, since the token's was full or failed this request; the client is bound anew.
    Moved,
    /// The token's server could not be asked; the client is bound anew.
    Lost,
    /// The pool is not sticky, or nobody answered.
    None,
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

/// Where a request belongs by the token it brought, which [`Sealer::open`](crate::Sealer::open) found valid.
pub fn resolve(token: Option<&Token>, plan: &Plan) -> Bond {
    let Some(token) = token else { return Bond::Unbound };
    match plan.server(token.server) {
        Some(index) if plan.may_keep(index) => Bond::Bound(index),
        _ => Bond::Lost,
    }
}

impl Bond {
    /// How it went, once a server has answered. Everything but a hit calls for a new token before the answer's head
    /// goes out.
    pub fn outcome(self, answered: ServerIndex) -> StickyOutcome {
        match self {
            Self::Unbound => StickyOutcome::New,
            Self::Bound(index) if index == answered => StickyOutcome::Hit,
            Self::Bound(_) => StickyOutcome::Moved,
            Self::Lost => StickyOutcome::Lost,
        }
    }
}

//! Learned sessions, in the form that the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One session that answers told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionReport {
    /// Its name here, made of the application's id; nobody gets the id back from it.
    pub name: String,
    /// The pool whose session it is.
    pub pool: String,
    /// The server that it lives on; absent where the pool has that server no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Who spoke for it last; of IPv6 the /64.
    pub client: String,
    /// When it was learned, in seconds since 1970.
    pub born: u64,
    /// When it was last seen.
    pub seen: u64,
    /// Whether a request has ever brought it.
    pub presented: bool,
    /// How often its client's network changed from one request to the next, up to 63. Many changes: copies of it are about.
    #[serde(default)]
    pub roams: u32,
}

/// Sessions that were found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionListReport {
    /// Those seen last, up to the limit.
    pub sessions: Vec<SessionReport>,
    /// How many there are in all.
    pub total: u64,
    /// The moment that the ages of the sessions count from, in seconds since 1970.
    pub at: u64,
}

/// The table of a pool that learns sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionTableReport {
    /// The pool.
    pub pool: String,
    /// Its servers in written order.
    pub servers: Vec<ServerSessionsReport>,
    /// Sessions held, those included that have just ended.
    pub held: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// Sessions learned.
    pub learned: u64,
    /// Requests whose session was known.
    pub hits: u64,
    /// Requests whose id nobody had told.
    pub misses: u64,
    /// Ids in pages that would have moved a live session, and were not believed.
    pub refused: u64,
    /// Pages that passed unread.
    pub unread: u64,
    /// Sessions that went for want of room before any request had brought them.
    pub evicted_new: u64,
    /// Sessions in use that went for want of room: `sessions max` is too small.
    pub evicted_used: u64,
}

/// The sessions of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerSessionsReport {
    /// The server.
    pub server: String,
    /// Sessions that live there.
    pub live: u64,
    /// Those of them that a request has brought.
    pub presented: u64,
}

/// What came of an order about sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionsChanged {
    /// How many it concerned.
    pub changed: u64,
}

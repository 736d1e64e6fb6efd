//! Learned sessions as operators see and steer them.
//!
//! Looking through a table of millions takes some ten milliseconds: it is for a thread that may wait. The invariant: a
//! session is named by a part of its key, from which nobody gets the application's id back.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use evenkeel_balance::ServerUid;
use evenkeel_balance::sessions::{Entry, SessionKey, SessionStats, SessionTable};
use evenkeel_model::config::Config;
use evenkeel_model::{PoolName, ServerName, caps};
use evenkeel_net::clock;

/// The tables at one moment, with the names of what they speak of.
#[derive(Debug, Clone)]
pub struct SessionBook {
    pub(crate) tables: BTreeMap<PoolName, Arc<SessionTable>>,
    pub(crate) config: Arc<Config>,
}

/// Which sessions. What is not given fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Those of this pool.
    pub pool: Option<String>,
    /// Those that live on this server: by its name, its address where it has no other, or as `pool/server`.
    pub server: Option<String>,
    /// Those that this address spoke for last; of IPv6 its /64 counts.
    pub client: Option<IpAddr>,
    /// The one of this name, or of this id of the application.
    pub session: Option<String>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its name here: a keyed hash of the application's id.
    pub name: String,
    /// The pool whose session it is.
    pub pool: String,
    /// Where it lives. `None` where the pool has that server no more.
    pub server: Option<String>,
    /// Who spoke for it last; of IPv6 the /64.
    pub client: IpAddr,
    /// When it was learned, in seconds since 1970.
    pub born: u32,
    /// When it was last seen.
    pub seen: u32,
    /// Whether a request has ever brought it.
    pub presented: bool,
    /// How often its client's network changed.
    pub roams: u32,
}

/// Sessions that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionList {
    /// The first of them, those seen last before others.
    pub sessions: Vec<SessionInfo>,
    /// How many there are in all.
    pub total: u64,
    /// When that was, in seconds since 1970.
    pub at: u64,
}

/// A pool's table, and its sessions by server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSessions {
    /// The pool.
    pub pool: PoolName,
    /// For each server how many sessions live there, and how many of them a request has brought.
    pub servers: Vec<(ServerName, u64, u64)>,
    /// What the table has done.
    pub stats: SessionStats,
}

/// Why an order about sessions is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSession {
    /// The pool is not there, or learns no sessions.
    Pool(String),
    /// The pool has no such server.
    Server {
        /// The server.
        server: String,
        /// The pool.
        pool: String,
    },
}

impl std::fmt::Display for NoSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pool(pool) => write!(f, "there is no pool `{pool}` that learns sessions"),
            Self::Server { server, pool } => write!(f, "pool `{pool}` has no server `{server}`"),
        }
    }
}

impl std::error::Error for NoSession {}

/// Hexadecimal digits of a session's name.
fn name_of(key: SessionKey) -> String {
    key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A filter, ready for one pool.
struct Wanted<'f> {
    filter: &'f SessionFilter,
    key: Option<SessionKey>,
    server: Option<ServerUid>,
}

impl Wanted<'_> {
    fn fits(&self, entry: &Entry) -> bool {
        let is_session = match &self.filter.session {
            None => true,
            Some(name) => Some(entry.key) == self.key || name_of(entry.key) == *name,
        };
        is_session
            && self.server.is_none_or(|server| entry.server == server)
            && self
                .filter
                .client
                .is_none_or(|client| entry.client == evenkeel_balance::sessions::ClientMark::of(client))
    }
}

impl SessionBook {
    /// The sessions that fit, at most `limit` of them.
    ///
    /// # Errors
    /// Where the filter names a pool that is not there.
    pub fn list(&self, filter: &SessionFilter, limit: usize) -> Result<SessionList, NoSession> {
        let now = clock::unix_now().as_secs();
        let mut list = SessionList { at: now, ..SessionList::default() };
        let limit = limit.min(caps::SESSIONS_LISTED);
        for (pool, table) in self.chosen(filter, None)? {
            let wanted = wanted(filter, pool, table);
            let names = self.names(pool);
            for turn in 0..table.turns() {
                for entry in table.entries(turn, now) {
                    if entry.is_dropped() || !wanted.fits(&entry) {
                        continue;
                    }
                    list.total += 1;
                    list.sessions.push(info(pool, &entry, &names));
                }
                // A bound of memory: what would not be shown goes early.
                if list.sessions.len() > limit.saturating_mul(4).max(4096) {
                    shorten(&mut list.sessions, limit);
                }
            }
        }
        shorten(&mut list.sessions, limit);
        Ok(list)
    }

    /// Ends the sessions that fit; how many.
    ///
    /// # Errors
    /// As for [`list`](Self::list).
    pub fn drop_all(&self, filter: &SessionFilter) -> Result<u64, NoSession> {
        let now = clock::unix_now().as_secs();
        let mut dropped = 0;
        for (pool, table) in self.chosen(filter, None)? {
            let wanted = wanted(filter, pool, table);
            dropped += table.change_all(now, &mut |session| {
                if wanted.fits(session.entry()) {
                    session.end();
                }
            });
        }
        Ok(dropped)
    }

    /// Takes the sessions that fit to another server of their pool; how many.
    ///
    /// # Errors
    /// Where pool or server is not there. Nothing has moved then.
    pub fn move_all(&self, filter: &SessionFilter, to: &str) -> Result<u64, NoSession> {
        let now = clock::unix_now().as_secs();
        let mut ready = Vec::new();
        for (pool, table) in self.chosen(filter, Some(to))? {
            let name = within(pool, to);
            let target = self.servers(pool).find(|server| server.as_str() == name).map(ServerUid::of);
            let missing = || NoSession::Server { server: name.to_owned(), pool: pool.to_string() };
            ready.push((pool, table, target.ok_or_else(missing)?));
        }
        let mut moved = 0;
        for (pool, table, target) in ready {
            let wanted = wanted(filter, pool, table);
            moved += table.change_all(now, &mut |session| {
                if wanted.fits(session.entry()) {
                    session.move_to(target);
                }
            });
        }
        Ok(moved)
    }

    /// The sessions of each pool, by server: "sessions left" of one that drains.
    pub fn counts(&self) -> Vec<PoolSessions> {
        let now = clock::unix_now().as_secs();
        let count = |(pool, table): (&PoolName, &Arc<SessionTable>)| {
            let counts = table.by_server(now);
            let servers = self.servers(pool).map(|server| {
                let count = counts.get(&ServerUid::of(server)).copied().unwrap_or_default();
                (server.clone(), count.live, count.presented)
            });
            PoolSessions { pool: pool.clone(), servers: servers.collect(), stats: table.stats() }
        };
        self.tables.iter().map(count).collect()
    }

    /// The tables that can hold what fits: those of the pool that the filter names, or that a server is named with.
    fn chosen(&self, filter: &SessionFilter, to: Option<&str>) -> Result<Vec<(&PoolName, &SessionTable)>, NoSession> {
        let is_wanted = |pool: &&PoolName| filter.pool.as_ref().is_none_or(|wanted| wanted == pool.as_str());
        if let Some(wanted) = filter.pool.as_ref().filter(|_| !self.tables.keys().any(|pool| is_wanted(&pool))) {
            return Err(NoSession::Pool(wanted.clone()));
        }
        let mut chosen: Vec<_> = self.tables.iter().filter(|(pool, _)| is_wanted(pool)).collect();
        for server in [filter.server.as_deref(), to].into_iter().flatten() {
            let Some(named) = self.tables.keys().find(|pool| within(pool, server) != server) else { continue };
            if let (Some((pool, _)), true) = (chosen.first(), chosen.iter().all(|(pool, _)| *pool != named)) {
                return Err(NoSession::Server { server: server.to_owned(), pool: pool.to_string() });
            }
            chosen.retain(|(pool, _)| *pool == named);
        }
        Ok(chosen.into_iter().map(|(pool, table)| (pool, &**table)).collect())
    }

    fn servers(&self, pool: &PoolName) -> impl Iterator<Item = &ServerName> + use<'_> {
        let name = pool.clone();
        let pool = self.config.pools.iter().find(move |other| other.name == name);
        pool.into_iter().flat_map(|pool| pool.servers.iter().map(|server| &server.name))
    }

    fn names(&self, pool: &PoolName) -> HashMap<ServerUid, ServerName> {
        self.servers(pool).map(|server| (ServerUid::of(server), server.clone())).collect()
    }
}

fn wanted<'f>(filter: &'f SessionFilter, pool: &PoolName, table: &SessionTable) -> Wanted<'f> {
    // By what it is called and not by what is configured: sessions outlive their server's block.
    let uid = |text: &String| ServerUid::of(&ServerName::of_address(within(pool, text)));
    Wanted {
        filter,
        key: filter.session.as_ref().map(|id| table.key(id.as_bytes())),
        server: filter.server.as_ref().map(uid),
    }
}

/// What a server is called in that pool, where it may be given as `pool/server`.
fn within<'t>(pool: &PoolName, server: &'t str) -> &'t str {
    server.strip_prefix(pool.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(server)
}

fn info(pool: &PoolName, entry: &Entry, names: &HashMap<ServerUid, ServerName>) -> SessionInfo {
    SessionInfo {
        name: name_of(entry.key),
        pool: pool.to_string(),
        server: names.get(&entry.server).map(ToString::to_string),
        client: entry.client.address(),
        born: entry.born,
        seen: entry.seen,
        presented: entry.is_presented(),
        roams: entry.roams(),
    }
}

/// Leaves those that were seen last.
fn shorten(sessions: &mut Vec<SessionInfo>, limit: usize) {
    sessions.sort_unstable_by(|a, b| b.seen.cmp(&a.seen).then_with(|| a.name.cmp(&b.name)));
    sessions.truncate(limit);
}

#[cfg(test)]
mod tests;

//! The table of learned sessions: which server holds the session that an application's id names.
//!
//! A table belongs to a pool and outlives configurations. Many threads use it; it is cut into shards, each behind a
//! lock that is held for one look-up, or for one sweep of some thousand entries: a table of millions never stops anybody for
//! a millisecond. Ids are kept as keyed hashes only.
//!
//! The invariants: only answers make entries ([`learn`](SessionTable::learn)), so that made-up ids cost nobody a place;
//! what stands in a body never takes a live session to another server; and where room must be made, sessions that a
//! request has presented go last.
//!
//! ```text
//!             learn                    find                      idle or too old, drop
//!   (absent) -------> never presented ------> presented ---------------> (absent)
//!                          |                      ^  |
//!                          +--- evicted first     +--+ bind (another server answered, or said so itself)
//! ```

mod entry;
mod file;
mod shard;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_model::{PoolName, caps};
use siphasher::sip128::SipHasher24;

pub use self::entry::{ClientMark, Entry, SessionKey};
pub use self::file::{FileFault, Piece, TableWriter, read_tables};
pub use self::shard::Room;
use self::shard::Shard;
use crate::ServerUid;

/// Shards of a table, a power of two: enough that workers seldom meet, and that one of sixteen million sessions is
/// swept or moved to a larger room within a fraction of a millisecond.
const SHARDS: usize = 512;

/// Entries looked at where room is to be made for one: the whole shard where it is this large, else some of its neighbours too.
const SAMPLE: usize = 64;
/// Entries looked at in search of one that nobody has ever presented.
const SAMPLE_AT_MOST: usize = 2048;

/// How far another node's clock may run ahead of ours: what it saw "later" than this counts as seen then.
const SKEW: u32 = 300;

/// Who says that a session lives on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A field of the server's answer, which nobody else can write: `Set-Cookie`, `Location`, a field of its own.
    Head,
    /// A link in a page or a redirection, which a stranger may have planted.
    Body,
}

/// What came of learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Learnt {
    /// The session is new.
    New,
    /// It was known to live there.
    Known,
    /// The server itself says that it lives elsewhere than we knew: it is bound anew.
    Moved,
    /// A page says that it lives elsewhere than we know: we know better.
    Refused,
}

/// How long sessions last and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A session not seen for so long is over.
    pub idle: Duration,
    /// A session older than this is over.
    pub life: Duration,
    /// How many there may be.
    pub max: usize,
}

/// The sessions of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerSessions {
    /// Sessions that are not over.
    pub live: u64,
    /// Those of them whose id a request has brought.
    pub presented: u64,
}

/// What a table has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Sessions held, those included that are over and not swept away yet.
    pub held: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// Sessions learned.
    pub learned: u64,
    /// Look-ups that found one.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Ids in pages that would have moved a live session.
    pub refused: u64,
    /// Pages that passed unread: in an unknown coding, or more at once than there is memory for.
    pub unread: u64,
    /// Sessions taken out before their time, for want of room, that no request had ever presented.
    pub evicted_new: u64,
    /// The same of sessions that were in use: the table is too small.
    pub evicted_used: u64,
}

/// A table of sessions.
#[derive(Debug)]
pub struct SessionTable {
    hasher: SipHasher24,
    pool: PoolName,
    shards: Box<[Mutex<Shard>]>,
    held: AtomicUsize,
    idle: AtomicU32,
    life: AtomicU32,
    max: AtomicUsize,
    unread: AtomicU64,
    roaming: AtomicU64,
}

/// The secret of a process's tables. Nodes and processes that are to understand each other's entries share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSecret([u8; 16]);

impl TableSecret {
    /// The secret derived from a seed that balancers share.
    pub fn derive(seed: &[u8; 16]) -> Self {
        let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            blake3::derive_key("evenkeel 2026-11 learned sessions", seed);
        Self(key)
    }

    /// What tells that a file was written under the same secret, and nothing else of it.
    pub fn mark(&self) -> [u8; 8] {
        SipHasher24::new_with_key(&self.0).hash(b"mark").h1.to_be_bytes()
    }
}

impl SessionTable {
    /// An empty table for a pool.
    pub fn new(pool: &PoolName, secret: &TableSecret, bounds: Bounds) -> Self {
        let new = Self {
            hasher: SipHasher24::new_with_key(&secret.0),
            pool: pool.clone(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            held: AtomicUsize::new(0),
            idle: AtomicU32::new(0),
            life: AtomicU32::new(0),
            max: AtomicUsize::new(0),
            unread: AtomicU64::new(0),
            roaming: AtomicU64::new(0),
        };
        new.set_bounds(bounds);
        new
    }

    /// Counts a page that could not be read.
    pub fn count_unread(&self) {
        self.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// Other bounds from now on. What is too much by them goes as others come.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.idle.store(seconds(bounds.idle.as_secs()), Ordering::Relaxed);
        self.life.store(seconds(bounds.life.as_secs()), Ordering::Relaxed);
        self.max.store(bounds.max.max(1), Ordering::Relaxed);
    }

    /// The key of an application's id in this table.
    pub fn key(&self, id: &[u8]) -> SessionKey {
        use std::hash::Hasher;

        use siphasher::sip128::Hasher128;
        let mut hasher = self.hasher;
        hasher.write(self.pool.as_str().as_bytes());
        // No name holds a zero byte, so that no two pairs of name and id read alike.
        hasher.write(&[0]);
        hasher.write(id);
        let hash = hasher.finish128();
        SessionKey { high: hash.h1, low: hash.h2 as u32 }
    }

    /// The server of a session that a request presents. The session is alive again from now on.
    pub fn find(&self, key: SessionKey, client: ClientMark, now_unix: u64) -> Option<ServerUid> {
        let now = seconds(now_unix);
        let mut shard = self.shard(key);
        let found = shard.get(key).filter(|entry| !self.is_over(entry, now));
        let Some(mut entry) = found else {
            shard.tally.misses += 1;
            return None;
        };
        let before = entry;
        entry.seen = entry.seen.max(now);
        if entry.is_presented() && !entry.client.is_near(client) {
            entry.roam();
            let is_told = u64::from(entry.roams() == caps::TOKEN_NETWORKS);
            self.roaming.fetch_add(is_told, Ordering::Relaxed);
        }
        entry.client = client;
        entry.present();
        if entry != before {
            shard.put(&entry);
            shard.tally.changes += 1;
        }
        shard.tally.hits += 1;
        Some(entry.server)
    }

    /// Takes note that an answer of the server names a session.
    pub fn learn(
        &self,
        key: SessionKey,
        server: ServerUid,
        source: Source,
        client: ClientMark,
        now_unix: u64,
    ) -> Learnt {
        let now = seconds(now_unix);
        let mut shard = self.shard(key);
        let Some(mut entry) = shard.get(key) else {
            if self.held.load(Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
                drop(shard);
                self.make_room(key, now);
                shard = self.shard(key);
            }
            self.insert(&mut shard, &Entry::new(key, server, client, now));
            shard.tally.learned += 1;
            return Learnt::New;
        };
        let learnt = match self.is_over(&entry, now) {
            true => Learnt::New,
            false if entry.server == server => Learnt::Known,
            false if source == Source::Head => Learnt::Moved,
            false => {
                shard.tally.refused += 1;
                return Learnt::Refused;
            }
        };
        let before = entry;
        if learnt == Learnt::New {
            // The version goes on, so that the end of the session before does not come back from another node.
            entry = Entry { meta: entry.version(), ..Entry::new(key, server, client, now) };
            shard.tally.learned += 1;
        }
        if learnt != Learnt::Known {
            entry.bind(server);
        }
        entry.seen = entry.seen.max(now);
        if entry != before {
            shard.put(&entry);
            shard.tally.changes += 1;
        }
        learnt
    }

    /// Binds a session that a request presented to the server that answered instead of its own. A session that is not
    /// known stays so.
    pub fn bind(&self, key: SessionKey, server: ServerUid, now_unix: u64) -> bool {
        let now = seconds(now_unix);
        self.change(key, now, |entry| {
            entry.bind(server);
            entry.seen = entry.seen.max(now);
        })
    }

    /// Ends a session; whether there was one.
    pub fn end(&self, key: SessionKey, now_unix: u64) -> bool {
        self.change(key, seconds(now_unix), Entry::drop_it)
    }

    /// Takes over what another node, or the process before this one, knows of a session. The order in which such
    /// accounts come, and how often, makes no difference.
    pub fn merge(&self, mut entry: Entry, now_unix: u64) {
        let now = seconds(now_unix);
        entry.seen = entry.seen.min(now.saturating_add(SKEW));
        entry.born = entry.born.min(entry.seen);
        if entry.is_expired(self.idle(), self.life(), now) {
            return;
        }
        let mut shard = self.shard(entry.key);
        match shard.get(entry.key).filter(|known| !known.is_expired(self.idle(), self.life(), now)) {
            Some(known) => {
                let merged = known.merged(entry);
                if merged != known {
                    shard.put(&merged);
                    shard.tally.changes += 1;
                }
            }
            // No account of strangers may crowd out the sessions that we have.
            None if self.held.load(Ordering::Relaxed) < self.max.load(Ordering::Relaxed) => {
                self.insert(&mut shard, &entry);
            }
            None => {}
        }
    }

    /// Takes what is over out of some shards; `turn` counts the calls. As many calls as [`Self::turns`] look at all.
    pub fn sweep(&self, turn: usize, now_unix: u64) -> Room {
        let Some(shard) = self.shards.get(turn % SHARDS) else { return Room::default() };
        let (idle, life, now) = (self.idle(), self.life(), seconds(now_unix));
        let mut shard = lock(shard);
        // A dropped one stays until it would have gone idle: it tells others.
        let (gone, left) = shard.retain(|entry| !entry.is_expired(idle, life, now));
        self.held.fetch_sub(gone, Ordering::Relaxed);
        if gone > 0 {
            shard.tally.changes += 1;
        }
        left
    }

    /// Changes each session that is not over as `change` says; how many it says it changed.
    pub fn change_all(&self, now_unix: u64, change: &mut dyn FnMut(&mut SessionChange<'_>)) -> u64 {
        let now = seconds(now_unix);
        let mut changed = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            let live: Vec<Entry> = shard.entries().filter(|entry| !self.is_over(entry, now)).collect();
            for mut entry in live {
                let before = entry;
                change(&mut SessionChange { entry: &mut entry });
                if entry != before {
                    shard.put(&entry);
                    shard.tally.changes += 1;
                    changed += 1;
                }
            }
        }
        changed
    }

    /// What is known of a session, without its being presented.
    pub fn look(&self, key: SessionKey, now_unix: u64) -> Option<Entry> {
        let now = seconds(now_unix);
        self.shard(key).get(key).filter(|entry| !self.is_over(entry, now))
    }

    /// The entries of one turn of [`Self::turns`], dropped ones included; what is over by time is left out.
    pub fn entries(&self, turn: usize, now_unix: u64) -> Vec<Entry> {
        let (idle, life, now) = (self.idle(), self.life(), seconds(now_unix));
        let Some(shard) = self.shards.get(turn) else { return Vec::new() };
        lock(shard).entries().filter(|entry| !entry.is_expired(idle, life, now)).collect()
    }

    /// In how many turns the whole table is seen.
    pub fn turns(&self) -> usize {
        SHARDS
    }

    /// The sessions of each server.
    pub fn by_server(&self, now_unix: u64) -> BTreeMap<ServerUid, ServerSessions> {
        let now = seconds(now_unix);
        let mut counts = BTreeMap::<ServerUid, ServerSessions>::new();
        for shard in &self.shards {
            for entry in lock(shard).entries().filter(|entry| !self.is_over(entry, now)) {
                let sessions = counts.entry(entry.server).or_default();
                sessions.live += 1;
                sessions.presented += u64::from(entry.is_presented());
            }
        }
        counts
    }

    /// Sessions whose client's network changed [`caps::TOKEN_NETWORKS`] times: copies of the id are about.
    pub fn roaming(&self) -> u64 {
        self.roaming.load(Ordering::Relaxed)
    }

    /// What the table has done so far.
    pub fn stats(&self) -> SessionStats {
        let mut stats = SessionStats { unread: self.unread.load(Ordering::Relaxed), ..SessionStats::default() };
        for shard in &self.shards {
            let shard = lock(shard);
            stats.held += shard.len() as u64;
            stats.bytes += (size_of::<Mutex<Shard>>() + shard.bytes()) as u64;
            stats.learned += shard.tally.learned;
            stats.hits += shard.tally.hits;
            stats.misses += shard.tally.misses;
            stats.refused += shard.tally.refused;
            stats.evicted_new += shard.tally.evicted_new;
            stats.evicted_used += shard.tally.evicted_used;
        }
        stats
    }

    /// A number that grows with every change, for who keeps a copy.
    pub fn changes(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).tally.changes).sum()
    }

    fn change(&self, key: SessionKey, now: u32, change: impl FnOnce(&mut Entry)) -> bool {
        let mut shard = self.shard(key);
        let Some(mut entry) = shard.get(key).filter(|entry| !self.is_over(entry, now)) else { return false };
        change(&mut entry);
        shard.put(&entry);
        shard.tally.changes += 1;
        true
    }

    fn insert(&self, shard: &mut Shard, entry: &Entry) {
        if shard.put(entry) {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        shard.tally.changes += 1;
    }

    /// Takes out what is over, or else a sixteenth of the sessions in reach: those alone that were never presented, if there
    /// are any, of these the ones of a network that has most of them, and of either kind those that were silent for longest.
    fn make_room(&self, key: SessionKey, now: u32) {
        let (idle, life) = (self.idle(), self.life());
        let is_over = |entry: &Entry| entry.is_over(idle, life, now);
        let mut used = Vec::with_capacity(SAMPLE);
        let mut fresh = Vec::new();
        let mut over = Vec::new();
        let begin = place(key);
        for turn in (0..SHARDS).map(|step| (begin + step) % SHARDS) {
            let Some(shard) = self.shards.get(turn) else { break };
            for entry in lock(shard).entries() {
                let kind = match (is_over(&entry), entry.is_presented()) {
                    (true, _) => &mut over,
                    (false, false) => &mut fresh,
                    (false, true) => &mut used,
                };
                kind.push(entry);
            }
            let looked_at = over.len() + fresh.len() + used.len();
            let is_enough = if used.len() == looked_at { looked_at >= SAMPLE_AT_MOST } else { looked_at >= SAMPLE };
            if is_enough {
                break;
            }
        }
        let most = (used.len() + fresh.len()).div_ceil(16);
        let mut victims = match (over.is_empty(), fresh.is_empty()) {
            (false, _) => over,
            (true, false) => of_the_loudest(fresh),
            (true, true) => used,
        };
        victims.sort_unstable_by_key(|entry| entry.seen);
        victims.truncate(most.max(1));
        for victim in victims {
            // It may have been presented since we looked, which does not make it the wrong one.
            let mut shard = self.shard(victim.key);
            if shard.remove(victim.key) {
                self.held.fetch_sub(1, Ordering::Relaxed);
                match (is_over(&victim), victim.is_presented()) {
                    (true, _) => {}
                    (false, false) => shard.tally.evicted_new += 1,
                    (false, true) => shard.tally.evicted_used += 1,
                }
            }
        }
    }

    fn is_over(&self, entry: &Entry, now: u32) -> bool {
        entry.is_over(self.idle(), self.life(), now)
    }

    fn idle(&self) -> u32 {
        self.idle.load(Ordering::Relaxed)
    }

    fn life(&self) -> u32 {
        self.life.load(Ordering::Relaxed)
    }

    fn shard(&self, key: SessionKey) -> MutexGuard<'_, Shard> {
        self.shards.get(place(key)).map(lock).expect("a place is below SHARDS, and there are as many shards")
    }
}

/// A session in the hands of [`SessionTable::change_all`].
#[derive(Debug)]
pub struct SessionChange<'a> {
    entry: &'a mut Entry,
}

impl SessionChange<'_> {
    /// The session.
    pub fn entry(&self) -> &Entry {
        self.entry
    }

    /// Takes it to another server.
    pub fn move_to(&mut self, server: ServerUid) {
        if self.entry.server != server {
            self.entry.bind(server);
        }
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.entry.drop_it();
    }
}

/// Of sessions that nobody has presented yet, those of the network that has more than a quarter of them, if there is one:
/// whoever opens one after the other and never comes back makes room for the next with its own, and not with those of
/// clients that have just begun.
fn of_the_loudest(mut fresh: Vec<Entry>) -> Vec<Entry> {
    let mut counts = BTreeMap::<u64, usize>::new();
    for entry in &fresh {
        *counts.entry(entry.client.network()).or_default() += 1;
    }
    let loudest = counts.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| count * 4 > fresh.len());
    if let Some((network, _)) = loudest {
        fresh.retain(|entry| entry.client.network() == network);
    }
    fresh
}

/// The shard of a key, by other bits than those that say where it stands there.
fn place(key: SessionKey) -> usize {
    (key.high >> 32) as usize % SHARDS
}

/// A panic while a shard is held leaves it whole: nothing between its steps can panic.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970 in 32 bits, which end in 2106; later times stand still there.
fn seconds(now_unix: u64) -> u32 {
    u32::try_from(now_unix).unwrap_or(u32::MAX)
}

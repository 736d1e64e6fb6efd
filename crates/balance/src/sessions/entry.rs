//! One session in the table, and which of two accounts of it holds.
//!
//! The invariant: [`Entry::merged`] is the least upper bound of an order, so that entries may arrive in any order, twice, or
//! by detours, and every table ends with the same one.

use std::net::IpAddr;

use crate::ServerUid;

const PRESENTED: u32 = 1 << 31;
const DROPPED: u32 = 1 << 30;
/// Bits that count how often the client's network changed.
const ROAMS: u32 = 0x3f << ROAMS_AT;
const ROAMS_AT: u32 = 24;
const VERSION: u32 = (1 << ROAMS_AT) - 1;

/// The name of a session in the table: a keyed hash of the application's id, from which nobody gets the id back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    pub(super) high: u64,
    pub(super) low: u32,
}

impl SessionKey {
    /// Bytes of a key where it is stored.
    pub const BYTES: usize = 12;

    /// The key as bytes, for files and for peers.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.high.to_be_bytes());
        bytes[8..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// The key that [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self { high: u64::from_be_bytes([a, b, c, d, e, f, g, h]), low: u32::from_be_bytes([i, j, k, l]) }
    }
}

/// Who spoke for a session last: an IPv4 address, or the /64 of an IPv6 address, which is what one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ClientMark(u64);

/// Above all of `ff00::/8`, which is multicast and so no client's: here IPv4 addresses stand.
const V4: u64 = 0xffff_ffff << 32;

impl ClientMark {
    /// The mark of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(V4 | u64::from(u32::from(v4))),
            IpAddr::V6(v6) => Self((u128::from(v6) >> 64) as u64),
        }
    }

    /// Whether both are of one network.
    pub(super) fn is_near(self, other: Self) -> bool {
        self.network() == other.network()
    }

    /// The network: the /24 of IPv4, the /48 of IPv6.
    pub(super) fn network(self) -> u64 {
        let is_v4 = self.0 & V4 == V4;
        let host = if is_v4 { 0xff } else { 0xffff };
        self.0 & !host
    }

    /// The address; of IPv6 its /64 with zeros behind.
    pub fn address(self) -> IpAddr {
        match self.0 & V4 == V4 {
            true => IpAddr::V4(((self.0 & !V4) as u32).into()),
            false => IpAddr::V6((u128::from(self.0) << 64).into()),
        }
    }
}

/// What the table holds of one session. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which session.
    pub key: SessionKey,
    /// Where it lives.
    pub server: ServerUid,
    /// Who spoke for it last.
    pub client: ClientMark,
    /// When it was learned first.
    pub born: u32,
    /// When it was last seen, in a request or an answer.
    pub seen: u32,
    pub(super) meta: u32,
}

impl Entry {
    /// A session that an answer has just named.
    pub(super) fn new(key: SessionKey, server: ServerUid, client: ClientMark, now: u32) -> Self {
        Self { key, server, client, born: now, seen: now, meta: 1 }
    }

    /// Whether a request has ever brought the id.
    pub fn is_presented(&self) -> bool {
        self.meta & PRESENTED != 0
    }

    /// Whether the session was dropped: the entry says so to others until it would have gone idle.
    pub fn is_dropped(&self) -> bool {
        self.meta & DROPPED != 0
    }

    /// How often the session was bound.
    pub fn version(&self) -> u32 {
        self.meta & VERSION
    }

    /// Whether the session is over by these bounds, or was dropped.
    pub fn is_over(&self, idle: u32, life: u32, now: u32) -> bool {
        self.is_dropped() || self.is_expired(idle, life, now)
    }

    pub(super) fn is_expired(&self, idle: u32, life: u32, now: u32) -> bool {
        now.saturating_sub(self.seen) > idle || now.saturating_sub(self.born) > life
    }

    /// How often the client's network changed from one request to the next; it stops at 63.
    pub fn roams(&self) -> u32 {
        (self.meta & ROAMS) >> ROAMS_AT
    }

    pub(super) fn roam(&mut self) {
        if self.meta & ROAMS != ROAMS {
            self.meta += 1 << ROAMS_AT;
        }
    }

    pub(super) fn present(&mut self) {
        self.meta |= PRESENTED;
    }

    /// Binds the session to a server anew, which outranks what others know of it.
    pub(super) fn bind(&mut self, server: ServerUid) {
        self.server = server;
        self.meta = (self.meta & (PRESENTED | ROAMS)) | self.next_version();
    }

    pub(super) fn drop_it(&mut self) {
        self.meta = (self.meta & (PRESENTED | ROAMS)) | DROPPED | self.next_version();
    }

    fn next_version(&self) -> u32 {
        self.version().saturating_add(1).min(VERSION)
    }

    /// What holds of two accounts of one session. The binding is that of the higher version; between equals a drop, then
    /// the older session (it has more to lose), then the lower server, which is as good as any and the same everywhere.
    /// The rest is the latest of both.
    pub fn merged(self, other: Self) -> Self {
        let rank = |entry: &Self| {
            (entry.version(), entry.is_dropped(), std::cmp::Reverse(entry.born), std::cmp::Reverse(entry.server))
        };
        let binding = if rank(&self) >= rank(&other) { self } else { other };
        let latest = self.seen.cmp(&other.seen).then(self.client.cmp(&other.client));
        Self {
            client: if latest.is_ge() { self.client } else { other.client },
            seen: self.seen.max(other.seen),
            meta: (binding.meta & !ROAMS)
                | (self.meta & PRESENTED)
                | (other.meta & PRESENTED)
                | (self.meta & ROAMS).max(other.meta & ROAMS),
            ..binding
        }
    }
}

/// How an entry is written in files.
impl Entry {
    /// Bytes of a written entry.
    pub const BYTES: usize = 40;

    /// The entry as bytes, the same on every machine.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..12].copy_from_slice(&self.key.to_bytes());
        bytes[12..20].copy_from_slice(&self.server.to_bits().to_be_bytes());
        bytes[20..28].copy_from_slice(&self.client.0.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.born.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.seen.to_be_bytes());
        bytes[36..].copy_from_slice(&self.meta.to_be_bytes());
        bytes
    }

    /// The entry that these bytes say; `None` for what no table has written.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<12>()?;
        let (server, rest) = rest.split_first_chunk()?;
        let (client, rest) = rest.split_first_chunk()?;
        let (born, rest) = rest.split_first_chunk()?;
        let (seen, rest) = rest.split_first_chunk()?;
        let meta = u32::from_be_bytes(*rest.first_chunk()?);
        (meta & VERSION != 0).then_some(Self {
            key: SessionKey::from_bytes(*key),
            server: ServerUid::from_bits(u64::from_be_bytes(*server)),
            client: ClientMark(u64::from_be_bytes(*client)),
            born: u32::from_be_bytes(*born),
            seen: u32::from_be_bytes(*seen),
            meta,
        })
    }
}

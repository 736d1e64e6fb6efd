//! One shard of the table: entries in open addressing, in a room that grows with them.
//!
//! Not here: locks, and which shard a session belongs to. The invariants: between an entry and the place that its key
//! calls for no place is empty, and at most `FULL` of the places are taken, so that a search is short and ends.

use super::entry::{Entry, SessionKey};

/// Places taken of 100 before the room grows. A place has 40 bytes and the room grows by a quarter, so that a session
/// costs 47 to 59 bytes.
const FULL: usize = 85;
/// Places of the smallest room.
const LEAST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Shard {
    places: Vec<Option<Packed>>,
    taken: usize,
    pub(super) tally: Tally,
}

/// What happened in a shard. It stands here and not beside the table, so that workers do not fight for it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) changes: u64,
    pub(super) learned: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) refused: u64,
    pub(super) evicted_new: u64,
    pub(super) evicted_used: u64,
}

/// An entry as it is held; the niche of the version makes the option free.
#[derive(Debug, Clone, Copy)]
struct Packed {
    high: u64,
    server: crate::ServerUid,
    client: super::ClientMark,
    low: u32,
    born: u32,
    seen: u32,
    meta: std::num::NonZeroU32,
}

const _: () = assert!(size_of::<Option<Packed>>() == 40, "a session must stay below 64 bytes");

/// Room that a shard has left. Giving its memory back may take the system milliseconds, since it gives back all that is
/// free around it at once: it is dropped where nobody waits for a shard.
#[derive(Debug, Default)]
#[must_use]
pub struct Room {
    _places: Vec<Option<Packed>>,
}

impl Packed {
    fn of(entry: &Entry) -> Option<Self> {
        let Entry { key: SessionKey { high, low }, server, client, born, seen, meta } = *entry;
        Some(Self { high, server, client, low, born, seen, meta: meta.try_into().ok()? })
    }

    fn entry(&self) -> Entry {
        let Self { server, client, born, seen, .. } = *self;
        Entry { key: self.key(), server, client, born, seen, meta: self.meta.get() }
    }

    fn key(&self) -> SessionKey {
        SessionKey { high: self.high, low: self.low }
    }
}

impl Shard {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Bytes of the room.
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Option<Packed>>()
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<Entry> {
        let at = self.find(key).ok()?;
        self.places.get(at)?.as_ref().map(Packed::entry)
    }

    /// Puts an entry in the place of the one of its key, or into a new place; whether it is new.
    pub(super) fn put(&mut self, entry: &Entry) -> bool {
        if (self.taken + 1) * 100 > self.places.len() * FULL {
            self.resize((self.places.len() * 5 / 4).max(LEAST));
        }
        let (at, is_new) = match self.find(entry.key) {
            Ok(at) => (at, false),
            Err(at) => (at, true),
        };
        if let Some(place) = self.places.get_mut(at) {
            *place = Packed::of(entry);
            self.taken += usize::from(is_new);
        }
        is_new
    }

    /// Takes an entry out; whether it was there.
    pub(super) fn remove(&mut self, key: SessionKey) -> bool {
        let Ok(mut hole) = self.find(key) else { return false };
        self.taken -= 1;
        let most = self.places.len();
        let mut at = hole;
        for _ in 0..most {
            at = if at + 1 == most { 0 } else { at + 1 };
            let Some(Some(next)) = self.places.get(at).copied() else { break };
            // Whoever was pushed past the hole moves into it, so that no search ends there too early.
            let home = home(next.key(), most);
            let is_between = if hole <= at { hole < home && home <= at } else { hole < home || home <= at };
            if !is_between {
                self.places.swap(hole, at);
                hole = at;
            }
        }
        if let Some(place) = self.places.get_mut(hole) {
            *place = None;
        }
        true
    }

    /// Takes every entry out that is not wanted; how many there were, and the room that is not needed any more.
    pub(super) fn retain(&mut self, mut is_wanted: impl FnMut(&Entry) -> bool) -> (usize, Room) {
        let unwanted: Vec<SessionKey> =
            self.entries().filter(|entry| !is_wanted(entry)).map(|entry| entry.key).collect();
        let mut left = Room::default();
        if unwanted.len() * 4 < self.taken {
            unwanted.iter().for_each(|key| {
                self.remove(*key);
            });
        } else if !unwanted.is_empty() {
            left = self.rebuild(&mut is_wanted);
        }
        (unwanted.len(), left)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + use<'_> {
        self.places.iter().flatten().map(Packed::entry)
    }

    fn rebuild(&mut self, is_wanted: &mut impl FnMut(&Entry) -> bool) -> Room {
        let kept: Vec<Entry> = self.entries().filter(|entry| is_wanted(entry)).collect();
        let left = Room { _places: std::mem::take(&mut self.places) };
        self.taken = 0;
        if !kept.is_empty() {
            self.resize((kept.len() * 100 / FULL + 1).max(LEAST));
        }
        kept.iter().for_each(|entry| {
            self.put(entry);
        });
        left
    }

    fn resize(&mut self, places: usize) {
        let mut room = Vec::with_capacity(places);
        room.resize(places, None);
        for packed in std::mem::replace(&mut self.places, room).into_iter().flatten() {
            if let Err(at) = self.find(packed.key())
                && let Some(place) = self.places.get_mut(at)
            {
                *place = Some(packed);
            }
        }
    }

    /// Where the key is, or else where it would go.
    fn find(&self, key: SessionKey) -> Result<usize, usize> {
        let most = self.places.len();
        let mut at = home(key, most);
        for _ in 0..most {
            match self.places.get(at) {
                Some(Some(found)) if found.key() == key => return Ok(at),
                Some(Some(_)) => at = if at + 1 == most { 0 } else { at + 1 },
                Some(None) | None => return Err(at),
            }
        }
        Err(at)
    }
}

/// The place that a key calls for. The key is a keyed hash, so that its bits need no further mixing; its upper half
/// has chosen the shard.
fn home(key: SessionKey, places: usize) -> usize {
    let spread = u128::from(key.high << 32 | u64::from(key.low)) * places as u128;
    (spread >> 64) as usize
}

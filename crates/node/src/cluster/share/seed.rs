//! The seed of the names of learned sessions and of hashes: one that all nodes have.
//!
//! It follows from the cluster's key at a node's first start, and stays when the key changes. A node that first starts
//! under a later key hears the older seed of the others, keeps it, and has it from its next start: what it has named until
//! then nobody else could find anyway. The invariant: of two seeds every node prefers the same one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_net::files;

/// The most bytes that a file of ours has.
const MOST_BYTES: usize = 64;
/// The beginning of 2026, in seconds: a clock that says less was never set, and makes no seed the oldest.
const CLOCK_SET: u64 = 1_767_225_600;
/// The file's mode.
const MODE: u32 = 0o600;

/// A seed. The older one is less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seed {
    /// When a node had it first, in seconds of the machine's clock; 0 where nobody noted it.
    born: u64,
    bytes: [u8; 16],
}

impl Seed {
    /// What names and hashes are made with.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        self.bytes
    }

    /// As it is told, and kept.
    pub(super) fn write(self) -> Vec<u8> {
        [&self.bytes[..], &self.born.to_be_bytes()].concat()
    }

    /// Reads it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (seed, born) = bytes.split_first_chunk::<16>()?;
        // Of a file of before there was a date.
        let born = if born.is_empty() { 0 } else { u64::from_be_bytes(born.try_into().ok()?) };
        Some(Self { born, bytes: *seed })
    }
}

/// Where this node's seed is kept, if anywhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeedFile(Option<PathBuf>);

impl SeedFile {
    /// That file.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// The seed of this node; at its first start the one that follows from the key. It is this node's own once it is
    /// [settled](Self::settle).
    pub(crate) fn seed(&self, first: [u8; 16], now: u64) -> Seed {
        self.kept().unwrap_or(Seed { born: if now < CLOCK_SET { u64::MAX } else { now }, bytes: first })
    }

    /// Keeps it from now on, as a file of the user that the process runs as: not before it has become that user.
    pub(crate) fn settle(&self, seed: Seed) {
        if self.0.is_none() || self.kept() == Some(seed) {
            return;
        }
        if let Err(why) = self.keep(seed).map_err(|error| crate::origin::words(&error)) {
            tracing::warn!("the seed of learned sessions is not kept, and a new key would change it: {why}");
        }
    }

    /// Keeps an older seed for the next start, unless one that is older still is kept already.
    ///
    /// # Errors
    /// Where it cannot be kept, in words.
    fn adopt(&self, seed: Seed) -> Result<(), String> {
        if self.0.is_none() {
            return Err("it has no state directory".to_owned());
        }
        if self.kept().is_some_and(|kept| kept <= seed) {
            return Ok(());
        }
        self.keep(seed).map_err(|error| crate::origin::words(&error))
    }

    fn kept(&self) -> Option<Seed> {
        Seed::read(&files::read_bounded(self.0.as_ref()?, MOST_BYTES).ok()?)
    }

    fn keep(&self, seed: Seed) -> io::Result<()> {
        let path = self.0.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        files::write_atomic(path, &seed.write(), MODE)
    }

    /// What another node's seed means beside ours: nothing where they are the same, else what to do. May wait for the disk.
    pub(super) fn weigh(&self, ours: Seed, theirs: Seed, name: &Arc<str>) -> Option<String> {
        if ours.bytes == theirs.bytes {
            return None;
        }
        let what = "it names sessions and hashes clients by another seed, since the key had changed between the first";
        Some(if theirs > ours {
            format!("{what} start of this node and its own; restart {name}, which has kept the seed of this node")
        } else {
            match self.adopt(theirs) {
                Ok(()) => format!("{what} start of {name} and ours; its seed is kept here now: restart this node"),
                Err(why) => format!(
                    "{what} start of {name} and ours; this node cannot keep the older one ({why}): give it a state \
                     directory that it can write to, and restart it"
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_older_seed_wins_on_every_node_and_a_new_key_changes_none() {
        let dir = Scratch::new();
        let file = |name: &str| SeedFile::new(Some(dir.path().join(name)));
        let (first, second, third) = (file("1"), file("2"), file("3"));
        let start = |file: &SeedFile, first, now| {
            let seed = file.seed(first, now);
            file.settle(seed);
            seed
        };
        let (lb1, lb2) = (start(&first, [1; 16], CLOCK_SET + 100), start(&second, [1; 16], CLOCK_SET + 101));
        let name: Arc<str> = "lb".into();
        assert_eq!(
            (first.weigh(lb1, lb2, &name), second.weigh(lb2, lb1, &name)),
            (None, None),
            "the same key made them"
        );
        assert_eq!(start(&first, [2; 16], CLOCK_SET + 200).bytes(), [1; 16], "after a change of the key");

        // The third starts under the new key.
        let lb3 = start(&third, [2; 16], CLOCK_SET + 200);
        assert_eq!(lb3.bytes(), [2; 16]);
        let told = first.weigh(lb1, lb3, &"lb3".into()).unwrap();
        assert!(told.contains("restart lb3"), "{told}");
        for theirs in [lb2, lb1, lb2] {
            let told = third.weigh(lb3, Seed::read(&theirs.write()).unwrap(), &name).unwrap();
            assert!(told.contains("restart this node"), "{told}");
        }
        assert_eq!(start(&third, [2; 16], CLOCK_SET + 300), lb1, "the oldest, from its next start");
        assert_eq!(start(&first, [2; 16], CLOCK_SET + 300), lb1);
    }

    #[test]
    fn a_seed_without_a_place_says_so_and_one_without_a_date_is_the_oldest() {
        let nowhere = SeedFile::default();
        let (young, old) = (nowhere.seed([2; 16], CLOCK_SET), Seed::read(&[1; 16]).unwrap());
        assert!(old < young);
        let told = nowhere.weigh(young, old, &"lb1".into()).unwrap();
        assert!(told.contains("no state directory"), "{told}");
        assert!(young < nowhere.seed([0; 16], 5), "a clock that was never set");
        for bytes in [&[0_u8; 15][..], &[0; 17], &[0; 25]] {
            assert_eq!(Seed::read(bytes), None);
        }
    }
}

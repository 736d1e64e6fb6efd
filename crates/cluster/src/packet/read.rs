//! Bytes into a heartbeat: first what is cheap to see, then the seal, then the rest.
//!
//! The invariant: no byte is believed before the seal was checked, apart from the [`Prelude`], which only decides
//! whether checking is worth its time.

use std::fmt;
use std::time::Duration;

use evenkeel_model::caps;

use super::{Beat, BootId, ECHO, Echo, HEAD, Kind, LARGEST, LINE, Line, MAGIC, PHASES, ROLES};
use crate::key::{Keyring, SEAL};

/// What can be seen before the seal is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prelude {
    pub(crate) key: u8,
    pub(crate) cluster: u32,
    /// Who says that it sent this.
    pub(crate) sender: u32,
    /// In which of its lives.
    pub(crate) boot: BootId,
    /// As which heartbeat.
    pub(crate) sequence: u64,
    pub(crate) is_resignation: bool,
}

/// Why bytes are not a heartbeat for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// Not of this protocol, or of another version of it.
    Foreign,
    /// Of a cluster of another name.
    OtherCluster,
    /// From a node that the settings do not name.
    Stranger,
    /// From a node of this one's own name, in another life.
    Namesake,
    /// Shorter or longer than what it announces.
    Length,
    /// Sealed under a key that we do not have.
    UnknownKey,
    /// The seal does not fit the key.
    BadSeal,
    /// The seal fits, and a value inside does not: another version of the program.
    Value,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "not a heartbeat of this protocol",
            Self::OtherCluster => "of a cluster of another name: is the name in the `cluster` line the same on both?",
            Self::Stranger => "from a node that no `node` line here names: are the `node` lines the same on both?",
            Self::Namesake => {
                "another machine says that it is this very node: look at `--node`, its own name and the `node` lines there"
            }
            Self::Length => "not as long as it says",
            Self::UnknownKey => "sealed under a key that this node does not have",
            Self::BadSeal => "the seal is wrong: another key, or changed on the way",
            Self::Value => "a value that this version does not know",
        })
    }
}

impl std::error::Error for PacketError {}

impl PacketError {
    /// Whether it says itself whose it is: a node that is known, and another one.
    pub(crate) fn is_of_peer(self) -> bool {
        matches!(self, Self::UnknownKey | Self::BadSeal | Self::Value)
    }
}

impl Prelude {
    /// Reads what stands before the lists.
    ///
    /// # Errors
    /// Where the bytes are not of this protocol, or not of the length that they announce.
    pub fn read(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut at = Reader(bytes);
        if at.take::<4>() != Some(MAGIC) {
            return Err(PacketError::Foreign);
        }
        let prelude = Self::after_magic(&mut at).ok_or(PacketError::Length)?;
        let [echoes, lines] = [6, 7].map(|index| usize::from(bytes.get(index).copied().unwrap_or(0)));
        let is_capped = echoes < caps::CLUSTER_NODES && lines <= caps::CLUSTER_GROUPS;
        let length = HEAD + echoes * ECHO + lines * LINE + SEAL;
        if is_capped && bytes.len() == length && length <= LARGEST { Ok(prelude) } else { Err(PacketError::Length) }
    }

    fn after_magic(at: &mut Reader<'_>) -> Option<Self> {
        let [kind, key, _, _] = at.take::<4>()?;
        Some(Self {
            key,
            cluster: at.u32()?,
            sender: at.u32()?,
            boot: BootId(at.take()?),
            sequence: at.u64()?,
            is_resignation: kind == 2,
        })
    }
}

impl Beat {
    /// Checks the seal and reads the heartbeat over what this one held. After an error its lists are of no use.
    pub(crate) fn read(&mut self, bytes: &[u8], prelude: &Prelude, keys: &Keyring) -> Result<(), PacketError> {
        if !keys.knows(prelude.key) {
            return Err(PacketError::UnknownKey);
        }
        let (message, seal) = bytes.split_last_chunk::<SEAL>().ok_or(PacketError::Length)?;
        if !keys.accepts(prelude.key, message, *seal) {
            return Err(PacketError::BadSeal);
        }
        self.fill(message, prelude).ok_or(PacketError::Value)
    }

    fn fill(&mut self, message: &[u8], prelude: &Prelude) -> Option<()> {
        let mut at = Reader(message);
        let [_, _, _, _, kind, _, echoes, lines] = at.take::<8>()?;
        self.kind = match kind {
            1 => Kind::Beat,
            2 => Kind::Resignation,
            _ => return None,
        };
        (self.sender, self.boot, self.sequence) = (prelude.sender, prelude.boot, prelude.sequence);
        at.skip(32)?;
        self.digest = at.u64()?;
        let [phase, score, flags, zero] = at.take::<4>()?;
        self.phase = *PHASES.get(usize::from(phase))?;
        (self.score, self.reaches, self.is_aside) = (score, flags & 1 != 0, flags & 2 != 0);
        if score > 100 || flags > 3 || zero != 0 {
            return None;
        }
        self.echoes.clear();
        for _ in 0..echoes {
            self.echoes.push(echo(&mut at)?);
        }
        self.lines.clear();
        for _ in 0..lines {
            self.lines.push(line(&mut at)?);
        }
        Some(())
    }
}

fn echo(at: &mut Reader<'_>) -> Option<Echo> {
    Some(Echo {
        peer: at.u32()?,
        boot: BootId(at.take()?),
        sequence: at.u64()?,
        age: Duration::from_millis(u64::from(at.u32()?)),
        is_lossy: at.flag()?,
    })
}

fn line(at: &mut Reader<'_>) -> Option<Line> {
    let (group, digest) = (at.u32()?, at.u32()?);
    let [role, flags] = at.take::<2>()?;
    if flags > 3 {
        return None;
    }
    Some(Line {
        group,
        digest,
        role: *ROLES.get(usize::from(role))?,
        is_away: flags & 1 != 0,
        is_wanted: flags & 2 != 0,
        epoch: at.u64()?,
        target: at.u32()?,
        vote_for: at.u32()?,
        vote_epoch: at.u64()?,
    })
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take()? {
            [0] => Some(false),
            [1] => Some(true),
            [_] => None,
        }
    }
}

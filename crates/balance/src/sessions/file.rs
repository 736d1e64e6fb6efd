//! Tables as bytes, so that sessions outlive the process.
//!
//! On disk: `magic (16) | mark (8)`, then pieces of `name length (1) | pool's name | count (4) | count entries of 40 bytes`,
//! then a zero byte and a checksum (16) of everything before it. A pool may have many pieces, so that a table is written
//! without being held up or copied whole. Numbers have their highest byte first.
//!
//! The invariant: of a file that is torn, foreign or tampered with, no entry is used; reading never panics.

use std::fmt;

use evenkeel_model::PoolName;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{Entry, TableSecret};

/// What a file begins with; the figure grows when the format changes.
const MAGIC: &[u8; 16] = b"evenkeel sess 1\n";
const HEAD: usize = 16 + 8;
const SUM: usize = 16;

/// Writes tables, piece by piece.
#[derive(Debug)]
pub struct TableWriter {
    sum: SipHasher24,
    entries: u64,
}

impl TableWriter {
    /// A writer; the file's head goes to `out`.
    pub fn begin(secret: &TableSecret, out: &mut Vec<u8>) -> Self {
        let mut new = Self { sum: checksum(), entries: 0 };
        let from = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&secret.mark());
        new.note(out, from);
        new
    }

    /// Appends entries of a pool's table.
    pub fn write(&mut self, pool: &PoolName, entries: &[Entry], out: &mut Vec<u8>) {
        let from = out.len();
        // A shard of the largest table has some ten thousand entries, and a name at most 64 bytes.
        for entries in entries.chunks(u16::MAX.into()) {
            out.push(u8::try_from(pool.as_str().len()).unwrap_or(u8::MAX));
            out.extend_from_slice(pool.as_str().as_bytes());
            out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
            entries.iter().for_each(|entry| out.extend_from_slice(&entry.to_bytes()));
            self.entries += entries.len() as u64;
        }
        self.note(out, from);
    }

    /// Appends the end; how many entries there were.
    pub fn finish(mut self, out: &mut Vec<u8>) -> u64 {
        let from = out.len();
        out.push(0);
        self.note(out, from);
        out.extend_from_slice(&sum_bytes(&self.sum));
        self.entries
    }

    fn note(&mut self, out: &[u8], from: usize) {
        use std::hash::Hasher;
        self.sum.write(out.get(from..).unwrap_or_default());
    }
}

/// Why a file is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFault {
    /// It is no file of sessions, or one of another version.
    Foreign,
    /// It was written under another secret, so that its keys mean nothing here.
    OtherSecret,
    /// A part of it is missing or changed.
    Torn,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it is no file of sessions of this version",
            Self::OtherSecret => "it was written under another `hash.seed`",
            Self::Torn => "a part of it is missing or changed",
        })
    }
}

impl std::error::Error for FileFault {}

/// The pieces of a file, each with its pool.
///
/// # Errors
/// Where the file cannot be used, before a single entry of it is.
pub fn read_tables<'f>(file: &'f [u8], secret: &TableSecret) -> Result<Vec<(PoolName, Piece<'f>)>, FileFault> {
    let (head, _) = file.split_at_checked(HEAD).ok_or(FileFault::Torn)?;
    let mark = head.strip_prefix(MAGIC).ok_or(FileFault::Foreign)?;
    if mark != secret.mark() {
        return Err(FileFault::OtherSecret);
    }
    let (signed, sum) = file.split_last_chunk::<SUM>().ok_or(FileFault::Torn)?;
    let mut hasher = checksum();
    std::hash::Hasher::write(&mut hasher, signed);
    if sum_bytes(&hasher) != *sum {
        return Err(FileFault::Torn);
    }
    let mut rest = signed.get(HEAD..).ok_or(FileFault::Torn)?;
    let mut pieces = Vec::new();
    while rest != [0] {
        let (pool, piece, after) = read_piece(rest).ok_or(FileFault::Torn)?;
        pieces.push((pool, piece));
        rest = after;
    }
    Ok(pieces)
}

fn read_piece(bytes: &[u8]) -> Option<(PoolName, Piece<'_>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (count, rest) = rest.split_first_chunk()?;
    let bytes = usize::try_from(u32::from_be_bytes(*count)).ok()?.checked_mul(Entry::BYTES)?;
    let (entries, rest) = rest.split_at_checked(bytes)?;
    let pool = PoolName::new(std::str::from_utf8(name).ok()?).ok()?;
    Some((pool, Piece { bytes: entries }, rest))
}

/// Entries in a file.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'f> {
    bytes: &'f [u8],
}

impl<'f> Piece<'f> {
    /// Its entries; what no table has written is left out.
    pub fn entries(self) -> impl Iterator<Item = Entry> + use<'f> {
        self.bytes.chunks_exact(Entry::BYTES).filter_map(|bytes| Entry::from_bytes(bytes.first_chunk()?))
    }
}

/// It finds accidents, not forgers: who can write to the state directory has the secrets too.
fn checksum() -> SipHasher24 {
    SipHasher24::new_with_key(b"evenkeel checks.")
}

fn sum_bytes(hasher: &SipHasher24) -> [u8; SUM] {
    u128::from(hasher.finish128()).to_be_bytes()
}

//! Attacks and oddities as data: bytes, the right answer, and why.
//!
//! [`read`] reads the files of `vectors/`, [`strict`] is a parser of its own that judges what servers get,
//! [`recorder`] is the server that judges by it, [`stand`] runs a balancer in front of that server, [`replay`] sends
//! the bytes in whatever pieces, [`judge`] compares. The form of the files is told at the head of
//! `vectors/framing.txt`. The invariant: a case says what a client sees and what a server sees, both in full.

pub mod hostile;
pub mod judge;
pub mod read;
pub mod recorder;
pub mod replay;
pub mod stand;
pub mod strict;
pub mod table;

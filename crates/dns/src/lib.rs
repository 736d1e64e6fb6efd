//! DNS without I/O.
//!
//! Bytes, names and the time go in; bytes, edits and decisions come out. There is no socket here, no file and no
//! clock. A tour:
//!
//! - [`Name`], [`Type`], [`Rdata`]: the nouns of the protocol.
//! - [`zone`]: master files, lossless, and the zones that they make.
//! - [`wire`]: queries in, responses out.
//! - [`tsig`]: messages signed with a shared secret.
//! - [`update`]: dynamic updates that change one set and nobody else's work.
//! - [`answer`]: what a query gets from the zones, the health view and the policy.
//! - [`checker`]: which records of a zone file to park or to put back.
//! - [`fuzz`]: entries for a fuzzer.
//!
//! The one invariant: no input makes this crate panic.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answer;
pub mod checker;
pub mod fuzz;
mod hash;
mod kind;
mod name;
mod octets;
mod rdata;
pub mod tsig;
pub mod update;
pub mod wire;
pub mod zone;

pub use kind::{Class, ExtendedError, Rcode, Type};
pub use name::{LABEL_BYTES, Labels, NAME_BYTES, Name, NameError};
pub use rdata::{Rdata, RdataError, Soa, Word, decode_text};

#[cfg(test)]
mod tests;

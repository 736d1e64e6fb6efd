//! Every raw system call: sockets, the resolver, privileges, the service manager, files and the clock.
//!
//! The other crates reach the machine only through this one, so that what depends on the system can be found in one
//! place and everything else can be tested without it. It decides nothing: which address is bound, who is retried
//! and what a failure means for a server is said elsewhere.
//!
//! The one invariant: no call here blocks a worker. What may block ([`files`], [`syslog`], [`listen::holder`]) is
//! for start, reload and threads of their own, and says so. Giving memory back takes its time, and says so too.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod addresses;
pub mod announce;
pub mod beat;
pub mod bell;
pub mod clock;
pub mod control;
pub mod duplex;
pub mod files;
pub mod listen;
pub mod memory;
pub mod passing;
pub mod ping;
pub mod process;
pub mod resolve;
pub mod rng;
pub mod stream;
pub mod syslog;
pub mod tls;
#[allow(unsafe_code)] // batches of datagrams have no safe call
pub mod udp;

mod error;
#[cfg(test)]
mod scratch;
mod socket;

pub use error::NetError;

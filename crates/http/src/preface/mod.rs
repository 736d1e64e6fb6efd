//! What may come before the first byte of a conversation: a [`proxy`] header, and a TLS client's [`hello`].
//!
//! Not here: reading from connections, and whom to believe. The invariant is the crate's: no bytes make these
//! functions panic, and no verdict depends on how they were cut into reads.

pub mod hello;
pub mod proxy;

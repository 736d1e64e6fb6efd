//! Connections of clients, by protocol: each becomes a row of exchanges.

pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod room;

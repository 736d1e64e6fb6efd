//! Bad luck for the pure cores, all of it repeatable: what must hold of every parser on any bytes, and the chance
//! that makes such bytes.
//!
//! [`parsers`] states the properties. The ordinary tests replay the corpus and a seeded run of mutations over it; `fuzz/`
//! feeds the same functions with what a fuzzer finds. [`cluster`] is a world of nodes and lossy links in virtual time, and
//! what must hold in it at every moment.
//!
//! The invariant: a run is a function of its seed.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chance;
pub mod cluster;
pub mod parsers;

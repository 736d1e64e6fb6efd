//! A seeded world for the pure cores.

#![forbid(unsafe_code)]

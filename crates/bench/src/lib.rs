//! Load and ratio measurements against real peers.

#![forbid(unsafe_code)]

//! End-to-end tests against real peers.

#![forbid(unsafe_code)]

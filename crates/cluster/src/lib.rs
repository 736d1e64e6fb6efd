//! A node's part in a cluster without I/O: the contract of the crate.
//!
//! The feature is not there yet, and this crate holds no code: it keeps the place that the workspace and its fences
//! give it. What it will hold, as one state machine with packets, time and orders in, actions out
//! (`handle_packet(now, from, bytes)`, `handle_timeout(now)`, `apply(change)`, `poll_action()`, `poll_timeout()`):
//!
//! - authenticated heartbeats that cannot be replayed, without trust in anybody's clock;
//! - membership, and the connectivity to ping nodes;
//! - who owns a group, with a stated bound on two owners of one address;
//! - the ordered start and stop of a group's resources, failback, takeover and standby.
//!
//! Sockets, addresses and the running of units and scripts belong to `net` and `node`. The invariant: the same inputs
//! in the same order give the same actions.

#![forbid(unsafe_code)]

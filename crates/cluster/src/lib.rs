//! A node's part in a cluster without I/O: one state machine with packets, time and orders in, actions out.
//!
//! ```text
//!   handle_packet(now, path, bytes) ─┐                        ┌─▶ Beat: send `heartbeat()` over every path
//!   handle_timeout(now) ─────────────┼─▶ Node ─ poll_action() ┼─▶ Start, Stop: a resource of a group
//!   apply(now, change) ──────────────┘      └ poll_timeout()  ├─▶ Withdraw, Restore, Announce, Renew: addresses
//!                                                             ├─▶ Arrange: places are those of other settings
//!                                                             └─▶ Note: what happened, in a sentence
//! ```
//!
//! - [`packet`]: what a heartbeat says, its bytes and its seal.
//! - `peer`: what is known of another node; when its word is fresh although no two clocks agree.
//! - `duty`: this node's part in one group: the role, and its resources in their order.
//! - `rank`, `vote`: who should own a group, and who may where two owners must never be.
//! - [`node`]: all of it together.
//! - [`fuzz`]: an entry for a fuzzer.
//!
//! Sockets, addresses and the running of units and scripts belong to `net` and `node`. The invariant: the same inputs
//! in the same order give the same actions.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod action;
mod duty;
mod event;
pub mod fuzz;
mod key;
pub mod node;
pub mod packet;
mod peer;
mod rank;
mod sent;
mod settings;
mod vote;

pub use action::{Action, Change, Outcome};
pub use duty::Move;
pub use event::{Cause, Event};
pub use key::{Key, KeyError, Keyring};
pub use node::{GroupView, Hearing, Node, PathView, PeerView, View};
pub use packet::{BootId, PacketError, Phase, Role};
pub use settings::{Group, InvalidCluster, Member, Mode, Resource, STOP_GRACE, Settings, Timing, name_id};

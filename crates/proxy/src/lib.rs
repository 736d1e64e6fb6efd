//! The data plane: from a client's connection to a server and back.
//!
//! A tour, in the order of a request: `listen` accepts and bounds connections; `serve` turns a connection into
//! exchanges; `exchange` is the life of one request, a list of phases: `route` (which site, route and pool), `guard`
//! (limits), `stick` (which server the client belongs to), `pick` (which one it gets, or the queue), `server`
//! (connections to it, and the request on them), `forward` (bytes both ways, back-pressure, half-close), `carry` (bytes
//! that mean nothing to us: upgraded connections, and those of TCP listeners, which `serve::tcp` brings to a server),
//! `retry` (again, where it cannot be executed twice), `respond` (heads of answers, answers of our own), `record`
//! (counters, reports, the access log).
//!
//! What they work with: a [`Snapshot`] is everything that a reload replaces, a [`Shared`] what it leaves alone, a
//! `Desk` the memory of one exchange. [`worker`] runs it all on one thread and takes [`Command`]s; nothing on the
//! way of a request takes a lock, starts a task, or asks the allocator for anything once buffers are warm.
//!
//! What must not be here: names of files, probes, verdicts, signals. The composition root has them and speaks to
//! this crate by snapshots and reports.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod log;

mod buffer;
mod carry;
mod counts;
mod error;
mod exchange;
mod explain;
mod forward;
mod guard;
mod hold;
mod http2;
mod learn;
mod leaving;
mod listen;
mod pages;
mod patience;
mod pick;
mod queue;
mod record;
mod respond;
mod retry;
mod rounds;
mod route;
mod serve;
mod server;
mod shared;
mod sleepers;
mod snapshot;
mod spares;
mod stats;
mod stick;
mod timer;
mod trace;
mod variable;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

pub use explain::{Explanation, Outcome, Question, RouteTried, ServerTried};
pub use log::{LogSink, LogSource};
pub use pages::ErrorPages;
pub use shared::{Shared, TrafficOutcome, TrafficReport};
pub use snapshot::{ServerView, Snapshot, SnapshotParts};
pub use stats::{ListenerStats, PoolStats, ServerStats, Totals, Traffic};
pub use worker::{Command, DrainOutcome, worker};

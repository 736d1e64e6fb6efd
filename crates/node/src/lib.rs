//! The composition root: it runs the pure cores and the data plane, and owns everything that lives long.
//!
//! A tour, in the order of a life. [`Origin`] reads a configuration and keeps its texts; [`Node::start`] gets everything
//! ready that can be refused (`prepare`: sockets, pages, keys, logs), starts the threads (`crew`: workers; `logs`: writers)
//! and hands over to the `supervisor`, the one owner of what changes. It is told by probes (`prober`), look-ups (`names`),
//! traffic, `signals` and the control socket, keeps every server's health (`keeper`), publishes snapshots to the workers,
//! reloads, drains, and feeds the `watchdog`. What outlives the process is in the `state` directory. Every long-lived
//! task stands in one table, [`tasks`].
//!
//! Not here: what happens to a request (`evenkeel-proxy`), what a verdict follows from (`evenkeel-balance`), any raw
//! system call (`evenkeel-net`), HTML and JSON for people.
//!
//! The one invariant: whatever is refused, at a start or at a reload, is refused before anything running was touched.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod tasks;

pub mod cluster;

mod acme;
mod beside;
mod certificates;
mod command;
mod compare;
mod crew;
mod dns;
mod door;
mod history;
mod intents;
mod journal;
mod keeper;
mod logs;
mod names;
mod node;
mod origin;
mod pages;
mod prepare;
mod prober;
mod resource;
mod resources;
mod secrets;
mod sessions;
mod signals;
mod state;
mod status;
mod supervisor;
mod tail;
mod watchdog;
pub mod zonefile;

#[cfg(test)]
mod scratch;

pub use acme::AcmeStatus;
pub use beside::{chance, end_with_us, run_beside};
pub use certificates::{ShownCertificate, problems as tls_problems};
pub use compare::{Comparison, NoSuch, Which};
pub use dns::{
    Answered, BalancedStatus, ChosenServer, DnsAsked, DnsTotals, LookedUp, ZoneStatus, look_up,
    problems as dns_problems,
};
pub use door::{AdminDoor, Doors};
pub use evenkeel_proxy::{Explanation, Outcome, Question, RouteTried, ServerTried, Traffic};
pub use history::Kept;
pub use intents::{Intent, NodeDrain, Ordered, WeightWish, Wish};
pub use journal::{Happening, Journal};
pub use names::unresolved;
pub use node::{ControlPlace, Ended, Gone, Handle, Node, Service, SignalUse, Start, StartError};
pub use origin::{Disk, LiveText, Loading, Origin, Texts, is_handed_over};
pub use prepare::Refusal;
pub use resources::problems as resource_problems;
pub use sessions::{NoSession, PoolSessions, SessionBook, SessionFilter, SessionInfo, SessionList, SessionsOn};
pub use state::last_good;
pub use status::{ConfigStatus, LastReload, ListenerStatus, NodeStatus, Phase, PoolStatus, ReloadCounts, ServerStatus};
pub use supervisor::{NodeOrder, Reloaded, SteerError, Steering};
pub use tail::LogTail;

//! The control API: what an operator asks of a running node, and how the answer looks.
//!
//! A request comes over the control socket or the admin listener as HTTP ([`serve`]), is looked up in the catalogue of
//! operations (`api`, a module for each noun), put to the node through [`Control`], and the answer goes back as JSON in the types
//! of [`report`], or as a [`problem`]. [`client`] is the other end, for the command line, and [`render`] shows a report on a
//! terminal. Nothing here knows how a node works.
//!
//! The one invariant: what the API answers is made of the types in [`report`] alone, so that every view of a node
//! (`status`, `--json`, pages) says the same.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access;
pub mod client;
pub mod metrics;
pub mod problem;
pub mod pulse;
pub mod render;
pub mod report;
pub mod serve;
pub mod watch;

mod api;
mod caller;
mod control;
mod lines;
mod page;
mod payload;

pub use api::{cluster, events, node, openapi, servers, sessions};
pub use caller::{Caller, Via};
pub use control::{
    Answer, Audit, Cluster, Coming, Configs, Control, DnsControl, DnsQuestion, Events, GroupOrder, GroupRefused,
    NextStep, NoConfig, NodeOrder, OrderRefused, OrderedWeight, RouteQuestion, Routes, ServerOrder, Servers,
    SessionChoice, Sessions, SessionsRefused, Step, Which,
};

//! The nouns that every part of evenkeel shares.
//!
//! This crate holds values and nothing that acts: the validated [`Config`] with every default filled in,
//! the names by which things stay the same thing across reloads, the [`Verdict`] that we hold a server for,
//! the [`Change`]s between two configurations, and the [`caps`] that bound every queue and table.
//! There is no I/O here, no clock and no randomness, and no logic beyond constructors.
//!
//! The one invariant: a value that exists is valid. Text is checked where it enters (in the `config` crate);
//! whoever holds a [`Config`] never checks again.

#![forbid(unsafe_code)]

pub mod caps;
pub mod config;
pub mod defaults;

mod calendar;
mod change;
mod histogram;
mod name;
mod template;
mod validity;
mod verdict;

pub use calendar::date_of;
pub use change::Change;
pub use config::Config;
pub use histogram::Histogram;
pub use name::{InvalidName, ListenerName, PoolName, ServerId, ServerName};
pub use template::{Template, TemplatePart, Variable};
pub use validity::{is_ending, until_ending};
pub use verdict::{Reason, State, Verdict};

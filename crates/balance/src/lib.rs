//! Who is alive and who is next, without I/O.
//!
//! Read in this order: [`Health`] turns checks and live traffic into one server's verdict; [`Plan`] sorts the servers
//! of a pool into those that may be chosen; [`Picker`] chooses one for a request; [`ServerLoad`] counts what each
//! carries; [`RetryBudget`] bounds second attempts; [`Sealer`], [`sessions`] and [`sticky`] keep a client on its server.
//!
//! Time and luck are arguments: `now` is a [`Duration`](std::time::Duration) on the process's monotonic clock, luck
//! is an [`Rng`] that the caller seeds, nonces and secrets come from the caller. There is no socket, no clock and
//! no configuration text here. What threads share is [`ServerLoad`], made of atomics, and the [`sessions`], whose locks
//! are held for a look-up; everything else is a value of one owner or never changes.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod budget;
mod hashing;
mod health;
mod index;
mod pick;
mod plan;
mod rng;
mod slots;
mod token;
mod window;

pub mod sessions;
pub mod sticky;

pub use budget::RetryBudget;
pub use hashing::{HashKeyValue, hash_key};
pub use health::{
    Census, CheckOutcome, EjectedRecord, Failure, Health, Policy, Resolution, Thresholds, TrafficFailure, Transition,
    VerdictRecord,
};
pub use index::{ServerIndex, ServerSet};
pub use pick::{Ask, Loads, Pick, Picker};
pub use plan::{FULL_RAMP, Member, Plan};
pub use rng::Rng;
pub use slots::{ServerLoad, Slot};
pub use token::{Key, Keys, MethodKeys, Sealer, ServerUid, Token, TokenMemo, WeakSecret};
